import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { readSchema } from '../../src/config/json-schema/read.ts';
import type { FileEntry } from '../../src/core/files.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { takeInbox, type InboxDeps, startTaskFiles } from '../../src/scheduler/tasks/inbox.ts';
import { TaskViews } from '../../src/scheduler/tasks/views.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { systemIds } from '../../src/platform/system.ts';
import { parseTask } from '../../src/tools/task.ts';
import { openTaskFiles } from '../../src/workspace/task-files.ts';
import { quiet } from '../fakes/loop.ts';
import { until } from '../fakes/until.ts';
import { random, settle, apply, TestClock } from '../store/kit.ts';
import { anAgent, governing, SETTINGS } from '../fakes/governance.ts';

const input = readSchema({ type: 'object', required: ['customer'] });
assert.ok(input.ok);
const queues = { billing: { concurrency: null, maxAttempts: 7, input: input.schema, state: 'open' as const } };
const governance = governing([anAgent({ name: 'email' }), anAgent({ name: 'billing' })], {
  settings: { ...SETTINGS, queues },
});

const THERE: FileEntry = { path: 'there.md', mode: '100644', oid: '0'.repeat(40), size: 1 };

interface Bench {
  deps: InboxDeps;
  store: Store;
  clock: TestClock;
  put(path: string, text: string): Promise<void>;
  /** Two looks with a second between them. */
  look(): Promise<void>;
  root: string;
}

async function withFiles(body: (bench: Bench) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'ruche-task-files-'));
  const clock = new TestClock();
  const store = openMemoryStore({ clock, random });
  const files = openTaskFiles({ root: dir, clock, boundary: () => undefined });
  const workspace: InboxDeps['workspace'] = {
    head: async () => 'f'.repeat(40),
    files: () => ({ stat: async (path) => (path === 'there.md' ? THERE : null) }),
  };
  const redact = (text: string): string => text;
  const deps = { files, store, workspace, governance: () => governance, ids: systemIds, log: quiet, redact, parseTask };
  const root = join(dir, 'tasks');
  const put = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  };
  const look = async (): Promise<void> => {
    await takeInbox(deps);
    clock.time += 1_000;
    await takeInbox(deps);
  };
  try {
    await body({ deps, store, clock, put, look, root });
  } finally {
    await store.close();
    await rm(dir, { recursive: true, force: true });
  }
}

test('a file is read once it has been still for a second, and makes one task however often it is found', () =>
  withFiles(async ({ deps, store, clock, put, look, root }) => {
    await put('email/inbox/a.json', '{"text": "half');
    await takeInbox(deps);
    clock.time += 900;
    await put('email/inbox/a.json', '{"text": "whole", "priority": 3, "artefacts": ["there.md"]}');
    await takeInbox(deps);
    clock.time += 999;
    await takeInbox(deps);
    assert.equal((await store.tasks({})).length, 0);
    clock.time += 1;
    // As if the process had died before the file was removed.
    const { taken } = deps.files;
    deps.files.taken = async () => undefined;
    for (let times = 0; times < 3; times++) await takeInbox(deps);
    deps.files.taken = taken;
    await look();
    const [task, ...more] = await store.tasks({});
    assert.deepEqual([task?.queue, task?.from, task?.priority, more.length], ['email', 'file:a.json', 3, 0]);
    assert.deepEqual(await readdir(join(root, 'email/inbox')), []);
    const content = JSON.parse(
      Buffer.from((await store.getBlob(task?.content ?? { hash: '' })) ?? []).toString(),
    ) as object;
    assert.deepEqual(content, { title: null, text: 'whole', input: null, artefacts: [`there.md@${'f'.repeat(40)}`] });
  }));

test('what is no task is put aside with the reason, and links and half-written names are left alone', () =>
  withFiles(async ({ store, put, look, root }) => {
    const bad: [string, string, RegExp][] = [
      ['email/inbox/list.json', '[]', /must be a JSON object/],
      ['email/inbox/empty.json', '{}', /says nothing to do/],
      ['email/inbox/huge.json', `{"text":"${'x'.repeat(1_000_001)}"}`, /1000012 bytes/],
      ['email/inbox/gone.json', '{"text":"x","artefacts":["gone.md"]}', /no file gone\.md on main/],
      ['email/inbox/out.json', '{"text":"x","artefacts":["../x"]}', /leaves the workspace/],
      ['email/inbox/after.json', '{"text":"x","after":["tsk_gone"]}', /names tsk_gone, which is no task/],
      ['billing/inbox/bill.json', '{"input":{"hours":1}}', /input\.customer is missing/],
      [
        'email/inbox/wait.json',
        '{"text":"x","wait":true}',
        /^There is no key "wait"\. The keys are: text, title, .*escalation\.$/m,
      ],
      ['email/inbox/near.json', '{"txt":"x"}', /^There is no key "txt"\. Did you mean "text"\?/],
      [
        'email/inbox/zone.json',
        '{"text":"x","notBefore":"2026-11-23T08:15"}',
        /"notBefore" must be a time with its offset/,
      ],
      ['Email/inbox/case.json', '{"text":"x"}', /no agent "Email"/],
    ];
    for (const [path, text] of bad) await put(path, text);
    await put('email/inbox/.half.json', '{}');
    await put('elsewhere.json', '{"text":"x"}');
    await symlink(join(root, 'elsewhere.json'), join(root, 'email/inbox/link.json'));
    await look();
    for (const [path, , why] of bad) {
      const reason = await readFile(`${join(root, path.replace('inbox', 'rejected'))}.reason.txt`, 'utf8');
      assert.match(reason, why, path);
    }
    assert.deepEqual((await readdir(join(root, 'email/inbox'))).toSorted(), ['.half.json', 'link.json']);
    assert.equal((await store.tasks({})).length, 0);
    const types = (await Array.fromAsync(store.read({}))).map(({ type }) => type);
    assert.equal(types.filter((type) => type === 'task.rejected').length, bad.length);
    // One matter by queue, and another one only when that is settled.
    const raised = async () =>
      (await Array.fromAsync(store.read({ types: ['matter.raised'] }))).map(
        (event) => 'matter' in event.data && event.data.matter,
      );
    const first = ['mat_rejected_email.1', 'mat_rejected_billing.1', 'mat_rejected_nobody.1'];
    assert.deepEqual(new Set(await raised()), new Set(first));
    const data = { matter: 'mat_rejected_email.1', by: 'owner', answer: store.putBlob(Buffer.from('{}'), 'inbox') };
    const settled = { type: 'matter.settled', actor: 'owner', cause: null, labels: [], data } as const;
    const key = 'answered:mat_rejected_email.1';
    await store.commit({ events: [{ ...settled, stream: 'matter:mat_rejected_email.1', key }], sync: true });
    for (const name of ['a', 'b']) await put(`email/inbox/${name}.json`, '[]');
    await look();
    assert.deepEqual(new Set(await raised()), new Set([...first, 'mat_rejected_email.2']));
  }));

test('a thousand files at once become tasks, each once over some looks and a restart, and what is none lies in rejected/', () =>
  withFiles(async ({ deps, store, clock, put, root }) => {
    const COUNT = 1_000;
    const text = (n: number): string => (n % 10 === 9 ? `{"text":"${n}` : `{"text":"${n}"}`);
    for (let n = 0; n < COUNT; n++) await put(`email/inbox/${n}.json`, text(n));
    const inbox = (): Promise<string[]> => readdir(join(root, 'email/inbox'));
    let [looks, most] = [0, 0];
    for (let left = COUNT; left > 0 && looks < 20; looks++) {
      clock.time += 1_000;
      // Killed in the middle: what has become a task is still there, and nobody remembers what was seen.
      if (looks === 3) {
        const { taken } = deps.files;
        deps.files.taken = () => Promise.reject(new Error('killed'));
        await assert.rejects(takeInbox(deps), /killed/);
        deps.files = openTaskFiles({ root: dirname(root), clock, boundary: () => undefined });
        assert.notEqual(deps.files.taken, taken);
      }
      await takeInbox(deps);
      const now = (await inbox()).length;
      most = Math.max(most, left - now);
      left = now;
    }
    assert.ok(most > 0 && most <= 200, `${most} in one look`);
    assert.deepEqual(await inbox(), []);
    const tasks = await store.tasks({});
    assert.equal(tasks.length, COUNT * 0.9);
    assert.equal(new Set(tasks.map(({ from }) => from)).size, tasks.length, 'each once');
    const rejected = await readdir(join(root, 'email/rejected'));
    assert.equal(rejected.length, 2 * COUNT * 0.1);
    assert.match(await readFile(join(root, 'email/rejected/9.json.reason.txt'), 'utf8'), /not valid JSON/);
  }));

test('every agent has an inbox from the start, and one that comes later gets its own; nothing of it is in Git', () =>
  withFiles(async ({ deps, root }) => {
    const agents = new Map(governance.agents);
    const open = startTaskFiles({
      ...deps,
      governance: () => ({ ...governance, agents }),
      clock: { now: () => 0, sleep: () => new Promise((resolve) => setImmediate(resolve)) },
      onWork: () => () => undefined,
    });
    const there = async (name: string): Promise<boolean> =>
      (await readdir(root).catch((): string[] => [])).includes(name);
    await until(() => there('billing'), 'the inboxes are there');
    agents.set('late', anAgent({ name: 'late' }));
    await until(() => there('late'), 'the inbox of another agent');
    await open.close();
    for (const name of ['email', 'billing', 'late']) assert.deepEqual(await readdir(join(root, name)), ['inbox']);
    assert.equal(await readFile(join(root, '.gitignore'), 'utf8'), '*\n');
  }));

test('views follow the queue, come back when they are changed, and leave when many have ended', () =>
  withFiles(async ({ deps, store, put, look, root }) => {
    await put('billing/inbox/a.json', '{"input":{"customer":"Ann"},"title":"Bill"}');
    await look();
    const views = new TaskViews(store, deps.files);
    await views.open();
    const [task] = await store.tasks({});
    const id = task?.id ?? '';
    const read = async () => JSON.parse(await readFile(join(root, 'billing', `${id}.json`), 'utf8')) as object;
    const view = { queue: 'billing', title: 'Bill', input: { customer: 'Ann' }, status: 'queued', maxAttempts: 7 };
    assert.partialDeepStrictEqual(await read(), view);
    await put(`billing/${id}.json`, 'mine');
    assert.deepEqual(await views.restore(), [id]);
    await rm(join(root, 'billing', `${id}.json`));
    assert.deepEqual(await views.restore(), [id]);
    assert.partialDeepStrictEqual(await read(), view);
    assert.deepEqual(await views.restore(), []);
    await apply(store, settle(id));
    await views.update();
    assert.partialDeepStrictEqual(await read(), { status: 'done' });
    for (let n = 0; n < 60; n++) await put(`billing/inbox/${n}.json`, `{"input":{"customer":"${n}"}}`);
    await look();
    await views.update();
    for (const { id: each, status } of await store.tasks({})) if (status === 'queued') await apply(store, settle(each));
    await views.update();
    const left = (await readdir(join(root, 'billing'))).filter((name) => name.endsWith('.json'));
    assert.equal(left.length, 50);
    assert.ok(!left.includes(`${id}.json`), 'the oldest leave');
  }));
