import { type BoundaryName } from '../core/ports/boundary.ts';
import { DAY, HOUR, MINUTE, switchOf, timesOf, type When } from './calendar.ts';
import { DEADLINES, type PlannedHook, REPORTS } from './causes.ts';
import { Dice } from './dice.ts';
import { AGENTS, type AgentName, anchorOf, linesOf, type Order, OrderBook, SHARED, tagOf } from './orders.ts';

/** Everything that will happen from outside, by the seed alone. Times are those that truly go by, whatever clocks show. */
export interface Plan {
  seed: number;
  days: number;
  start: number;
  end: number;
  /** When clocks on walls are put. */
  switchAt: number;
  orders: Record<string, Order>;
  schedules: PlannedSchedule[];
  messages: PlannedMessage[];
  hooks: PlannedHook[];
  acts: Act[];
  outages: Outage[];
}

export interface PlannedSchedule {
  agent: AgentName;
  name: string;
  when: When;
  /** Milliseconds by which it may be put off. */
  jitter: number;
  missed: string;
  order: string;
}

export interface PlannedMessage {
  id: string;
  at: number;
  chat: string;
  text: string;
  order: string;
  /** Milliseconds after which the platform brings it once more, as if nobody had taken it. */
  again: number[];
  /** What becomes of the first try to send the reply. */
  send: 'ok' | 'failed' | 'arrives-unsure' | 'lost-unsure';
  /** Nobody answers there what is asked. */
  silent?: boolean;
}

type OutageKind = 'rate' | 'error' | 'stall' | 'truncated';

export interface Outage {
  id: string;
  from: number;
  to: number;
  kind: OutageKind;
  /** Both providers, so that nobody can answer. */
  both: boolean;
}

export type Act = { id: string; at: number } & (
  | { do: 'kill'; boundary: BoundaryName; skip: number; downMs: number }
  | { do: 'full'; ms: number }
  | { do: 'jump'; ms: number }
  | { do: 'edit'; path: string; anchor: string; text: string }
  | { do: 'commit'; path: string; text: string }
  /** A task in a file. `key`: the one that another file has, too. `replaces`: the order of the file whose name it has. */
  | { do: 'drop'; queue: AgentName; file: string; order: string; key?: string; replaces?: string }
  /** A file that no task can be made of. */
  | { do: 'bad'; queue: AgentName; file: string; as: 'link' | 'deep' }
  /** A person who is in the middle of something with Git for so long. */
  | { do: 'stage'; ms: number }
  | { do: 'rebase'; ms: number }
  /** The machine sleeps. */
  | { do: 'sleep'; ms: number }
  | { do: 'pause' | 'resume'; agent: AgentName }
  | { do: 'reschedule'; schedule: number; when: When }
  | { do: 'owner' }
);

export type PersonAct = Extract<Act, { do: 'edit' | 'commit' | 'drop' | 'bad' | 'stage' | 'rebase' }>;

const SLOT = 2 * HOUR;
/** Of a slot: the usual traffic, what goes wrong, and the owner's round. */
const USUAL = 20 * MINUTE;
const SCENE = HOUR;
const HOOKS = 40 * MINUTE;
const OWNER = 100 * MINUTE;
/** What a person does beside it, in one slot of so many, and when. */
const HANDS_EVERY = 6;
const HANDS = { inbox: 8 * MINUTE, stage: 12 * MINUTE, rebase: 112 * MINUTE };
/** The machine sleeps over the time of the daily report, every other day. No longer than a process may be away. */
const ASLEEP = { when: { minute: 5, hours: [8], weekdays: null }, ms: 20 * MINUTE };
/** The usual traffic: a conversation in one slot of so many. */
const TALK_EVERY = 2;

const SCENES = [
  'kill',
  'outage',
  'conflict',
  'mail',
  'kill',
  'person',
  'full',
  'jump',
  'conflict',
  'drop',
  'pause',
  'outage',
] as const;
type Scene = (typeof SCENES)[number] | 'reschedule' | 'dead' | 'silent';
/** What every other round has in place of these. */
const TURNS: Partial<Record<Scene, Scene>> = { pause: 'reschedule', drop: 'dead', mail: 'silent' };

const KILLED_AT = [
  'store.commit.before',
  'store.commit.after',
  'store.sync.before',
  'store.sync.after',
  'workspace.object.before',
  'workspace.object.after',
  'landing.commit.before',
  'landing.commit.after',
  'landing.files.before',
  'landing.files.after',
  'landing.ref.before',
  'landing.ref.after',
  'landing.index.after',
  'channel.send.before',
  'channel.send.after',
  'journal.import.before',
  'journal.import.after',
] as const satisfies readonly BoundaryName[];

export function makePlan(seed: number, days: number): Plan {
  return new Planner(seed, days).plan;
}

class Planner {
  readonly plan: Plan;
  readonly #dice: Dice;
  readonly #book = new OrderBook();
  #ids = 0;
  #edits = 0;

  constructor(seed: number, days: number) {
    this.#dice = new Dice(seed);
    const switchAt = seed % 2 === 0 ? switchOf(2027, 2) : switchOf(2026, 9);
    const start = switchAt - Math.round((days * DAY) / 2 / HOUR) * HOUR;
    const lists = { orders: this.#book.orders, schedules: [], messages: [], hooks: [], acts: [], outages: [] };
    this.plan = { seed, days, start, end: start + days * DAY, switchAt, ...lists };
    this.#schedules();
    const slots = Math.floor((days * DAY) / SLOT);
    for (let first = 0, round = 0; first < slots; first += SCENES.length, round += 1) {
      const scenes = SCENES.map((scene): Scene => (round % 2 === 1 ? (TURNS[scene] ?? scene) : scene));
      for (const [n, scene] of this.#dice
        .shuffled(scenes)
        .slice(0, slots - first)
        .entries())
        this.#slot(first + n, scene);
    }
    // With dice of their own, so that what else a seed plans stays as it was before there were these.
    for (let slot = 0; slot < slots; slot += HANDS_EVERY)
      this.#hands(start + slot * SLOT, new Dice(seed * 1_009 + slot));
    for (const [day, at] of timesOf(ASLEEP.when, start, this.plan.end).entries())
      if (day % 2 === 0) this.plan.acts.push({ id: this.#id('act'), at, do: 'sleep', ms: ASLEEP.ms });
    this.plan.messages.sort((a, b) => a.at - b.at);
    this.plan.acts.sort((a, b) => a.at - b.at);
  }

  #id(kind: string): string {
    return `${kind}${(this.#ids += 1)}`;
  }

  #agent(not?: AgentName): AgentName {
    const others = AGENTS.filter((each) => each !== not);
    return others[this.#dice.int(0, others.length - 1)] ?? 'system';
  }

  #schedules(): void {
    const all = null;
    const book = this.#book;
    const chains: Omit<PlannedSchedule, 'order' | 'jitter' | 'missed'>[] = [
      { agent: 'system', name: 'report', when: { minute: 15, hours: [8], weekdays: all } },
      { agent: 'calendar', name: 'deadlines', when: { minute: 0, hours: [9, 17], weekdays: all } },
    ];
    book.file('report', 'system', `${REPORTS}/#.md`);
    book.file('deadlines', 'calendar', `${DEADLINES}/#.md`);
    // What triggers make of it, and of the rest that happens.
    book.line('sent-report', 'email', { text: 'sent-report #', anchor: anchorOf(0) });
    book.line('deadline-text', 'writing', { text: 'deadline-text #', anchor: anchorOf(0) });
    book.add('booking', 'calendar');
    book.add('changes', 'billing');
    book.add('look-after', 'system');
    for (const each of chains) this.plan.schedules.push({ ...each, jitter: 0, missed: 'once', order: each.name });
    const add = (agent: AgentName, name: string, when: When, more: { jitter?: number; missed?: string } = {}): void => {
      const order = book.line(name, agent, { text: `${name} #`, anchor: anchorOf(1 + this.plan.schedules.length) });
      this.plan.schedules.push({ agent, name, when, jitter: 0, missed: 'once', order: order.id, ...more });
    };
    // What fires most changes nothing: a landing is what costs a play most.
    const inbox = {
      agent: 'email',
      name: 'inbox',
      when: { everyMs: 2 * HOUR },
      order: book.add('inbox', 'email').id,
    } as const;
    this.plan.schedules.push({ ...inbox, jitter: 0, missed: 'once' });
    add('billing', 'night', { minute: 30, hours: [2], weekdays: all }, { missed: 'all' });
    add('writing', 'ideas', { minute: 10, hours: [6], weekdays: [1, 3, 5] }, { jitter: 5 * MINUTE });
    add('system', 'tidy', { minute: 30, hours: [3], weekdays: all }, { missed: 'skip' });
    add('calendar', 'week', { minute: 0, hours: [7], weekdays: [1, 2, 3, 4, 5] });
  }

  #slot(index: number, scene: Scene): void {
    const at = this.plan.start + index * SLOT;
    if (index % TALK_EVERY === 0) this.#talk(at + USUAL);
    if (this.#dice.int(1, 3) === 1) this.#hook(at + HOOKS);
    this.#scene(scene, at + SCENE);
    this.plan.acts.push({ id: this.#id('act'), at: at + OWNER, do: 'owner' });
  }

  /** Files in an inbox that are replaced, keyed, and no tasks at all; a person who stages, removes, rebases and rewrites. */
  #hands(at: number, dice: Dice): void {
    const book = this.#book;
    const act = (when: number, what: DistributiveOmit<Act, 'id' | 'at'>): void =>
      void this.plan.acts.push({ id: this.#id('act'), at: at + when, ...what });
    const [queue, agent] = [dice.pick(AGENTS), dice.pick(AGENTS)];
    const order = (): string => book.add(this.#id('o'), queue).id;
    const [before, after, one, two] = [order(), order(), order(), order()];
    const file = `${after}.json`;
    act(HANDS.inbox, { do: 'drop', queue, file, order: before });
    // Before it is claimed, or while it is read, or after.
    act(HANDS.inbox + dice.int(100, 2_500), { do: 'drop', queue, file, order: after, replaces: before });
    for (const each of [one, two])
      act(HANDS.inbox, { do: 'drop', queue, file: `${each}.json`, order: each, key: 'weekly' });
    for (const as of ['link', 'deep'] as const)
      act(HANDS.inbox, { do: 'bad', queue, file: `${this.#id('bad')}.json`, as });
    for (const what of ['stage', 'rebase'] as const) {
      act(HANDS[what], { do: what, ms: dice.int(80, 120) * 1_000 });
      this.#say(at + HANDS[what] + 10_000, book.line(this.#id('o'), agent));
    }
  }

  #say(at: number, order: Order, more: Partial<PlannedMessage> = {}): PlannedMessage {
    const id = this.#id('m');
    const text = `@${order.agent} Please. ${tagOf(order.id)}`;
    const message = { id, at, chat: `c${id}`, text, order: order.id, again: [], send: 'ok' as const, ...more };
    this.plan.messages.push(message);
    return message;
  }

  #hook(at: number): void {
    const dice = this.#dice;
    const again = dice.int(0, 1) === 0 ? [] : [dice.int(1, 3_000), 30 * MINUTE];
    this.plan.hooks.push({ id: this.#id('hook'), at, booking: dice.int(1, 5) > 1, again });
  }

  /** What people and agents do all day. */
  #talk(at: number): void {
    const book = this.#book;
    const agent = this.#agent();
    const [one, two, three] = [this.#id('o'), this.#id('o'), this.#id('o')];
    const own = this.#id('o');
    const kind = this.#dice.pick([
      'say',
      'line',
      'give',
      'fan',
      'hand',
      'ask',
      'escalate',
      'approve',
      'leave',
      'wait',
      'pass',
    ]);
    const other = this.#agent(agent);
    switch (kind) {
      case 'say':
        return void this.#say(at, book.add(own, agent));
      case 'line':
        return void this.#say(at, book.line(own, agent));
      case 'give':
        return void this.#say(at, book.give(own, agent, [book.line(one, other)]));
      case 'fan': {
        const children = [
          book.line(one, other),
          book.add(two, this.#agent(agent)),
          book.add(three, this.#agent(agent)),
        ];
        return void this.#say(at, book.give(own, agent, children));
      }
      case 'hand': {
        const first = this.#say(
          at,
          book.call(own, agent, 'hand_over', { agent: other, brief: 'It goes on with you.' }),
        );
        const next = book.line(one, other);
        return void this.#say(at + 5 * MINUTE, next, { chat: first.chat, text: `And now? ${tagOf(next.id)}` });
      }
      case 'ask':
        return void this.#say(at, book.call(own, agent, 'ask', { question: 'Which colour?' }));
      case 'escalate':
        return void this.#say(at, book.call(own, agent, 'escalate', { matter: 'This needs you.' }));
      case 'approve': {
        const path = `contracts/${own}.md`;
        return void this.#say(at, book.call(own, agent, 'write', { path, content: `- ${own}\n` }));
      }
      case 'pass':
        return void this.#say(at, book.pass(own, agent, { id: one, agent: other }));
      case 'leave':
        return void this.#say(at, book.leave(own, agent, book.add(one, other), book.line(two, this.#agent(agent))));
      case 'wait':
        return void this.#say(at, book.giveThenWait(own, agent, [book.add(one, other), book.add(two, other)]));
    }
  }

  #scene(scene: Scene, at: number): void {
    const dice = this.#dice;
    const act = (when: number, what: DistributiveOmit<Act, 'id' | 'at'>): void =>
      void this.plan.acts.push({ id: this.#id('act'), at: when, ...what });
    switch (scene) {
      case 'kill': {
        const boundary = dice.pick(KILLED_AT);
        const skip = boundary.startsWith('store') ? dice.int(0, 40) : dice.int(0, 2);
        const downMs = dice.pick([2_000, 20_000, 3 * MINUTE, 20 * MINUTE]);
        // A burst of changes waits when it comes.
        this.#say(at - MINUTE, this.#book.line(this.#id('o'), 'writing'));
        act(at - 1_000, { do: 'kill', boundary, skip, downMs });
        for (let n = 0; n < 2; n += 1) this.#talk(at + n * 50);
        this.#hook(at + dice.int(0, 100));
        return void this.#say(at, this.#book.line(this.#id('o'), this.#agent()));
      }
      case 'outage':
      case 'dead': {
        const kind = dice.pick(['rate', 'error', 'stall', 'truncated'] as const);
        const both = scene === 'dead';
        const from = at + 4 * MINUTE;
        const to = from + (both ? 40 : 2) * MINUTE;
        this.plan.outages.push({ id: this.#id('out'), from, to, kind: both ? 'error' : kind, both });
        return void this.#say(from + 5_000, this.#book.line(this.#id('o'), this.#agent()));
      }
      case 'conflict': {
        const place = { path: SHARED, anchor: anchorOf(dice.int(0, 29)) };
        const [first, second] = [this.#agent(), this.#agent()];
        this.#say(at + 2 * MINUTE, this.#book.line(this.#id('o'), first, { ...place, lastMs: 3_000 }));
        return void this.#say(at + 2 * MINUTE, this.#book.line(this.#id('o'), second, { ...place, lastMs: 20_000 }));
      }
      case 'person': {
        const agent = this.#agent();
        const place = { path: linesOf(agent), anchor: anchorOf(dice.int(10, 29)) };
        this.#say(at + 2 * MINUTE, this.#book.line(this.#id('o'), agent, { ...place, lastMs: 20_000 }));
        const id = this.#id('p');
        act(at + 20 * MINUTE, { do: 'commit', path: `${DEADLINES}/${id}.md`, text: `deadline ${id}` });
        return act(at + 2 * MINUTE + 10_000, { do: 'edit', ...place, text: this.#id('p') });
      }
      case 'full':
        act(at, { do: 'full', ms: dice.int(5, 40) * 1_000 });
        this.#say(at - 300, this.#book.line(this.#id('o'), this.#agent()));
        return this.#talk(at + 2_000);
      case 'jump': {
        const ms = dice.pick([-1, 1] as const) * dice.int(20, 200) * MINUTE;
        act(at + 10 * MINUTE, { do: 'jump', ms });
        act(at + 30 * MINUTE, { do: 'jump', ms: -ms });
        return this.#talk(at + 20 * MINUTE);
      }
      default:
        return this.#quietScene(scene, at, act);
    }
  }

  #late(at: number): void {
    const [own, one] = [this.#id('o'), this.#id('o')];
    const agent = this.#agent();
    this.#say(at + 10 * MINUTE, this.#book.late(own, agent, { id: one, agent: this.#agent(agent) }));
  }

  /** What people do, and what a platform does with it. */
  #quietScene(
    scene: Exclude<Scene, Violent>,
    at: number,
    act: (when: number, what: DistributiveOmit<Act, 'id' | 'at'>) => void,
  ): void {
    const dice = this.#dice;
    switch (scene) {
      case 'mail':
        this.#say(at, this.#book.line(this.#id('o'), this.#agent()), { again: [dice.int(1, 3_000), 5 * MINUTE] });
        this.#late(at);
        return void this.#say(at + MINUTE, this.#book.add(this.#id('o'), this.#agent()), {
          send: dice.pick(['failed', 'arrives-unsure', 'lost-unsure'] as const),
        });
      case 'silent': {
        const [one, two] = [this.#id('o'), this.#id('o')];
        const path = `contracts/${one}.md`;
        const signed = this.#book.call(one, this.#agent(), 'write', { path, content: `- ${one}\n` });
        this.#say(at, signed, { silent: true });
        const asks = this.#book.call(two, this.#agent(), 'ask', { question: 'Is anybody there?' });
        this.#say(at + 1_000, asks, { silent: true });
        return;
      }
      case 'drop': {
        const queue = this.#agent();
        this.#late(at);
        const order = this.#book.line(this.#id('o'), queue).id;
        act(at, { do: 'drop', queue, file: `${order}.json`, order });
        return act(at + 20 * MINUTE, { do: 'drop', queue, file: `${order}.json`, order });
      }
      case 'pause': {
        const agent = this.#agent();
        this.#say(at - 300, this.#book.line(this.#id('o'), agent, { lastMs: 2_000 }));
        act(at, { do: 'pause', agent });
        this.#say(at + MINUTE, this.#book.line(this.#id('o'), agent));
        return act(at + 25 * MINUTE, { do: 'resume', agent });
      }
      case 'reschedule':
        // While it is due: the next firing is at most a moment away.
        return act(at + dice.int(-2_000, 2_000), {
          do: 'reschedule',
          schedule: 2,
          // Never as it was before: that would be no edit.
          when: { everyMs: (60 + 10 * ((this.#edits += 1) % 6) + dice.int(0, 9)) * MINUTE },
        });
    }
  }
}

type Violent = 'kill' | 'outage' | 'dead' | 'conflict' | 'person' | 'full' | 'jump';
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
