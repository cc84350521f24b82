import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { cannotMount, image, makeImage, tmpfs } from '../store/mounted.ts';
import { AGENT, Home } from '../fakes/home.ts';
import { modelsYaml, obedientModel, order, orders } from '../fakes/obedient-model.ts';

type Remount = (options: string) => void;

/** A test with its home on a small disk of its own, skipped with the reason where nothing may be mounted. */
const onDisk = (size: string, body: (home: Home, remount: Remount) => Promise<void>) => async (t: TestContext) => {
  const home = new Home({ files: { 'ruche.yaml': '', 'agents/assistant/AGENT.md': AGENT } });
  try {
    const reason = cannotMount(home.dir);
    if (reason) return t.skip(reason);
    const mount = tmpfs(home.home, size);
    try {
      await body(home, mount.remount);
    } finally {
      if (home.alive) await home.end('SIGKILL');
      mount.unmount();
    }
  } finally {
    await home.close();
  }
};

test(
  'a read-only home: a sentence that names it; what was there is still there',
  onDisk('32m', async (home, remount) => {
    await home.start();
    await home.ask('write a.md: kept');
    assert.equal(await home.end('SIGTERM'), 0);
    remount('ro');
    const ended = await home.tryStart();
    assert.equal(ended?.code, 1);
    assert.match(ended.err, /read-only/);
    assert.doesNotMatch(ended.err, /\n\s+at /);
    const { code, out } = await home.cli('verify');
    assert.equal(code, 0, out);
    remount('rw');
    await home.start();
    assert.match((await home.ask('read a.md')).text, /kept/);
  }),
);

test(
  'a full disk: messages are refused in plain words, nothing accepted is lost, and with space it goes on by itself',
  onDisk('24m', async (home, remount) => {
    await home.start();
    const accepted: string[] = [await home.say('write first.md: one')];
    await home.settled(accepted[0] ?? '');
    // Leaves little more than the journal needs for a while.
    writeFileSync(join(home.home, 'filler'), Buffer.alloc(21 * 1024 * 1024));
    let refusal = '';
    for (let n = 0; n < 40 && refusal === ''; n += 1) {
      const body = JSON.stringify({
        agent: 'assistant',
        text: `write f${n}.md: ${'x'.repeat(100_000)}`,
        session: `f${n}`,
      });
      const response = await home.fetch('/api/messages', { method: 'POST', body });
      const said = await response.text();
      if (response.ok) accepted.push((JSON.parse(said) as { task: string }).task);
      else refusal = `${response.status} ${said}`;
    }
    assert.match(refusal, /^503 .*the disk is full; free some space/);
    assert.equal((await home.fetch('/healthz')).status, 200);
    assert.equal((await home.status()).home, home.home, 'it still answers');
    rmSync(join(home.home, 'filler'));
    // What was accepted may need more than there was.
    remount('size=128m');
    for (const task of accepted) assert.equal((await home.settled(task)).status, 'done');
    assert.ok(accepted.length > 1, 'some were accepted');
    const { findings } = await home.verify();
    assert.deepEqual(findings, []);
  }),
);

/** Fills the disk of the folder to its last byte. */
function fill(dir: string): () => void {
  const path = join(dir, 'filler');
  const file = openSync(path, 'w');
  for (let size = 1 << 20; size >= 1; size = Math.floor(size / 2))
    try {
      for (;;) writeSync(file, Buffer.alloc(size));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    }
  closeSync(file);
  return () => rmSync(path);
}

test(
  'a disk full to the last byte: the process lives and answers, logs again when it can, and nothing accepted is lost',
  onDisk('24m', async (home) => {
    await home.start();
    const kept = await home.say('write first.md: one');
    await home.settled(kept);
    const before = readFileSync(join(home.home, 'logs/ruche.log'), 'utf8').length;
    const mend = fill(home.home);
    const accepted: string[] = [];
    const said: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      const body = JSON.stringify({ agent: 'assistant', text: `write g${n}.md: ${n}`, session: `g${n}` });
      const response = await home.fetch('/api/messages', { method: 'POST', body });
      const text = await response.text();
      if (response.ok) accepted.push((JSON.parse(text) as { task: string }).task);
      else said.push(`${response.status} ${text}`);
      // The worker tries, fails and logs meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.equal((await home.fetch('/healthz')).status, 200);
    }
    assert.ok(home.alive, 'it lives');
    assert.ok(said.length > 0, 'something was refused');
    for (const text of said) assert.match(text, /^503 /);
    mend();
    for (const task of accepted) assert.equal((await home.settled(task)).status, 'done');
    assert.match((await home.ask('write later.md: here')).text, /later\.md|here/);
    assert.equal(await home.end('SIGTERM'), 0);
    const log = readFileSync(join(home.home, 'logs/ruche.log'), 'utf8');
    assert.ok(log.length > before, 'lines were written again');
    for (const line of log.trimEnd().split('\n')) assert.ok(JSON.parse(line), 'whole ones');
    const { findings } = await home.verify();
    assert.deepEqual(findings, []);
  }),
);

test(
  'a start on a disk that commands have filled removes what they left, and else says what to free',
  onDisk('32m', async (home) => {
    await home.start();
    await home.ask('write a.md: kept');
    await home.end('SIGKILL');
    const left = (folder: string, state: object | null): void => {
      const dir = join(home.home, 'checkouts', folder);
      mkdirSync(join(dir, 'files/sub'), { recursive: true });
      if (state) writeFileSync(join(dir, 'state.json'), JSON.stringify(state));
      fill(join(dir, 'files/sub'));
    };
    // Nobody's, and one of a command that was under way.
    left('c7', null);
    await home.start();
    await home.end('SIGKILL');
    left('c8', { key: 'run_1-s1c0', ready: true, base: 'x', tree: 'x', blind: false });
    await home.start();
    assert.match((await home.ask('read a.md')).text, /kept/);
    await home.end('SIGKILL');
    const mend = fill(home.home);
    const ended = await home.tryStart();
    assert.equal(ended?.code, 1);
    assert.match(ended.err, /The disk of \S+ is full\. Free some space on it .* home itself: filler \(\d+ MB\)/);
    mend();
    await home.start();
    assert.equal((await home.cli('verify')).code, 0);
  }),
);

test('a command that fills the disk at once is ended and told, the process lives, and the next command runs', async (t) => {
  const server = await obedientModel();
  const home = new Home({
    beside: [server],
    env: { WIRE_KEY: 'a-key-0123456789' },
    files: { 'ruche.yaml': modelsYaml(server.baseUrl), 'agents/assistant/AGENT.md': AGENT },
  });
  const reason = cannotMount(home.dir) || cannotImage(home.dir);
  if (reason || spawnSync('bwrap', ['--version']).status !== 0) {
    await home.close();
    return t.skip(reason || 'there is no bubblewrap on this machine');
  }
  const disk = image(join(home.dir, 'image'), home.home);
  const run = async (command: string): Promise<string> => (await home.ask(orders(order('shell', { command })))).text;
  try {
    await home.start();
    const fill = 'for at in $(seq 1 60); do fallocate -l 100M f$at || break; done; cat /dev/zero >rest; sleep 12';
    assert.match(
      await run(fill),
      /killed, because less than 333 MB are free on the disk\nnone of its changes were kept$/,
    );
    assert.equal(await run('echo ok'), 'ok\nexit 0');
    assert.equal((await home.verify()).findings.length, 0);
  } finally {
    if (home.alive) await home.end('SIGKILL');
    disk.unmount();
    await home.close();
  }
});

/** Makes the image of a disk; why that cannot be, or false. */
function cannotImage(dir: string): string | false {
  try {
    makeImage(join(dir, 'image'), '2500M');
    return false;
  } catch (error) {
    return `no disk can be made: ${String(error)}`;
  }
}
