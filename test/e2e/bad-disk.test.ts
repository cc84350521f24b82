import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { cannotMount, tmpfs } from '../store/mounted.ts';
import { AGENT, Home } from '../fakes/home.ts';

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
  onDisk('24m', async (home) => {
    await home.start();
    const accepted: string[] = [await home.say('write first.md: one')];
    await home.settled(accepted[0] ?? '');
    // Leaves little more than the journal needs for a while.
    writeFileSync(join(home.home, 'filler'), Buffer.alloc(18 * 1024 * 1024));
    let refusal = '';
    for (let n = 0; n < 40 && refusal === ''; n += 1) {
      const body = JSON.stringify({
        agent: 'assistant',
        text: `write f${n}.md: ${'x'.repeat(400_000)}`,
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
    for (const task of accepted) assert.equal((await home.settled(task)).status, 'done');
    assert.ok(accepted.length > 1, 'some were accepted');
    const { findings } = await home.verify();
    assert.deepEqual(findings, []);
  }),
);
