import { HOOK, isOf, type PlannedTrigger, TRIGGERS } from './causes.ts';
import type { Report } from './invariants.ts';
import { entriesOf, eventsOf, type Played } from './record.ts';

type Seen = Pick<Played, 'plan' | 'world' | 'events' | 'tasks' | 'text' | 'commits'>;

/** Something that had to make a trigger fire: by Git's history, by how tasks ended, by what was sent. */
interface Cause {
  about: string;
  /** The events that tell of it, by their ids, and where the first of them stands; none tells of what was missed. */
  told: string[];
  seq: number;
  /** What the task that it makes must say. */
  says: string[];
}

/** What came of one cause, or of a burst of them. */
interface Fate {
  id: string;
  seq: number;
  at: number;
  first: string;
  last: string;
  count: number;
  task: string | null;
  why: string | null;
}

const LOOK = 'log --type trigger.';

/** Holds what triggers made against causes that are reckoned here, and not by how far the product says it has looked. */
export function checkCauses(played: Seen, report: Report): void {
  for (const trigger of TRIGGERS) checkTrigger(played, trigger, report);
  checkAnswered(played, report);
}

function checkTrigger(played: Seen, trigger: PlannedTrigger, report: Report): void {
  const id = `${trigger.agent}/${trigger.name}`;
  const say = (about: string, expected: string, found: string): void =>
    report({ invariant: 'cause-once', about: `${id} ${about}`, expected, found, look: LOOK });
  const causes = causesOf(played, trigger).sort((a, b) => a.seq - b.seq);
  const fates = fatesOf(played, id);
  const places = new Map(played.events.map((event) => [event.id, event.seq]));
  const covered = (fate: Fate): Cause[] =>
    causes.filter(({ seq }) => seq >= (places.get(fate.first) ?? Infinity) && seq <= (places.get(fate.last) ?? 0));
  const times = new Map<Cause, number>();
  for (const fate of fates) {
    const own = covered(fate);
    for (const cause of own) times.set(cause, (times.get(cause) ?? 0) + 1);
    const [first, last] = [own[0]?.told ?? [], own.at(-1)?.told ?? []];
    if (!first.includes(fate.first) || !last.includes(fate.last))
      say(fate.id, 'what fits it', `${fate.first}..${fate.last}`);
    if (own.length !== fate.count || own.length === 0)
      say(fate.id, `${own.length} causes`, `it tells of ${fate.count}`);
    if (trigger.debounceMs === 0 && fate.first !== fate.last) say(fate.id, 'one cause', 'a burst of them');
    if (fate.why !== null && !(fate.why === 'limit' && trigger.limit)) say(fate.id, 'a task', `skipped: ${fate.why}`);
    const said = textOf(played, fate.task);
    for (const word of own.at(-1)?.says ?? [])
      if (fate.task !== null && !said.includes(word)) say(fate.task, `that it hears of ${word}`, said.slice(0, 200));
  }
  for (const cause of causes) {
    const count = times.get(cause) ?? 0;
    if (count !== 1) say(cause.about, 'one firing of it', count === 0 ? 'none' : `${count}`);
  }
  checkLimit(trigger, fates, say);
  checkMade(played, id, fates, say);
}

type Say = (about: string, expected: string, found: string) => void;

function checkLimit({ limit }: PlannedTrigger, fates: readonly Fate[], say: Say): void {
  if (limit === null) return;
  for (const [n, { id, at, why }] of fates.entries()) {
    const before = fates.slice(0, n).filter((each) => each.why === null && each.at > at - limit.perMs).length;
    if (before >= limit.count !== (why === 'limit')) say(id, `its limit of ${limit.count} kept`, `${before} before it`);
  }
}

/** Each firing has a task of its own, and no other task says that it came of the trigger; what died was tried again. */
function checkMade({ tasks }: Seen, id: string, fates: readonly Fate[], say: Say): void {
  const made = tasks.filter(({ from }) => from === `trigger:${id}`);
  const same = Map.groupBy(made, ({ content }) => content?.hash ?? '');
  const fired = fates.flatMap(({ task }) => task ?? []);
  for (const task of fired) {
    const all = same.get(made.find((each) => each.id === task)?.content?.hash ?? '') ?? [];
    const dead = all.filter(({ status }) => status === 'dead').length;
    if (all.length !== dead && all.length !== dead + 1) say(task, `${dead + 1} tasks`, `${all.length}`);
  }
  if (same.size !== fired.length) say('tasks', `${fired.length} pieces of work`, `${same.size}`);
}

const textOf = ({ tasks, text }: Seen, id: string | null): string =>
  text(tasks.find((task) => task.id === id)?.content ?? null);

function fatesOf(played: Seen, trigger: string): Fate[] {
  const fired = eventsOf(played, 'trigger.fired').flatMap(({ id, seq, at, data }) =>
    data.trigger === trigger && data.first !== null && data.last !== null
      ? [{ id, seq, at, first: data.first, last: data.last, count: data.count, task: data.task, why: null }]
      : [],
  );
  const skipped = eventsOf(played, 'trigger.skipped').flatMap(({ id, seq, at, data }) =>
    data.trigger === trigger
      ? [{ id, seq, at, first: data.first, last: data.last, count: data.count, task: null, why: data.why }]
      : [],
  );
  return [...fired, ...skipped].sort((a, b) => a.seq - b.seq);
}

function causesOf(played: Seen, { agent, name, source, debounceMs }: PlannedTrigger): Cause[] {
  if (source.on === 'task.dead') return deathsOf(played, `trigger:${agent}/${name}`);
  if (source.on === 'webhook') return deliveriesOf(played);
  const told = new Map<string, { id: string; seq: number }[]>();
  for (const event of played.events) {
    const commit =
      event.type === 'landing.finished' || event.type === 'person.committed'
        ? event.data.commit
        : event.type === 'main.moved'
          ? event.data.to
          : null;
    if (commit !== null) told.set(commit, [...(told.get(commit) ?? []), event]);
  }
  // The first commit is the workspace as it was when the triggers were set.
  return played.commits.slice(1).flatMap(({ commit, paths }) => {
    const fitting = paths.filter((path) => source.paths.some((glob) => isOf(glob, path)));
    const events = told.get(commit) ?? [];
    // A burst tells of the files of all that is in it, and of the last commit.
    const says = [commit, ...fitting];
    const seq = events[0]?.seq ?? -1;
    const about = `${commit}${debounceMs > 0 ? ' in a burst' : ''}`;
    return fitting.length === 0 ? [] : [{ about, told: events.map(({ id }) => id), seq, says }];
  });
}

/** A task that was to look after a death is not looked after in turn. */
function deathsOf(played: Seen, own: string): Cause[] {
  const tasks = new Map(played.tasks.map((task) => [task.id, task]));
  return eventsOf(played, 'task.finished').flatMap(({ id, seq, data }) => {
    const task = tasks.get(data.task);
    const counts = data.status === 'dead' && task?.queue !== 'outbox' && task?.from !== own;
    return counts ? [{ about: data.task, told: [id], seq, says: [data.task] }] : [];
  });
}

function deliveriesOf(played: Seen): Cause[] {
  const received = eventsOf(played, 'webhook.received');
  return played.plan.hooks.flatMap(({ id, booking }) => {
    const [event] = received.filter(({ data }) => data.delivery === id);
    return booking ? [{ about: id, told: event ? [event.id] : [], seq: event?.seq ?? -1, says: [id] }] : [];
  });
}

/** What a sender was told is so: one delivery, one task, however often it was sent. */
function checkAnswered(played: Seen, report: Report): void {
  const answers = Map.groupBy(entriesOf(played, 'accepted'), ({ hook }) => hook);
  const received = Map.groupBy(eventsOf(played, 'webhook.received'), ({ data }) => data.delivery);
  const tasks = new Map(eventsOf(played, 'trigger.fired').map(({ data }) => [data.first, data.task]));
  for (const { id, booking, again } of played.plan.hooks) {
    const say = (expected: string, found: string): void =>
      report({ invariant: 'cause-once', about: `${HOOK} ${id}`, expected, found, look: 'log --type webhook.' });
    const said = answers.get(id) ?? [];
    const [event, ...more] = received.get(id) ?? [];
    if (said.length !== 1 + again.length) say(`${1 + again.length} answers`, `${said.length}`);
    if (event === undefined || more.length > 0) say('one delivery on record', `${more.length + (event ? 1 : 0)}`);
    if (said.filter(({ status }) => status === 202).length > 1) say('one of them new', 'more than one');
    const task = booking ? (tasks.get(event?.id ?? '') ?? 'none') : null;
    for (const answer of said)
      if (answer.event !== event?.id || answer.task !== task) say(`${event?.id}, ${task}`, JSON.stringify(answer));
  }
}
