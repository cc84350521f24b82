// A record that is put together by hand, as a play would leave one.
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlobRef } from '../../src/core/blob.ts';
import type { DataOf, Event, EventType } from '../../src/core/event.ts';
import type { Task, TaskStatus } from '../../src/core/task.ts';
import { HOUR, MINUTE } from '../../src/simulate/calendar.ts';
import type { Plan, PlannedMessage } from '../../src/simulate/plan.ts';
import { eventOf } from '../fakes/event.ts';
import type { Commit, Played } from '../../src/simulate/record.ts';
import type { Entry } from '../../src/simulate/world.ts';

export const START = Date.UTC(2026, 9, 20, 8);
export const HOOK = 'bookings';
type NewEntry = Entry extends infer E ? (E extends Entry ? Omit<E, 't' | 'wall'> : never) : never;

/** Where in the story something stands. */
export const minutes = (count: number): number => START + count * MINUTE;

export interface Work {
  task: string;
  run: string;
  /** The event that tells of its landing. */
  landed: string;
  commit: string;
}

/** How a piece of work came about. */
interface Coming {
  from: string;
  /** `#` of its lines. */
  n?: string;
  says?: string;
  status?: TaskStatus;
  deadline?: number;
  queue?: string;
}

export class Story implements Played {
  readonly plan: Plan;
  world: Entry[] = [];
  events: Event[] = [];
  tasks: Task[] = [];
  commits: Commit[] = [{ commit: 'c0', run: null, added: [], paths: ['ruche.yaml'] }];
  /** By path, what `main` holds. */
  readonly files = new Map<string, string[]>();
  /** By hash. */
  readonly texts = new Map<string, string>();
  /** By task. */
  readonly orders = new Map<string, string>();
  readonly home: string;
  readonly workspace: string;
  verified: Played['verified'] = {
    findings: [],
    notes: [],
    counts: { events: 0, blobs: 0, erased: 0, lines: 0, commits: 0 },
  };
  blobs = { broken: [] as string[], count: 0 };
  /** What Git says to each of its commands; its files are those of `main`. */
  readonly said: Record<string, string> = { status: '', 'for-each-ref': '', worktree: '/workspace c0 [main]\n' };
  now = START;

  constructor() {
    const dir = mkdtempSync(join(tmpdir(), 'ruche-sound-'));
    [this.home, this.workspace] = [join(dir, 'home'), join(dir, 'workspace')];
    mkdirSync(this.home);
    mkdirSync(join(this.workspace, '.git'), { recursive: true });
    const lists = { orders: {}, schedules: [], messages: [], hooks: [], acts: [], outages: [] };
    const end = START + 5 * HOUR;
    this.plan = { seed: 0, days: 1, start: START, end, switchAt: end, ...lists };
  }

  text = (ref: BlobRef | null): string => this.texts.get(ref?.hash ?? '') ?? '';
  orderOf = (task: string): string | null => this.orders.get(task) ?? null;
  file = (path: string): string => this.files.get(path)?.join('\n') ?? '';
  git = (command = ''): string =>
    command === 'ls-tree' ? [...this.files.keys()].join('\n') : (this.said[command] ?? '');

  blob(text: string): BlobRef {
    const hash = `h${this.texts.size}`;
    this.texts.set(hash, text);
    return { hash, size: text.length, subject: 's' };
  }

  event<T extends EventType>(type: T, stream: string, data: DataOf<T>): string {
    const seq = this.events.length + 1;
    this.events.push(eventOf(seq, type, data, { stream, at: this.now }));
    return `evt_${seq}`;
  }

  note(entry: NewEntry): void {
    this.world.push({ t: this.now, wall: this.now, ...entry });
  }

  /** A commit of these lines, by a run or a person. */
  commit(run: string | null, lines: readonly { path: string; text: string }[]): string {
    const commit = `c${this.commits.length}`;
    const paths = [...new Set(lines.map(({ path }) => path))];
    this.commits.push({ commit, run, added: [...lines], paths });
    for (const { path, text } of lines) this.files.set(path, [...(this.files.get(path) ?? []), `- ${text}`]);
    return commit;
  }

  /** A task that is there, and under way. */
  begin(order: string, { from, n = '1', says = '', deadline, queue }: Coming): Work {
    const number = this.tasks.length + 1;
    const [task, run] = [`tsk_${number}`, `run_${number}`];
    const { agent = 'system' } = this.plan.orders[order] ?? {};
    const content = this.blob(`${says} [order ${order}.${n}]`);
    this.tasks.push({
      id: task,
      queue: queue ?? agent,
      lane: task,
      agent,
      session: task,
      from,
      content,
      priority: 0,
      notBefore: null,
      deadline: deadline ?? null,
      key: null,
      attempt: 1,
      maxAttempts: 3,
      status: 'running',
      labels: [],
      cause: null,
      absorbedBy: null,
      result: null,
    });
    this.orders.set(task, order);
    this.event('task.queued', `task:${task}`, { task: this.#task(task) });
    const about = { agent, session: task, attempt: 1, config: 'c0', base: 'c0' };
    this.event('run.started', `run:${run}`, { run, task, ...about });
    return { task, run, landed: '', commit: '' };
  }

  /** Its lines land, if it has any. */
  land(work: Work, lines: readonly { path: string; text: string }[]): Work {
    if (lines.length === 0) return work;
    const commit = this.commit(work.run, lines);
    const landed = this.event('landing.finished', `run:${work.run}`, { commit, paths: lines.length });
    return { ...work, commit, landed };
  }

  end(work: Work, text: string, status: TaskStatus = 'done'): Work {
    const result = this.blob(JSON.stringify({ text }));
    Object.assign(this.#task(work.task), { status });
    this.event('task.finished', `task:${work.task}`, { task: work.task, run: work.run, status, result });
    return work;
  }

  /** A piece of work from its beginning to its end. */
  do(order: string, coming: Coming): Work {
    const { n = '1', status = 'done' } = coming;
    const lines = this.plan.orders[order]?.lines ?? [];
    const begun = this.begin(order, coming);
    if (status !== 'done') return this.end(begun, `no model answers`, status);
    const filled = lines.map(({ path, text }) => ({ path: path.replace('#', n), text: text.replace('#', n) }));
    return this.end(this.land(begun, filled), `done ${order} ${n}`);
  }

  /** A message that arrives, leads to what `act` does, and is replied to. */
  message(id: string, order: string, act: () => Work, more: Partial<PlannedMessage> = {}): Work {
    const message = {
      id,
      at: this.now,
      chat: `c${id}`,
      text: `[order ${order}]`,
      order,
      again: [],
      send: 'ok' as const,
    };
    this.plan.messages.push({ ...message, ...more });
    this.note({ kind: 'taken', message: id, repeat: 0 });
    const next = `tsk_${this.tasks.length + 1}`;
    const about = { agent: 'system', session: id, channel: 'chat', from: 'p', replyTo: `c${id}/${id}` };
    this.event('message.received', `conv:system/${id}`, { ...about, content: this.blob(message.text), task: next });
    return act();
  }

  reply(id: string, work: Work, text: string): void {
    const key = `msg_${work.task}`;
    this.note({ kind: 'arrived', to: `c${id}/${id}`, key, again: false, text, asks: null });
    const sent = { message: key, channel: 'chat', receipt: 'r', repeated: false };
    this.event('message.sent', `conv:system/${id}`, sent);
  }

  /** One task gives others to agents and goes on with their results. */
  hand(giver: Work, children: readonly (() => Work)[]): void {
    const made = children.map((child) => {
      const work = child();
      this.event('task.created', `run:${giver.run}`, { call: 'call_1', child: work.task, to: 'agent', joined: false });
      return work;
    });
    const ids = made.map(({ task }) => task);
    this.event('tasks.awaited', `run:${giver.run}`, { call: 'call_1', children: ids });
    const results = ids.map((id) => `${id}: ${this.#resultOf(id)}`).join('\n');
    this.returned(giver, 'call_1', results);
  }

  returned({ run }: Work, call: string, text: string): void {
    const about = { call, tool: 'task', ok: true, labels: [], ms: 1, reconciled: false };
    this.event('tool.returned', `run:${run}`, { ...about, result: this.blob(text) });
  }

  #task(id: string): Task {
    const task = this.tasks.find((each) => each.id === id);
    if (task === undefined) throw new Error(`no task ${id}`);
    return task;
  }

  #resultOf(task: string): string {
    const end = this.events.find((event) => event.type === 'task.finished' && event.data.task === task);
    return end?.type === 'task.finished' ? this.text(end.data.result) : '';
  }
}
