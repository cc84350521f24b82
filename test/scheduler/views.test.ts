import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NewEvent } from '../../src/core/event.ts';
import type { Store } from '../../src/core/ports/store.ts';
import type { TaskFiles } from '../../src/core/ports/task-files.ts';
import { isEnded, type Task, type TaskStatus } from '../../src/core/task.ts';
import { TaskViews } from '../../src/scheduler/tasks/views.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { apply, commit, enqueue, newTask, random, settle, TestClock } from '../store/kit.ts';
import { recorder } from './worker-kit.ts';

/** Files of tasks in memory, each `queue/task`, and what was done to them in order. */
function scene() {
  const clock = new TestClock();
  const store: Store = openMemoryStore({ clock, random });
  const { log, told } = recorder();
  const there = new Map<string, string>();
  const did: string[] = [];
  const broken = new Set<string>();
  let touched: string[] = [];
  const files = {
    touched: () => touched,
    shown: () => [...there.keys()].map((path) => ({ queue: path.split('/')[0] ?? '', task: path.split('/')[1] ?? '' })),
    show: async (queue: string, task: string, json: string | null) => {
      if (broken.has(queue)) throw new Error('no space');
      did.push(`${json === null ? 'remove' : 'write'} ${queue}/${task}`);
      if (json === null) there.delete(`${queue}/${task}`);
      else there.set(`${queue}/${task}`, json);
    },
  } as Partial<TaskFiles> as TaskFiles;
  let views = new TaskViews(store, files, log);
  const blob = (value: object, subject = 'x') => store.putBlob(Buffer.from(JSON.stringify(value)), subject);
  const add = (id: string, more: Partial<Task> = {}) => enqueue(store, newTask(id, { queue: 'q', ...more }));
  const end = (id: string, status: TaskStatus = 'done', result: Task['result'] = null) => {
    const data = { task: id, run: null, status, result };
    const event = {
      type: 'task.finished',
      stream: `task:${id}`,
      actor: 'x',
      cause: null,
      labels: [],
      data,
    } as NewEvent;
    return commit(store, [event], isEnded(status) ? [{ ...settle(id), status, result } as never] : []);
  };
  const update = async (): Promise<string[]> => {
    did.length = 0;
    await views.update();
    return [...did];
  };
  return {
    store,
    told,
    there,
    broken,
    blob,
    add,
    end,
    update,
    clock,
    view: (path: string) => JSON.parse(there.get(path) ?? 'null') as Record<string, unknown> | null,
    touch: (...ids: string[]) => void (touched = ids),
    restore: () => views.restore(),
    restart: () => void (views = new TaskViews(store, files, log)),
  };
}

test('a view holds the whole task, and nothing that is not there', async () => {
  const it = scene();
  const content = it.blob({ title: 'T', text: 'x', input: { n: 1 }, artefacts: ['a@c'], key: 'note' });
  const origin = { root: 'r', parent: 'p', hops: 1, senders: [] };
  const at = Date.UTC(2026, 10, 30);
  await it.add('t', {
    content,
    origin,
    from: 'file:x',
    priority: 3,
    notBefore: at,
    deadline: at + 1_000,
    key: 'k',
    labels: ['private'],
    cause: 'evt_7',
  });
  await it.update();
  const whole = {
    id: 't',
    queue: 'q',
    from: 'file:x',
    title: 'T',
    text: 'x',
    input: { n: 1 },
    artefacts: ['a@c'],
    priority: 3,
    notBefore: '2026-11-30T00:00:00.000Z',
    deadline: '2026-11-30T00:00:01.000Z',
    key: 'note',
    attempt: 1,
    maxAttempts: 3,
    status: 'queued',
    result: null,
    labels: ['private'],
    cause: 'evt_7',
    parent: 'p',
  };
  assert.equal(it.there.get('q/t'), `${JSON.stringify(whole, null, 2)}\n`);
  await it.end('t', 'done', it.blob({ text: 'Paid.' }));
  await it.update();
  assert.deepEqual(it.view('q/t'), { ...whole, status: 'done', result: 'Paid.' });
  await it.add('bare', { key: 'k2' });
  await it.add('odd', { content: it.blob({ run: 'x' }) });
  await it.update();
  const bare = { title: null, text: null, input: null, artefacts: [], notBefore: null, deadline: null, parent: null };
  assert.partialDeepStrictEqual(it.view('q/bare'), { ...bare, key: 'k2', cause: null, result: null });
  assert.partialDeepStrictEqual(it.view('q/odd'), { ...bare, key: null });
  assert.deepEqual(it.view('q/odd')?.['artefacts'], []);
});

test('the text of a message is that of its task; what was erased says so, and a result without words is none', async () => {
  const it = scene();
  const message = it.blob({ role: 'user', parts: [{ type: 'text', text: 'Hello.' }] });
  const data = { agent: 'q', session: 's', channel: 'c', from: 'x', replyTo: '', task: 'said', content: message };
  const by = { stream: 'conv:q/s', actor: 'x', cause: null, labels: [] };
  const result = await commit(it.store, [
    { type: 'message.received', data, ...by },
    { type: 'gateway.stopped', data: { reason: 'asked' }, ...by },
  ] as NewEvent[]);
  const [said, other] = result.ok ? result.events.map(({ id }) => id) : [];
  await it.add('said', { cause: said ?? null });
  await it.add('other', { cause: other ?? null });
  await it.add('gone', { content: it.blob({ text: 'secret' }, 'gone') });
  await it.add('numbers');
  await it.end('numbers', 'done', it.blob({ n: 1 }));
  await it.add('lost');
  await it.end('lost', 'done', it.blob({ text: 'secret, too' }, 'gone'));
  await it.store.erase('gone');
  await it.update();
  const texts = ['said', 'other', 'gone'].map((id) => it.view(`q/${id}`)?.['text']);
  assert.deepEqual(texts, ['Hello.', null, '(erased)']);
  assert.deepEqual([it.view('q/numbers')?.['result'], it.view('q/lost')?.['result']], [null, '(erased)']);
});

test('a start shows what runs or waits already', async () => {
  const it = scene();
  await it.add('waits');
  await it.store.claim({ worker: 'w', now: it.clock.time, leaseMs: 1_000 });
  await apply(it.store, { op: 'park', task: 'waits' });
  await it.add('runs');
  await it.store.claim({ worker: 'w', now: it.clock.time, leaseMs: 1_000 });
  await it.update();
  assert.deepEqual(
    ['waits', 'runs'].map((id) => it.view(`q/${id}`)?.['status']),
    ['waiting', 'running'],
  );
});

test('a file is written when its task changes, not otherwise, and what a task says is read once', async () => {
  const it = scene();
  await it.add('t', { content: it.blob({ text: 'x' }) });
  await it.add('reply', { queue: 'outbox' });
  const reads: string[] = [];
  const { getBlob } = it.store;
  it.store.getBlob = (ref) => {
    reads.push(ref.hash);
    return getBlob.call(it.store, ref);
  };
  assert.deepEqual(await it.update(), ['write q/t']);
  assert.deepEqual(await it.update(), []);
  await it.store.claim({ worker: 'w', now: it.clock.time, leaseMs: 1_000 });
  assert.deepEqual(await it.update(), ['write q/t']);
  await apply(it.store, { op: 'park', task: 't' });
  assert.deepEqual(await it.update(), ['write q/t']);
  assert.deepEqual([it.view('q/t')?.['status'], reads.length], ['waiting', 1]);
  // Ended without a word: it is not open any more.
  await apply(it.store, settle('t', 'cancelled'));
  assert.deepEqual(await it.update(), ['write q/t']);
  assert.equal(it.view('q/t')?.['status'], 'cancelled');
  const read = reads.length;
  await it.end('reply');
  assert.deepEqual(await it.update(), []);
  assert.deepEqual([reads.length, [...it.there.keys()]], [read, ['q/t']]);
});

test('what an earlier process left is brought in line: what is shown wrongly leaves, what has changed is written', async () => {
  const it = scene();
  await it.add('open');
  await it.add('old');
  await apply(it.store, settle('old'));
  await it.add('moved');
  await it.add('late');
  await it.end('late');
  for (const path of ['q/open', 'q/old', 'elsewhere/moved', 'q/nobody', 'q/late']) it.there.set(path, 'x');
  assert.deepEqual(await it.update(), [
    'write q/open',
    'write q/old',
    'remove elsewhere/moved',
    'remove q/nobody',
    'write q/moved',
    'write q/late',
  ]);
  it.there.set('q/stranger', 'x');
  assert.deepEqual(await it.update(), [], 'only a start looks at all of them');
});

test('fifty of a queue that have ended stay, in the order in which they ended, and those of no other leave for them', async () => {
  const it = scene();
  await it.update();
  await it.add('other', { queue: 'r' });
  await it.end('other');
  await it.add('again');
  await it.end('again', 'running');
  const ids = Array.from({ length: 52 }, (_, n) => `t${n}`);
  for (const id of ids) {
    await it.add(id);
    await it.end(id);
  }
  const shown = (): string[] => [...it.there.keys()].toSorted();
  const kept = (from: number): string[] => ids.slice(from).map((id) => `q/${id}`);
  const written = await it.update();
  assert.deepEqual(written, ['write q/again', 'write r/other', ...kept(2).map((path) => `write ${path}`)]);
  assert.deepEqual(shown(), [...kept(2), 'r/other', 'q/again'].toSorted());
  assert.deepEqual(await it.update(), []);
  // One that was open for long ends now: it is the newest of them.
  await it.end('again');
  assert.deepEqual(await it.update(), ['write q/again', 'remove q/t2']);
  await it.add('last');
  await it.end('last');
  assert.deepEqual(await it.update(), ['write q/last', 'remove q/t3']);
  it.restart();
  await it.update();
  assert.deepEqual(shown(), [...kept(4), 'q/again', 'q/last', 'r/other'].toSorted());
});

test('what ends while it is looked at is shown by the next look', async () => {
  const it = scene();
  await it.add('t');
  await it.add('u');
  await it.update();
  const { head } = it.store;
  it.store.head = async () => {
    const at = await head.call(it.store);
    await it.end('t');
    it.store.head = head;
    return at;
  };
  assert.deepEqual(await it.update(), ['write q/t']);
  await it.end('u');
  assert.deepEqual(await it.update(), ['write q/u']);
});

test('a start looks at no more than the last thousand ends', async () => {
  const it = scene();
  await it.add('old', { queue: 'r' });
  await it.end('old');
  const events = Array.from({ length: 1_000 }, () => {
    const data = { task: 'nobody', run: null, status: 'done', result: null };
    return { type: 'task.finished', stream: 's', actor: 'x', cause: null, labels: [], data } as NewEvent;
  });
  await commit(it.store, events.slice(1));
  assert.deepEqual(await it.update(), ['write r/old']);
  // Between two looks there may be any number.
  await it.add('late', { queue: 'r' });
  await it.end('late');
  await commit(it.store, events);
  assert.deepEqual(await it.update(), ['write r/late']);
  it.restart();
  it.there.clear();
  assert.deepEqual(await it.update(), []);
});

test('what was changed is put back, if it is shown and can be written', async () => {
  const it = scene();
  await it.add('t');
  await it.add('s', { queue: 'shut' });
  await it.update();
  it.there.set('q/t', 'mine');
  it.touch('t', 'unknown', 's');
  it.broken.add('shut');
  assert.deepEqual(await it.restore(), ['t']);
  assert.equal(it.view('q/t')?.['id'], 't');
});

test('a queue whose files cannot be written is told once, keeps no other from being shown, and is tried again', async () => {
  const it = scene();
  await it.add('a', { queue: 'shut\n' });
  await it.add('b', { queue: 'shut\n' });
  await it.add('c');
  it.broken.add('shut\n');
  assert.deepEqual(await it.update(), ['write q/c']);
  assert.deepEqual(await it.update(), []);
  const line = {
    level: 'warn',
    fields: { queue: 'shut\\u{a}', error: 'no space' },
    message: 'the files of the tasks of a queue cannot be written',
  };
  assert.deepEqual(it.told, [line]);
  it.broken.clear();
  assert.deepEqual(await it.update(), ['write shut\n/a', 'write shut\n/b']);
  it.broken.add('shut\n');
  await it.end('a');
  await it.update();
  assert.deepEqual(it.told, [line, line], 'it had been mended');
});
