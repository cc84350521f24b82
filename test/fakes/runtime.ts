import { noStanding } from './no-standing.ts';
import type { Event } from '../../src/core/event.ts';
import { NO_USAGE } from '../../src/core/model.ts';
import type { InboundMessage } from '../../src/core/ports/channel.ts';
import type {
  AgentState,
  Delta,
  Paused,
  Pending,
  Runtime,
  RuntimeStatus,
  TaskOutcome,
} from '../../src/core/api/runtime.ts';
import { unknownText } from '../../src/core/text/unknown.ts';
import { describeWaits } from '../../src/runtime/outcome.ts';
import { noEscalations, noSchedules, noTriggers } from './no-schedules.ts';
import { isEnded } from '../../src/core/task.ts';

/** What a script may do in the place of a model and its tools. */
export interface FakeRun {
  task: string;
  text: string;
  /** Streams a piece of a step's text. */
  say(text: string, step?: number): void;
  emit(delta: DistributiveOmit<Delta, 'task' | 'run'>): void;
  /** What it has done waits for something that a person has to mend, and it is queued meanwhile. */
  hinder(text: string): void;
  /** The provider of its model is down, and it is queued until then. */
  later(at: number, text: string): void;
  approval(tool: string, shown: string): Promise<'approve' | 'deny'>;
  question(text: string): Promise<string>;
}
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** Resolves to the answer; a throw fails the run with its message. */
export type Script = (run: FakeRun) => Promise<string>;

export interface Delivery {
  message: InboundMessage;
  history: { role: string; text: string }[];
  task: string;
}

interface FakeTask {
  outcome: TaskOutcome;
  message: InboundMessage;
  /** Of a request that names no conversation. */
  bytes: string;
  delivered: boolean;
  watchers: Set<() => void>;
  listeners: Set<(delta: Delta) => void>;
  /** Streamed text of each step, so that pieces carry their offset. */
  said: Map<number, string>;
  waits: Map<string, (answer: string) => void>;
}

export interface FakeRuntime extends Runtime {
  deliveries: Delivery[];
  deliveredMessages: string[];
  state: {
    ready: boolean;
    notReady: string | null;
    stopping: boolean;
    /** Messages that were refused because of it. */
    refused: number;
    /** Calls of `deliver`. */
    requests: number;
    agents: string[];
    offer: RuntimeStatus['offer'];
    listeners(): number;
  };
}

/** The engine as the gateway sees it, in memory: lanes in order, joins, parked runs, and a script for each run. */
export function fakeRuntime(script: Script): FakeRuntime {
  const tasks = new Map<string, FakeTask>();
  const answered = new Map<string, { task: string; verdict: 'approve' | 'deny' | null }>();
  const lanes = new Map<string, Promise<void>>();
  const runtime: Pick<FakeRuntime, 'deliveries' | 'deliveredMessages' | 'state'> = {
    deliveries: [],
    deliveredMessages: [],
    state: {
      ready: true,
      notReady: null,
      stopping: false,
      refused: 0,
      requests: 0,
      agents: ['assistant', 'email'],
      offer: null,
      listeners: () => [...tasks.values()].reduce((sum, task) => sum + task.listeners.size, 0),
    },
  };
  let next = 0;
  const paused = new Map<string, Paused>();
  const states = (): AgentState[] =>
    runtime.state.agents.map((name) => ({
      name,
      description: `The agent ${name}.`,
      models: ['demo/demo'],
      queued: 0,
      running: 0,
      waiting: 0,
      nextFiring: null,
      paused: paused.get(name) ?? null,
    }));

  const change = (task: FakeTask, part: Partial<TaskOutcome>): void => {
    Object.assign(task.outcome, part);
    for (const watcher of task.watchers) watcher();
  };
  const laneOf = (message: InboundMessage): string => `${message.agent}/${message.session}`;
  const newTask = (message: InboundMessage): FakeTask => {
    next += 1;
    const task: FakeTask = {
      outcome: {
        task: `tsk_${next}`,
        run: `run_${next}`,
        agent: message.agent,
        session: message.session,
        status: 'queued',
        text: '',
        commit: null,
        message: null,
        cut: false,
        waits: [],
        usage: { ...NO_USAGE, input: 12, output: 3 },
        costUsd: 0,
      },
      message,
      bytes: '',
      delivered: false,
      watchers: new Set(),
      listeners: new Set(),
      said: new Map(),
      waits: new Map(),
    };
    tasks.set(task.outcome.task, task);
    return task;
  };
  const emit = (task: FakeTask, delta: DistributiveOmit<Delta, 'task' | 'run'>): void => {
    const whole = { ...delta, task: task.outcome.task, run: task.outcome.run ?? '' } as Delta;
    for (const listener of task.listeners) listener(whole);
  };
  const park = (task: FakeTask, pending: Pick<Pending, 'kind' | 'tool' | 'text' | 'reason'>): Promise<string> =>
    new Promise((resolve) => {
      next += 1;
      const { task: id, run, agent, session } = task.outcome;
      const wait: Pending = {
        id: `${pending.kind === 'approval' ? 'apr' : 'qst'}_${next}`,
        run,
        task: id,
        agent,
        session,
        at: 0,
        ...pending,
      };
      task.waits.set(wait.id, resolve);
      const waits = [...task.outcome.waits, wait];
      change(task, { status: 'waiting', waits, text: describeWaits(waits) });
    });
  const resume = (task: FakeTask, id: string, answer: string): void => {
    const resolve = task.waits.get(id);
    task.waits.delete(id);
    change(task, { status: 'running', waits: task.outcome.waits.filter((wait) => wait.id !== id), text: '' });
    resolve?.(answer);
  };
  const work = async (task: FakeTask): Promise<void> => {
    // Later than the caller of deliver(), who wants to listen first.
    await new Promise((resolve) => setImmediate(resolve));
    if (isEnded(task.outcome.status)) return;
    change(task, { status: 'running', waits: [] });
    const run: FakeRun = {
      task: task.outcome.task,
      text: task.message.text,
      say(text, step = 1) {
        const said = task.said.get(step) ?? '';
        emit(task, { kind: 'text', step, offset: said.length, text });
        task.said.set(step, said + text);
      },
      emit(delta) {
        if (delta.kind === 'discard') task.said.clear();
        emit(task, delta);
      },
      hinder(text) {
        emit(task, { kind: 'retrying', text });
        change(task, { status: 'queued', text });
      },
      later(at, text) {
        emit(task, { kind: 'retrying', text, until: at });
        change(task, { status: 'queued', later: { at, text } });
      },
      approval: async (tool, shown) =>
        (await park(task, { kind: 'approval', tool, text: shown, reason: 'A rule asks for it.' })) as
          | 'approve'
          | 'deny',
      question: (text) => park(task, { kind: 'question', tool: null, text, reason: 'The agent asks.' }),
    };
    next += 1;
    const message = `evt_${next}`;
    try {
      const text = await script(run);
      if (!isEnded(task.outcome.status)) change(task, { status: 'done', text, message, later: undefined });
    } catch (error) {
      change(task, { status: 'failed', text: error instanceof Error ? error.message : 'failed', message });
    }
  };
  const parkedIn = (lane: string): FakeTask | undefined =>
    [...tasks.values()].find((task) => task.outcome.status === 'waiting' && laneOf(task.message) === lane);

  return {
    ...runtime,
    standing: noStanding,
    async deliver(message, options = {}) {
      runtime.state.requests += 1;
      if (runtime.state.stopping) {
        runtime.state.refused += 1;
        return { ok: false, why: 'stopping', message: 'Ruche is stopping.' };
      }
      const { agents } = runtime.state;
      if (!agents.includes(message.agent)) {
        const said = unknownText('agent', message.agent, { known: agents });
        return { ok: false, why: 'unknown-agent', message: said };
      }
      if (message.text.length > 2_000_000) return { ok: false, why: 'too-large', message: 'The message is too large.' };
      const lane = laneOf(message);
      const { request } = options;
      const known = [...tasks.values()].find(
        (task) =>
          (request?.again === true && task.bytes === request.bytes && !task.delivered) ||
          (message.chat !== undefined &&
            task.message.chat === message.chat &&
            task.message.externalId === message.externalId) ||
          (laneOf(task.message) === lane &&
            (task.message.externalId === message.externalId ||
              (options.join === true && !task.delivered && task.message.text === message.text))),
      );
      if (known) {
        if (known.message.text !== message.text)
          return { ok: false, why: 'conflict', message: 'This id was used for another message.' };
        return { ok: true, delivered: { task: known.outcome.task, joined: true } };
      }
      const parked = parkedIn(lane);
      const question = parked?.outcome.waits.find((wait) => wait.kind === 'question');
      if (parked && question) {
        resume(parked, question.id, message.text);
        return { ok: true, delivered: { task: parked.outcome.task, joined: false } };
      }
      const task = newTask(message);
      task.bytes = request?.bytes ?? '';
      runtime.deliveries.push({ message, history: options.history ?? [], task: task.outcome.task });
      if (parked) change(task, { waits: parked.outcome.waits, text: describeWaits(parked.outcome.waits) });
      const before = lanes.get(lane) ?? Promise.resolve();
      lanes.set(
        lane,
        before.then(() => work(task)),
      );
      return { ok: true, delivered: { task: task.outcome.task, joined: false } };
    },
    task: async (id) => tasks.get(id)?.outcome ?? null,
    settled(id, signal) {
      const task = tasks.get(id);
      if (!task) return Promise.reject(new Error(`no task ${id}`));
      return new Promise((resolve, reject) => {
        const look = (): void => {
          const { status, waits, text } = task.outcome;
          const hindered = status === 'queued' && text !== '';
          if (!isEnded(status) && status !== 'waiting' && !hindered && waits.length === 0) return;
          task.watchers.delete(look);
          resolve({ ...task.outcome });
        };
        const abort = (): void => {
          task.watchers.delete(look);
          reject(signal.reason as Error);
        };
        if (signal.aborted) return abort();
        signal.addEventListener('abort', abort, { once: true });
        task.watchers.add(look);
        look();
      });
    },
    listen(id, listener) {
      tasks.get(id)?.listeners.add(listener);
      return () => tasks.get(id)?.listeners.delete(listener);
    },
    recent: () => [],
    async delivered(message) {
      runtime.deliveredMessages.push(message);
      for (const task of tasks.values())
        if (task.outcome.message === message && isEnded(task.outcome.status)) task.delivered = true;
    },
    pending: async () =>
      [...tasks.values()].filter((task) => task.outcome.status === 'waiting').flatMap((task) => task.outcome.waits),
    async approve(id, verdict) {
      const task = [...tasks.values()].find((each) => each.waits.has(id));
      const before = answered.get(id);
      if (before) return { ok: false, why: 'answered', message: `${id} was answered before.`, ...before };
      if (!task) return { ok: false, why: 'unknown', message: `Nothing waits with the id ${id}.` };
      answered.set(id, { task: task.outcome.task, verdict });
      resume(task, id, verdict);
      return { ok: true, task: task.outcome.task };
    },
    async answer(id, text) {
      const task = [...tasks.values()].find((each) => each.waits.has(id));
      const before = answered.get(id);
      if (before) return { ok: false, why: 'answered', message: `${id} was answered before.`, ...before };
      if (!task) return { ok: false, why: 'unknown', message: `Nothing waits with the id ${id}.` };
      answered.set(id, { task: task.outcome.task, verdict: null });
      resume(task, id, text);
      return { ok: true, task: task.outcome.task };
    },
    async cancel(id) {
      const task = tasks.get(id);
      if (!task || isEnded(task.outcome.status)) return false;
      change(task, { status: 'cancelled', text: 'Cancelled.' });
      return true;
    },
    async retry(id) {
      const task = tasks.get(id);
      if (!task) return { ok: false, why: 'unknown', message: unknownText('task', id, { list: 'ruche tasks' }) };
      if (task.outcome.status !== 'failed') return { ok: false, why: 'not-ended', message: 'It has not failed.' };
      const again = newTask(task.message);
      void work(again);
      return { ok: true, task: again.outcome.task, message: 'evt_0' };
    },
    dismiss: async (id) => tasks.get(id)?.outcome.status === 'failed',
    pair: async () => ({ ok: false, message: 'no channels here' }),
    agents: async () => states(),
    agentsToday: async () => states().map((state) => ({ ...state, lastRun: null, costTodayUsd: 0.5 })),
    pauseAgent: async (name, by, reason) => {
      if (!runtime.state.agents.includes(name)) return null;
      const was = paused.has(name);
      if (!was) paused.set(name, { at: 0, by, reason });
      return !was;
    },
    resumeAgent: async (name) => (runtime.state.agents.includes(name) ? paused.delete(name) : null),
    schedules: noSchedules,
    triggers: noTriggers,
    escalations: noEscalations,
    status: async (): Promise<RuntimeStatus> => ({
      version: '0.1.0',
      ready: runtime.state.ready,
      notReady: runtime.state.notReady,
      startedAt: 1_700_000_000_000,
      model: 'demo/demo',
      demo: true,
      offer: runtime.state.offer,
      channels: [],
      sandbox: 'bubblewrap',
      workspace: '/somewhere/workspace',
      home: '/somewhere/home',
      tasks: { queued: 0, running: 0, waiting: 0, done: tasks.size, failed: 0, dead: 0, cancelled: 0 },
      journal: { head: 7, exported: 7 },
      pending: 0,
      problems: [],
    }),
    metrics: async () => '# TYPE ruche_tasks gauge\nruche_tasks{status="done"} 1\n',
  };
}

export interface FakeJournal {
  append(type: 'gateway.started' | 'gateway.stopped'): void;
  head(): Promise<number>;
  follow(after: number, signal: AbortSignal): AsyncIterable<Event>;
  /** How many followers are open. */
  followers(): number;
}

/** A journal of small events that can be followed. */
export function fakeJournal(): FakeJournal {
  const events: Event[] = [];
  const wake = new Set<() => void>();
  let open = 0;
  return {
    append(type) {
      const seq = events.length + 1;
      const body =
        type === 'gateway.started'
          ? ({ type, data: { version: '0.1.0', recovered: 0 } } as const)
          : ({ type, data: { reason: 'test' } } as const);
      events.push({
        ...body,
        seq,
        id: `evt_${seq}`,
        stream: 'gateway',
        version: seq,
        at: seq,
        actor: 'runtime',
        cause: null,
        labels: [],
        key: null,
        schema: 1,
        hash: 'h',
      });
      for (const each of wake) each();
    },
    head: async () => events.length,
    followers: () => open,
    async *follow(after, signal) {
      open += 1;
      try {
        for (let at = after; !signal.aborted;) {
          const event = events[at];
          if (event) {
            at += 1;
            yield event;
          } else
            await new Promise<void>((resolve) => {
              const done = (): void => {
                wake.delete(done);
                signal.removeEventListener('abort', done);
                resolve();
              };
              wake.add(done);
              signal.addEventListener('abort', done);
            });
        }
      } finally {
        open -= 1;
      }
    },
  };
}
