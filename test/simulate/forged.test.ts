import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import type { DataOf, Event, EventOf, EventType } from '../../src/core/event.ts';
import { NO_USAGE } from '../../src/core/model.ts';
import type { Task } from '../../src/core/task.ts';
import { HOUR } from '../../src/simulate/calendar.ts';
import { check } from '../../src/simulate/check.ts';
import { type Invariant, INVARIANTS } from '../../src/simulate/invariants.ts';
import type { Entry } from '../../src/simulate/world.ts';
import { type Story, sound } from './sound.ts';

/** What a forgery does to a sound record, and who else has to speak up beside the invariant that it stands under. */
type Forgery = [what: string, forge: (story: Story) => void, also?: readonly Invariant[]];

const nth = <T>(list: readonly T[], n: number): T => {
  const found = list.at(n);
  assert.ok(found !== undefined, 'there is nothing of the kind to forge');
  return found;
};
const event = <T extends EventType>({ events }: Story, type: T, n = 0): EventOf<T> =>
  nth(
    events.filter((each): each is EventOf<T> => each.type === type),
    n,
  );
const entry = <K extends Entry['kind']>({ world }: Story, kind: K, n = 0): Extract<Entry, { kind: K }> =>
  nth(
    world.filter((each): each is Extract<Entry, { kind: K }> => each.kind === kind),
    n,
  );
const taskOf = (story: Story, order: string, n = 0): Task =>
  nth(
    story.tasks.filter(({ id }) => story.orderOf(id) === order),
    n,
  );
const remove = <T>(list: T[], item: T): void => void list.splice(list.indexOf(item), 1);

/** One event fewer. */
const lose = (story: Story, type: EventType, n = 0): void => remove(story.events, event(story, type, n));
/** The same event once more, at the end. */
const twice = <T extends EventType>(story: Story, type: T, n = 0, data: Partial<DataOf<T>> = {}): void => {
  const one: Event = event(story, type, n);
  const seq = story.events.length + 1;
  story.events.push({ ...one, seq, id: `evt_${seq}`, data: { ...one.data, ...data } } as Event);
};
const set = <T extends EventType>(story: Story, type: T, data: Partial<DataOf<T>>, n = 0): void =>
  void Object.assign(event(story, type, n).data, data);
const say = (story: Story, ref: { hash: string } | null, text: string): void =>
  void story.texts.set(ref?.hash ?? '', text);

const FORGERIES: Record<Invariant, readonly Forgery[]> = {
  'firing-once': [
    ['a firing left no trace', (story) => lose(story, 'schedule.fired', 0), ['order-once']],
    ['the last firing never came', (story) => lose(story, 'schedule.fired', -2), ['order-once']],
    ['one was skipped without a word', (story) => lose(story, 'schedule.skipped')],
    ['one fired a second time', (story) => twice(story, 'schedule.fired', 0, { task: copied(story, 'night') })],
    [
      'one fired and was skipped',
      (story) => twice(story, 'schedule.skipped', 0, { at: event(story, 'schedule.fired').data.at }),
    ],
    [
      'it fired at no time of its own',
      (story) => set(story, 'schedule.fired', { at: event(story, 'schedule.fired').data.at + 1 }),
    ],
    ['it stands for more than there was', (story) => set(story, 'schedule.fired', { missed: 2 }, 2)],
    ['it stands for fewer than there were', (story) => set(story, 'schedule.fired', { missed: 0 }, 2)],
    ['an edit was never taken up', (story) => lose(story, 'schedule.set', -1)],
    ['an edit was taken up twice', (story) => twice(story, 'schedule.set', -1)],
    [
      'nothing fired after the edit',
      (story) => {
        for (const n of [3, 2]) lose(story, 'schedule.fired', n);
      },
      ['order-once'],
    ],
  ],
  'firing-early': [
    ['it fired before its time', (story) => (entry(story, 'fired').wall = entry(story, 'fired').at - 1)],
  ],
  'cause-once': [
    ['a deadline that landed fired nothing', (story) => lose(story, 'trigger.fired', 0), ['order-once']],
    ['a burst fired nothing', (story) => lose(story, 'trigger.fired', 1), ['order-once']],
    ['a cause fired twice', (story) => twice(story, 'trigger.fired', 0, { task: copied(story, 'deadline-text') })],
    ['a burst tells of fewer causes than it had', (story) => set(story, 'trigger.fired', { count: 1 }, 1)],
    ['a burst begins elsewhere', (story) => set(story, 'trigger.fired', { first: 'evt_1' }, 1)],
    [
      'a burst ends too soon',
      (story) => set(story, 'trigger.fired', { last: event(story, 'trigger.fired', 1).data.first }, 1),
    ],
    [
      'what may not wait was put into a burst',
      (story) => set(story, 'trigger.fired', { last: event(story, 'landing.finished', 1).id }, 0),
    ],
    ['it fired for what is no cause', (story) => set(story, 'trigger.fired', { first: 'evt_1', last: 'evt_1' }, 0)],
    [
      'the task is not told of what landed',
      (story) => say(story, taskOf(story, 'deadline-text').content, '[order deadline-text.1]'),
    ],
    [
      'a cause was skipped for no good reason',
      (story) => {
        const { trigger, first, last, count } = event(story, 'trigger.fired', 0).data;
        lose(story, 'trigger.fired', 0);
        const about = { trigger, first: first ?? '', last: last ?? '', count };
        story.event('trigger.skipped', 'trigger:x', { ...about, why: 'input', detail: null, matter: null });
      },
      ['order-once'],
    ],
    [
      'its limit was not kept',
      (story) => {
        const { trigger, first, last, count } = event(story, 'trigger.skipped').data;
        story.now = event(story, 'trigger.skipped').at;
        const about = { trigger, first, last, count, task: copied(story, 'look-after', first), by: null };
        say(story, story.tasks.at(-1)?.content ?? null, `of ${taskOf(story, 'lost-3').id}`);
        lose(story, 'trigger.skipped');
        story.event('trigger.fired', 'trigger:x', about);
      },
    ],
    [
      'it was skipped for a limit that was not reached',
      (story) => {
        lose(story, 'trigger.fired', -1);
        remove(story.tasks, taskOf(story, 'look-after', 1));
      },
    ],
    ['its task was made twice', (story) => void copied(story, 'booking'), ['order-once']],
    [
      'its task was tried again though it had not died',
      (story) => void story.tasks.push({ ...taskOf(story, 'booking'), id: 'tsk_again' }),
      ['order-once'],
    ],
    ['its task is not there', (story) => remove(story.tasks, taskOf(story, 'booking'))],
    ['a delivery left no trace', (story) => lose(story, 'webhook.received', 1)],
    ['a delivery is on record twice', (story) => twice(story, 'webhook.received', 1)],
    ['a booking that was received fired nothing', (story) => lose(story, 'trigger.fired', 2), ['order-once']],
    ['a sender had no answer', (story) => remove(story.world, entry(story, 'accepted', 1))],
    ['a sender was told twice that it is new', (story) => (entry(story, 'accepted', 1).status = 202)],
    ['a sender was told of another task', (story) => (entry(story, 'accepted', 1).task = 'tsk_1')],
    ['a sender was told of a task where there is none', (story) => (entry(story, 'accepted', 2).task = 'tsk_1')],
    ['a sender was told of another event', (story) => (entry(story, 'accepted', 1).event = 'evt_1')],
  ],
  artefacts: [
    ['it read what landed later', (story) => say(story, readOf(story), '- giver as it is later')],
    ['it read nothing', (story) => lose(story, 'tool.returned', 1)],
  ],
  'late-once': [
    ['nobody noticed that it was late', (story) => (lose(story, 'task.late'), lose(story, 'matter.raised'))],
    ['it was noticed twice', (story) => (twice(story, 'task.late'), twice(story, 'matter.raised'))],
    ['it was noticed, and the owner not told', (story) => lose(story, 'matter.raised')],
    ['the owner was told of what nobody noticed', (story) => lose(story, 'task.late')],
    ['what has no deadline was late', (story) => (taskOf(story, 'tardy').deadline = null)],
    ['what was in time was late', (story) => (taskOf(story, 'tardy').deadline = event(story, 'escalation.started').at)],
  ],
  'message-once': [
    ['a message was taken and forgotten', (story) => remove(story.tasks, taskOf(story, 'ask'))],
    [
      'a message was neither taken nor worked on',
      (story) => (remove(story.tasks, taskOf(story, 'say')), remove(story.world, entry(story, 'taken'))),
    ],
    ['a message became two tasks', (story) => void copied(story, 'ask'), ['order-once', 'reply-once']],
    [
      'what was dead was tried again twice',
      (story) => void copied(story, 'lost-1'),
      ['order-once', 'reply-once', 'line-kept'],
    ],
  ],
  'order-once': [
    ['a piece of work was never given', (story) => lose(story, 'task.created', 0)],
    ['a piece of work was given twice', (story) => twice(story, 'task.created', 0, { child: copied(story, 'other') })],
    ['a firing has no task', (story) => remove(story.tasks, taskOf(story, 'night')), ['line-kept']],
    [
      'two firings share a task',
      (story) => set(story, 'schedule.fired', { task: event(story, 'schedule.fired').data.task }, 2),
    ],
    ['a file in an inbox became nothing', (story) => remove(story.tasks, taskOf(story, 'newer'))],
    ['a file in an inbox became two tasks', (story) => void copied(story, 'dropped'), ['line-kept']],
    ['a task came from nowhere', (story) => void copied(story, 'part'), ['line-kept']],
    ['a schedule made a task without firing', (story) => void copied(story, 'night')],
  ],
  'rejected-once': [
    ['nobody was told of a file that is no task', (story) => lose(story, 'task.rejected')],
    ['it was told of twice', (story) => twice(story, 'task.rejected')],
    [
      'another file was put aside, too',
      (story) => twice(story, 'task.rejected', 0, { detail: story.blob('{"text":"x.json: no"}') }),
    ],
    ...['bad.json', 'bad.json.reason.txt'].map((name): Forgery => [
      `no ${name} lies there`,
      ({ workspace }) => rmSync(join(workspace, 'tasks/email/rejected', name)),
    ]),
  ],
  'task-ended': [
    ['a task was claimed and never taken up again', (story) => (taskOf(story, 'other').status = 'running')],
    ['a task still waits for its turn', (story) => (taskOf(story, 'other').status = 'queued')],
    [
      'a reply was never sent',
      (story) =>
        (nth(
          story.tasks.filter(({ queue }) => queue === 'outbox'),
          0,
        ).status = 'queued'),
    ],
    ['a task waits for nobody', (story) => (taskOf(story, 'other').status = 'waiting')],
    ['a task waits, though it was answered', (story) => (taskOf(story, 'ask').status = 'waiting')],
  ],
  'task-failed': [
    ['a task died with every model there', (story) => (taskOf(story, 'other').status = 'dead')],
    ['a task failed with every model there', (story) => (taskOf(story, 'other').status = 'failed')],
    ['a task was cancelled by nobody', (story) => (taskOf(story, 'other').status = 'cancelled')],
    ['it died long after the models were back', (story) => (nth(story.plan.outages, 0).to -= HOUR / 2)],
    ['it died though another provider was there', (story) => (nth(story.plan.outages, 0).both = false)],
  ],
  results: [
    ['it never went on', (story) => lose(story, 'tool.returned', 0)],
    ['one result is not told', (story) => say(story, event(story, 'tool.returned').data.result, 'tsk_1: nothing')],
    ['one result is another one', (story) => say(story, endOf(story, 'part').data.result, '{"text":"done otherwise"}')],
    ['it went on before one had ended', (story) => (endOf(story, 'part').seq = event(story, 'tool.returned').seq + 1)],
    ['one of them has no end on record', (story) => remove(story.events, endOf(story, 'part'))],
  ],
  'reply-once': [
    ['a reply never arrived', (story) => remove(story.world, entry(story, 'arrived', 0))],
    [
      'a message has two replies',
      (story) => void story.world.push({ ...entry(story, 'arrived', 0), key: 'msg_other' }),
    ],
    ['a reply came once more and does not say so', (story) => void story.world.push(entry(story, 'arrived', 0))],
    ['a reply arrived at another message', (story) => (entry(story, 'arrived', 0).to = 'cm2/m2')],
    [
      'a reply arrived where nobody asked',
      (story) => void story.world.push({ ...entry(story, 'arrived', 0), to: 'c0/m0', key: 'x' }),
    ],
    ['a reply is that to another message', (story) => (entry(story, 'arrived', 0).text = 'done fan 1')],
    ['the platform knows nothing of what was sent', (story) => set(story, 'message.sent', { message: 'msg_other' })],
  ],
  'line-kept': [
    ['a line that landed is gone', (story) => story.files.set('shared/writing.md', [])],
    [
      'a line stands there twice',
      (story) =>
        story.files.set(
          'shared/email.md',
          (story.files.get('shared/email.md') ?? []).flatMap((line) => [line, line]),
        ),
    ],
    ['what was done never landed', (story) => unland(story, 'part')],
    ['a firing left no file', (story) => story.files.delete('shared/minutes/120.md')],
    ['a firing left two files', (story) => story.files.set('shared/minutes/121.md', [])],
    [
      'what a person wrote is gone',
      (story) =>
        story.files.set(
          'shared/email.md',
          (story.files.get('shared/email.md') ?? []).filter((line) => line !== '- by hand'),
        ),
    ],
    ['what a person has rewritten is back', (story) => story.files.set('shared/person/act8-a.md', ['- act8 first'])],
    ['what a person has removed is back', (story) => story.files.set('shared/person/act7-old.md', ['Once act7.'])],
    ['what was not staged is gone', (story) => story.files.set('shared/person/act7-half.md', ['- act7 staged'])],
    ['the files are not those of main', (story) => (story.said['status'] = ' M shared/email.md\n')],
  ],
  'index-kept': [
    ['the rest of a file was staged, too', (story) => (entry(story, 'staged').index += '\n+- act7 not staged')],
    ['what was staged is staged no more', (story) => (entry(story, 'staged').index = '')],
    ['nobody looked', (story) => remove(story.world, entry(story, 'staged'))],
  ],
  receipts: [
    ['a landing has no receipt', (story) => lose(story, 'landing.finished', -1)],
    ['a receipt has no commit', (story) => set(story, 'landing.finished', { commit: 'c999' }, -1)],
    ['a receipt stands there twice', (story) => twice(story, 'landing.finished', -1)],
    [
      'a run that landed nothing says it did',
      (story) => void story.event('landing.finished', 'run:run_999', { commit: 'c999', paths: 1 }),
    ],
    ['a run landed twice', (story) => landAgain(story, 'part'), ['line-kept']],
  ],
  answered: [
    ['a question has no answer', (story) => lose(story, 'question.answered')],
    ['an approval has no answer', (story) => lose(story, 'approval.answered')],
    ['a matter has no answer', (story) => lose(story, 'matter.settled'), ['escalated']],
  ],
  escalated: [
    ['a level was reached twice', (story) => inPlace(story, 'escalation.reached', 0, 2)],
    ['a level was left out', (story) => inPlace(story, 'escalation.reached', 0, 0)],
    ['a level was reached too soon', (story) => (event(story, 'escalation.reached', 1).at -= 1)],
    [
      'a level was reached after the answer',
      (story) => (event(story, 'escalation.reached', 1).seq = event(story, 'escalation.ended', 0).seq + 1),
    ],
    [
      'a level was reached after somebody took it on',
      (story) => (
        acknowledge(story),
        (event(story, 'escalation.acknowledged').seq = event(story, 'escalation.reached', 1).seq - 1)
      ),
    ],
    ['it stopped below its top', (story) => (unreach(story), lose(story, 'escalation.ended', 0))],
    ['what waited for long never began to go up', (story) => lose(story, 'escalation.started', 0)],
    [
      'what nobody answered never began to go up',
      (story) => (lose(story, 'escalation.started', 0), lose(story, 'question.answered')),
      ['answered'],
    ],
    [
      'a level says the owner was told, and nothing arrived',
      (story) => remove(story.world, toBoss(story)),
      ['reply-once'],
    ],
  ],
  verify: [
    [
      'the chain is broken',
      (story) => void story.verified.findings.push({ event: 'evt_1', where: 'chain', message: 'it does not fit' }),
    ],
    [
      'main has what no event knows',
      (story) => void story.verified.findings.push({ event: null, where: 'main', message: 'a commit' }),
    ],
  ],
  orphans: [
    ['a run that landed left its work aside', (story) => (story.said['for-each-ref'] = 'refs/ruche/unlanded/run_1\n')],
    [
      'a run that has ended is still held',
      (story) => {
        story.said['for-each-ref'] = 'refs/ruche/runs/run_999\n';
        endOfRun(story, 'done');
      },
    ],
    ['a worktree is left', (story) => (story.said['worktree'] += '/tmp/other c0 [x]\n')],
    ['a lock is left', (story) => put(story.workspace, '.git/index.lock', '')],
    ['a checkout is held by nobody', (story) => put(story.home, 'checkouts/1/state.json', '{"key":"run_1"}')],
    ['a file lies in an inbox', (story) => put(story.workspace, 'tasks/email/inbox/x.json', '{}')],
    ['a file was rejected', (story) => put(story.workspace, 'tasks/email/rejected/x.json', '{}')],
    ['a blob is broken', (story) => void story.blobs.broken.push('h0: its hash does not fit')],
  ],
};

const endOfRun = (story: Story, status: 'done' | 'failed'): void => {
  const run = 'run_999';
  const about = { run, status, error: null, detail: null, usage: NO_USAGE, costUsd: 0, steps: 1 };
  story.event('run.finished', `run:${run}`, about);
};

/** What looks odd and is as it should be. */
const SOUND: readonly [what: string, vary: (story: Story) => void][] = [
  ['all of it', () => undefined],
  [
    'a reply that comes once more and says so',
    (story) => void story.world.push({ ...entry(story, 'arrived', 0), again: true }),
  ],
  [
    'a question that arrives, and its parts',
    (story) => void story.world.push({ ...entry(story, 'arrived', 0), key: 'q', asks: 'answer', text: 'done?' }),
  ],
  [
    'a word of the runtime’s own',
    (story) => void story.world.push({ ...entry(story, 'arrived', 0), key: 'q', text: 'Pairing is open.' }),
  ],
  [
    'a message that was refused and is not on record',
    (story) => {
      const { id, order } = nth(story.plan.messages, -1);
      assert.equal(order, 'sign');
      story.world = story.world.filter((each) => each.kind !== 'taken' || each.message !== id);
    },
  ],
  [
    'a file that another has replaced before it was taken in',
    (story) => (unland(story, 'dropped'), remove(story.tasks, taskOf(story, 'dropped'))),
  ],
  ['a firing whose note a kill has cut off', (story) => remove(story.world, entry(story, 'fired'))],
  [
    'a firing out of turn, by a person',
    (story) => twice(story, 'schedule.fired', 0, { at: 1, by: 'person:p', task: copied(story, 'minutes', '777') }),
  ],
  [
    'what an escalation gave to an agent died, and no further escalation came of it',
    (story) => {
      const about = nth(
        story.tasks.filter(({ from }) => from.startsWith('escalation:')),
        0,
      ).id;
      const raised = { matter: 'mat_own', kind: 'dead', about, text: story.blob('!') } as const;
      story.event('matter.raised', 'matter:mat_own', raised);
      story.now += HOUR;
      story.event('matter.settled', 'matter:mat_own', { matter: 'mat_own', by: 'p', answer: story.blob('seen') });
    },
  ],
  ['an escalation that somebody took on', (story) => (acknowledge(story), unreach(story))],
  [
    'work that a failed run left aside',
    (story) => {
      story.said['for-each-ref'] = 'refs/ruche/unlanded/run_999\n';
      endOfRun(story, 'failed');
    },
  ],
  ['a checkout that nobody holds', (story) => put(story.home, 'checkouts/1/state.json', '{"key":null}')],
];

/** One more task of an order, with what it does. */
function copied(story: Story, order: string, n = 'x', says = ''): string {
  return story.do(order, { from: taskOf(story, order).from, n, says }).task;
}

/** Where the reader of a file was shown it. */
const readOf = (story: Story): { hash: string } => event(story, 'tool.returned', 1).data.result;

const endOf = (story: Story, order: string): EventOf<'task.finished'> => {
  const { id } = taskOf(story, order);
  return nth(
    story.events.filter(
      (each): each is EventOf<'task.finished'> => each.type === 'task.finished' && each.data.task === id,
    ),
    0,
  );
};

const runOf = (story: Story, order: string): string => `run_${taskOf(story, order).id.slice('tsk_'.length)}`;

/** Its landing is undone, receipt and all. */
function unland(story: Story, order: string): void {
  const run = runOf(story, order);
  const [commit] = story.commits.splice(
    story.commits.findIndex((each) => each.run === run),
    1,
  );
  for (const { path, text } of commit?.added ?? [])
    story.files.set(
      path,
      (story.files.get(path) ?? []).filter((line) => line !== `- ${text}`),
    );
  story.events = story.events.filter(({ type, stream }) => type !== 'landing.finished' || stream !== `run:${run}`);
}

/** A run lands what it has landed once more, each time with a receipt. */
function landAgain(story: Story, order: string): void {
  const run = runOf(story, order);
  const lines = story.commits.find((each) => each.run === run)?.added ?? [];
  story.land({ task: '', run, landed: '', commit: '' }, lines);
}

/** So many of one event in the place of one. */
function inPlace(story: Story, type: EventType, n: number, count: number): void {
  const one = event(story, type, n);
  story.events.splice(story.events.indexOf(one), 1, ...Array.from({ length: count }, () => one));
}

/** Somebody takes the first escalation on, and it never ends. */
function acknowledge(story: Story): void {
  const { escalation } = event(story, 'escalation.started').data;
  story.event('escalation.acknowledged', `escalation:${escalation}`, { escalation });
  lose(story, 'escalation.ended', 0);
}

/** The first escalation never came to its second level. */
function unreach(story: Story): void {
  const { task } = event(story, 'escalation.reached', 1).data;
  lose(story, 'escalation.reached', 1);
  story.tasks = story.tasks.filter(({ id }) => id !== task);
}

const toBoss = ({ world }: Story): Entry =>
  nth(
    world.filter((each) => each.kind === 'arrived' && each.to === 'boss'),
    0,
  );

function put(dir: string, path: string, text: string): void {
  mkdirSync(dirname(join(dir, path)), { recursive: true });
  writeFileSync(join(dir, path), text);
}

/** The invariants that speak up, in order, each once. */
function saidOf(forge: (story: Story) => void): { said: Invariant[]; told: string } {
  const story = sound();
  try {
    forge(story);
    const violations = check(story);
    const said = new Set(violations.map(({ invariant }) => invariant));
    return { said: [...said].toSorted(), told: JSON.stringify(violations, null, 2) };
  } finally {
    rmSync(dirname(story.home), { recursive: true });
  }
}

for (const [what, vary] of SOUND)
  test(`sound: ${what}`, () => {
    const { said, told } = saidOf(vary);
    assert.deepEqual(said, [], told);
  });

for (const [invariant, forgeries] of Object.entries(FORGERIES))
  describe(`${invariant}: ${INVARIANTS[invariant as Invariant]}`, () => {
    for (const [what, forge, also = []] of forgeries)
      test(what, () => {
        const { said, told } = saidOf(forge);
        assert.deepEqual(said, [invariant, ...also].toSorted(), told);
      });
  });
