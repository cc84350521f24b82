import type { NewEvent } from '../core/event.ts';
import { DENIED_AFTER_MS, DENY, type EscalationDesk } from '../core/escalation.ts';
import { conversationId } from '../core/ids.ts';
import type { Store } from '../core/ports/store.ts';
import type { ScheduleDesk } from '../core/schedule.ts';
import type { TriggerDesk } from '../core/trigger.ts';
import {
  type AgentState,
  type DeliverResult,
  type Pending,
  type Runtime,
  type RuntimeStatus,
  pausedWords,
} from '../core/api/runtime.ts';
import { isEnded } from '../core/task.ts';
import { approve } from '../pending/approve.ts';
import { type MailDeps, OpenMatters, allPending, answer, countPending, startOf } from '../pending/pending.ts';
import { cancelTask, type EndDeps } from './end.ts';
import { Days } from './days.ts';
import type { Hub } from '../messages/hub.ts';
import { deliver } from '../messages/inbox.ts';
import type { Traffic } from '../core/net/sent.ts';
import { metricsText } from './describe.ts';
import { outcomeOf, settledOutcome } from './outcome.ts';
import type { Pauses } from './pauses.ts';
import { dismissTask, retryTask } from './retry.ts';

export interface RuntimeDeps extends MailDeps, EndDeps {
  hub: Hub;
  /** IANA name of the zone by whose clock the network lives. */
  zone(): string;
  /** False once the process is going down: nothing new is accepted. */
  accepting(): boolean;
  pair: Runtime['pair'];
  /** What left over the network since the process started, in sums. */
  traffic(): Traffic[];
  schedules: ScheduleDesk;
  triggers: TriggerDesk;
  escalations: EscalationDesk;
  pauses: Pick<Pauses, 'of' | 'pause' | 'resume'>;
  /** What keeps a run from going on now, and has to be mended by a person; null if nothing does. */
  hindered(task: string): { why: string } | null;
  /** What does not come from the queue. */
  situation(): Promise<Omit<RuntimeStatus, 'tasks' | 'pending' | 'ready'>>;
}

const STOPPING = {
  ok: false,
  why: 'stopping',
  message: 'Ruche is shutting down. Send it again after the restart.',
} as const;

/** The running network, as faces see it. */
export function createRuntime(deps: RuntimeDeps): Runtime {
  const { store, hub } = deps;
  const days = new Days(store, deps.clock, deps.zone);
  const matters = new OpenMatters(store);
  const isKnown = (name: string): boolean => deps.agents().some((agent) => agent.name === name);
  return {
    deliver: async (message, options = {}) =>
      deps.accepting() ? noted(deps, await deliver(deps, message, options)) : STOPPING,
    task: (id) => outcomeOf(store, id),
    settled: (id, signal) => settledOutcome(store, hub, id, { signal, hindered: deps.hindered }),
    listen: (task, listener) => hub.listen(task, listener),
    recent: (task) => hub.recent.of(task),
    delivered: (message) => recordDelivery(deps, message),
    pending: async () => withExpiry(deps, await allPending(store, matters)),
    approve: (id, verdict, by, answering) => approve(deps, id, verdict, by, answering),
    answer: (id, text, by) => answer(deps, id, text, by),
    cancel: (task, by, text) => cancelTask(deps, task, by, text),
    retry: (task, by) => retryTask(deps, task, by),
    dismiss: (task, by) => dismissTask(deps, task, by),
    pair: (channel) => deps.pair(channel),
    agents: () => agentStates(deps),
    agentsToday: async () => {
      await days.look();
      return (await agentStates(deps)).map((state) => ({ ...state, ...days.of(state.name) }));
    },
    // One that is gone from the workspace can still be resumed.
    pauseAgent: async (name, by, reason) => (isKnown(name) ? deps.pauses.pause(name, by, reason) : null),
    resumeAgent: async (name, by) => (isKnown(name) || deps.pauses.of(name) ? deps.pauses.resume(name, by) : null),
    standing: deps.standing,
    schedules: deps.schedules,
    triggers: deps.triggers,
    escalations: deps.escalations,
    status: () => status(deps, matters),
    metrics: async () => {
      await days.look();
      return metricsText(await status(deps, matters), days.uses(), deps.traffic());
    },
  };
}

/** When each approval of a run is denied if nobody answers: at the end of its chain, else after a time. */
async function withExpiry({ escalations, governance }: RuntimeDeps, pending: Pending[]): Promise<Pending[]> {
  if (!pending.some(({ kind, run }) => kind === 'approval' && run !== null)) return pending;
  const open = new Map((await escalations.list()).map((each) => [each.about, each]));
  const { approvalMs = DENIED_AFTER_MS } = governance().settings;
  return pending.map((each) => {
    if (each.kind !== 'approval' || each.run === null) return each;
    const climbs = open.get(each.id);
    const denies = climbs?.acknowledged === null ? climbs.levels.find(({ to }) => to === DENY)?.due : undefined;
    const expires = climbs === undefined ? approvalMs && each.at + approvalMs : denies;
    return expires ? { ...each, expires } : each;
  });
}

/** Says so if the agent that should answer takes no work: otherwise the sender waits and wonders. */
async function noted({ store, pauses, clock }: RuntimeDeps, result: DeliverResult): Promise<DeliverResult> {
  const task = result.ok ? await store.task(result.delivered.task) : null;
  const paused = task === null || isEnded(task.status) ? null : pauses.of(task.agent);
  if (!result.ok || task === null || !paused) return result;
  const note = `${pausedWords(task.agent, paused, clock.now())} Your message waits until it is resumed.`;
  return { ...result, delivered: { ...result.delivered, note } };
}

async function status(deps: RuntimeDeps, matters: OpenMatters): Promise<RuntimeStatus> {
  const [tasks, pending] = [await deps.store.counts(), await countPending(deps.store, matters)];
  const situation = await deps.situation();
  const problems = situation.problems.map((problem) => ({
    ...problem,
    // Someone may have written the key itself where its name belongs.
    key: deps.redact(problem.key),
    message: deps.redact(problem.message),
  }));
  return { ...situation, problems, ready: situation.notReady === null, tasks, pending };
}

async function agentStates(deps: RuntimeDeps): Promise<AgentState[]> {
  const now = deps.clock.now();
  const states = deps.agents().map((agent) => ({
    ...agent,
    queued: 0,
    later: 0,
    running: 0,
    waiting: 0,
    nextFiring: deps.schedules.nextFiring(agent.name),
    paused: deps.pauses.of(agent.name),
  }));
  for (const task of await deps.store.tasks({ statuses: ['queued', 'running', 'waiting'] })) {
    const state = states.find((each) => each.name === task.queue);
    if (state && (task.status === 'queued' || task.status === 'running' || task.status === 'waiting'))
      state[task.status] += 1;
    if (state && task.status === 'queued' && task.notBefore !== null && task.notBefore > now) state.later += 1;
  }
  return states;
}

/** The reply, or the question, has reached the client that fetched it. Said twice, it is recorded once. */
async function recordDelivery({ store, pushes }: RuntimeDeps, message: string): Promise<void> {
  const told = await store.event(message);
  if (told?.type !== 'message.queued' && told?.type !== 'question.asked') return;
  const about = told.type === 'message.queued' ? told.data : await askerOf(store, told.stream);
  // What the outbox sends it tells of itself: somebody who watched has not received it there.
  if (about === null || pushes(about.channel)) return;
  const { agent, session, channel } = about;
  const event: NewEvent = {
    type: 'message.sent',
    stream: conversationId(agent, session),
    actor: 'runtime',
    cause: message,
    labels: [],
    key: `sent:${message}`,
    data: { message, channel, receipt: null, repeated: false },
  };
  await store.commit({ events: [event], sync: false });
}

/** Whose message led to the run's question; null for a run that no message began. */
async function askerOf(
  store: Store,
  stream: string,
): Promise<{ agent: string; session: string; channel: string } | null> {
  const started = await startOf(store, stream);
  const task = started && (await store.task(started.data.task));
  const message = task?.cause ? await store.event(task.cause) : null;
  return message?.type === 'message.received' ? message.data : null;
}
