import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSchema } from '../../src/config/json-schema/read.ts';
import type { QueueSettings } from '../../src/core/agent.ts';
import type { Event } from '../../src/core/event.ts';
import type { FileEntry } from '../../src/core/files.ts';
import { type Store, StoreUnavailable } from '../../src/core/ports/store.ts';
import type { BlockedFile, InboxEntry, InboxFile, TaskFiles, UnseenInbox } from '../../src/core/ports/task-files.ts';
import { answeredKey } from '../../src/core/records/matter.ts';
import { readJson } from '../../src/core/records/json-blob.ts';
import { type InboxDeps, startTaskFiles, takeInbox } from '../../src/scheduler/tasks/inbox.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { parseTask } from '../../src/tools/task.ts';
import { anAgent, governing, SETTINGS } from '../fakes/governance.ts';
import { commit, random } from '../store/kit.ts';
import { calm, HandClock, recorder } from './worker-kit.ts';

const input = readSchema({ type: 'object', required: ['customer'] });
assert.ok(input.ok);
const queue = (more: Partial<QueueSettings>): QueueSettings => ({
  concurrency: null,
  maxAttempts: null,
  input: null,
  state: 'open',
  ...more,
});
const queues = { billing: queue({ maxAttempts: 7, input: input.schema }), shut: queue({ state: 'draining' }) };
const escalation = { owner: [{ after: 0, to: 'chat:o' }], night: [{ after: 0, to: 'chat:n' }] };
const governance = governing([anAgent({ name: 'email' }), anAgent({ name: 'billing' }), anAgent({ name: 'shut' })], {
  settings: { ...SETTINGS, queues, escalation },
});
const HEAD = 'f'.repeat(40);
const THERE: FileEntry = { path: 'there.md', mode: '100644', oid: '0'.repeat(40), size: 1 };

const fileOf = (text: string | null, more: Partial<InboxFile> = {}): InboxFile => ({
  queue: 'email',
  name: 'x.json',
  hash: 'h1',
  text,
  size: text?.length ?? 0,
  unreadable: null,
  other: null,
  mark: 'm1',
  ...more,
});

/** Inboxes in memory: what lies in them is taken in by the next look. */
function scene(more: Partial<InboxDeps> = {}) {
  const clock = new HandClock();
  const store: Store = openMemoryStore({ clock, random });
  const { log, told } = recorder();
  const lies: (InboxFile | (BlockedFile & InboxEntry))[] = [];
  const unseen: UnseenInbox[] = [];
  const did: string[] = [];
  let ids = 0;
  const files: TaskFiles = {
    open: async (name) => void did.push(`open ${name}`),
    waiting: (shut) => ({ files: lies.filter(({ queue: name }) => !shut.has(name)), unseen }),
    claim: async ({ queue: name, name: file }) =>
      lies.find((each) => each.queue === name && each.name === file) ?? null,
    touched: () => [],
    shown: () => [],
    show: async (name, task) => void did.push(`show ${name} ${task}`),
    taken: async ({ name }) => void did.push(`taken ${name}`),
    reject: async ({ name }, reason) => void did.push(`reject ${name}: ${reason}`),
    later: ({ name }) => void did.push(`later ${name}`),
  };
  const deps: InboxDeps = {
    files,
    store,
    workspace: {
      head: async () => HEAD,
      files: () => ({ stat: async (path) => (path === 'there.md' ? THERE : null) }),
    },
    governance: () => governance,
    ids: { next: (kind) => `${kind}_${(ids += 1)}` },
    log,
    redact: (text) => text.replaceAll('s3cret', '***'),
    parseTask,
    ...more,
  };
  const look = async (...put: typeof lies): Promise<string[]> => {
    lies.splice(0, lies.length, ...put);
    did.length = 0;
    await takeInbox(deps);
    return did;
  };
  const events = (): Promise<Event[]> => Array.fromAsync(store.read({}));
  return { clock, store, told, did, unseen, deps, look, events };
}

test('a file becomes one task, whole, and is removed after that', async () => {
  const it = scene();
  const call = {
    title: 'T',
    text: 'Pay s3cret.',
    priority: 3,
    key: 'note',
    escalation: 'night',
    artefacts: ['there.md'],
  };
  assert.deepEqual(await it.look(fileOf(JSON.stringify(call), { name: 'a\nb.json' })), ['taken a\nb.json']);
  const [queued, ...rest] = await it.events();
  assert.deepEqual(rest, []);
  assert.ok(queued?.type === 'task.queued');
  const { task } = queued.data;
  const { stream, actor, cause, labels, key } = queued;
  assert.deepEqual(
    { stream, actor, cause, labels, key },
    { stream: 'task:tsk_2', actor: 'runtime', cause: null, labels: [], key: 'file:email:h1:a\nb.json' },
  );
  assert.deepEqual(
    [task.from, task.session, task.lane, task.priority, task.maxAttempts, task.key, task.escalation, task.labels],
    ['file:a\\u{a}b.json', 'ses_1', 'conv:email/ses_1', 3, 3, null, 'night', []],
  );
  assert.equal((await it.store.task('tsk_2'))?.cause, queued.id);
  assert.deepEqual(await readJson(it.store, task.content ?? { hash: '' }), {
    title: 'T',
    text: 'Pay ***.',
    input: null,
    artefacts: [`there.md@${HEAD}`],
    key: 'note',
  });
  assert.deepEqual(it.told, []);
  assert.deepEqual(await it.look(fileOf(JSON.stringify(call), { name: 'a\nb.json' })), ['taken a\nb.json']);
  assert.equal((await it.events()).length, 1);
  assert.deepEqual(it.told, [
    {
      level: 'info',
      fields: { queue: 'email', file: 'a\nb.json' },
      message: 'this file was taken in before: nothing new is made of it',
    },
  ]);
});

test('a queue has attempts of its own; what is there after a byte order mark is read; without a key there is no note', async () => {
  const it = scene();
  const text = `\uFEFF${JSON.stringify({ text: 'x', input: { customer: 1 }, after: [] })}`;
  await it.look(fileOf(text, { queue: 'billing' }));
  const [task] = await it.store.tasks({});
  assert.deepEqual([task?.maxAttempts, task?.queue, task?.escalation], [7, 'billing', undefined]);
  assert.deepEqual(await readJson(it.store, task?.content ?? { hash: '' }), {
    title: null,
    text: 'x',
    input: { customer: 1 },
    artefacts: [],
  });
});

const KEYS = 'The keys are: text, title, input, artefacts, priority, notBefore, deadline, key, after, escalation.';

test('what is no task is rejected with what is wrong and what to do', async () => {
  const rows: [file: InboxFile, why: string | RegExp][] = [
    [fileOf('{}', { queue: 'nobody' }), 'There is no agent "nobody". Agents: email, billing, shut.'],
    [fileOf('{}', { queue: '../x' }), 'There is no agent "../x". Agents: email, billing, shut.'],
    [
      fileOf(null, { other: 'a symbolic link' }),
      'It is a symbolic link, and only a plain file becomes a task. Put a file there instead.',
    ],
    [
      fileOf(null, { unreadable: 'EACCES' }),
      'It cannot be read: EACCES. See that the user who runs Ruche may read it.',
    ],
    [
      fileOf(null, { size: 2_000_000 }),
      'The file has 2000000 bytes, and a task may have 1,000,000: put the rest in a file of its own.',
    ],
    [fileOf('['.repeat(65) + ']'.repeat(65)), 'It is nested deeper than 64 levels.'],
    [fileOf('['.repeat(64) + ']'.repeat(64)), 'It must be a JSON object.'],
    [fileOf('{ s3cret'), /^It is not valid JSON: [^]*\*\*\*|^It is not valid JSON: /],
    [fileOf('null'), 'It must be a JSON object.'],
    [fileOf('3'), 'It must be a JSON object.'],
    [fileOf('{"txt":"x"}'), `There is no key "txt". Did you mean "text"? ${KEYS}`],
    [fileOf('{"text":"x","escalation":"lost"}'), '"escalation" names no chain of ruche.yaml. Chains: owner, night.'],
    [fileOf('{"text":"x","escalation":7}'), '"escalation" names no chain of ruche.yaml. Chains: owner, night.'],
    [fileOf('{"text":"x","priority":"high"}'), /^It does not fit: [^]*\. The keys are: text, /],
    [fileOf('{"text":"x","input":{}}', { queue: 'billing' }), /^The input does not fit the queue billing: .+\.$/],
    [fileOf('{"text":"x","after":["tsk_none"]}'), '"after" names tsk_none, which is no task.'],
    [fileOf('{"text":"x","artefacts":["gone.md"]}'), 'There is no file gone.md on main.'],
    [fileOf('{"text":"x","artefacts":["../up.md"]}'), /^The artefact \.\.\/up\.md cannot be read: .+\.$/],
  ];
  for (const [file, why] of rows) {
    const it = scene();
    const [done = '', ...rest] = await it.look(file);
    const said = done.replace(/^reject x\.json: /, '');
    assert.deepEqual(rest, [], said);
    assert.notEqual(said, done, done);
    if (typeof why === 'string') assert.equal(said, why);
    else assert.match(said, why);
    assert.deepEqual(await it.store.tasks({}), []);
  }
});

test('without any chain a file can name none', async () => {
  const none = governing([anAgent({ name: 'email' })]);
  const it = scene({ governance: () => none });
  assert.deepEqual(await it.look(fileOf('{"text":"x","escalation":"owner"}')), [
    'reject x.json: "escalation" names no chain of ruche.yaml. Chains: none.',
  ]);
});

const said = async (it: ReturnType<typeof scene>) =>
  Promise.all(
    (await it.events()).map(async (event) => {
      const { type, stream, actor, cause, labels, key } = event;
      const about = { type, stream, actor, cause, labels, key };
      if (event.type === 'task.rejected')
        return { ...about, queue: event.data.queue, detail: await readJson(it.store, event.data.detail) };
      return event.type === 'matter.raised' ? { ...about, text: await readJson(it.store, event.data.text) } : about;
    }),
  );
const BY = { actor: 'runtime', cause: null, labels: [] };
const UNTIL = 'Any answer settles this. Until then, ';

test('a rejected file is on record and before the owner in one commit; the next waits for the answer', async () => {
  const it = scene();
  await it.look(fileOf('null', { name: 's3cret.json' }));
  const why = '***.json: It must be a JSON object.';
  const first = [
    {
      ...BY,
      type: 'task.rejected',
      stream: 'workspace',
      key: 'rejected:email:m1:s3cret.json',
      queue: 'email',
      detail: { text: why },
    },
    {
      ...BY,
      type: 'matter.raised',
      stream: 'matter:mat_rejected_email.1',
      key: 'asked:mat_rejected_email.1',
      text: {
        text: `A file in tasks/email/inbox/ did not become a task. ${why}`,
        reason: `It lies in tasks/email/rejected/; correct it and put it back. ${UNTIL}further files of this inbox that become no task are not reported here.`,
      },
    },
  ];
  assert.deepEqual(await said(it), first);
  await it.look(fileOf('null', { name: 's3cret.json' }));
  assert.equal((await it.events()).length, 2, 'the same file is told once');
  await it.look(fileOf('null', { mark: 'm2' }));
  assert.deepEqual((await it.events()).map(({ type }) => type).slice(2), ['task.rejected'], 'one matter at a time');
  const settled = { type: 'matter.settled', stream: 's', ...BY, key: answeredKey('mat_rejected_email.1'), data: {} };
  await commit(it.store, [settled as never]);
  await it.look(fileOf('null', { mark: 'm3' }));
  assert.deepEqual((await it.events()).map(({ key }) => key).slice(-1), ['asked:mat_rejected_email.2']);
  await it.look(fileOf('null', { queue: 'no body' }));
  assert.deepEqual((await it.events()).map(({ key }) => key).slice(-1), ['asked:mat_rejected_nobody.1']);
});

test('a file that cannot be moved, and a folder that cannot be read, are matters of their own', async () => {
  const it = scene();
  const blocked = { queue: 'email', name: 'x.json', blocked: 'EPERM', mark: 'm1' };
  assert.deepEqual(await it.look(blocked), ['later x.json']);
  await it.look(blocked);
  it.unseen.push({ queue: 'email', why: 'EACCES', mark: 'm1' });
  await it.look();
  await it.look();
  const stuck = 'x.json: it cannot be moved out of the inbox: EPERM';
  const unseen = 'The folder tasks/email/inbox/ cannot be looked into: EACCES.';
  const record = { ...BY, type: 'task.rejected', stream: 'workspace', queue: 'email' };
  const matter = (id: string) => ({ ...BY, type: 'matter.raised', stream: `matter:${id}`, key: `asked:${id}` });
  assert.deepEqual(await said(it), [
    { ...record, key: 'rejected:email:m1:x.json', detail: { text: stuck } },
    {
      ...matter('mat_rejected_email.stuck.1'),
      text: {
        text: `A file in tasks/email/inbox/ could not be taken in. ${stuck}`,
        reason: `Let the user who runs Ruche write in that folder and move that file (\`ls -ld\` and \`lsattr\` show what keeps it). The file is then taken in within a minute. ${UNTIL}further files of this inbox that cannot be moved are not reported here.`,
      },
    },
    { ...record, key: 'rejected:email:m1:', detail: { text: unseen } },
    {
      ...matter('mat_rejected_email.unseen.1'),
      text: {
        text: `${unseen} No task is made of the files in it.`,
        reason: `Let the user who runs Ruche read that folder. ${UNTIL}this folder is not reported here again.`,
      },
    },
  ]);
});

test('a draining queue keeps its files, and one that is gone or not still stays', async () => {
  const it = scene();
  assert.deepEqual(await it.look(fileOf('{"text":"x"}', { queue: 'shut' })), []);
  const all = { ...it.deps.files, waiting: () => ({ files: [{ queue: 'shut', name: 'x.json' }], unseen: [] }) };
  const late = scene();
  Object.assign(late.deps, { files: { ...all, claim: async () => fileOf('{"text":"x"}', { queue: 'shut' }) } });
  await takeInbox(late.deps);
  assert.deepEqual([await late.store.tasks({}), it.did], [[], []], 'nor is it removed');
  Object.assign(late.deps, { files: { ...all, claim: async () => null } });
  await takeInbox(late.deps);
  assert.deepEqual([await late.events(), it.did, late.told], [[], [], []]);
});

test('while there is no room for more tasks, files stay where they are', async () => {
  const it = scene();
  const { counts } = it.store;
  let queued = 10_000;
  it.store.counts = async () => ({ ...(await counts.call(it.store)), queued });
  assert.deepEqual(await it.look(fileOf('{"text":"x"}')), []);
  queued -= 1;
  assert.deepEqual(await it.look(fileOf('{"text":"x"}')), ['taken x.json']);
});

test('a queue without a form takes any input, and a file may wait for a task that is there', async () => {
  const plain = governing([anAgent({ name: 'email' })], { settings: { ...SETTINGS, queues: { email: queue({}) } } });
  const it = scene({ governance: () => plain });
  await it.look(fileOf('{"text":"first \uFEFF","input":{"n":1}}'));
  const [first] = await it.store.tasks({});
  const content = await readJson<{ text: string; input: unknown }>(it.store, first?.content ?? { hash: '' });
  assert.deepEqual([content?.text, content?.input], ['first \uFEFF', { n: 1 }], 'a mark within is part of the text');
  await it.look(fileOf(`{"text":"second","after":["${first?.id}"]}`, { hash: 'h2' }));
  const second = (await it.store.tasks({})).find(({ id }) => id !== first?.id);
  assert.deepEqual(await it.store.awaited(second?.id ?? ''), [first?.id]);
});

test('artefacts are looked for in what is on main, and one that cannot be read is not there', async () => {
  const asked: unknown[] = [];
  const files: InboxDeps['workspace']['files'] = (...of) => {
    asked.push(of);
    return { stat: () => Promise.reject(new Error('no such commit')) };
  };
  const it = scene({ workspace: { head: async () => HEAD, files } });
  assert.deepEqual(await it.look(fileOf('{"text":"x","artefacts":["there.md"]}')), [
    'reject x.json: There is no file there.md on main.',
  ]);
  assert.deepEqual(asked, [[HEAD, []]]);
});

test('what is on record of a file is encrypted for the inbox, and names no more of a queue than fits', async () => {
  const it = scene();
  await it.look(fileOf('null', { queue: 'q'.repeat(100) }));
  const [rejected, raised] = await it.events();
  assert.ok(rejected?.type === 'task.rejected' && raised?.type === 'matter.raised');
  const { queue: name, detail } = rejected.data;
  assert.deepEqual([name, detail.subject, raised.data.text.subject], ['q'.repeat(64), 'inbox', 'inbox']);
});

test('what fails for one file is logged, and keeps no other; a store that takes nothing ends the look', async () => {
  const it = scene();
  const good = fileOf('{"text":"x"}', { name: 'good.json', hash: 'h2' });
  const { claim } = it.deps.files;
  it.deps.files.claim = async (entry) => {
    if (entry.name === 'bad\n.json') throw new Error('no luck');
    return claim(entry);
  };
  assert.deepEqual(await it.look(fileOf('{}', { name: 'bad\n.json' }), good), ['later bad\n.json', 'taken good.json']);
  assert.deepEqual(it.told, [
    {
      level: 'warn',
      fields: { queue: 'email', file: 'bad\\u{a}.json', error: 'no luck' },
      message: 'a file of an inbox could not be taken in; it is tried again in a minute',
    },
  ]);
  it.deps.files.claim = () => Promise.reject(new StoreUnavailable('full', 'the disk is full'));
  await assert.rejects(() => it.look(good), /the disk is full/);
});

test('a commit that is refused for another reason than a duplicate is no success', async () => {
  const it = scene();
  const { commit: real } = it.store;
  it.store.commit = async () => ({ ok: false, why: 'lease-lost' });
  assert.deepEqual(await it.look(fileOf('{"text":"x"}')), ['later x.json']);
  assert.deepEqual(await it.look(fileOf('null')), ['later x.json']);
  assert.deepEqual(
    it.told.map(({ fields }) => (fields as { error: string }).error),
    [
      'the task of a file was refused: {"ok":false,"why":"lease-lost"}',
      'the word of a rejected file was refused: {"ok":false,"why":"lease-lost"}',
    ],
  );
  const syncs: boolean[] = [];
  it.store.commit = (batch) => {
    syncs.push(batch.sync);
    return real.call(it.store, batch);
  };
  await it.look(fileOf('{"text":"x"}'));
  await it.look(fileOf('null'));
  assert.deepEqual(syncs, [true, true]);
});

test('what somebody has done to a view is undone, and on record', async () => {
  const it = scene();
  const onWork = (): (() => void) => () => undefined;
  await it.look(fileOf('{"text":"x"}'));
  it.deps.files.touched = () => ['tsk_2'];
  it.deps.files.waiting = () => ({ files: [], unseen: [] });
  const running = startTaskFiles({ ...it.deps, clock: it.clock, onWork });
  const syncs: boolean[] = [];
  const { commit: real } = it.store;
  it.store.commit = (batch) => {
    syncs.push(batch.sync);
    return real.call(it.store, batch);
  };
  await calm();
  await running.close();
  assert.deepEqual(syncs, [false], 'a look does not wait for the disk');
  const [, restored, ...rest] = await it.events();
  assert.deepEqual(
    [restored?.type, restored?.stream, restored?.actor, restored?.cause, restored?.labels, restored?.data, rest],
    ['task.restored', 'task:tsk_2', 'runtime', null, [], { task: 'tsk_2' }, []],
  );
});

test('the loop opens each inbox once, looks four times a second, and five seconds after a failure', async () => {
  const it = scene();
  const listeners = new Set<() => void>();
  const onWork = (listener: () => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const running = startTaskFiles({ ...it.deps, clock: it.clock, onWork });
  await calm();
  assert.deepEqual(it.did, ['open email', 'open billing', 'open shut']);
  assert.deepEqual(it.clock.sleeps, [250]);
  await commit(it.store, []);
  await it.look(fileOf('{"text":"x"}'));
  await it.clock.pass(250);
  assert.equal(it.did.filter((what) => what.startsWith('show')).length, 0, 'nobody has announced it');
  for (const listener of listeners) listener();
  await it.clock.pass(250);
  assert.deepEqual(it.did.slice(-1), ['show email tsk_2']);
  assert.equal(it.did.filter((what) => what.startsWith('open')).length, 0, 'they are open');
  it.deps.files.open = () => Promise.reject(new Error('no luck'));
  it.deps.files.waiting = () => {
    throw new Error('no luck');
  };
  await it.clock.pass(250);
  assert.deepEqual(it.told.slice(-1), [
    {
      level: 'warn',
      fields: { error: 'no luck' },
      message: 'the task files could not be looked after; it is tried again',
    },
  ]);
  assert.deepEqual(it.clock.sleeps.slice(-1), [5_000]);
  await running.close();
  assert.deepEqual([it.clock.sleeping, listeners.size], [0, 0]);
});

test('views that could not be brought up to date are, although nothing else happens', async () => {
  const it = scene();
  await it.look(fileOf('{"text":"x"}'));
  it.deps.files.waiting = () => ({ files: [], unseen: [] });
  const { head } = it.store;
  it.store.head = () => Promise.reject(new Error('no luck'));
  const running = startTaskFiles({ ...it.deps, clock: it.clock, onWork: () => () => undefined });
  await calm();
  it.store.head = head;
  await it.clock.pass(5_000);
  await running.close();
  assert.deepEqual(it.did.slice(-1), ['show email tsk_2']);
});
