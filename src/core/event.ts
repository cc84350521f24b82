import type { Sent } from './net/sent.ts';
import type { BlobRef } from './blob.ts';
import type { Cost, ModelPrice } from './budget.ts';
import type { AgreedBody } from './agreed.ts';
import type { Label } from './labels.ts';
import type { FinishReason, ModelErrorKind, Purpose, Usage } from './model.ts';
import type { Route } from './routing.ts';
import type { Timing } from './schedule.ts';
import type { Task, TaskStatus } from './task.ts';
import type { SkippedWhy } from './trigger.ts';

export type Verdict = 'allow' | 'ask' | 'deny';

/** What a run waits for: a person's answer, or the end of a task. */
export interface Wait {
  kind: 'approval' | 'question' | 'task';
  id: string;
}

/**
 * What happened, by type. Bodies hold ids, labels, sizes and hashes; what people and models said is in blobs.
 * Streams: `conv:<agent>/<session>`, `run:<run>`, `task:<task>`, `schedule:<agent>/<name>`, `trigger:<agent>/<name>`,
 * `triggers`, `hook:<name>/<delivery>`, `account:<account>/<folder>`, `matter:<matter>`, `escalation:<escalation>`, `grant:<grant>`, `endorsement:<endorsement>`, `workspace`, `agents`, `secrets`, `gateway`.
 */
export type Body =
  | AgreedBody
  // network: streams of their own
  | { type: 'net.sent'; data: Sent }
  // conversation
  | {
      type: 'message.received';
      /**
       * `task` is the one that answers it; `replyTo` is the channel's own address for the reply, `chat` that of the place itself
       * where it is another; `parts` are further messages of the platform that are one with it.
       */
      data: {
        agent: string;
        session: string;
        channel: string;
        from: string;
        replyTo: string;
        chat?: string;
        content: BlobRef;
        task: string;
        parts?: readonly string[];
      };
    }
  /** Earlier messages that a client handed over with its first one. */
  | { type: 'history.given'; data: { messages: BlobRef[] } }
  /** Nobody who may write; told nothing. `chat` is where. */
  | { type: 'sender.denied'; data: { channel: string; sender: string; chat: string } }
  /** A code that makes its sender an owner of the channel; only its hash is kept. */
  | { type: 'pairing.opened'; data: { channel: string; hash: string; until: number } }
  | { type: 'owner.paired'; data: { channel: string; sender: string } }
  /** Somebody began anew: what is written in the chat belongs to this session from now on. */
  | { type: 'chat.session'; data: { channel: string; chat: string; agent: string; session: string } }
  /** The platform has given a chat another name: a group that became a supergroup, for example. */
  | { type: 'chat.renamed'; data: { channel: string; from: string; to: string } }
  /** The conversation goes on with another agent, in its own session of that name; `brief` is what it should know. */
  | {
      type: 'conversation.moved';
      data: { agent: string; session: string; to: string; run: string; brief: BlobRef };
    }
  /** One turn's contribution to the conversation: the model messages of the run, in order. */
  | {
      type: 'turn.ended';
      /**
       * `seen`: what the conversation has looked at so far, as JSON: a list of path and blob oid. Without it nothing was added. `cold`:
       * it was quiet for long before. `foreign`: all values it holds that were taken out of texts from outside.
       */
      data: {
        run: string;
        task: string;
        status: TaskStatus;
        messages: BlobRef[];
        seen?: BlobRef;
        cold?: true;
        foreign?: BlobRef;
      };
    }
  | {
      type: 'conversation.compacted';
      data: {
        run: string;
        upTo: number;
        summary: BlobRef;
        tokensBefore: number;
        tokensAfter: number;
        /** A provider refused what was said in them. */
        refused?: true;
        /** These turns alone are left out, by the seq of their end; the summary stands for those of before, too. */
        only?: number[];
      };
    }
  | {
      type: 'message.queued';
      data: {
        agent: string;
        session: string;
        /** Null for what the runtime says by itself: the answer to a command. */
        task: string | null;
        run: string | null;
        channel: string;
        to: string;
        content: BlobRef;
        /** Nobody there has asked for it. Who tells it: `agent:<name>`, `schedule:<agent>/<name>`, `trigger:<agent>/<name>`. */
        told?: string;
      };
    }
  /** What is told waits: for the end of quiet hours, or because one address has been told much within a minute. */
  | {
      type: 'message.held';
      data: { message: string; channel: string; to: string; until: number; why: 'quiet' | 'many' };
    }
  /** These go out as one message, in this order; the first one's sending stands for all. */
  | { type: 'message.collected'; data: { channel: string; to: string; messages: string[] } }
  /** What was written so far of the reply to a task is shown: the reply takes its place. */
  | { type: 'message.drafted'; data: { task: string; channel: string; to: string; draft: string } }
  /** Intent before a send of one part: without a word of its end after it, the fate of that part is unknown. */
  | {
      type: 'message.sending';
      data: { message: string; channel: string; attempt: number; part: number; parts: number };
    }
  /** One part has arrived; the last one is told by `message.sent`. */
  | { type: 'message.progressed'; data: { message: string; channel: string; part: number; receipt: string | null } }
  | { type: 'message.sent'; data: { message: string; channel: string; receipt: string | null; repeated: boolean } }
  /** The platform gave no clear answer: it may have arrived. */
  | { type: 'message.unsure'; data: { message: string; channel: string; error: string } }
  | { type: 'message.failed'; data: { message: string; channel: string; error: string; final: boolean } }
  // task
  | { type: 'task.queued'; data: { task: Task } }
  | { type: 'task.retried'; data: { task: string; run: string; attempt: number; notBefore: number; error: string } }
  /** A person has seen that it failed, and does not want to be told of it any more. */
  | { type: 'task.dismissed'; data: { task: string } }
  /** It had not ended when its deadline came. */
  | { type: 'task.late'; data: { task: string; deadline: number } }
  /** Its file was changed by somebody, and put back as it was. */
  | { type: 'task.restored'; data: { task: string } }
  /** A file in an inbox did not become a task; `detail` says why, and where it is now. */
  | { type: 'task.rejected'; data: { queue: string; detail: BlobRef } }
  | { type: 'task.finished'; data: { task: string; run: string | null; status: TaskStatus; result: BlobRef | null } }
  // schedule
  /** From now on it fires so; an edit counts from the moment it is seen. `anchor`: times after it count, and `every` is counted from it. */
  | {
      type: 'schedule.set';
      data: { schedule: string; agent: string; name: string; timing: Timing; anchor: number; paused: boolean };
    }
  | { type: 'schedule.removed'; data: { schedule: string } }
  /** `missed`: how many earlier firings it stands for. `by`: who had it fire out of turn, null for the clock. */
  | { type: 'schedule.fired'; data: { schedule: string; at: number; task: string; missed: number; by: string | null } }
  /** Firings up to `at` that made no task. `task`: the one that was in the way. */
  | {
      type: 'schedule.skipped';
      data: { schedule: string; at: number; count: number; why: 'missed' | 'overlap' | 'full'; task: string | null };
    }
  | { type: 'schedule.paused'; data: { schedule: string } }
  /** Times after `from` count. */
  | { type: 'schedule.resumed'; data: { schedule: string; from: number } }
  // trigger
  /** What happens from now on counts by `rule`, the trigger as its file has it. `main`: all that landed up to there is past. */
  | {
      type: 'trigger.set';
      data: { trigger: string; agent: string; name: string; rule: BlobRef; main: string | null };
    }
  | { type: 'trigger.removed'; data: { trigger: string } }
  /** `first`, `last`: the event that caused it, or those a burst began and ended with; null where a person (`by`) had it fire. */
  | {
      type: 'trigger.fired';
      data: {
        trigger: string;
        task: string;
        first: string | null;
        last: string | null;
        count: number;
        by: string | null;
      };
    }
  /** These causes made no task. `detail`: why, in words. `matter`: what the owner was told of it by. */
  | {
      type: 'trigger.skipped';
      data: {
        trigger: string;
        first: string;
        last: string;
        count: number;
        why: SkippedWhy;
        detail: BlobRef | null;
        matter: string | null;
      };
    }
  | { type: 'trigger.paused'; data: { trigger: string } }
  | { type: 'trigger.resumed'; data: { trigger: string } }
  /** Every event up to `upTo`, and all that landed up to `main`, has had its effect on triggers. */
  | { type: 'triggers.seen'; data: { upTo: number; main: string | null } }
  /** `delivery`: the sender's name for it. `content`: what was sent, with the name of the event. */
  | { type: 'webhook.received'; data: { hook: string; delivery: string; content: BlobRef } }
  // accounts: streams of their own, `account:<account>/<folder>`
  /** `mail`: its id. `content`: what triggers know of it (`MailFacts`). */
  | { type: 'mail.received'; data: { account: string; folder: string; mail: string; content: BlobRef } }
  /**
   * Every mail up to this UID has been taken in. Mails that came before `from` (milliseconds, by the server) were there already, and
   * so were those of that very second whose fingerprints are in `edge`. `anew`: the server has numbered the folder anew, and up
   * to this UID there may be mails that were taken in under another one.
   */
  | {
      type: 'mail.seen';
      data: {
        account: string;
        folder: string;
        validity: string;
        uid: number;
        from: number;
        edge: string[];
        anew?: number;
      };
    }
  // run
  | {
      type: 'run.started';
      data: {
        run: string;
        task: string;
        agent: string;
        session: string;
        attempt: number;
        /** Commit the agent's definition and the policy were read from. */
        config: string;
        /** Commit the run's view of the workspace starts at. */
        base: string;
        /** Values that its conversation holds and that were taken out of texts from outside. */
        foreign?: BlobRef;
      };
    }
  | { type: 'run.resumed'; data: { worker: string; step: number; config: string } }
  /** What a person has changed, or what was landed before the run first looked: the run goes on from there. */
  | { type: 'base.moved'; data: { from: string; to: string } }
  | { type: 'message.taken'; data: { message: string; task: string; content: BlobRef } }
  /** Files that came with messages are in the run's view; `detail` holds the changes. */
  | { type: 'files.placed'; data: { files: number; detail: BlobRef } }
  | {
      type: 'model.called';
      data: {
        step: number;
        purpose: Purpose;
        provider: string;
        model: string;
        request: BlobRef;
        /** Why it is asked, where that is not simply the agent's own model. */
        route?: Route;
        /** The most it can cost, where a budget counts it: what is spent if its fate stays unknown. */
        reserved?: Cost;
      };
    }
  | {
      type: 'model.answered';
      data: {
        step: number;
        purpose: Purpose;
        provider: string;
        model: string;
        answer: BlobRef;
        finish: FinishReason;
        usage: Usage;
        /** The provider did not count: `usage` is the most that it can have been. */
        estimated?: true;
        costUsd: number;
        /** The model's price is unknown, so `costUsd` is 0. */
        unpriced?: true;
        /** It was cut at the output limit, and the next answer is its second part. */
        goesOn?: true;
        ms: number;
      };
    }
  | {
      type: 'model.failed';
      data: {
        step: number;
        purpose: Purpose;
        provider: string;
        model: string;
        error: ModelErrorKind;
        detail: BlobRef;
        partial: BlobRef | null;
        ms: number;
        /** What it cost all the same, or may have cost. */
        cost?: Cost;
      };
    }
  // budgets
  /**
   * A run has come to the limit of a budget. `to`: the model it goes on with; `approval`: what the owner is asked; `task`: the one
   * whose run has asked already, and whose end is waited for.
   */
  | {
      type: 'budget.met';
      data: {
        account: string;
        limit: number;
        spent: number;
        /** By how much the owner is asked to raise it. */
        more: number;
        action: 'tier-down' | 'ask' | 'wait' | 'stop';
        to: string | null;
        approval: string | null;
        task: string | null;
      };
    }
  /** The owner has raised the limit of this window by so much; 0: has refused to; null: it was looked at again without an answer. */
  | { type: 'budget.answered'; data: { account: string; raised: number | null; approval: string; by: string } }
  /** What this model cost from `since` until this event counts by these prices, in USD for a million tokens. */
  | { type: 'price.corrected'; data: { model: string; since: number; price: ModelPrice } }
  | {
      type: 'decision.made';
      /** `facts`: what it was made from (`DecisionRecord`); decisions of older versions have none. */
      /** `approvers`: of an ask, how many persons have to agree. `endorsed`: the endorsements it rests on. */
      data: {
        call: string;
        tool: string;
        verdict: Verdict;
        rule: string;
        reason: string;
        facts?: BlobRef;
        approvers?: number;
        endorsed?: readonly string[];
      };
    }
  /** `doubt`: the runtime itself asks, because it cannot tell whether the call took effect. */
  | { type: 'question.asked'; data: { question: string; call: string; doubt: boolean; text: BlobRef } }
  | { type: 'question.answered'; data: { question: string; by: string; answer: BlobRef } }
  /** The run gave a task to an agent. `joined`: one of that key was there already. */
  | { type: 'task.created'; data: { call: string; child: string; to: string; joined: boolean } }
  /** A run of the task `by` has asked for this very one, by its key: it is no longer its maker's alone. */
  | { type: 'task.joined'; data: { task: string; by: string } }
  /** The call goes on, with every result, when these tasks have ended. */
  | { type: 'tasks.awaited'; data: { call: string; children: string[] } }
  /** The owner is asked about a guard against runaways, or a missed deadline. `about` is the task. */
  | { type: 'matter.raised'; data: { matter: string; kind: MatterKind; about: string; text: BlobRef } }
  | { type: 'matter.settled'; data: { matter: string; by: string; answer: BlobRef } }
  // escalation
  /** What waits for a person goes up a chain of `ruche.yaml`, as the chain stood then. Its levels are counted from `from`. */
  | {
      type: 'escalation.started';
      data: {
        escalation: string;
        about: string;
        kind: 'approval' | 'question' | 'matter';
        task: string | null;
        agent: string | null;
        chain: string;
        from: number;
        levels: { after: number; to: string }[];
      };
    }
  /** Once a level. `unreachable`: nobody could be told, and `why`. `task` is the one that sends it, or that an agent was given. */
  | {
      type: 'escalation.reached';
      data: {
        escalation: string;
        level: number;
        to: string;
        outcome: 'told' | 'unreachable' | 'denies';
        why: string | null;
        task: string | null;
      };
    }
  /** Somebody has seen it: no further level is reached, and what waits goes on waiting. */
  | { type: 'escalation.acknowledged'; data: { escalation: string } }
  /** `gone`: nothing waits for an answer any more. */
  | { type: 'escalation.ended'; data: { escalation: string; why: 'answered' | 'denied' | 'gone' } }
  | { type: 'run.parked'; data: { waits: Wait[] } }
  | { type: 'tool.started'; data: { call: string; tool: string; key: string; effect: Effect; idempotent: boolean } }
  | {
      type: 'tool.returned';
      data: {
        call: string;
        tool: string;
        ok: boolean;
        result: BlobRef;
        labels: Label[];
        ms: number;
        reconciled: boolean;
      };
    }
  /**
   * Content of files and the labels it has (`LabelledFiles`): of a run's, before they land; nothing is said of files without any. A
   * person lifts them with an empty list.
   */
  | { type: 'files.labelled'; data: { files: number; detail: BlobRef } }
  | { type: 'landing.started'; data: { base: string; paths: number; message: BlobRef } }
  | { type: 'landing.finished'; data: { commit: string | null; paths: number } }
  /** The run goes on from `onto` with the overlay in `detail`: a conflict, or a change a person refused. */
  | { type: 'landing.conflicted'; data: { onto: string; detail: BlobRef } }
  /** The runtime tells the model something that nobody said. */
  | { type: 'note.added'; data: { note: BlobRef } }
  | {
      type: 'run.finished';
      data: {
        run: string;
        status: TaskStatus;
        error: string | null;
        detail: BlobRef | null;
        usage: Usage;
        costUsd: number;
        /** Part of it went to a model whose price is unknown: it cost `costUsd` at least. */
        unpriced?: true;
        steps: number;
      };
    }
  // workspace
  | { type: 'person.committed'; data: { commit: string; author: string; paths: number } }
  /** What Git did without the runtime: a commit by hand, or (`elsewhere`) a pull, a merge, a reset. */
  | { type: 'main.moved'; data: { from: string; to: string; by: 'person' | 'elsewhere' } }
  | { type: 'config.applied'; data: { commit: string } }
  | { type: 'config.refused'; data: { commit: string | null; problems: number; detail: BlobRef } }
  | { type: 'config.held'; data: { commit: string; approval: string; shown: BlobRef } }
  // agents
  /** It takes no work from now on, and its runs stop at their next step. `reason`: a person's words. */
  | { type: 'agent.paused'; data: { agent: string; reason: BlobRef | null } }
  | { type: 'agent.resumed'; data: { agent: string } }
  // secrets, by name; a value is never on record
  | { type: 'secret.changed'; data: { name: string; what: 'set' | 'rotated' | 'removed' } }
  /** Everything in the vault is encrypted with another key from now on. */
  | { type: 'secret.key'; data: { publicKey: string } }
  /** Read for something: the first time since a start, and then once an hour at most. */
  | { type: 'secret.used'; data: { name: string; for: string } }
  // gateway
  /**
   * `lost`: events that the database had lost and a person gave up; `kept` is the name of the old journal.git in the home.
   * `interrupted`: tasks that were under way when the process ended without a stop, and how often since they last got further.
   * `newer`: commits on `main` of runs that the journal does not know, the newest of them, and whether a person has accepted that.
   */
  | {
      type: 'gateway.started';
      data: {
        version: string;
        recovered: number;
        lost?: { events: number; kept: string };
        interrupted?: { task: string; deaths: number }[];
        newer?: { commits: number; newest: string; accepted: boolean };
      };
    }
  | { type: 'gateway.stopped'; data: { reason: string } };

/** What the owner is to look at: a limit that a cascade of tasks has met, a deadline, work that was given up, or what an agent says. */
export type MatterKind =
  | 'hops'
  | 'tasks'
  | 'fan-out'
  | 'ping-pong'
  | 'deadline'
  | 'dead'
  | 'conflict'
  | 'gone'
  | 'limit'
  | 'rejected'
  | 'undelivered'
  | 'outage'
  | 'secret'
  | 'budget'
  | 'agent';

export type Effect = 'read' | 'write' | 'send' | 'exec';
export type EventType = Body['type'];

/** The form in which bodies are written today. Raise it when one changes, and say in journal/upcast.ts how to read the older. */
export const EVENT_SCHEMA = 2;

/** An event as it is appended: the store adds seq, version, time and hash. */
export type NewEvent = Body & {
  stream: string;
  /** `person:<id>`, `agent:<name>`, `runtime`. */
  actor: string;
  /** Event id, or the index of an earlier event of the same batch. */
  cause: string | number | null;
  labels: readonly Label[];
  /** Unique over the whole journal: a second event with the same key is a Duplicate. */
  key?: string;
};

/** An event as it stands in the journal. `hash` covers everything else and the previous event's hash. */
export type Event = Body & {
  seq: number;
  id: string;
  stream: string;
  /** Position in its stream, from 1. */
  version: number;
  /** Milliseconds since the epoch. */
  at: number;
  actor: string;
  cause: string | null;
  labels: readonly Label[];
  key: string | null;
  /** Version of the body's form; older ones are upcast on read. */
  schema: number;
  hash: string;
};

export type EventOf<T extends EventType> = Extract<Event, { type: T }>;
export type DataOf<T extends EventType> = Extract<Body, { type: T }>['data'];
