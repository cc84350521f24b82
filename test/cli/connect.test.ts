import assert from 'node:assert/strict';
import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { localAccess } from '../../src/app/presence.ts';
import { systemRandom } from '../../src/platform/system.ts';
import { echo } from '../gateway/help.ts';
import { type Desk, withDesk } from './help.ts';

/** A program of somebody else that answers on a port, and all that it was sent. */
async function withStranger(
  run: (stranger: { url: string; seen: IncomingMessage[] }) => Promise<void>,
  relay: string | null = null,
): Promise<void> {
  const seen: IncomingMessage[] = [];
  const server = createServer((incoming, outgoing) => {
    seen.push(incoming);
    // An answer that never ends must not hold a command.
    if (relay === null) outgoing.write('x'.repeat(5_000));
    else
      void fetch(relay + (incoming.url ?? ''), { headers: { host: 'localhost' } }).then(async (answer) =>
        outgoing.end(await answer.text()),
      );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await run({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

interface Presence {
  url: string;
  pid: number;
  socket?: string;
  proof?: string;
}

async function change(desk: Desk, part: Partial<Presence>): Promise<Presence> {
  const path = join(desk.home, 'gateway.json');
  const present = { ...(JSON.parse(await readFile(path, 'utf8')) as Presence), ...part };
  await writeFile(path, JSON.stringify(present));
  return present;
}

const noToken = (seen: readonly IncomingMessage[]): void => {
  for (const { headers, rawHeaders } of seen) assert.equal(headers.authorization, undefined, rawHeaders.join(' '));
};

test('commands talk over a socket in the home that only its owner can use, whatever listens on the port', () =>
  withStranger(({ url, seen }) =>
    withDesk(echo, async (desk) => {
      const { mode } = await stat(join(desk.home, 'gateway.sock'));
      assert.equal(mode & 0o777, 0o600);
      const real = await change(desk, { url });
      assert.equal(real.socket, 'gateway.sock');
      for (const command of [['status'], ['ask', 'assistant', 'hello']])
        assert.equal(await desk.ruche(...command), 0, desk.err());
      assert.equal(seen.length, 0);
    }),
  ));

test('after a crash the token goes to nobody: whose port it is has to be proved first', () =>
  withStranger(({ url, seen }) =>
    withDesk(echo, async (desk) => {
      await desk.stop();
      await writeFile(join(desk.home, 'gateway.sock'), ''); // as a crash leaves it: nobody listens there
      await change(desk, { url });
      for (const command of [['status'], ['approvals'], ['ask', 'assistant', 'hello']]) {
        assert.equal(await desk.ruche(...command), 2);
        assert.match(
          desk.err(),
          /Another program answers at \S+, where the gateway of \S+ was\. The token was not sent/,
        );
      }
      assert.ok(seen.length >= 3);
      noToken(seen);
    }),
  ));

test('without a socket the port is proved, and a proof of another port is none', () =>
  withDesk(echo, async (desk) => {
    const { url: own } = await change(desk, { socket: '' });
    for (const command of [['status'], ['ask', 'assistant', 'hello']])
      assert.equal(await desk.ruche(...command), 0, desk.err());
    await withStranger(async ({ url, seen }) => {
      await change(desk, { url });
      assert.equal(await desk.ruche('status'), 2);
      assert.match(seen[0]?.url ?? '', /^\/proof\?nonce=/);
      noToken(seen);
    }, own);
    const old = await change(desk, { url: own });
    delete old.proof;
    await writeFile(join(desk.home, 'gateway.json'), JSON.stringify(old));
    assert.equal(await desk.ruche('status'), 2);
    assert.match(desk.err(), /cannot prove that it is the one of .*older version/);
    await rm(join(desk.home, 'gateway.json'));
  }));

test('a home that others can change is told nothing', () =>
  withDesk(echo, async (desk) => {
    await chmod(desk.home, 0o777);
    assert.equal(await desk.ruche('status'), 1);
    assert.match(desk.err(), /Other users can change \S+, so the token is not sent\. Run: chmod 700 /);
    await chmod(desk.home, 0o755);
    assert.equal(await desk.ruche('status'), 0, desk.err());
  }));

test('a socket is used only where its path fits, and not on Windows', () => {
  const socketIn = (home: string, platform: string): string | null =>
    localAccess(home, platform, systemRandom.bytes).socket;
  assert.equal(socketIn('/h', 'linux'), '/h/gateway.sock');
  assert.equal(socketIn('/h', 'win32'), null);
  assert.equal(socketIn(`/${'x'.repeat(90)}`, 'darwin'), null);
});
