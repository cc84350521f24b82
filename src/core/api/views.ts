import type { Sent } from '../net/sent.ts';
import type { ApprovalVerdict } from '../agreed.ts';
import type { Verdict } from '../event.ts';
import type { Label } from '../labels.ts';
import type { FinishReason, Purpose, Tier, Usage } from '../model.ts';
import type { Route } from '../routing.ts';
import type { CommitDiff, LastChange } from '../ports/workspace.ts';
import type { FileVouch } from '../standing.ts';
import type { TaskStatus } from '../task.ts';

/**
 * What faces show of the record, folded from the journal: plain JSON, times in milliseconds since the epoch. Every text
 * is what the journal holds; a face escapes it.
 */

/** How a person's message stands, and why, in words that need no knowledge of Ruche. */
export interface Standing {
  state: 'answered' | 'queued' | 'working' | 'waiting' | 'retrying' | 'failed' | 'cancelled';
  /** One or two sentences: what it waits for, which rule denied it, which error ended it. */
  why: string;
  /** What a person can do now. */
  can: ('approve' | 'answer' | 'retry' | 'cancel')[];
  /** Since when it has been so, where that says something: a model or a tool at work, a question that is open. */
  since: number | null;
  /** When it goes on by itself: the next try. */
  next: number | null;
}

export interface ConversationSummary {
  agent: string;
  session: string;
  /** The first words of its first message. */
  title: string;
  /** Where the last message came from: `http`, `telegram` … */
  channel: string;
  lastAt: number;
  messages: number;
  standing: Standing;
}

export interface FileView {
  name: string;
  mediaType: string;
  size: number;
  /** Path of the API that gives its bytes. */
  href: string;
}

export type ConversationEntry =
  | {
      kind: 'message';
      /** Event id. */
      id: string;
      at: number;
      /** `owner`, `telegram:123`. */
      from: string;
      channel: string;
      text: string;
      files: FileView[];
      task: string;
      run: string | null;
      /** The question this message answered; null for a request of its own. */
      answers: string | null;
      /** Event id of the message that this one repeats, because a person had a failed one tried again. */
      repeats: string | null;
      standing: Standing;
    }
  | {
      kind: 'reply';
      id: string;
      at: number;
      /** Null, like `run`, for what the runtime says by itself. */
      task: string | null;
      run: string | null;
      text: string;
      files: FileView[];
      commit: string | null;
      costUsd: number;
      /** Part of it has no known price: it cost `costUsd` at least. */
      unpriced?: boolean;
      /** `fetched`: over HTTP, by the client that asked. */
      delivery: {
        state: 'sent' | 'fetched' | 'sending' | 'waiting' | 'unsure' | 'failed';
        repeated: boolean;
        error: string;
        /** Of one that waits for quiet hours to end: when they do. */
        until?: number;
      };
    };

export interface ConversationView {
  agent: string;
  session: string;
  /** Oldest first. */
  entries: ConversationEntry[];
  /** For `before` of the next request; null at the beginning of the conversation. */
  earlier: string | null;
}

export interface RunSummary {
  task: string;
  /** Null for a task that no run has begun yet. */
  run: string | null;
  agent: string;
  session: string;
  /** The first words of what it was asked. */
  title: string;
  from: string;
  channel: string;
  status: TaskStatus;
  standing: Standing;
  queuedAt: number;
  startedAt: number | null;
  endedAt: number | null;
  deadline: number | null;
  priority: number;
  steps: number;
  /** `provider/model` of the last call. */
  model: string | null;
  usage: Usage;
  costUsd: number;
  /** Part of it has no known price: it cost `costUsd` at least. */
  unpriced?: boolean;
  commit: string | null;
}

/** Where a task is on the board; what was cancelled, taken care of or done before today is nowhere. */
export const BOARD_COLUMNS = ['queued', 'working', 'person', 'tasks', 'today', 'failed'] as const;
export type BoardColumn = (typeof BOARD_COLUMNS)[number];

export interface BoardCard {
  task: string;
  title: string;
  from: string;
  queuedAt: number;
  /** When it ended, if it has. */
  endedAt: number | null;
  deadline: number | null;
  priority: number;
}

/** What each agent has in each column: a few cards, and how many there are. */
export interface BoardView {
  lanes: { agent: string; cells: { column: BoardColumn; total: number; cards: BoardCard[] }[] }[];
}

export interface RunsQuery {
  agent?: string;
  status?: readonly TaskStatus[];
  column?: BoardColumn;
  /** Whom it is from: person (or one channel of them), schedule, trigger, agent, file, escalation; with `!` in front, everybody else. */
  from?: string;
  /** False: without runs of scripts by the clock that found nothing new. */
  probes?: boolean;
  /** Words that title, ids or session hold, whatever their case. */
  text?: string;
  /** From an earlier answer's `next`. */
  after?: string;
  limit?: number;
}

export interface RunsPage {
  /** Newest first. */
  runs: RunSummary[];
  next: string | null;
  /** How many the query finds in all. */
  total: number;
  /** Runs of scripts that were left out as `probes` asks. */
  probes?: number;
}

export type RunStep =
  | {
      kind: 'model';
      step: number;
      purpose: Purpose;
      /** Why this model was asked, where it is not simply the agent's own. */
      route?: Route;
      at: number;
      provider: string;
      model: string;
      /** Null while it is under way. */
      ms: number | null;
      finish: FinishReason | null;
      usage: Usage | null;
      costUsd: number;
      /** Part of it has no known price: it cost `costUsd` at least. */
      unpriced?: boolean;
      text: string;
      reasoning: string;
      /** What failed, in plain words; null if it did not. */
      error: string | null;
      /** Hashes for `exact`. */
      request: string;
      answer: string | null;
    }
  | {
      kind: 'call';
      call: string;
      tool: string;
      /** Argument text as the model wrote it. */
      args: string;
      at: number;
      decision: { verdict: Verdict; rule: string; reason: string } | null;
      approval: { id: string; verdict: ApprovalVerdict | null; by: string | null } | null;
      question: { id: string; text: string; answer: string | null; doubt: boolean } | null;
      startedAt: number | null;
      ms: number | null;
      ok: boolean | null;
      result: string | null;
      labels: readonly Label[];
      /** Hash of the whole result for `exact`. */
      full: string | null;
    }
  | { kind: 'message'; at: number; text: string; from: string }
  | { kind: 'note'; at: number; text: string }
  | {
      kind: 'landing';
      at: number;
      commit: string | null;
      paths: number;
      state: 'started' | 'landed' | 'conflict' | 'asked';
      /** Set where a person had to agree, because it changes what governs the network. */
      approval: { id: string; verdict: ApprovalVerdict | null; by: string | null } | null;
    }
  /** `waited`: for a person or for tasks; else it was interrupted. */
  | { kind: 'resumed'; at: number; waited: boolean };

export interface RunView extends RunSummary {
  /** The whole request it answers. */
  request: string;
  reply: string | null;
  /** Commit its view of the workspace began at, and the one its rules were read from. */
  base: string;
  config: string;
  list: RunStep[];
}

/**
 * What led to a task and what it has led to, as a tree told from its root: each line is a child of the last one before it
 * that is one less deep.
 */
export interface ChainView {
  /** The one that was asked about. */
  task: string;
  nodes: ChainNode[];
}

export type ChainNode = { depth: number; at: number } & (
  | {
      kind: 'task';
      task: string;
      agent: string;
      title: string;
      from: string;
      status: TaskStatus;
      standing: Standing;
      /** The first words of its answer; '' if there is none. */
      result: string;
      commit: string | null;
      costUsd: number;
      /** Part of it has no known price: it cost `costUsd` at least. */
      unpriced?: boolean;
    }
  /** What a task began with: `by` says which channel, schedule, trigger, file or chain. */
  | {
      kind: 'cause';
      of: 'message' | 'schedule' | 'trigger' | 'escalation' | 'file' | 'other';
      by: string;
      from: string;
      title: string;
    }
  /** A task that belongs elsewhere: joined by its key, taken in by another run, repeated, or what a hand-over went on with. */
  | { kind: 'link'; of: 'joined' | 'taken' | 'repeats' | 'moved'; task: string | null; agent: string; title: string }
  /** The owner is asked about it. */
  | { kind: 'matter'; title: string; settled: boolean }
  | { kind: 'more'; left: number }
);

export interface DiffView extends CommitDiff {
  commit: string;
  /** Labels that files were written with, by path; nothing for those without. */
  labels: Readonly<Record<string, readonly Label[]>>;
}

export interface FailureView {
  task: string;
  run: string | null;
  agent: string;
  session: string;
  title: string;
  at: number;
  /** The cause in plain words. */
  why: string;
  canRetry: boolean;
}

/** Something is not as it was: lists and pages that show it are to be read again. Null where it concerns no task. */
export interface ViewChange {
  task: string | null;
  run: string | null;
  agent: string | null;
  session: string | null;
  /** Seq of the event that changed it. */
  seq: number;
}

/** Where a file of the workspace came from, as `ruche show` says it. */
export interface FileOrigin {
  kind: 'file';
  path: string;
  /** Its content on `main`; null: it is not there now. */
  oid: string | null;
  labels: readonly Label[];
  /** Memory, or what `private` in `ruche.yaml` names. */
  privatePath: boolean;
  /** Who wrote this content with labels; several if it was written in several places. */
  sources: FileSource[];
  /** Who vouches for this content, so that it is not untrusted any more; null if nobody does. */
  vouched: FileVouch | null;
  /** The change that replaced content with labels by content without; null if there was none. */
  cleared: LastChange | null;
}

export interface FileSource {
  path: string;
  /** Empty: a person has approved it. */
  labels: readonly Label[];
  /** `agent:NAME`, or the person who cleared it. */
  by: string;
  run: string | null;
  task: string | null;
  /** When the run began. */
  at: number | null;
  causes: LabelCause[];
  /** Who approved what the run landed. */
  approvedBy: string | null;
}

/** What brought labels into a run. */
export interface LabelCause {
  labels: readonly Label[];
  event: string;
  what: string;
}

/** Projections of the journal. All of them can be rebuilt from it at any time. */
export interface NetQuery {
  agent?: string | undefined;
  /** Milliseconds since the epoch. */
  since?: number | undefined;
  /** The id of an entry: only what is older. */
  before?: string | undefined;
  limit: number;
}

/** One call or connection. */
export interface NetEntry extends Sent {
  id: string;
  /** When it was put on record, after its end. */
  at: number;
}

export interface NetPage {
  /** Newest first. */
  sent: NetEntry[];
  /** For `before`; null: there is no more. */
  next: string | null;
}

export interface Views {
  /** `text`: words that title, agent or session hold. */
  conversations(limit: number, text?: string): Promise<ConversationSummary[]>;
  conversation(agent: string, session: string, before: string | null, limit: number): Promise<ConversationView | null>;
  runs(query: RunsQuery): Promise<RunsPage>;
  /** `cards`: of each agent in each column, at most. */
  board(query: { agent?: string; cards: number }): Promise<BoardView>;
  /** By task, or by run. */
  chain(id: string): Promise<ChainView | null>;
  /** By task, or by run. */
  run(id: string): Promise<RunView | null>;
  /** By task, or by run: the exact JSON a step of this run sent or received, as it was recorded; null for a hash that is not the run's. */
  exact(id: string, hash: string): Promise<string | null>;
  /** By task, or by run. */
  diff(id: string): Promise<DiffView | null>;
  /** A file of a message of this conversation. */
  file(
    agent: string,
    session: string,
    hash: string,
  ): Promise<{ name: string; mediaType: string; bytes: Uint8Array } | null>;
  /** Tasks that failed and that nobody has retried or dismissed, newest first. */
  failures(limit: number): Promise<FailureView[]>;
  /** Where a file came from; null if there never was one of this path. */
  origin(path: string): Promise<FileOrigin | null>;
  /** What left over the network. */
  net(query: NetQuery): Promise<NetPage>;
  /** Calls `listener` for each change from now on, until the returned function is called. */
  watch(listener: (change: ViewChange) => void): () => void;
}

export interface ModelView {
  /** `provider/model`. */
  ref: string;
  provider: string;
  model: string;
  /** Tiers that name it, with its place there from 0. */
  tiers: { tier: Tier; place: number }[];
  /** Tokens; null where nothing is known. */
  window: number | null;
  /** Tokens that are assumed where nothing is known. */
  assumed?: number;
  images: boolean;
  reasoning: boolean;
  /** USD for a million tokens; null where it is free or no price is known. */
  price: { input: number; cached: number; output: number; asOf: string } | null;
  /** Nobody says what it costs. */
  unpriced?: boolean;
  /** Why it cannot work; '' if nothing is known to be wrong. */
  problem: string;
}

export interface ProviderView {
  name: string;
  type: string;
  /** Without credentials. */
  baseUrl: string;
  /** Where it is known from. */
  source: 'ruche.yaml' | 'environment' | 'home' | 'found' | 'built in';
  /** Where its key is kept; null if it needs none. Never the key. */
  key: string | null;
  problem: string;
}

export interface ModelsView {
  /** Used by `standard` now. */
  model: string;
  demo: boolean;
  providers: ProviderView[];
  models: ModelView[];
}

/** What the first page of the web face asks for. */
export interface SetupRequest {
  /** `key`: of `provider`, a maker. `url`: of any server, with `baseUrl` and `model`. Else the type of a server, at `baseUrl`. */
  kind: string;
  provider?: string;
  key?: string;
  baseUrl?: string;
  model?: string;
}

export type SetupResult =
  | { ok: true; model: string; said: string }
  /** `field`: which one to mend. */
  | { ok: false; field: 'key' | 'baseUrl' | 'model'; message: string };

export interface ModelTest {
  ref: string;
  ok: boolean;
  ms: number;
  usage: Usage;
  costUsd: number;
  /** Part of it has no known price: it cost `costUsd` at least. */
  unpriced?: boolean;
  /** The answer, or what is wrong and what to do. */
  said: string;
}

/** The models of the network, for `ruche models` and the web page. */
export interface ModelDesk {
  /** What a request to set up may name: makers whose key it brings, and servers that say which models they have. */
  readonly makers: readonly string[];
  readonly servers: readonly string[];
  list(signal: AbortSignal): Promise<ModelsView>;
  /** One small call. */
  test(ref: string, signal: AbortSignal): Promise<ModelTest>;
  /** Tries it first, and keeps it in home only if it works. */
  setup(request: SetupRequest, signal: AbortSignal): Promise<SetupResult>;
}
