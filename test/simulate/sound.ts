// What a small play would have left behind had it all gone well, put together by hand: the checkers are held against it, and against forgeries of it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HOUR, MINUTE } from '../../src/simulate/calendar.ts';
import { linesLeftBy, stagedBy } from '../../src/simulate/person.ts';
import { OrderBook } from '../../src/simulate/orders.ts';

import { HOOK, minutes, Story, type Work } from './story.ts';

export type { Story };

/** The whole story; each invariant has something to hold for. */
export function sound(): Story {
  const story = new Story();
  plan(story);
  people(story);
  agents(story);
  clocks(story);
  deaths(story);
  waits(story);
  story.now = minutes(241);
  story.note({ kind: 'closed' });
  return story;
}

function plan({ plan: made }: Story): void {
  const book = new OrderBook();
  book.line('say', 'writing');
  book.give('fan', 'system', [book.line('part', 'email'), book.add('other', 'billing')]);
  book.pass('giver', 'email', { id: 'reader', agent: 'calendar' });
  book.late('asker', 'system', { id: 'tardy', agent: 'calendar' });
  book.line('night', 'billing', { text: 'night #' });
  book.file('minutes', 'calendar', 'shared/minutes/#.md');
  book.line('deadline-text', 'writing', { text: 'deadline-text #' });
  for (const [id, agent] of [
    ['booking', 'calendar'],
    ['changes', 'billing'],
    ['look-after', 'system'],
  ] as const)
    book.add(id, agent);
  book.line('dropped', 'email');
  book.add('newer', 'email');
  for (const id of ['lost-1', 'lost-2', 'lost-3']) book.line(id, 'billing');
  book.call('ask', 'calendar', 'ask', { question: 'Which colour?' });
  book.call('sign', 'calendar', 'write', { path: 'contracts/sign.md' });
  Object.assign(made.orders, book.orders);
  const common = { jitter: 0, missed: 'once' };
  made.schedules.push({ agent: 'billing', name: 'night', when: { everyMs: HOUR }, order: 'night', ...common });
  made.schedules.push({ agent: 'calendar', name: 'minutes', when: { everyMs: 2 * HOUR }, order: 'minutes', ...common });
  made.outages.push({ id: 'out', from: minutes(100), to: minutes(115), kind: 'error', both: true });
  made.hooks.push({ id: 'hook1', at: minutes(20), booking: true, again: [1_000] });
  made.hooks.push({ id: 'hook2', at: minutes(25), booking: false, again: [] });
  made.acts.push({ id: 'act1', at: minutes(10), do: 'commit', path: 'shared/deadlines/p1.md', text: 'deadline p1' });
  made.acts.push({ id: 'act2', at: minutes(11), do: 'edit', path: 'shared/email.md', anchor: '', text: 'by hand' });
  made.acts.push({ id: 'act3', at: minutes(12), do: 'drop', queue: 'email', file: 'dropped.json', order: 'dropped' });
  made.acts.push({
    id: 'act5',
    at: minutes(13),
    do: 'drop',
    queue: 'email',
    file: 'dropped.json',
    order: 'newer',
    replaces: 'dropped',
  });
  made.acts.push({ id: 'act6', at: minutes(13), do: 'bad', queue: 'email', file: 'bad.json', as: 'deep' });
  made.acts.push({ id: 'act7', at: minutes(14), do: 'stage', ms: MINUTE });
  made.acts.push({ id: 'act8', at: minutes(15), do: 'rebase', ms: MINUTE });
  made.acts.push({ id: 'act4', at: minutes(150), do: 'reschedule', schedule: 0, when: { everyMs: HOUR / 2 } });
}

/** Messages, files and webhooks, and what triggers make of them. */
function people(story: Story): void {
  story.now = minutes(5);
  const say = story.message('m1', 'say', () => story.do('say', { from: 'person:p' }), { again: [1_000] });
  story.note({ kind: 'taken', message: 'm1', repeat: 1 });
  story.reply('m1', say, 'done say 1');

  story.now = minutes(6);
  const trigger = 'writing/deadline';
  const byHand = story.commit(null, [{ path: 'shared/deadlines/p1.md', text: 'deadline p1' }]);
  const moved = story.event('main.moved', 'workspace', { from: 'c1', to: byHand, by: 'person' });
  const edit = story.commit(null, [{ path: 'shared/email.md', text: 'by hand' }]);
  story.event('person.committed', 'workspace', { commit: edit, author: 'p', paths: 1 });
  const told = `${byHand} shared/deadlines/p1.md`;
  const made = story.do('deadline-text', { from: `trigger:${trigger}`, n: byHand, says: told });
  const fire = (name: string, task: string, first: string, last = first, count = 1): string =>
    story.event('trigger.fired', `trigger:${name}`, { trigger: name, task, first, last, count, by: null });
  fire(trigger, made.task, moved);

  // Two landings on a file that everybody works on are one burst.
  const burst = 'billing/changes';
  const changes = story.do('changes', {
    from: `trigger:${burst}`,
    n: made.commit,
    says: `${made.commit} shared/writing.md`,
  });
  fire(burst, changes.task, say.landed, made.landed, 2);

  story.do('dropped', { from: 'file:email' });
  hands(story);

  story.now = minutes(20);
  const received = (delivery: string): string =>
    story.event('webhook.received', `hook:${HOOK}/${delivery}`, { hook: HOOK, delivery, content: story.blob('{}') });
  const booked = received('hook1');
  const booking = story.do('booking', { from: 'trigger:calendar/booking', n: 'hook1', says: 'hook1' });
  fire('calendar/booking', booking.task, booked);
  for (const [repeat, status] of [202, 200].entries())
    story.note({ kind: 'accepted', hook: 'hook1', repeat, status, event: booked, task: booking.task });
  story.note({ kind: 'accepted', hook: 'hook2', repeat: 0, status: 202, event: received('hook2'), task: null });
}

/** A file takes the place of one, another is no task; a person stages, removes, rebases and rewrites. */
function hands(story: Story): void {
  story.do('newer', { from: 'file:email' });
  const detail = story.blob(JSON.stringify({ text: 'bad.json: It is nested deeper than 64 levels.' }));
  story.event('task.rejected', 'workspace', { queue: 'email', detail });
  const rejected = join(story.workspace, 'tasks', 'email', 'rejected');
  mkdirSync(rejected, { recursive: true });
  for (const name of ['bad.json', 'bad.json.reason.txt']) writeFileSync(join(rejected, name), '');
  for (const act of story.plan.acts) {
    if (act.do !== 'stage' && act.do !== 'rebase') continue;
    if (act.do === 'stage') story.note({ kind: 'staged', act: act.id, index: stagedBy(act) });
    for (const [path, lines] of Object.entries(linesLeftBy(act)))
      if (lines !== null)
        story.commit(
          null,
          lines.map((text) => ({ path, text })),
        );
  }
}

/** What agents give each other: work, a file, a time by which it has to be done. */
function agents(story: Story): void {
  story.now = minutes(30);
  story.message('m2', 'fan', () => {
    const fan = story.begin('fan', { from: 'person:p' });
    story.hand(
      fan,
      ['part', 'other'].map((order) => () => story.do(order, { from: 'agent:system' })),
    );
    story.reply('m2', fan, 'done fan 1');
    return story.end(fan, 'done fan 1');
  });
  story.message('m3', 'giver', () => {
    const giver = story.begin('giver', { from: 'person:p' });
    // What is given along lands first; nobody looks at the lines of a draft.
    story.land(giver, [{ path: 'drafts/other.md', text: 'giver as it is meant' }]);
    const reader = story.begin('reader', { from: 'agent:email' });
    story.event('task.created', `run:${giver.run}`, { call: 'c', child: reader.task, to: 'calendar', joined: false });
    story.land(giver, [{ path: 'drafts/giver.md', text: 'giver as it is later' }]);
    story.returned(reader, 'call_1', '- giver as it is meant');
    story.end(reader, 'done reader 1');
    story.reply('m3', giver, 'done giver 1');
    return story.end(giver, 'done giver 1');
  });
  story.message('m4', 'asker', () => {
    const asker = story.begin('asker', { from: 'person:p' });
    story.hand(asker, [() => late(story)]);
    story.reply('m4', asker, 'done asker 1');
    return story.end(asker, 'done asker 1');
  });
}

function late(story: Story): Work {
  const deadline = story.now + 2 * MINUTE;
  const tardy = story.begin('tardy', { from: 'agent:system', deadline });
  story.now = deadline + 1_000;
  story.event('task.late', `task:${tardy.task}`, { task: tardy.task, deadline });
  matter(story, 'deadline', tardy.task, 1);
  story.now += 5 * MINUTE;
  return story.end(story.land(tardy, story.plan.orders['tardy']?.lines ?? []), 'done tardy 1');
}

/** Something the owner hears about, and settles after so many minutes. */
function matter(story: Story, kind: 'deadline' | 'dead', about: string, after: number): string {
  const id = `mat_${kind}_${about}`;
  story.event('matter.raised', `matter:${id}`, { matter: id, kind, about, text: story.blob('!') });
  story.now += after * MINUTE;
  story.event('matter.settled', `matter:${id}`, { matter: id, by: 'p', answer: story.blob('seen') });
  return id;
}

/** The schedule fires each hour, misses one, and each half hour once it was edited. */
function clocks(story: Story): void {
  const set = (agent: string, name: string, ms: number, at: number): void => {
    story.now = minutes(at);
    const timing = { kind: 'every' as const, ms, zone: 'UTC', until: null, activeHours: null, jitter: 0 };
    const about = { schedule: `${agent}/${name}`, agent, name, anchor: minutes(at), paused: false };
    story.event('schedule.set', `schedule:${agent}/${name}`, {
      ...about,
      timing: { ...timing, missed: 'once', overlap: 'queue', max: 1 } as never,
    });
  };
  const fire = (agent: string, name: string, at: number, missed = 0): void => {
    story.now = minutes(at) + 500;
    const schedule = `${agent}/${name}`;
    const work = story.do(name, { from: `schedule:${schedule}`, n: String(at) });
    const about = { schedule, at: minutes(at), task: work.task, missed, by: null };
    story.event('schedule.fired', `schedule:${schedule}`, about);
    story.note({ kind: 'fired', schedule, at: minutes(at) });
  };
  set('billing', 'night', HOUR, 0);
  set('calendar', 'minutes', 2 * HOUR, 0);
  fire('billing', 'night', 60);
  story.now = minutes(121);
  const missed = { at: minutes(120), count: 1, why: 'missed' as const, task: null };
  story.event('schedule.skipped', 'schedule:billing/night', { schedule: 'billing/night', ...missed });
  fire('calendar', 'minutes', 120);
  set('billing', 'night', HOUR / 2, 150);
  fire('billing', 'night', 210, 1);
  fire('billing', 'night', 240);
  fire('calendar', 'minutes', 240);
}

/** No model answers: three messages die of it, and one of them is tried again. */
function deaths(story: Story): void {
  const fates: [string, string][] = [];
  for (const [n, order] of ['lost-1', 'lost-2', 'lost-3'].entries()) {
    story.now = minutes(101 + n);
    const id = `m${5 + n}`;
    const dead = story.message(id, order, () => story.do(order, { from: 'person:p', status: 'dead' }));
    const end = story.events.at(-1)?.id ?? '';
    fates.push([dead.task, end]);
    story.reply(id, dead, 'I could not finish this.');
    matter(story, 'dead', dead.task, 1);
  }
  const trigger = 'system/dead';
  for (const [n, [task, event]] of fates.entries()) {
    story.now = minutes(105) + n;
    const burst = { trigger, first: event, last: event, count: 1 };
    if (n === 2) {
      story.event('trigger.skipped', `trigger:${trigger}`, { ...burst, why: 'limit', detail: null, matter: null });
      continue;
    }
    const made = story.do('look-after', { from: `trigger:${trigger}`, n: task, says: task });
    story.event('trigger.fired', `trigger:${trigger}`, { ...burst, task: made.task, by: null });
  }
  story.now = minutes(130);
  story.reply('m5', again(story), 'done lost-1 1');
}

function again(story: Story): Work {
  const task = `tsk_${story.tasks.length + 1}`;
  const about = { agent: 'system', session: 'm5', channel: 'chat', from: 'p', replyTo: 'cm5/m5', task };
  story.event('message.received', 'conv:system/m5', { ...about, content: story.blob('[order lost-1]') });
  return story.do('lost-1', { from: 'person:p' });
}

/** A question that goes up its whole chain, one that somebody takes on, one whose first level nobody can be told of. */
function waits(story: Story): void {
  chain(story, 'ask', 'm8', {
    at: 160,
    reached: [
      ['told', 5],
      ['told', 20],
    ],
    answered: 40,
  });
  chain(story, 'sign', 'm9', {
    at: 205,
    reached: [
      ['unreachable', 5],
      ['told', 5],
    ],
    answered: 31,
  });
}

interface Chain {
  at: number;
  /** What came of each level, and after how many minutes. */
  reached: readonly ['told' | 'unreachable', number][];
  answered: number;
}

const TO = ['chat:boss', 'agent:system'];

function chain(story: Story, order: 'ask' | 'sign', id: string, { at, reached, answered }: Chain): void {
  story.now = minutes(at);
  story.message(id, order, () => {
    const work = story.begin(order, { from: 'person:p' });
    const about = `${order === 'ask' ? 'qst' : 'apr'}_${id}`;
    const stream = `run:${work.run}`;
    if (order === 'ask')
      story.event('question.asked', stream, { question: about, call: 'c', doubt: false, text: story.blob('?') });
    else story.event('approval.asked', stream, { approval: about, call: 'c', tool: 'write', shown: story.blob('?') });
    const escalation = `esc_${id}`;
    const levels = [5, 20].map((after, n) => ({ after: after * MINUTE, to: TO[n] ?? '' }));
    const kind = order === 'ask' ? ('question' as const) : ('approval' as const);
    const begun = { escalation, about, kind, task: work.task, agent: 'calendar', chain: 'owner', from: story.now };
    story.event('escalation.started', `escalation:${escalation}`, { ...begun, levels });
    for (const [level, [outcome, after]] of reached.entries()) {
      story.now = minutes(at + after);
      const to = TO[level] ?? '';
      const task = outcome === 'told' ? told(story, escalation, level) : null;
      const why = outcome === 'told' ? null : 'no such channel';
      story.event('escalation.reached', `escalation:${escalation}`, { escalation, level, to, outcome, why, task });
    }
    story.now = minutes(at + answered);
    if (order === 'ask')
      story.event('question.answered', stream, { question: about, by: 'p', answer: story.blob('blue') });
    else story.event('approval.answered', stream, { approval: about, verdict: 'approve', by: 'p', reason: null });
    story.event('escalation.ended', `escalation:${escalation}`, { escalation, why: 'answered' });
    story.reply(id, work, `done ${order} 1`);
    return story.end(work, `done ${order} 1`);
  });
}

/** The owner is written to by the outbox, an agent is given a task. */
function told(story: Story, escalation: string, level: number): string {
  if (level === 1) return story.do('', { from: `escalation:${escalation}` }).task;
  const { task } = story.end(story.begin('', { from: 'agent:calendar', queue: 'outbox' }), '');
  const key = `msg_${escalation}`;
  Object.assign(story.tasks.at(-1) ?? {}, { cause: key });
  story.note({ kind: 'arrived', to: 'boss', key, again: false, text: 'It waits.', asks: null });
  const sent = { message: key, channel: 'chat', receipt: 'r', repeated: false };
  story.event('message.sent', `escalation:${escalation}`, sent);
  return task;
}
