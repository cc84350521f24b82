import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readdir, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { BOUNDARIES } from '../../src/core/ports/boundary.ts';
import { realClock } from '../fakes/sandbox-home.ts';
import { openCheckouts } from '../../src/workspace/checkouts/checkouts.ts';
import { LANDED } from './crash-child.ts';
import type { Crash } from './crash-child.ts';
import { FIRST_FILES, makeLab, withLab } from './lab.ts';
import type { Lab } from './lab.ts';

const child = new URL('crash-child.ts', import.meta.url).pathname;
const mine = BOUNDARIES.filter((name) => /^(workspace|landing|checkout)\./.test(name));

/** Runs the work in a process of its own, which kills itself at the boundary. */
async function crash(lab: Lab, work: Crash['work'], boundary: string): Promise<void> {
  const order: Crash = { dir: lab.dir, home: lab.root, env: lab.env, work, boundary };
  const born = spawn(process.execPath, [child, JSON.stringify(order)], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...lab.env, NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] },
  });
  let stderr = '';
  born.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  const [, signal] = (await once(born, 'close')) as [number | null, string | null];
  assert.equal(signal, 'SIGKILL', `${boundary} was not reached: ${stderr}`);
}

const whole = async (lab: Lab): Promise<void> => {
  assert.equal(lab.git('status', '--porcelain'), '');
  lab.git('fsck', '--strict');
  await assert.rejects(stat(join(lab.dir, '.git', 'index.lock')), /ENOENT/);
  assert.deepEqual(
    (await readdir(join(lab.dir, '.git', 'ruche'))).filter((name) => /^(move|index)/.test(name)),
    [],
  );
};

async function checkLanding(lab: Lab, base: string): Promise<void> {
  const before = (await lab.ws.findLanding('run_1', base)) === null ? 0 : 1;
  assert.equal((await lab.ws.head()) === base, before === 0);
  if (before === 0) {
    await whole(lab);
    assert.match(await lab.read('notes.md'), /^one/);
    assert.equal((await lab.land('run_1', LANDED, base)).state, 'landed');
  }
  assert.equal(lab.git('rev-list', '--count', `${base}..main`).trim(), '1');
  assert.equal(await lab.read('notes.md'), LANDED['notes.md']);
  assert.equal(await lab.read('fresh/deep/file.txt'), 'new\n');
  await assert.rejects(lab.read('docs/guide.md'), /ENOENT/);
  await whole(lab);
}

async function checkPerson(lab: Lab, base: string): Promise<void> {
  const again = await lab.ws.commitPerson(['notes.md', 'staged.txt']);
  assert.equal(again === null, lab.git('rev-list', '--count', `${base}..main`).trim() === '1' && again === null);
  assert.equal(lab.git('log', '--format=%an', `${base}..main`), 'Ada\n');
  assert.equal(lab.git('show', 'main:notes.md'), 'edited by a person\n');
  assert.equal(lab.git('show', 'main:staged.txt'), 'staged\n');
  await whole(lab);
}

async function checkCheckout(lab: Lab, boundary: string): Promise<void> {
  const dir = join(lab.root, 'checkouts');
  const pool = await openCheckouts({ workspace: lab.ws, dir, boundary: () => undefined, clock: realClock, minFree: 0 });
  const adopted = await pool.adopt('call_1');
  const lives = ['checkout.take.after', 'checkout.collect.before', 'checkout.collect.after', 'checkout.release.before'];
  assert.equal(adopted !== null, lives.includes(boundary));
  if (adopted !== null) {
    const found = (await pool.collect(adopted)).changes.map((change) => change.path);
    assert.deepEqual(found, boundary === 'checkout.take.after' ? [] : ['made.txt', 'notes.md']);
  }
  assert.equal(await pool.recover([]), adopted === null ? 0 : 1);
  assert.deepEqual(await pool.held(), []);
  const next = await pool.take(await lab.ws.head(), [], 'call_2');
  assert.deepEqual((await readdir(next.dir)).toSorted(), ['.git', '.gitignore', 'docs', 'notes.md', 'run.sh']);
  await pool.close();
}

async function killAt(boundary: string): Promise<void> {
  const lab = await makeLab();
  try {
    const base = await lab.ws.head();
    const work = boundary.startsWith('checkout')
      ? 'checkout'
      : boundary.startsWith('workspace.person')
        ? 'person'
        : 'land';
    if (work === 'person') {
      await lab.put('notes.md', 'edited by a person\n');
      await lab.put('staged.txt', 'staged\n');
      lab.git('add', 'staged.txt');
    }
    await crash(lab, work, boundary);
    await lab.reopen();
    await lab.ws.recover();
    if (work === 'land') await checkLanding(lab, base);
    else if (work === 'person') await checkPerson(lab, base);
    else await checkCheckout(lab, boundary);
  } finally {
    await lab.dispose();
  }
}

test('killed at any boundary, the workspace is found whole and the work done once', async () => {
  const left = [...mine];
  const done: string[] = [];
  const worker = async (): Promise<void> => {
    for (let name = left.shift(); name; name = left.shift()) {
      await killAt(name).catch((error: unknown) => {
        throw new Error(`killed at ${name}`, { cause: error });
      });
      done.push(name);
    }
  };
  await Promise.all([worker(), worker(), worker()]);
  assert.deepEqual(done.toSorted(), mine.toSorted());
  assert.ok(done.length >= 17);
});

for (const boundary of ['landing.files.after', 'landing.ref.after'])
  test(`killed at ${boundary}, files whose line endings Git converts are put back, too`, async () => {
    const lab = await makeLab({
      files: { ...FIRST_FILES, 'notes.md': 'one\ntwo\n' },
      prepare: (_dir, root) =>
        writeFile(join(root, 'gitconfig'), '[user]\nname = Ada\nemail = ada@example.org\n[core]\nautocrlf = true\n'),
    });
    try {
      const base = await lab.ws.head();
      await crash(lab, 'land', boundary);
      assert.equal(await lab.read('fresh/deep/file.txt'), 'new\r\n');
      await lab.reopen();
      await lab.ws.recover();
      const landed = boundary === 'landing.ref.after';
      assert.equal((await lab.ws.head()) === base, !landed);
      if (landed) assert.equal(await lab.read('fresh/deep/file.txt'), 'new\r\n');
      else {
        await assert.rejects(lab.read('fresh/deep/file.txt'), /ENOENT/);
        assert.equal(await lab.read('notes.md'), 'one\r\ntwo\r\n');
      }
      assert.equal(await lab.ws.commitPerson(null), null);
      await whole(lab);
    } finally {
      await lab.dispose();
    }
  });

test(
  'files that were half written are put back, and what a person did meanwhile stays',
  withLab(async (lab) => {
    const base = await lab.ws.head();
    await crash(lab, 'land', 'landing.files.before');
    // As if the kill had come while the files were being written.
    await lab.put('notes.md', LANDED['notes.md'].slice(0, 5000));
    await unlink(join(lab.dir, 'docs/guide.md'));
    await lab.put('fresh/deep/file.txt', 'ne');
    await lab.put('docs/deep/er.txt', 'a person was here\n');
    await lab.reopen();
    assert.match((await lab.ws.recover()) ?? '', /undid a landing/);
    assert.equal(await lab.ws.head(), base);
    assert.equal(lab.git('status', '--porcelain'), ' M docs/deep/er.txt\n');
    assert.match(await lab.read('notes.md'), /^one\n/);
    assert.equal(await lab.read('docs/deep/er.txt'), 'a person was here\n');
    await assert.rejects(stat(join(lab.dir, 'fresh')), /ENOENT/);
  }),
);

test(
  'a file of the landing that a person has edited after the crash is theirs',
  withLab(async (lab) => {
    await crash(lab, 'land', 'landing.files.after');
    await lab.put('notes.md', 'rewritten by a person\n');
    await lab.reopen();
    await lab.ws.recover();
    assert.equal(await lab.read('notes.md'), 'rewritten by a person\n');
    assert.equal(lab.git('status', '--porcelain'), ' M notes.md\n');
  }),
);

test(
  'an index that a power cut has spoilt is made again, with what was staged',
  withLab(async (lab) => {
    await lab.put('run.sh', 'staged\n');
    lab.git('add', 'run.sh');
    await crash(lab, 'land', 'landing.ref.after');
    await writeFile(join(lab.dir, '.git/ruche/index.next'), 'DIRC');
    await lab.reopen();
    assert.match((await lab.ws.recover()) ?? '', /finished a landing/);
    assert.equal(lab.git('status', '--porcelain'), 'M  run.sh\n');
    assert.equal(await lab.read('notes.md'), LANDED['notes.md']);
  }),
);

test(
  'a lock that a person has removed, or put there instead, is dealt with',
  withLab(async (lab) => {
    const lock = join(lab.dir, '.git', 'index.lock');
    const base = await lab.ws.head();
    await crash(lab, 'land', 'landing.files.after');
    await rename(lock, join(lab.root, 'ours'));
    await writeFile(lock, 'a person');
    await lab.reopen();
    await assert.rejects(lab.ws.recover(), /index\.lock is in the way/);
    const blocked = await lab.land('run_2', { 'other.txt': 'x\n' });
    assert.equal(blocked.state, 'blocked');
    assert.equal(await readFile(lock, 'utf8'), 'a person');
    await unlink(lock);
    // The next landing recovers first.
    assert.equal((await lab.land('run_2', { 'other.txt': 'x\n' })).state, 'landed');
    assert.equal(lab.git('rev-list', '--count', `${base}..main`).trim(), '1');
    await whole(lab);
  }),
);
