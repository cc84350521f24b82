import { standingOf, withMore } from '../fakes/no-standing.ts';
import type { AgentState, Delta, Pending, Runtime, RuntimeStatus, TaskOutcome } from '../../src/core/api/runtime.ts';
import { Ruled } from './ruled.ts';
import type { EscalationState } from '../../src/core/escalation.ts';
import type { ScheduleState } from '../../src/core/schedule.ts';
import type { TriggerDesk } from '../../src/core/trigger.ts';
import { noEscalations, noSchedules, noTriggers } from '../fakes/no-schedules.ts';
import { isEnded, type TaskStatus } from '../../src/core/task.ts';
import {
  BOARD_COLUMNS,
  type BoardCard,
  type BoardColumn,
  type BoardView,
  type ChainNode,
  type NetEntry,
  type ConversationEntry,
  type ConversationSummary,
  type DiffView,
  type ModelDesk,
  type RunsPage,
  type RunsQuery,
  type RunStep,
  type RunView,
  type SetupRequest,
  type Standing,
  type ViewChange,
  type Views,
} from '../../src/core/api/views.ts';

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

const standing = (state: Standing['state'], why = '', can: Standing['can'] = []): Standing => ({
  state,
  why,
  can,
  since: null,
  next: null,
});
export const STANDINGS: Record<TaskStatus, Standing> = {
  queued: standing('queued', 'It starts in a moment.', ['cancel']),
  running: standing('working', 'It is running.', ['cancel']),
  waiting: standing('waiting', 'It waits for your approval.', ['approve', 'cancel']),
  done: standing('answered', 'It was answered.'),
  failed: standing('failed', 'The model refused the key.', ['retry']),
  dead: standing('failed', 'It failed 3 times.', ['retry']),
  cancelled: standing('cancelled', 'It was cancelled by the owner.', ['retry']),
};

export interface Item extends RunView {
  entries: ConversationEntry[];
  pending: Pending[];
  diff: DiffView | null;
  /** Told around it, in the place of its own line. */
  chain?: ChainNode[];
}

const COLUMN: Record<TaskStatus, BoardColumn | null> = {
  queued: 'queued',
  running: 'working',
  waiting: 'person',
  done: 'today',
  failed: 'failed',
  dead: 'failed',
  cancelled: null,
};

/** Nobody to approve and nothing to answer: it waits for other tasks. */
const columnOf = ({ status, standing: { can } }: Item): BoardColumn | null =>
  status === 'waiting' && !can.includes('approve') && !can.includes('answer') ? 'tasks' : COLUMN[status];

/** An engine that does what a test tells it, as the gateway sees one; what is told is read back through the views. */
export class Scene {
  readonly items: Item[] = [];
  readonly exact = new Map<string, string>();
  readonly files = new Map<string, { name: string; mediaType: string; bytes: Uint8Array }>();
  /** What was asked of it, as `verb argument`. */
  readonly asked: string[] = [];
  readonly setups: SetupRequest[] = [];
  agents: AgentState[] = [agent('assistant'), agent('email')];
  schedules: ScheduleState[] = [];
  triggers: TriggerDesk = noTriggers;
  escalations: EscalationState[] = [];
  readonly ruled = new Ruled(() => this.agents);
  demo = true;
  offer: RuntimeStatus['offer'] = null;
  /** Called for each new message. */
  onMessage: (item: Item) => void = () => undefined;
  readonly #listeners = new Map<string, Set<(delta: Delta) => void>>();
  readonly #watchers = new Set<(change: ViewChange) => void>();
  readonly streams = (): number => this.#watchers.size;
  readonly #said = new Map<string, Delta[]>();
  #seq = 0;
  #clock: () => number;

  constructor(clock: () => number = Date.now) {
    this.#clock = clock;
  }

  add(fields: Partial<Item> & { title: string }): Item {
    const n = this.items.length + 1;
    const status = fields.status ?? 'done';
    const at = this.#clock();
    const item: Item = {
      task: `tsk_${n}`,
      run: `run_${n}`,
      agent: 'assistant',
      session: `s${n}`,
      from: 'owner',
      channel: 'http',
      status,
      standing: STANDINGS[status],
      queuedAt: at,
      startedAt: at,
      endedAt: isEnded(status) ? at + 2_400 : null,
      deadline: null,
      priority: 0,
      steps: 1,
      model: 'scripted/large',
      usage: { input: 1_240, output: 310, cacheRead: 0, cacheWrite: 0 },
      costUsd: 0.0123,
      commit: null,
      request: fields.title,
      reply: null,
      base: 'b',
      config: 'c',
      list: [],
      entries: [],
      pending: [],
      diff: null,
      ...fields,
    };
    const { session, agent: name, task, run, channel, from } = item;
    const message: ConversationEntry = {
      kind: 'message',
      id: this.#id(),
      at: item.queuedAt,
      from,
      channel,
      text: item.request,
      files: [],
      task,
      run,
      answers: null,
      repeats: null,
      standing: item.standing,
    } as const;
    item.entries.push(message);
    this.items.push(item);
    if (item.reply !== null) this.#reply(item, item.reply);
    this.change(item, { agent: name, session });
    return item;
  }

  /** Changes how an item stands, and tells the watchers. */
  set(item: Item, part: Partial<Item>): void {
    if (part.status !== undefined && part.standing === undefined) part.standing = STANDINGS[part.status];
    Object.assign(item, part);
    for (const entry of item.entries) if (entry.kind === 'message') entry.standing = item.standing;
    this.change(item);
  }

  emit(item: Item, delta: DistributiveOmit<Delta, 'task' | 'run'>): void {
    const whole = { ...delta, task: item.task, run: item.run ?? '' } as Delta;
    this.#said.set(item.task, [...(this.#said.get(item.task) ?? []), whole]);
    for (const listener of this.#listeners.get(item.task) ?? []) listener(whole);
  }

  say(item: Item, text: string, step = 1): void {
    const before = (this.#said.get(item.task) ?? []).filter((each) => each.kind === 'text' && each.step === step);
    const offset = before.reduce((sum, each) => sum + (each.kind === 'text' ? each.text.length : 0), 0);
    this.emit(item, { kind: 'text', step, offset, text });
  }

  finish(item: Item, reply: string, part: Partial<Item> = {}): void {
    this.#reply(item, reply);
    this.#said.delete(item.task);
    this.set(item, { status: 'done', reply, endedAt: this.#clock(), ...part });
  }

  change(item: Item | null, part: Partial<ViewChange> = {}): void {
    this.#seq += 1;
    const { task = null, run = null, agent: name = null, session = null } = item ?? {};
    for (const watcher of this.#watchers) watcher({ task, run, agent: name, session, seq: this.#seq, ...part });
  }

  #id(): string {
    this.#seq += 1;
    return `evt_${this.#seq}`;
  }

  #reply(item: Item, text: string): void {
    const { task, run, costUsd, commit } = item;
    const delivery = { state: 'fetched', repeated: false, error: '' } as const;
    const at = item.endedAt ?? this.#clock();
    item.entries.push({ kind: 'reply', id: this.#id(), at, task, run, text, files: [], commit, costUsd, delivery });
  }

  grants: Awaited<ReturnType<Runtime['standing']['grants']>> = [];
  find(task: string): Item | undefined {
    return this.items.find((item) => item.task === task || item.run === task);
  }

  #settled(item: Item): TaskOutcome {
    const { task, run, agent: name, session, status, commit, pending, usage, costUsd, reply } = item;
    const rest = { commit, message: null, cut: false, waits: pending, usage, costUsd };
    return { task, run, agent: name, session, status, text: reply ?? '', ...rest };
  }

  readonly runtime: Runtime = {
    standing: standingOf(this),
    deliver: async ({ agent: name, session, text, externalId, files = [] }) => {
      const known = this.items.find((item) => item.base === externalId);
      if (known) return { ok: true, delivered: { task: known.task, joined: true } };
      this.asked.push(`deliver ${text}`);
      for (const file of files) this.files.set(file.name, file);
      const item = this.add({ title: text, agent: name, session, status: 'running', base: externalId });
      setImmediate(() => this.onMessage(item));
      return { ok: true, delivered: { task: item.task, joined: false } };
    },
    task: async (id) => {
      const item = this.find(id);
      return item ? this.#settled(item) : null;
    },
    settled: async (id) => this.#settled(this.find(id) ?? this.add({ title: '' })),
    listen: (task, listener) => {
      const listeners = this.#listeners.get(task) ?? new Set();
      this.#listeners.set(task, listeners.add(listener));
      return () => void listeners.delete(listener);
    },
    recent: (task) => this.#said.get(task) ?? [],
    delivered: async () => undefined,
    pending: async () => this.items.flatMap((item) => item.pending),
    approve: async (id, verdict, _by, more = {}) => this.#answered(withMore(`${verdict} ${id}`, more), id),
    answer: async (id, text) => this.#answered(`answer ${text}`, id),
    cancel: async (task) => {
      this.asked.push(`cancel ${task}`);
      const item = this.find(task);
      if (item) this.set(item, { status: 'cancelled' });
      return item !== undefined;
    },
    retry: async (task) => {
      this.asked.push(`retry ${task}`);
      const item = this.find(task);
      if (!item) return { ok: false, why: 'unknown', message: 'This task does not exist.' };
      this.set(item, { status: 'running' });
      return { ok: true, task, message: 'evt_1' };
    },
    dismiss: async (task) => {
      this.asked.push(`dismiss ${task}`);
      const item = this.find(task);
      if (item) this.set(item, { status: 'cancelled' });
      return true;
    },
    pair: async () => ({ ok: false, message: 'no channels here' }),
    agents: async () => this.agents,
    triggers: {
      ...noTriggers,
      list: () => this.triggers.list(),
      pause: (id, by) => this.triggers.pause(id, by),
      resume: (id, by) => this.triggers.resume(id, by),
    },
    schedules: {
      ...noSchedules,
      list: async () => this.schedules,
      run: async (id) => this.#fire(id),
      pause: async (id) => this.#schedule(id, { paused: true }, 'pause'),
      resume: async (id) => this.#schedule(id, { paused: false }, 'resume'),
    },
    escalations: {
      ...noEscalations,
      list: async () => this.escalations,
      acknowledge: async (id, by) => {
        this.asked.push(`ack ${id}`);
        for (const each of this.escalations) if (each.id === id) each.acknowledged = { at: this.#clock(), by };
        this.change(null);
        return 'done';
      },
    },
    agentsToday: async () => this.agents,
    pauseAgent: async (name, by, reason) => this.#pause(name, { at: this.#clock(), by, reason }),
    resumeAgent: async (name) => this.#pause(name, null),
    status: async () => this.#status(),
    metrics: async () => '',
  };

  #pause(name: string, paused: AgentState['paused']): boolean | null {
    const state = this.agents.find((each) => each.name === name);
    if (!state) return null;
    this.asked.push(paused ? `pause ${name} ${paused.reason}` : `resume ${name}`);
    state.paused = paused;
    this.change(null);
    return true;
  }

  #schedule(id: string, part: Partial<ScheduleState>, verb: string): boolean {
    this.asked.push(`${verb} ${id}`);
    this.schedules = this.schedules.map((each) => (each.id === id ? { ...each, ...part } : each));
    this.change(null);
    return this.schedules.some((each) => each.id === id);
  }

  #fire(id: string): string {
    const { task } = this.add({ title: `fired by ${id}`, status: 'running' });
    this.#schedule(id, { last: { at: this.#clock(), task, status: 'running' } }, 'run');
    return task;
  }

  async #answered(asked: string, id: string): Promise<{ ok: true; task: string | null }> {
    this.asked.push(asked);
    const item = this.items.find((each) => each.pending.some((wait) => wait.id === id));
    if (item) this.set(item, { pending: [], status: 'running' });
    return { ok: true, task: item?.task ?? null };
  }

  #status(): RuntimeStatus {
    const tasks = { queued: 0, running: 0, waiting: 0, done: 0, failed: 0, dead: 0, cancelled: 0 };
    for (const item of this.items) tasks[item.status] += 1;
    const rest = {
      sandbox: 'bwrap',
      channels: [],
      workspace: '/home/ann/company',
      home: '/home/ann/.ruche',
      pending: 0,
      problems: [],
    };
    const { demo, offer } = this;
    const model = demo ? 'demo/demo' : 'scripted/large';
    const at = { startedAt: 0, journal: { head: this.#seq, exported: this.#seq } };
    return { version: '0.1.0', ready: true, notReady: null, model, demo, offer, tasks, ...rest, ...at };
  }

  /** What left over the network, newest first. */
  sent: NetEntry[] = [];

  readonly views: Views = {
    conversations: async (limit, text = '') => {
      const talks = new Map<string, ConversationSummary>();
      for (const { agent: name, session, title, channel, queuedAt, standing: now } of this.items) {
        const known = talks.get(`${name}/${session}`);
        talks.set(`${name}/${session}`, {
          agent: name,
          session,
          title: known?.title ?? title,
          channel,
          lastAt: queuedAt,
          messages: (known?.messages ?? 0) + 1,
          standing: now,
        });
      }
      const holds = ({ title }: ConversationSummary): boolean => title.toLowerCase().includes(text.toLowerCase());
      return [...talks.values()].reverse().filter(holds).slice(0, limit);
    },
    conversation: async (name, session, before, limit) => {
      const all = this.items.filter((item) => item.agent === name && item.session === session);
      const entries = all.flatMap((item) => item.entries);
      const end = before === null ? entries.length : entries.findIndex((entry) => entry.id === before);
      const from = Math.max(0, end - limit);
      if (all.length === 0) return null;
      return {
        agent: name,
        session,
        entries: entries.slice(from, end),
        earlier: from > 0 ? (entries[from]?.id ?? null) : null,
      };
    },
    runs: async (query) => this.#runs(query),
    board: async (query) => this.#board(query),
    chain: async (id) => {
      const item = this.find(id);
      return item ? { task: item.task, nodes: item.chain ?? [lineOf(item)] } : null;
    },
    run: async (id) => this.find(id) ?? null,
    exact: async (_run, hash) => this.exact.get(hash) ?? null,
    diff: async (id) => this.find(id)?.diff ?? null,
    file: async (_agent, _session, hash) => this.files.get(hash) ?? null,
    origin: async () => null,
    net: async ({ agent: name = '', limit }) => ({
      sent: this.sent.filter((each) => each.agent === name).slice(0, limit),
      next: null,
    }),
    failures: async () =>
      this.items
        .filter((item) => item.status === 'failed' || item.status === 'dead')
        .map(({ task, run, agent: name, session, title, queuedAt, standing: now }) => ({
          task,
          run,
          agent: name,
          session,
          title,
          at: queuedAt,
          why: now.why,
          canRetry: true,
        })),
    watch: (listener) => {
      this.#watchers.add(listener);
      return () => void this.#watchers.delete(listener);
    },
  };

  #board({ agent: only, cards }: { agent?: string; cards: number }): BoardView {
    const names = [...new Set(this.items.map((item) => item.agent))].filter(
      (name) => only === undefined || name === only,
    );
    const lanes = names.sort().map((name) => ({
      agent: name,
      cells: BOARD_COLUMNS.map((column) => {
        const all = this.items.filter((item) => item.agent === name && columnOf(item) === column);
        return { column, total: all.length, cards: all.slice(0, cards).map((item): BoardCard => item) };
      }).filter((cell) => cell.total > 0),
    }));
    return { lanes };
  }

  #runs({ agent: name, status, column, text = '', probes = true, after, limit = 50 }: RunsQuery): RunsPage {
    const isProbe = ({ from, model }: Item): boolean => from.startsWith('schedule:') && model === 'script';
    const fitting = this.items
      .filter((item) => name === undefined || item.agent === name)
      .filter((item) => column === undefined || columnOf(item) === column)
      .filter((item) => !status || status.length === 0 || status.includes(item.status))
      .filter((item) => item.title.toLowerCase().includes(text.toLowerCase()))
      .reverse();
    const found = fitting.filter((item) => probes || !isProbe(item));
    const from = after === undefined ? 0 : Number(after.replace('evt_', ''));
    const next = from + limit < found.length ? `evt_${from + limit}` : null;
    return { runs: found.slice(from, from + limit), next, total: found.length, probes: fitting.length - found.length };
  }

  readonly desk: ModelDesk = {
    makers: ['anthropic', 'openai', 'gemini'],
    servers: ['ollama'],
    list: async () => {
      const model = this.demo ? 'demo/demo' : 'scripted/large';
      return { model, demo: this.demo, providers: [], models: [] };
    },
    test: async (ref) => ({
      ref,
      ok: true,
      ms: 640,
      costUsd: 1e-4,
      said: 'ok',
      usage: {
        input: 1,
        output: 1,
        cacheRead: 0,
        cacheWrite: 0,
      },
    }),
    setup: async (request) => {
      this.setups.push(request);
      if (request.kind === 'key' && request.key?.includes('wrong'))
        return { ok: false, field: 'key', message: 'The provider refused this key.' };
      this.demo = false;
      return { ok: true, model: 'scripted/large', said: 'Hello.' };
    },
  };
}

/** An item as a line of a chain. */
export const lineOf = (item: Item, depth = 0): ChainNode => ({
  kind: 'task',
  depth,
  at: item.queuedAt,
  task: item.task,
  agent: item.agent,
  title: item.title,
  from: item.from,
  status: item.status,
  standing: item.standing,
  result: item.reply ?? '',
  commit: item.commit,
  costUsd: item.costUsd,
});

export const agent = (name: string): AgentState => ({
  name,
  description: `The ${name} of this company.`,
  models: ['scripted/large'],
  queued: 0,
  running: 0,
  nextFiring: null,
  waiting: 0,
});

export const call = (fields: Partial<Extract<RunStep, { kind: 'call' }>>): RunStep => ({
  kind: 'call',
  call: 's1c1',
  tool: 'shell',
  args: '{"command":"ls"}',
  at: 0,
  decision: null,
  approval: null,
  question: null,
  startedAt: null,
  ms: null,
  ok: null,
  result: null,
  labels: [],
  full: null,
  ...fields,
});
