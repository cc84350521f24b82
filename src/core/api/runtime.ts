import { roughly } from '../text/duration.ts';
import type { InboundMessage } from '../ports/channel.ts';
import type { TaskStatus } from '../task.ts';
import type { Usage } from '../model.ts';
import type { Problem } from '../agent.ts';
import type { EscalationDesk } from '../escalation.ts';
import type { ScheduleDesk } from '../schedule.ts';
import type { TriggerDesk } from '../trigger.ts';
import type { ApprovalVerdict } from '../agreed.ts';
import type { Answering, AskedAbout, StandingDesk } from '../standing.ts';

/** Pieces of a run as it works. They are for people who watch; the journal holds the whole. */
export type Delta =
  /** `offset`: UTF-16 units of this step's text before this piece, so that a late listener notices what it has missed. */
  | { kind: 'text'; task: string; run: string; step: number; offset: number; text: string }
  | { kind: 'reasoning'; task: string; run: string; text: string }
  /** What was streamed of this step so far does not count: the call is tried again. */
  | { kind: 'discard'; task: string; run: string }
  /** A model failed and is asked again after a wait: what is wrong, which one and when, in words. `until`: the end of that wait. */
  | { kind: 'retrying'; task: string; run: string; text: string; until?: number }
  | { kind: 'tool.started'; task: string; run: string; call: string; tool: string; args: string }
  | { kind: 'tool.output'; task: string; run: string; call: string; text: string }
  | { kind: 'tool.returned'; task: string; run: string; call: string; tool: string; ok: boolean; text: string }
  | { kind: 'changed'; task: string };

/** Something that waits for a person. */
export interface Pending {
  id: string;
  kind: 'approval' | 'question';
  run: string | null;
  task: string | null;
  agent: string | null;
  session: string | null;
  /** Tool of an approval, null for a question. */
  tool: string | null;
  /** What an approval changes that is not of a call: `ruche.yaml` alone, or other protected files too. Absent for others. */
  changes?: 'settings' | 'files';
  /** The exact call, or the question: escaped so that nothing in it can hide. */
  text: string;
  /** Why a person is asked. */
  reason: string;
  at: number;
  /** When an approval is denied if nobody answers; absent if it waits on. */
  expires?: number;
  /** Of a call: what stands behind it, with nothing in it that can hide. Approvals of older versions have none. */
  about?: AskedAbout;
  /** Of a call that several persons have to approve: how many, and who has. */
  approvers?: { needed: number; have: readonly string[] };
  /** Calls of its kind that people have approved before, one by one. Absent where more than this call cannot be approved. */
  approved?: number;
}

export interface TaskOutcome {
  task: string;
  run: string | null;
  agent: string;
  session: string;
  status: TaskStatus;
  /** The answer, the question, or what went wrong in plain words. */
  text: string;
  /** The run's commit on `main`, if it changed something. */
  commit: string | null;
  /** Event id of the queued reply, or of the question that is put, for `delivered`. */
  message: string | null;
  /** The answer has come to the output limit of the model. */
  cut: boolean;
  /** It is queued because the provider of a model is down: when a model is asked again, and what the provider said. */
  later?: { at: number; text: string };
  waits: Pending[];
  usage: Usage;
  costUsd: number;
  /** Part of it has no known price: it cost `costUsd` at least. */
  unpriced?: boolean;
}

/** A request that names no conversation. */
export interface LooseRequest {
  /** A hash of all it says. */
  bytes: string;
  /** Its client says that it was sent before, and so means an equal one whose answer has reached nobody, if there is one. */
  again: boolean;
}

export interface Delivered {
  task: string;
  /** True if the message was known already, or joined an equal one whose answer was not delivered. */
  joined: boolean;
  /** In whose conversation it is: another one's than it was sent to, if that was handed over. */
  agent?: string;
  /** What its sender is to know at once: that the agent which answers is paused, and why. None: nothing. */
  note?: string;
}

export type DeliverResult =
  | { ok: true; delivered: Delivered }
  | { ok: false; why: 'unknown-agent' | 'denied' | 'busy' | 'too-large' | 'stopping' | 'conflict'; message: string };

export type AnswerResult =
  /** `more`: it is one of several approvals that are needed, and it waits on. `grant`: what it has given beside. */
  | { ok: true; task: string | null; more?: { needed: number; have: number }; grant?: string }
  /** `not-shown`: it cannot be shown whole, so it can only be denied. `refused`: it cannot be answered in this way. */
  | { ok: false; why: 'unknown' | 'wrong-kind' | 'not-shown' | 'refused'; message: string }
  /** It was answered before; the same verdict again (a re-sent request) means the same answer. ApprovalVerdict null: a question. */
  | { ok: false; why: 'answered'; message: string; task: string | null; verdict: ApprovalVerdict | null };

export type RetryResult =
  /** `task`: the new one. */
  | { ok: true; task: string; message: string }
  | { ok: false; why: 'unknown' | 'not-ended' | 'answered' | 'refused'; message: string };

/** Why an agent takes no work. */
export interface Paused {
  at: number;
  by: string;
  /** A person's words; '' for none. */
  reason: string;
}

export interface LastRun {
  run: string;
  task: string;
  /** When it began. */
  at: number;
  status: TaskStatus;
}

export interface AgentState {
  name: string;
  description: string;
  /** The models it would use now, in order: `provider/model`. */
  models: string[];
  queued: number;
  /** Of those queued, how many must not begin yet. */
  later?: number;
  running: number;
  waiting: number;
  /** When its next schedule is due, in milliseconds since the epoch; null if none is. */
  nextFiring: number | null;
  paused?: Paused | null;
  /** Null: none is known. */
  lastRun?: LastRun | null;
  /** Since midnight where the process is. */
  costTodayUsd?: number;
  /** Part of today's cost has no known price: `costTodayUsd` is the least it was. */
  unpricedToday?: boolean;
}

/** What is known of an agent without asking the queue or the clock. */
export type AgentAbout = Omit<AgentState, 'queued' | 'running' | 'waiting' | 'nextFiring'>;

/** A server that was found. Whose process it is nobody knows, so it answers only once the owner has said yes. */
export interface ServerOffer {
  /** Type of its provider. */
  kind: string;
  title: string;
  baseUrl: string;
  model: string;
}

export interface RuntimeStatus {
  version: string;
  ready: boolean;
  /** Why it takes no turns, in plain words; null if it does. */
  notReady: string | null;
  startedAt: number;
  model: string;
  demo: boolean;
  /** A model server of this machine that would answer if the owner said so; null if there is none, or another model is chosen. */
  offer: ServerOffer | null;
  /** Tokens that are assumed of models of which nobody says how many they hold, by `provider/model`. */
  assumed?: Readonly<Record<string, number>>;
  sandbox: string;
  workspace: string;
  home: string;
  tasks: Record<TaskStatus, number>;
  /** Seq of the last event, and the last one that has reached `journal.git`. */
  journal: { head: number; exported: number };
  channels: readonly ChannelState[];
  pending: number;
  /** What people are told later: for the end of quiet hours, or of a minute with many messages. */
  held?: readonly HeldMessages[];
  problems: readonly Problem[];
  /** The gateway that tells this; absent where there is none. */
  gateway?: GatewayState;
}

/** Where the gateway listens, and what it has turned away since it started. */
export interface GatewayState {
  url: string;
  /** Other machines can reach `url`, which is plain HTTP. */
  exposed: boolean;
  publicUrl: string | null;
  refused: readonly RefusedHooks[];
}

/** Requests to a webhook that were refused. Kept in memory: strangers must not be able to fill the record. */
export interface RefusedHooks {
  /** Null: requests to hooks that are not there. */
  hook: string | null;
  count: number;
  /** The last one, and why. The sender was not told as much. */
  at: number;
  why: string;
  /** When a request to this hook was last accepted; null: not since the start. */
  accepted: number | null;
}

/** Messages that wait for one address. */
export interface HeldMessages {
  /** `CHANNEL:ADDRESS`. */
  to: string;
  count: number;
  until: number;
}

/** A messenger that is connected, or would be but for its problem. */
export interface ChannelState {
  name: string;
  /** Its messenger, for people, and its name where that says something else. */
  title: string;
  /** Why nothing comes in; null if it does. */
  problem: string | null;
  /** Since when it works, or does not; when something last came in and went out. Null: not since the start. */
  since?: number | null;
  lastIn?: number | null;
  lastOut?: number | null;
  /** The last thing that went wrong, also if it is over. */
  lastError?: { at: number; text: string } | null;
}

/** A code that makes the person who sends it over the channel an owner, once, and how long it is good. */
export type Pairing = { ok: true; code: string; until: number } | { ok: false; message: string };

/** What faces (HTTP, and through it the CLI) can ask of the running network. */
export interface Runtime {
  /**
   * Accepts a message durably. `join`: an equal message of the session whose answer was not delivered is meant, if there
   * is one; `again`: it was sent before, so others may have come after that one. `history`: earlier messages given with a
   * first message; ignored once the conversation has any. `request`: it begins a conversation of its own, and only its
   * bytes can say which request is sent again.
   */
  deliver(
    message: InboundMessage,
    options?: {
      join?: boolean;
      again?: boolean;
      history?: { role: 'user' | 'assistant'; text: string }[];
      request?: LooseRequest;
    },
  ): Promise<DeliverResult>;
  task(id: string): Promise<TaskOutcome | null>;
  /** Resolves when the task has ended or waits for a person; rejects when the signal aborts. */
  settled(id: string, signal: AbortSignal): Promise<TaskOutcome>;
  /** Calls `listener` with each delta of the task's run until the returned function is called. */
  listen(task: string, listener: (delta: Delta) => void): () => void;
  /** What listeners were told since the work on it began, for one who comes in the middle; empty once it has ended. */
  recent(task: string): readonly Delta[];
  /** Records that the reply, or the question, reached the client. */
  delivered(message: string): Promise<void>;
  pending(): Promise<Pending[]>;
  approve(id: string, verdict: ApprovalVerdict, by: string, answering?: Answering): Promise<AnswerResult>;
  standing: StandingDesk;
  answer(id: string, text: string, by: string): Promise<AnswerResult>;
  /** `text`: what its sender is told, unless that is known. */
  cancel(task: string, by: string, text?: string): Promise<boolean>;
  /** Delivers the message of a task that failed or was cancelled once more, as a task of its own; twice asked is once done. */
  retry(task: string, by: string): Promise<RetryResult>;
  /** Takes a failed task off the list of failures. False if there is no such one. */
  dismiss(task: string, by: string): Promise<boolean>;
  /** Not `ok`: there is no such channel. */
  pair(channel: string): Promise<Pairing>;
  agents(): Promise<AgentState[]>;
  /** The same, with last run and cost. */
  agentsToday(): Promise<AgentState[]>;
  /** False: it was so already. Null: there is no such agent. */
  pauseAgent(name: string, by: string, reason: string): Promise<boolean | null>;
  resumeAgent(name: string, by: string): Promise<boolean | null>;
  schedules: ScheduleDesk;
  triggers: TriggerDesk;
  escalations: EscalationDesk;
  status(): Promise<RuntimeStatus>;
  /** Prometheus text format. */
  metrics(): Promise<string>;
}

/** That an agent takes no work, since when and why, for those who wait for it. */
export function pausedWords(agent: string, { at, reason }: Pick<Paused, 'at' | 'reason'>, now: number): string {
  const why = reason === '' ? '.' : `: ${/[.!?…]$/.test(reason) ? reason : `${reason}.`}`;
  return `${agent} has been paused for ${roughly(now - at)}${why}`;
}
