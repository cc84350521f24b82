import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { readSchema } from '../../src/config/json-schema/read.ts';
import type { FileEntry } from '../../src/core/files.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { readJson } from '../../src/core/records/json-blob.ts';
import type { Task } from '../../src/core/task.ts';
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

const textOf = async (store: Store, task: Task | undefined): Promise<string | undefined> =>
  (await readJson<{ text: string }>(store, task?.content ?? { hash: '' }))?.text;

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

test('what is no task is put aside with the reason, and half-written and other names are left alone', () =>
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
    await put('email/inbox/x.txt', '{"text":"x"}');
    await writeFile(Buffer.concat([Buffer.from(join(root, 'email/inbox/caf')), Buffer.from([0xe9])]), '{"text":"x"}');
    await look();
    for (const [path, , why] of bad) {
      const reason = await readFile(`${join(root, path.replace('inbox', 'rejected'))}.reason.txt`, 'utf8');
      assert.match(reason, why, path);
    }
    assert.deepEqual((await readdir(join(root, 'email/inbox'))).toSorted(), ['.half.json', 'caf\ufffd', 'x.txt']);
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

test('links, pipes and folders that are named like a task are set aside unopened, and told once', () =>
  withFiles(async ({ store, put, look, root }) => {
    await put('elsewhere.json', '{"text":"elsewhere"}');
    await put('email/inbox/dir.json/inside.json', '{"text":"inside"}');
    await symlink(join(root, 'elsewhere.json'), join(root, 'email/inbox/link.json'));
    await symlink('nowhere', join(root, 'email/inbox/dangling.json'));
    execFileSync('mkfifo', [join(root, 'email/inbox/fifo.json')]);
    await put('email/inbox/UP.JSON', '{"text":"up"}');
    await put('email/inbox/WRONG.Json', '[]');
    for (let times = 0; times < 3; times++) await look();
    assert.deepEqual(await readdir(join(root, 'email/inbox')), []);
    const rejected = join(root, 'email/rejected');
    const names = ['WRONG.Json', 'dangling.json', 'dir.json', 'fifo.json', 'link.json'];
    assert.deepEqual(
      (await readdir(rejected)).filter((name) => !name.endsWith('.reason.txt')).toSorted(),
      names,
      'a rejected file keeps its name',
    );
    for (const [name, kind] of [
      ['link', 'a symbolic link'],
      ['dangling', 'a symbolic link'],
      ['dir', 'a folder'],
      ['fifo', 'a named pipe'],
    ])
      assert.match(await readFile(join(rejected, `${name}.json.reason.txt`), 'utf8'), new RegExp(`^It is ${kind}, `));
    assert.equal(await readlink(join(rejected, 'link.json')), join(root, 'elsewhere.json'));
    assert.equal(await readFile(join(rejected, 'dir.json/inside.json'), 'utf8'), '{"text":"inside"}');
    assert.deepEqual(
      (await store.tasks({})).map(({ from }) => from),
      ['file:UP.JSON'],
    );
    assert.equal((await Array.fromAsync(store.read({ types: ['task.rejected'] }))).length, names.length);
    assert.equal((await Array.fromAsync(store.read({ types: ['matter.raised'] }))).length, 1);
  }));

test('a thousand files at once become tasks, each once over some looks and a restart, and what is none lies in rejected/', () =>
  withFiles(async ({ deps, store, clock, put, root }) => {
    const COUNT = 1_000;
    const text = (n: number): string => (n % 10 === 9 ? `{"text":"${n}` : `{"text":"${n}"}`);
    for (let n = 0; n < COUNT; n++) await put(`email/inbox/${n}.json`, text(n));
    const inbox = async (): Promise<string[]> =>
      (await readdir(join(root, 'email/inbox'), { recursive: true })).filter((name) => name !== '.taken');
    let [looks, most] = [0, 0];
    for (let left = COUNT; left > 0 && looks < 20; looks++) {
      clock.time += 1_000;
      // Killed in the middle: what has become a task is still there, and nobody remembers what was seen.
      if (looks === 3) {
        deps.files.taken = () => Promise.reject(new Error('killed'));
        await takeInbox(deps);
        assert.ok((await readdir(join(root, 'email/inbox/.taken'))).length > 100, 'claimed by the one that died');
        deps.files = openTaskFiles({ root: dirname(root), clock, boundary: () => undefined });
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

test('a file that is replaced while a batch is taken in becomes a task of its own: none is removed unread', () =>
  withFiles(async ({ deps, store, clock, put, look, root }) => {
    const COUNT = 20;
    for (let n = 0; n < COUNT; n++) await put(`email/inbox/${n}.json`, `{"text":"first ${n}"}`);
    await put('billing/inbox/bad.json', '{"nope":1}');
    await takeInbox(deps);
    clock.time += 1_000;
    // As soon as one has been read, each is renamed into the place of the one before, as the docs advise.
    const { claim } = deps.files;
    deps.files.claim = async (entry) => {
      const file = await claim(entry);
      const { queue, name } = entry;
      await put(`${queue}/inbox/.${name}`, `{"text":"second ${name}","input":{"customer":"Ann"}}`);
      await rename(join(root, queue, 'inbox', `.${name}`), join(root, queue, 'inbox', name));
      return file;
    };
    await takeInbox(deps);
    deps.files.claim = claim;
    assert.equal((await readdir(join(root, 'email/inbox'))).length, COUNT, 'the second ones wait');
    await look();
    assert.deepEqual(await readdir(join(root, 'email/inbox')), []);
    const tasks = await store.tasks({});
    const texts = await Promise.all(tasks.map((task) => textOf(store, task)));
    const numbers = Array.from({ length: COUNT }, (_, n) => n);
    const second = [...numbers.map((n) => `second ${n}.json`), 'second bad.json'];
    assert.deepEqual(new Set(texts), new Set([...numbers.map((n) => `first ${n}`), ...second]));
    assert.equal(tasks.length, 2 * COUNT + 1);
    // And what was rejected is what was read.
    assert.deepEqual((await readdir(join(root, 'billing/rejected'))).toSorted(), ['bad.json', 'bad.json.reason.txt']);
    assert.equal(await readFile(join(root, 'billing/rejected/bad.json'), 'utf8'), '{"nope":1}');
  }));

test('one that was replaced after it was found to be still must be still again, wherever the rename has caught it', () =>
  withFiles(async ({ deps, store, clock, put, root }) => {
    await put('email/inbox/a.json', '{"text":"first"}');
    await takeInbox(deps);
    clock.time += 1_000;
    const { files: found } = deps.files.waiting(new Set());
    await rm(join(root, 'email/inbox/a.json'));
    await put('email/inbox/a.json', '{"text":"sec');
    for (const entry of found) assert.equal(await deps.files.claim(entry), null);
    await takeInbox(deps);
    await put('email/inbox/a.json', '{"text":"second"}');
    await takeInbox(deps);
    assert.equal((await store.tasks({})).length, 0);
    clock.time += 1_000;
    await takeInbox(deps);
    const [task, ...more] = await store.tasks({});
    assert.equal(await textOf(store, task), 'second');
    assert.equal(more.length, 0);
  }));

test('a key in a file is a note: a file is a task by its name and content, whatever has had that key', () =>
  withFiles(async ({ deps, store, put, look, root }) => {
    await put('email/inbox/k1.json', '{"text":"week 48","key":"weekly"}');
    await look();
    const [first] = await store.tasks({});
    await put('email/inbox/k2.json', '{"text":"week 49","key":"weekly"}');
    await look();
    await apply(store, settle(first?.id ?? ''));
    await put('email/inbox/k1.json', '{"text":"week 50","key":"weekly"}');
    await look();
    const tasks = await store.tasks({});
    assert.deepEqual(await Promise.all(tasks.map((task) => textOf(store, task))), ['week 48', 'week 49', 'week 50']);
    assert.deepEqual(new Set(tasks.map(({ key }) => key)), new Set([null]));
    await new TaskViews(store, deps.files, quiet).update();
    for (const { id } of tasks.slice(1)) {
      const view = JSON.parse(await readFile(join(root, 'email', `${id}.json`), 'utf8')) as { key: string };
      assert.equal(view.key, 'weekly');
    }
  }));

test('one bad file is set aside alone, told once, and stops nothing: unreadable, too deep, too long a name, no UTF-8', () =>
  withFiles(async ({ deps, store, put, look, root }) => {
    const deep = `{"text":"x","input":${'['.repeat(3_000)}${']'.repeat(3_000)}}`;
    const long = `${'a'.repeat(250)}.json`;
    const wide = `${'文'.repeat(83)}.json`;
    await put('billing/inbox/deep.json', deep);
    await put(`billing/inbox/${long}`, '{"nope":1}');
    await put(`billing/inbox/${wide}`, '{"nope":2}');
    await mkdir(join(root, 'billing/inbox'), { recursive: true });
    const odd = Buffer.concat([
      Buffer.from(`${join(root, 'billing/inbox')}/caf`),
      Buffer.from([0xe9]),
      Buffer.from('.json'),
    ]);
    await writeFile(odd, '{"nope":3}');
    await put('billing/inbox/line\nbreak.json', '{"nope":4}');
    await put('email/inbox/good.json', '{"text":"good"}');
    await put('email/inbox/gone\n 1 task.json', '{"text":"named"}');
    const { claim } = deps.files;
    // Root reads everything: what another user's file answers is given in its place.
    await put('billing/inbox/secret.json', '{"text":"secret"}');
    deps.files.claim = async (entry) => {
      const file = await claim(entry);
      const denied = 'EACCES: permission denied';
      return entry.name === 'secret.json' && file ? { ...file, text: null, hash: '', unreadable: denied } : file;
    };
    for (let times = 0; times < 3; times++) await look();
    const tasks = await store.tasks({});
    assert.deepEqual(
      new Set(tasks.map(({ from }) => from)),
      new Set(['file:good.json', 'file:gone\\u{a} 1 task.json']),
    );
    assert.deepEqual(await readdir(join(root, 'billing/inbox')), []);
    const rejected = await readdir(join(root, 'billing/rejected'));
    assert.equal(rejected.length, 12, 'each with its reason');
    const reasonOf = async (start: string): Promise<string> => {
      const name = rejected.find((each) => each.startsWith(start) && each.endsWith('.reason.txt')) ?? 'none';
      assert.ok(rejected.includes(name.slice(0, -'.reason.txt'.length)), name);
      return readFile(join(root, 'billing/rejected', name), 'utf8');
    };
    assert.match(await reasonOf('deep'), /nested deeper than 64 levels/);
    assert.match(await reasonOf('aaaa'), /no key "nope"/);
    assert.match(await reasonOf('文文'), /no key "nope"/);
    assert.match(await reasonOf('caf\ufffd'), /no key "nope"/);
    assert.match(await reasonOf('secret'), /cannot be read: EACCES: permission denied/);
    const said = await Array.fromAsync(store.read({ types: ['task.rejected'] }));
    assert.equal(said.length, 6, 'told once each');
    assert.equal((await Array.fromAsync(store.read({ types: ['matter.raised'] }))).length, 1);
  }));

test('a file that cannot be moved makes no task and is told once; when it can be, it does', () =>
  withFiles(async ({ deps, store, clock, put, look, root }) => {
    // What stands where claimed files go is as good as a folder that cannot be written.
    // An older matter of the same inbox is about something else, and does not hide it.
    await put('email/inbox/wrong.json', '[]');
    await look();
    await put('email/inbox/stuck.json', '{"text":"stuck"}');
    await put('email/inbox/.taken', 'a file');
    await put('billing/inbox/good.json', '{"input":{"customer":"Ann"}}');
    for (let times = 0; times < 100; times++) await look();
    assert.deepEqual(
      (await store.tasks({})).map(({ from }) => from),
      ['file:good.json'],
    );
    assert.deepEqual((await readdir(join(root, 'email/inbox'))).toSorted(), ['.taken', 'stuck.json']);
    assert.equal((await Array.fromAsync(store.read({ types: ['task.rejected'] }))).length, 2);
    // Another process does not tell it again.
    deps.files = openTaskFiles({ root: dirname(root), clock, boundary: () => undefined });
    await look();
    assert.equal((await Array.fromAsync(store.read({ types: ['task.rejected'] }))).length, 2);
    const [wrong, raised, ...more] = await Array.fromAsync(store.read({ types: ['matter.raised'] }));
    assert.equal(more.length, 0);
    assert.ok(wrong?.type === 'matter.raised' && raised?.type === 'matter.raised');
    assert.equal(wrong.data.matter, 'mat_rejected_email.1');
    assert.equal(raised.data.matter, 'mat_rejected_email.stuck.1');
    const shown = await readJson<{ text: string }>(store, raised.data.text);
    assert.match(shown?.text ?? '', /stuck\.json: it cannot be moved out of the inbox/);
    await rm(join(root, 'email/inbox/.taken'));
    clock.time += 60_000;
    await look();
    assert.equal((await store.tasks({})).length, 2);
  }));

test('no rejected file takes the place of another, and a day that is not in the calendar is no deadline', () =>
  withFiles(async ({ store, put, look, root }) => {
    const texts = ['[1]', '[2]', '{"text":"x","deadline":"2027-02-30T08:00:00Z"}'];
    for (const text of texts) {
      await put('email/inbox/same.json', text);
      await look();
    }
    const folder = join(root, 'email/rejected');
    const names = ['same.json', 'same.2.json', 'same.3.json'];
    assert.deepEqual(await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8'))), texts);
    assert.match(
      await readFile(join(folder, 'same.3.json.reason.txt'), 'utf8'),
      /there is no 2027-02-30 in the calendar/,
    );
    // Put back as it is, it is reported as what it is: another try.
    await rename(join(folder, 'same.json'), join(root, 'email/inbox/same.json'));
    await look();
    assert.equal((await Array.fromAsync(store.read({ types: ['task.rejected'] }))).length, 4);
  }));

test('files of a draining queue keep those of no other', () =>
  withFiles(async ({ deps, store, put, look }) => {
    const draining = { ...SETTINGS, queues: { billing: { ...queues.billing, state: 'draining' as const } } };
    const now = governing([...governance.agents.values()], { settings: draining });
    for (let n = 0; n < 250; n++) await put(`billing/inbox/${n}.json`, '{"input":{"customer":"Ann"}}');
    await put('email/inbox/good.json', '{"text":"good"}');
    deps.governance = () => now;
    await look();
    assert.deepEqual(
      (await store.tasks({})).map(({ from }) => from),
      ['file:good.json'],
    );
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
    const views = new TaskViews(store, deps.files, quiet);
    await views.update();
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

test('a task that begins and ends between two looks is shown, also where a process began after it', () =>
  withFiles(async ({ deps, store, put, look, root }) => {
    const views = new TaskViews(store, deps.files, quiet);
    await views.update();
    const ids: string[] = [];
    for (let n = 0; n < 60; n++) {
      await put('email/inbox/a.json', `{"text":"${n}"}`);
      await look();
      const id = (await store.tasks({ statuses: ['queued'] }))[0]?.id ?? '';
      const data = { task: id, run: null, status: 'done' as const, result: null };
      const event = {
        type: 'task.finished' as const,
        stream: `task:${id}`,
        actor: 'test',
        cause: null,
        labels: [],
        data,
      };
      await store.commit({ events: [event], queue: [settle(id)], sync: false });
      ids.push(id);
    }
    await views.update();
    const shown = async (): Promise<string[]> =>
      (await readdir(join(root, 'email'))).filter((name) => name.endsWith('.json')).toSorted();
    const last = ids.slice(-50).map((id) => `${id}.json`);
    assert.deepEqual(await shown(), last.toSorted());
    for (const name of last) await rm(join(root, 'email', name));
    await new TaskViews(store, deps.files, quiet).update();
    assert.deepEqual(await shown(), last.toSorted());
  }));
