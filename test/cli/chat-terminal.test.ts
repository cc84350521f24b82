import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Io } from '../../src/cli/io.ts';
import type { Script } from '../fakes/runtime.ts';
import { requirePeer } from '../fakes/require-peer.ts';
import { FakeTerminal } from '../fakes/terminal.ts';
import { until } from '../fakes/until.ts';
import { echo, gate, TOKEN } from '../gateway/help.ts';
import { withDesk, type Desk } from './help.ts';

const paste = (text: string): string => `\x1b[200~${text}\x1b[201~`;
const said = (desk: Desk): string[] => desk.runtime.deliveries.map(({ message }) => message.text);

/** `ruche chat` at a terminal, until it is left. */
async function atTerminal(
  script: Script,
  body: (desk: Desk, terminal: FakeTerminal) => Promise<void>,
  columns = 200,
): Promise<void> {
  const terminal = new FakeTerminal(columns);
  const changes: Partial<Io> = { inIsTerminal: true, outIsTerminal: true, editor: terminal, env: {} };
  await withDesk(
    script,
    async (desk) => {
      Object.assign(desk.io, {
        env: { RUCHE_HOME: desk.home, RUCHE_TOKEN: TOKEN, NO_COLOR: '1' },
        out: (text: string) => terminal.write(text),
      });
      const left = desk.ruche('chat');
      await until(() => terminal.shown().endsWith('›'), 'the prompt');
      try {
        await body(desk, terminal);
      } catch (error) {
        desk.stdin.end();
        throw new Error(`the screen was:\n${terminal.shown()}`, { cause: error });
      }
      desk.stdin.write('/quit\r');
      await left;
      assert.ok(terminal.raw.endsWith('\x1b[?2004l'), 'pastes are no longer marked for what comes after');
    },
    changes,
  );
}

const writes: Script = async (run) => {
  if (run.text !== 'go') return `heard ${run.text.length}`;
  return `It was ${await run.approval('write', '{"path":"contracts/c9.md"}')}.`;
};

test('a paste is one message, marked by the terminal or not, and never a verdict', async () => {
  await atTerminal(writes, async (desk, terminal) => {
    assert.ok(terminal.raw.includes('\x1b[?2004h'), 'it asks for marks');
    desk.stdin.write(paste('Capital of\r\nFrance is?'));
    desk.stdin.write('\r');
    await until(() => said(desk).length === 1, 'the marked one');
    await until(() => terminal.shown().endsWith('heard 21\n›'), 'it is answered');
    assert.match(
      terminal.shown(),
      /│ Capital of\n {2}│ France is\?\n› \[pasted text: 2 lines\]/,
      'one sees what is sent',
    );
    desk.stdin.write('Capital of\rSpain is?\r');
    await until(() => said(desk).length === 2, 'the unmarked one');
    assert.deepEqual(said(desk), ['Capital of\nFrance is?', 'Capital of\nSpain is?']);
    await until(() => terminal.shown().endsWith('heard 20\n›'), 'it is answered');

    desk.stdin.write('go\r');
    await until(
      () => /Approve write [^\n]*c9[^\n]*\? yes or no ›$/.test(terminal.shown()),
      'the prompt names the call',
    );
    const minutes = 'Minutes of the meeting:\rshall we sign?\ry\r- Bob';
    desk.stdin.write(paste('y'));
    desk.stdin.write('\r');
    await until(() => terminal.shown().includes('never a verdict'), 'it is told');
    for (const [index, text] of [paste(minutes), minutes].entries()) {
      desk.stdin.write(`${text}\r`);
      await until(() => said(desk).length === 4 + index, 'one message');
      assert.equal(said(desk).at(-1), minutes.replaceAll('\r', '\n'));
    }
    assert.ok(!terminal.shown().includes('Approved'));
  });
});

test('a paste whose marks come in pieces is one; what stands behind it in the same breath approves nothing', async () => {
  await atTerminal(writes, async (desk, terminal) => {
    desk.stdin.write('see: ');
    for (const piece of ['\x1b', '[20', '0~one\ntw', 'o\ny\n\x1b[2', '01~']) desk.stdin.write(piece);
    desk.stdin.write(' ok\r');
    await until(() => said(desk).length === 1, 'it arrives');
    assert.deepEqual(said(desk), ['see: one\ntwo\ny\n ok']);
    await until(() => terminal.shown().endsWith('›'), 'it is answered');
    desk.stdin.write('go\r');
    await until(() => terminal.shown().endsWith('no ›'), 'it asks');
    desk.stdin.write(`${paste('x')}\ry\r`);
    await until(() => said(desk).length === 3, 'one message');
    assert.deepEqual(said(desk).slice(2), ['x\ny']);
    assert.ok(!terminal.shown().includes('Approved'));
  });
});

test('what stands behind an end mark inside a paste approves nothing, whatever keys it plays', async () => {
  await atTerminal(writes, async (desk, terminal) => {
    desk.stdin.write('go\r');
    await until(() => terminal.shown().endsWith('no ›'), 'it asks');
    for (const text of ['\x1b[201~y\r', 'x\x1b[201~\x15y\r', '\x15\x1b[200~\x1b[201~y\r', 'a\rb\x1b[201~\r\x15y\r']) {
      const [heard, told] = [said(desk).length, terminal.shown().split('never a verdict').length];
      const answered = (): boolean => terminal.shown().split('never a verdict').length > told;
      desk.stdin.write(`${paste(text)}\r`);
      await until(() => said(desk).length > heard || answered(), `${JSON.stringify(text)} is taken`);
      await until(() => terminal.shown().endsWith('no ›'), 'asked again');
      assert.ok(!terminal.shown().includes('Approved'), JSON.stringify(text));
    }
    desk.stdin.write('y\r');
    await until(() => terminal.shown().includes('Approved'), 'what is typed counts');
  });
});

test('a verdict counts for what was shown before its line was begun, and for what it names', async () => {
  const held = gate();
  await atTerminal(
    async (run) => {
      await held.opened;
      return `It was ${await run.approval('write', '{"path":"a.md"}')}.`;
    },
    async (desk, terminal) => {
      desk.stdin.write('go\r');
      await until(() => said(desk).length === 1, 'it runs');
      desk.stdin.write('y');
      held.open();
      await until(() => terminal.shown().endsWith('no › y'), 'asked while the line is typed');
      desk.stdin.write('\r');
      await until(() => terminal.shown().includes('while you were typing'), 'it does not count');
      await until(() => terminal.shown().endsWith('no ›'), 'asked again');
      desk.stdin.write('approve apr_other\r');
      await until(() => terminal.shown().includes('Nothing waits here as apr_other'), 'another one');
      await until(() => terminal.shown().endsWith('no ›'), 'asked again');
      desk.stdin.write('y\r');
      await until(() => terminal.shown().includes('It was approve.'), 'now it does');
      assert.deepEqual(said(desk), ['go'], 'no verdict was a message');
    },
  );
});

test('what is typed while an answer streams stands apart from it', async () => {
  const steps = [gate(), gate(), gate(), gate()];
  await atTerminal(
    async (run) => {
      if (run.text !== 'tell') return 'quick';
      const said = ['First line.\nThe second li', 'ne is lon', 'ger than a row of this terminal is', ' wide.\nEnd.'];
      for (const [index, text] of said.entries()) {
        await steps[index]?.opened;
        run.say(text, 1);
      }
      return said.join('');
    },
    async (desk, terminal) => {
      desk.stdin.write('tell\r');
      steps[0]?.open();
      await until(() => terminal.shown().endsWith('The second li'), 'it streams');
      desk.stdin.write('hello');
      await until(() => terminal.shown().endsWith('First line.\nThe second li\n› hello'), terminal.shown());
      steps[1]?.open();
      await until(() => terminal.shown().endsWith('First line.\nThe second line is lon\n› hello'), 'the line is kept');
      steps[2]?.open();
      const wrapped = 'First line.\nThe second line is longer than a row of\nthis terminal is';
      await until(() => terminal.shown().endsWith(`${wrapped}\n› hello`), 'over two rows');
      desk.stdin.write(' you\r');
      await until(() => said(desk).length === 2, 'it is sent');
      steps[3]?.open();
      await until(() => /wide\.\nEnd\.\n[^]*›$/.test(terminal.shown()), 'it ends');
      assert.match(terminal.shown(), /First line\.\n› hello you\nThe second line/);
      assert.deepEqual(said(desk), ['tell', 'hello you']);
    },
    40,
  );
});

test('from a pipe no line is a verdict unless it names what it approves, or that was asked for', async () => {
  await withDesk(writes, async (desk) => {
    desk.stdin.end('go\ny\n');
    assert.equal(await desk.ruche('chat'), 3);
    assert.match(desk.out(), /Not a verdict[^\n]*--verdicts/);
    assert.deepEqual(said(desk), ['go']);
  });
  await withDesk(writes, async (desk) => {
    const left = desk.ruche('chat');
    desk.stdin.write('go\n');
    const id = await until(() => /apr_[\w-]+/.exec(desk.out())?.[0], 'it asks');
    desk.stdin.end(`deny ${id}\n`);
    assert.equal(await left, 0);
    assert.match(desk.out(), /It was deny\./);
  });
});

const hasScript = spawnSync('script', ['--version']).status === 0 && process.platform === 'linux';

test('at a real terminal', { skip: requirePeer('script', hasScript) }, async () => {
  await withDesk(echo, async (desk) => {
    const main = join(import.meta.dirname, '../../src/cli/main.ts');
    const env = { ...process.env, RUCHE_HOME: desk.home, RUCHE_TOKEN: TOKEN, TERM: 'xterm' };
    const chat = spawn('script', ['-qec', `'${process.execPath}' '${main}' chat`, '/dev/null'], { env });
    let shown = '';
    chat.stdout.on('data', (chunk: Buffer) => (shown += String(chunk)));
    const ended = new Promise((resolve) => chat.once('close', resolve));
    await until(() => shown.includes('› '), 'the prompt');
    assert.ok(shown.includes('\x1b[?2004h'));
    chat.stdin.write(`${paste('Capital of\nFrance is?')}\r`);
    await until(() => said(desk).length === 1, 'it arrives');
    assert.deepEqual(said(desk), ['Capital of\nFrance is?']);
    await until(() => shown.endsWith('France is?\r\n\x1b[1G\x1b[0J› \x1b[3G'), 'it is answered');
    chat.stdin.write('/quit\r');
    await ended;
    assert.ok(shown.includes('\x1b[?2004l'));
  });
});
