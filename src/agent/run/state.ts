import type { Event, EventOf } from '../../core/event.ts';
import type { Change } from '../../core/files.ts';
import { idIn } from '../../core/ids.ts';
import { type Label, unionLabels } from '../../core/labels.ts';
import type { LabelSource } from '../../core/standing.ts';
import {
  type FileRef,
  type ModelErrorKind,
  type ModelMessage,
  NO_USAGE,
  type Usage,
  type UserMessage,
  addUsage,
} from '../../core/model.ts';
import type { BlobRef } from '../../core/blob.ts';
import type { Manifest, Placed, Rebase, ToolRecord } from './blobs.ts';
import { type CallState, newCalls } from './call.ts';
import { addLabels, callWords, newLabels } from './sources.ts';
import type { KeptRecord } from '../../core/policy.ts';

/** `by`: who has answered, and `raised` whether to raise it. */
export type MetLimit = EventOf<'budget.met'>['data'] & { raised: boolean | null; by: string };

type LandingPhase = 'none' | 'asked' | 'approved' | 'refused' | 'started' | 'done';

/** All that a run knows, folded from its events: a crash loses none of it. */
export interface RunState {
  run: string;
  task: string;
  agent: string;
  session: string;
  attempt: number;
  config: string;
  base: string;
  startedAt: number;
  /** The time that the model was told last; null before that. */
  told: number | null;
  /** Labels of which the model was told. */
  warned: readonly Label[];
  /** It was quiet for long before. */
  cold: boolean;
  /** Model calls so far. */
  step: number;
  /** This turn's messages: the user's, the model's and tool results, in order. */
  messages: BlobRef[];
  /** Messages and notes that the next model call will see. */
  arrived: BlobRef[];
  /** Tasks whose messages this run has taken in. */
  absorbed: string[];
  calls: CallState[];
  /**
   * Calls that a person has denied since somebody wrote last, and whether for good: nobody is asked for the very same again.
   * A reason may be a condition, so with one it may be asked for once more.
   */
  denied: Map<string, boolean>;
  /** The last answer, once there is one and it is to be acted on. */
  answer: ModelMessage | null;
  /** The answer has come to the output limit of the model. */
  cut: boolean;
  /** The step whose answer was cut and goes on with the next one. */
  goesOn: number | null;
  /** The first part of an answer that goes on; '' for one that is whole by itself. */
  begun: string;
  changes: Map<string, Change>;
  /** Labels that the run had when it changed a path; nothing where it had none. */
  marks: Map<string, readonly Label[]>;
  /** Paths it has landed before its end, when it handed work over. */
  landed: Set<string>;
  /** Tasks it has made or joined. */
  created: string[];
  /** Files that came with an answer, and the paths of those that are in the view already. */
  answerFiles: FileRef[];
  placed: Set<string>;
  /** What this turn has looked at: blob oid by path, null where there was no file. */
  seen: Map<string, string | null>;
  /** Paths of these that calls of the last answer have read: when it answered, the model did not know them so. */
  justRead: Set<string>;
  /** What earlier turns have looked at counts no more. */
  looksAnew: boolean;
  labels: Label[];
  /** Where they came from, as far as the run itself has met it. */
  sources: LabelSource[];
  /** Values that were taken out of texts from outside: nobody vouches for them. */
  foreign: Set<string>;
  /** What services keep, as its tools have told of it. */
  records: readonly KeptRecord[];
  /** Failed model calls since the last answer. */
  failures: { choice: string; kind: ModelErrorKind }[];
  model: string | null;
  usage: Usage;
  costUsd: number;
  /** Part of it has no known price. */
  unpriced: boolean;
  /** Who has approved something of it. */
  approvedBy: Set<string>;
  /** Input tokens of the last turn's call, as the provider counted. */
  lastInput: number;
  /** Our own estimate of the same; 0 where there is none. */
  lastAsked: number;
  /** The estimate for the call that is under way. */
  asked: number;
  /** The limit of a budget it has come to, until the owner has answered or it goes on otherwise. */
  limit: MetLimit | null;
  landing: LandingPhase;
  landingApproval: string | null;
  /** What was said with the answer to it, until the agent is told. */
  landingNote: string;
  commit: string | null;
  conflicts: number;
  /** Landings that could not be, whatever main had become. */
  refusals: number;
  parked: boolean;
  finished: boolean;
}

const NO_LANDING = { landing: 'none', landingApproval: null, landingNote: '' } as const;

export function startState(event: Extract<Event, { type: 'run.started' }>, first: BlobRef[]): RunState {
  const { run, task, agent, session, attempt, config, base } = event.data;
  return {
    run,
    task,
    agent,
    session,
    attempt,
    config,
    base,
    startedAt: event.at,
    told: null,
    warned: [],
    cold: false,
    step: 0,
    messages: [],
    arrived: [...first],
    absorbed: [],
    calls: [],
    denied: new Map(),
    answer: null,
    cut: false,
    goesOn: null,
    begun: '',
    changes: new Map(),
    marks: new Map(),
    landed: new Set(),
    created: [],
    answerFiles: [],
    placed: new Set(),
    seen: new Map(),
    justRead: new Set(),
    looksAnew: false,
    labels: [...event.labels],
    sources: [],
    foreign: new Set(),
    records: [],
    failures: [],
    model: null,
    usage: NO_USAGE,
    costUsd: 0,
    unpriced: false,
    approvedBy: new Set(),
    lastInput: 0,
    lastAsked: 0,
    asked: 0,
    limit: null,
    ...NO_LANDING,
    commit: null,
    conflicts: 0,
    refusals: 0,
    parked: false,
    finished: false,
  };
}

const NOBODY = 'Nobody answered in time, so this call was denied.';

/** What the run writes, or gives to others, comes from all it has read, and from values that were taken out of what it has not. */
export const outLabels = ({ labels, foreign }: Pick<RunState, 'labels' | 'foreign'>): Label[] =>
  foreign.size === 0 ? [...labels] : unionLabels(labels, ['untrusted']);

function mark(state: RunState, { path, oid }: Change): void {
  const labels = outLabels(state);
  if (oid === null || labels.length === 0) state.marks.delete(path);
  else state.marks.set(path, labels);
}

/** What `tool.returned` adds to the run's view. */
function addResult(state: RunState, call: CallState | undefined, record: ToolRecord): void {
  if (record.records !== undefined) state.records = [...state.records, ...record.records].slice(-5000);
  for (const value of record.foreign ?? []) state.foreign.add(value);
  for (const change of record.changes) {
    mark(state, change);
    const before = state.changes.get(change.path);
    state.changes.set(change.path, before ? { ...change, was: before.was } : change);
  }
  for (const [path, oid] of Object.entries(record.seen)) {
    if (call?.effect !== 'read') state.justRead.delete(path);
    else if (state.seen.get(path) !== oid) state.justRead.add(path);
    // Seen last is remembered longest.
    state.seen.delete(path);
    state.seen.set(path, oid);
  }
  if (call) {
    call.phase = 'returned';
    const { ok, text, digest } = record;
    call.result = { text, isError: !ok, ...(digest === undefined ? {} : { digest }) };
  }
}

/** What is the same of two calls that a model has made word for word. */
export const sameCall = ({ tool, args }: CallState): string => `${tool} ${args}`;

function evolveVerdict(state: RunState, { data }: EventOf<'approval.answered'>, content: unknown): void {
  const approved = data.verdict === 'approve';
  if (state.limit !== null && data.approval === state.limit.approval) {
    state.limit = { ...state.limit, raised: approved, by: data.by };
    return;
  }
  if (approved) for (const by of [data.by, ...(data.also ?? [])]) state.approvedBy.add(by);
  const { text = '' } = (content ?? {}) as { text?: string };
  if (data.approval === state.landingApproval) {
    state.landing = approved ? 'approved' : 'refused';
    if (data.by !== 'runtime') state.landingNote = text;
    return;
  }
  const call = state.calls.find((each) => each.approval === data.approval);
  if (!call) return;
  call.phase = approved ? 'allowed' : 'refused';
  if (approved) call.note = text;
  else if (data.by !== 'runtime') state.denied.set(sameCall(call), text === '' || state.denied.has(sameCall(call)));
  const why = text === '' ? '' : ` The reason: ${text}`;
  const denied = data.by === 'runtime' ? NOBODY : `The owner denied this call.${why}`;
  call.refusal = approved ? null : denied;
}

function evolveCall(state: RunState, event: Event, content: unknown): void {
  switch (event.type) {
    case 'decision.made': {
      const call = state.calls.find((each) => each.id === event.data.call);
      if (!call) return;
      call.labels = event.labels;
      const { verdict, rule, reason, approvers = 1 } = event.data;
      if (verdict === 'allow') Object.assign(call, { phase: 'allowed', grant: idIn('grant', rule) });
      if (verdict === 'ask') Object.assign(call, { phase: 'asking', asks: { rule, reason, approvers } });
      if (event.data.verdict === 'deny') {
        call.phase = 'refused';
        call.refusal = `Denied by rule ${event.data.rule}: ${event.data.reason}`;
      }
      return;
    }
    case 'approval.asked': {
      if (event.data.call === 'landing') {
        state.landing = 'asked';
        state.landingApproval = event.data.approval;
        return;
      }
      const call = state.calls.find((each) => each.id === event.data.call);
      if (call) Object.assign(call, { phase: 'waiting', approval: event.data.approval });
      return;
    }
    case 'approval.answered':
      return evolveVerdict(state, event, content);
    case 'question.asked': {
      const call = state.calls.find((each) => each.id === event.data.call);
      if (call) Object.assign(call, { phase: 'waiting', question: event.data.question, doubt: event.data.doubt });
      return;
    }
    case 'question.answered': {
      const call = state.calls.find((each) => each.question === event.data.question);
      // A file that comes with an answer is from outside like any other.
      addLabels(state, event.labels, 'a file that came with an answer');
      if (!call) return;
      call.phase = 'allowed';
      const { parts, files = [] } = content as UserMessage;
      call.answer = parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
      state.answerFiles.push(...files);
      return;
    }
    case 'task.created':
      state.created.push(event.data.child);
      return;
    case 'tasks.awaited': {
      const call = state.calls.find((each) => each.id === event.data.call);
      if (call) Object.assign(call, { phase: 'waiting', tasks: event.data.children });
      return;
    }
    case 'tool.started': {
      const call = state.calls.find((each) => each.id === event.data.call);
      const { key, effect, idempotent } = event.data;
      if (call) Object.assign(call, { phase: 'started', key, effect, idempotent, answer: null });
      return;
    }
    case 'tool.returned': {
      const call = state.calls.find((each) => each.id === event.data.call);
      if (event.data.labels.length > 0)
        addLabels(state, event.data.labels, call === undefined ? event.data.tool : callWords(call));
      addResult(state, call, content as ToolRecord);
      return;
    }
    default:
  }
}

/** Where a call follows in the place of a second part, the first one was said before it, as other words are. */
function evolveParts(state: RunState, goesOn: boolean): void {
  if (goesOn) state.begun = answerText({ begun: '', answer: state.answer });
  else if (state.goesOn === null || state.calls.length > 0) state.begun = '';
  state.goesOn = goesOn ? state.step : null;
}

/** What the person reads: both parts of an answer that was cut and went on. */
export const answerText = ({ begun, answer }: Pick<RunState, 'begun' | 'answer'>): string =>
  begun + (answer?.parts ?? []).map((part) => (part.type === 'text' ? part.text : '')).join('');

function evolveModel(state: RunState, event: Event, content: unknown): void {
  switch (event.type) {
    case 'model.called': {
      if (event.data.purpose !== 'turn') return;
      // Its instructions may have become another's since it began.
      addLabels(state, newLabels(state, event.labels), 'the instructions of its agent');
      const manifest = content as Manifest;
      const { messages, turnFrom, whole = {} } = manifest;
      state.messages = messages.map((ref, at) => whole[at] ?? ref).slice(turnFrom);
      state.cold ||= manifest.cold === true;
      state.arrived = [];
      state.calls = [];
      state.justRead = new Set();
      state.answer = null;
      state.step = event.data.step;
      state.asked = manifest.tokens ?? 0;
      state.told = manifest.told ?? state.told;
      state.warned = manifest.labelled ?? state.warned;
      return;
    }
    case 'model.answered': {
      state.usage = addUsage(state.usage, event.data.usage);
      state.costUsd += event.data.costUsd;
      state.unpriced ||= event.data.unpriced === true;
      if (event.data.purpose !== 'turn') return;
      state.lastInput = event.data.estimated === true ? 0 : event.data.usage.input;
      state.lastAsked = state.asked;
      state.failures = [];
      state.model = `${event.data.provider}/${event.data.model}`;
      state.answer = content as ModelMessage;
      state.cut = event.data.finish === 'length';
      state.messages.push(event.data.answer);
      state.calls = newCalls(state, state.answer);
      evolveParts(state, event.data.goesOn === true);
      return;
    }
    case 'model.failed':
      state.costUsd += event.data.cost?.usd ?? 0;
      state.failures.push({ choice: `${event.data.provider}/${event.data.model}`, kind: event.data.error });
      return;
    default:
  }
}

function place(state: RunState, { changes }: Placed): void {
  // Also those that could not be kept: that has been said. Of those that are only placed once more nothing has come.
  if (changes.length === 0 || changes.some(({ path }) => !state.placed.has(path))) state.answerFiles = [];
  for (const change of changes) {
    state.changes.set(change.path, change);
    mark(state, change);
    state.placed.add(change.path);
  }
}

function rebase(state: RunState, onto: string, { changes, labels = [] }: Rebase): void {
  if (onto !== state.base) {
    state.conflicts += 1;
    // What the model read before may have changed under it: it must read again before it edits.
    Object.assign(state, { seen: new Map(), justRead: new Set(), looksAnew: true });
  } else if (changes.length === state.changes.size) state.refusals += 1;
  const kept = new Map(changes.map((change) => [change.path, change]));
  // What is left out is not as the run has made it any more, which it is told.
  for (const path of state.changes.keys())
    if (!kept.has(path)) {
      state.seen.delete(path);
      state.marks.delete(path);
    }
  for (const [path, own] of labels) state.marks.set(path, own);
  state.base = onto;
  state.changes = kept;
  Object.assign(state, NO_LANDING);
}

/** The run after one more event. `content` is the parsed blob of the events that have one. Changes `state` in place. */
export function evolve(state: RunState, event: Event, content: unknown): void {
  switch (event.type) {
    case 'run.started':
      for (const value of (content as readonly string[] | null) ?? []) state.foreign.add(value);
      return;
    case 'base.moved':
      // It landed in the middle of its work, and goes on from there.
      if (state.landing === 'done') {
        for (const path of state.changes.keys()) state.landed.add(path);
        Object.assign(state, { changes: new Map(), marks: new Map(), ...NO_LANDING });
      }
      state.base = event.data.to;
      return;
    case 'message.taken':
      addLabels(state, newLabels(state, event.labels), 'a message that came meanwhile');
      state.arrived.push(event.data.content);
      state.absorbed.push(event.data.task);
      state.denied.clear();
      return;
    case 'files.placed':
      return place(state, content as Placed);
    case 'note.added':
      state.arrived.push(event.data.note);
      return;
    case 'run.resumed':
      state.parked = false;
      state.config = event.data.config;
      // The person who was waited for has an answer by now.
      if (state.limit?.approval === null) state.limit = null;
      return;
    case 'budget.met':
      state.limit = { ...event.data, raised: null, by: '' };
      return;
    case 'budget.answered':
      state.limit = null;
      return;
    case 'run.parked':
      state.parked = true;
      return;
    case 'landing.started':
      state.landing = 'started';
      return;
    case 'landing.finished':
      state.landing = 'done';
      state.commit = event.data.commit;
      return;
    case 'landing.conflicted':
      return rebase(state, event.data.onto, content as Rebase);
    case 'run.finished':
      state.finished = true;
      return;
    case 'model.called':
    case 'model.answered':
    case 'model.failed':
      return evolveModel(state, event, content);
    default:
      return evolveCall(state, event, content);
  }
}

export type Step = 'model' | 'calls' | 'land' | 'finish';

/** What comes next. Pure: the same record always leads to the same step. */
export function nextStep(state: RunState): Step {
  if (state.calls.some((call) => call.phase !== 'returned')) return 'calls';
  if (state.answer === null || state.calls.length > 0 || state.arrived.length > 0) return 'model';
  if (state.changes.size > 0 && state.landing !== 'done') return 'land';
  return 'finish';
}

/** Why a run cannot go on. */
export interface Failure {
  /** A word for programs: `model.rate`, `limit.steps`, `landing.conflict` … */
  code: string;
  /** For people. */
  message: string;
  /** True if a later attempt may succeed. */
  retryable: boolean;
  /** It was tried often enough: what failed the same way each time would do so again. */
  spent?: true;
  /** Milliseconds after which it is tried again, and that try is not counted: what keeps it is no fault of its own. */
  after?: number;
}
