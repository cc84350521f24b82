import { durationText } from './text/duration.ts';
import type { Json } from './text/json.ts';

export const HOOK_KINDS = ['bearer', 'hmac', 'github', 'gitlab', 'standard'] as const;

/** How a webhook's sender proves who it is. `secret` is a reference, `windowMs` how old a signed time may be. */
export interface HookAuth {
  kind: (typeof HOOK_KINDS)[number];
  secret: string;
  /** Further references that are as good, while one secret takes the place of another. */
  others?: readonly string[];
  windowMs: number;
}

/** What a trigger listens to; null: any. */
export type TriggerSource =
  | { on: 'file.landed'; paths: readonly string[] }
  | { on: 'task.done' | 'task.failed' | 'task.dead'; queue: string | null; agent: string | null }
  | { on: 'run.failed'; agent: string | null }
  | { on: 'message'; channel: string | null; sender: string | null; pattern: string | null; agent: string | null }
  | { on: 'webhook'; hook: string; auth: HookAuth }
  | { on: 'approval.waiting'; agent: string | null; tool: string | null }
  /** Everything but `folder` may be a glob. */
  | {
      on: 'mail.received';
      accounts: readonly string[];
      folder: string | null;
      from: string | null;
      addressee: string | null;
      subject: string | null;
      attachment: string | null;
      list: string | null;
    };

export type TriggerOn = TriggerSource['on'];

/** A trigger of an AGENT.md. */
export interface Trigger {
  /** Unique in the agent. */
  name: string;
  source: TriggerSource;
  /** A condition in CEL; null: always. */
  when: string | null;
  /** Milliseconds without a further cause before a burst of them fires once; 0: each fires at once. */
  debounce: number;
  /** A task for each file, in the place of one for all of them. */
  each?: true;
  /** Firings within any span of so many milliseconds. */
  limit: { count: number; perMs: number } | null;
  /** What the agent is told, with placeholders; or the command line of a script that runs without a model. */
  work: { kind: 'task'; text: string } | { kind: 'run'; command: string };
  /** Who gets the answer: `owner` or `CHANNEL:ADDRESS`. */
  to?: string;
}

/** What a cause is described by: the names that conditions and placeholders of a trigger may use. */
export type Facts = { [name: string]: Json };

/** Known of every cause, as `event.…`. */
export const COMMON_FIELDS = ['id', 'type', 'at'] as const;

const TASK_FIELDS = ['task', 'queue', 'agent', 'from', 'status', 'run', 'attempt'];

/** By name alone, and as `event.…`. */
export const TRIGGER_FIELDS: Readonly<Record<TriggerOn, readonly string[]>> = {
  'file.landed': ['path', 'paths', 'commit', 'by', 'run', 'task', 'agent'],
  'task.done': TASK_FIELDS,
  'task.failed': TASK_FIELDS,
  'task.dead': TASK_FIELDS,
  'run.failed': ['run', 'task', 'agent', 'status', 'error'],
  message: ['text', 'channel', 'sender', 'agent', 'session', 'task'],
  webhook: ['hook', 'name', 'delivery', 'body'],
  'approval.waiting': ['approval', 'tool', 'run', 'task', 'agent'],
  'mail.received': [
    'mail',
    'account',
    'folder',
    'from',
    'to',
    'subject',
    'date',
    'attachments',
    'list',
    'automatic',
    'authentic',
  ],
};

/** Facts that hold what is in them at any depth: no field of theirs is known beforehand. */
export const OPEN_FIELDS: readonly string[] = ['body'];

/** Reads a condition; says in words what is wrong with it. `at`: characters from its beginning. */
export type ReadCondition = (
  text: string,
  on: TriggerOn,
) => { ok: true; holds: (facts: Facts) => Held } | { ok: false; error: string };

/** Whether a condition holds, or why that could not be told. */
export type Held = { ok: true; holds: boolean } | { ok: false; error: string };

/** `<agent>/<name>`. */
export const triggerId = (agent: string, name: string): string => `${agent}/${name}`;
export const triggerStream = (id: string): string => `trigger:${id}`;
/** Unique key of what one cause comes to, whatever that is. */
export const triggerKey = (id: string, cause: string): string => `trigger:${id}@${cause}`;
/** What the owner hears about a limit concerns one of its spans, named by the cause that met it. */
export const limitMatter = (id: string, cause: string): string => `${id}@${cause}`;
/** Session of the conversation the scripts of a trigger belong to; each task for a model has one of its own. */
export const triggerSession = (name: string): string => `trigger-${name}`;

/** Why a cause made no task. */
export type SkippedWhy = 'condition' | 'limit' | 'hops' | 'tasks' | 'input' | 'placeholder';

/** How a trigger stands, for people. */
export interface TriggerState {
  id: string;
  agent: string;
  name: string;
  /** What it listens to, in the words of its file: `file.landed shared/deadlines/*.md`. */
  on: string;
  when: string | null;
  /** Name of its webhook, if it has one. */
  hook?: string;
  /** `30s`, `10/h`; null for none. */
  debounce: string | null;
  limit: string | null;
  /** The task's text, or `run: …`. */
  does: string;
  /** Why nothing can reach it; absent where nothing is known to be wrong. */
  note?: string;
  paused: boolean;
  /** Causes of a burst that has not fired yet, and when it will. */
  waiting: { count: number; due: number } | null;
  last: TriggerFiring | null;
}

/** What one cause, or a burst of them, came to. */
export interface TriggerFiring {
  at: number;
  /** The event that began it; null for one that a person had fire. */
  cause: string | null;
  /** What that was, in words. */
  what: string;
  /** Causes it stands for. */
  count: number;
  task: string | null;
  /** Status of the task, or why there is none. */
  status: string;
  /** What kept it from firing, in words; null for one that fired, or where `status` says it all. */
  why: string | null;
  by: string | null;
}

/** A webhook with the secrets of which its sender must know one. */
export interface Hook {
  name: string;
  auth: Pick<HookAuth, 'kind' | 'windowMs'>;
  /** One or more, each of which is as good. */
  secrets: readonly string[];
}

/** One request to a hook whose sender has proved who it is. */
export interface HookDelivery {
  hook: string;
  /** The sender's own name for it: the same again is the same delivery; null if it gave none. */
  id: string | null;
  /** What only this delivery is signed with; null where nothing is, or where the sender's name for it tells more. */
  seal: string | null;
  /** What its body is signed with, where nothing else is: within a day, another name does not make it another delivery. */
  signature?: string;
  /** What happened, as GitHub names it; '' elsewhere. */
  name: string;
  body: Json;
}

export type HookResult =
  /** `known`: it has come before. `tasks`: none where a condition, a limit, a pause or a debounce stands between. */
  | { ok: true; event: string; tasks: string[]; known: boolean }
  | { ok: false; why: 'conflict' | 'stopping' | 'full'; message: string };

/** What people, and senders of webhooks, can ask of the triggers. `by` is the one who asks. */
export interface TriggerDesk {
  list(): Promise<TriggerState[]>;
  /** Null if there is no such trigger. Newest first. */
  show(id: string): Promise<{ trigger: TriggerState; firings: TriggerFiring[] } | null>;
  /** Has it fire with these facts, also while it is paused and whatever its condition. Gives the task; null if there is no such trigger. */
  run(id: string, by: string, facts: Facts, request?: string): Promise<string | null>;
  /** What would fire while it is paused is not made up for. False if there is no such trigger. */
  /** Why these facts do not do for it; null if they do, or there is no such trigger. */
  lacking(id: string, facts: Facts): Promise<string | null>;
  pause(id: string, by: string): Promise<boolean>;
  resume(id: string, by: string): Promise<boolean>;
  /** Null: none of this name, none that can tell who sends, or two that do not agree on how. */
  hook(name: string): Promise<Hook | null>;
  deliver(delivery: HookDelivery): Promise<HookResult>;
}

/** What it listens to, in the words of its file. */
export function sourceText(source: TriggerSource): string {
  if (source.on === 'file.landed') return `file.landed ${source.paths.join(', ')}`;
  if (source.on === 'webhook') return `webhook ${source.hook} (${source.auth.kind})`;
  const { on, ...filters } = source;
  const said = Object.entries(filters).flatMap(([name, value]) =>
    value === null ? [] : [`${name}: ${[value].flat().join(', ')}`],
  );
  return [on, ...said].join(' ');
}

export const limitText = ({ count, perMs }: NonNullable<Trigger['limit']>): string =>
  `${count}/${durationText(perMs).replace(/^1(?=\D)/, '')}`;

/** Milliseconds and count of `10/h`, `3/10m`; null if it is nothing like that. */
export function readLimit(text: string): Trigger['limit'] {
  const match = /^([1-9]\d{0,3})\/([1-9]\d{0,3})?([smhd])$/.exec(text);
  if (!match) return null;
  const unit = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[3] as 's' | 'm' | 'h' | 'd'];
  return { count: Number(match[1]), perMs: Number(match[2] ?? 1) * unit };
}

/** References to every secret that a hook takes. */
export const secretsOf = ({ secret, others = [] }: HookAuth): string[] => [secret, ...others];

/** Whether the agents' triggers agree on how the sender of this hook is known; null if there is no such hook. */
export function hookAuth(triggers: Iterable<Trigger>, name: string): HookAuth | 'ambiguous' | null {
  const found: HookAuth[] = [];
  for (const { source } of triggers) if (source.on === 'webhook' && source.hook === name) found.push(source.auth);
  const [first, ...others] = found;
  if (first === undefined) return null;
  const same = (auth: HookAuth): boolean =>
    auth.kind === first.kind &&
    secretsOf(auth).join(' ') === secretsOf(first).join(' ') &&
    auth.windowMs === first.windowMs;
  return others.every(same) ? first : 'ambiguous';
}

/** The key of a secret of Standard Webhooks: what is no base64 gives a short key, or none at all. */
export const standardKey = (secret: string): Uint8Array => Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
