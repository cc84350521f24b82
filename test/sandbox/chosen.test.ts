import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SandboxChoice } from '../../src/core/agent.ts';
import type { Job, JobResult, Sandbox } from '../../src/core/ports/sandbox.ts';
import { ChosenSandboxes } from '../../src/sandbox/chosen.ts';
import { limits } from '../fakes/sandbox-home.ts';

const IMAGE = `x@sha256:${'1'.repeat(64)}`;
const RESULT: JobResult = { exit: 0, output: new Uint8Array(), outputSize: 0, cutAt: null, ended: 'itself' };
const checkout = { id: 'c', dir: '/c', git: '/g', objects: '/o' };
const quiet = (): void => undefined;
const never = new AbortController().signal;
const job = (key: string, sandbox?: SandboxChoice): Job => ({
  key,
  command: 'true',
  checkout,
  limits,
  network: null,
  sandbox,
});

async function open(t: { after(end: () => Promise<void>): void }) {
  const dir = await mkdtemp(join(tmpdir(), 'ruche-chosen-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const calls: string[] = [];
  /** Leaves in the command's folder what a real one leaves there. */
  const sandbox = (name: string): Sandbox => ({
    name,
    confined: name === 'bwrap',
    async exec({ key }) {
      calls.push(`${name} exec ${key}`);
      await mkdir(join(dir, key), { recursive: true });
      await writeFile(join(dir, key, 'sandbox'), `${name}\n`);
      return RESULT;
    },
    async find(key) {
      calls.push(`${name} find ${key}`);
      return 'finished';
    },
    async adopt(key) {
      calls.push(`${name} adopt ${key}`);
      return RESULT;
    },
    async forget(key) {
      calls.push(`${name} forget ${key}`);
    },
    list: async () => [name],
  });
  const opened: string[] = [];
  const chosen = new ChosenSandboxes({
    dir,
    standard: sandbox('bwrap'),
    open(kind) {
      opened.push(kind);
      return kind === 'odd' ? null : Promise.resolve(sandbox(kind));
    },
  });
  return { dir, calls, opened, chosen };
}

test('each kind is opened once, when a command first needs it', async (t) => {
  const { calls, opened, chosen } = await open(t);
  assert.deepEqual([chosen.name, chosen.confined], ['bwrap', true]);
  await chosen.exec(job('a'), quiet, never);
  await chosen.exec(job('b', { kind: 'bwrap' }), quiet, never);
  assert.deepEqual(opened, []);
  await chosen.exec(job('c', { kind: 'container', image: IMAGE }), quiet, never);
  await chosen.exec(job('d', { kind: 'container', image: IMAGE }), quiet, never);
  await chosen.exec(job('e', { kind: 'none' }), quiet, never);
  assert.deepEqual(opened, ['container', 'none']);
  assert.deepEqual(calls, ['bwrap exec a', 'bwrap exec b', 'container exec c', 'container exec d', 'none exec e']);
});

test('a command is found again where it was started, whatever is picked now', async (t) => {
  const first = await open(t);
  await first.chosen.exec(job('c', { kind: 'container', image: IMAGE }), quiet, never);
  await mkdir(join(first.dir, 'old'));
  first.calls.length = 0;
  await first.chosen.find('c');
  await first.chosen.exec(job('c', { kind: 'bwrap' }), quiet, never);
  await first.chosen.adopt('c', limits, quiet, never);
  await first.chosen.forget('c');
  assert.deepEqual(first.calls, ['container find c', 'container exec c', 'container adopt c', 'container forget c']);
  // One of a release that did not say where, one whose sandbox is gone, and one that never was.
  first.calls.length = 0;
  await mkdir(join(first.dir, 'gone'));
  await writeFile(join(first.dir, 'gone', 'sandbox'), 'odd\n');
  for (const key of ['old', 'gone', 'missing']) await first.chosen.forget(key);
  assert.deepEqual(first.calls, ['bwrap forget old', 'bwrap forget gone', 'bwrap forget missing']);
});

test('nothing runs elsewhere because the picked sandbox is not there', async (t) => {
  const { dir, calls, chosen } = await open(t);
  await mkdir(join(dir, 'x'));
  await writeFile(join(dir, 'x', 'sandbox'), 'odd\n');
  await assert.rejects(chosen.exec(job('x'), quiet, never), /There is no sandbox named odd/);
  assert.deepEqual(calls, []);
});
