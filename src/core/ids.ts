/** The kinds of identifier the runtime makes. Events are not among them: an event is `evt_<seq>`. */
type IdKind = 'tsk' | 'run' | 'apr' | 'qst' | 'mat' | 'ses' | 'wrk' | 'call' | 'msg' | 'grt' | 'end';

/** The one source of randomness. `next('tsk')` gives `tsk_…`, matching `^[A-Za-z0-9_-]+$`. */
export interface Ids {
  next(kind: IdKind): string;
}

const SAFE = /^[A-Za-z0-9_-]{1,128}$/;

/** True for names that may become part of a path, a ref or a stream name. */
export const isSafeName = (name: string): boolean => SAFE.test(name);

/** An agent's name is also its folder, its queue and its Git author. */
export const isAgentName = (name: string): boolean => /^[a-z][a-z0-9-]{0,62}$/.test(name);

/** What a secret of home is called, after `secret:` or `home:`. */
export const isSecretName = (name: string): boolean => /^[A-Za-z][A-Za-z0-9_-]{0,62}$/.test(name);

/** Where a secret is, as files name it: never the secret itself. */
export const SECRET_REFERENCE = /^(env:[A-Za-z_][A-Za-z0-9_]*|(?:secret|home):[A-Za-z][A-Za-z0-9_-]{0,62})$/;

/** The name of a secret of home; null for what is elsewhere. What was called `home:` has moved to where `secret:` looks. */
export const secretIn = (reference: string | null | undefined): string | null =>
  idIn('secret', reference) ?? idIn('home', reference);

export const eventId = (seq: number): string => `evt_${seq}`;

/** The seq of `evt_<seq>`, or null for anything else. */
export function eventSeq(id: string): number | null {
  const match = /^evt_(\d{1,15})$/.exec(id);
  return match ? Number(match[1]) : null;
}

/** What stands behind `kind:` in the name of a stream, a key, an actor or a sender; null if it is of another kind. */
export const idIn = (kind: string, name: string | null | undefined): string | null =>
  name?.startsWith(`${kind}:`) === true ? name.slice(kind.length + 1) : null;

/** The word before the colon: what a sender, a stream or a key is. */
export const kindOf = (name: string): string => name.slice(0, Math.max(0, name.indexOf(':')));

/** A conversation is one agent's thread in one session. It names a lane, a stream and an encryption subject. */
export const conversationId = (agent: string, session: string): string => `conv:${agent}/${session}`;
/** Agent and session of a conversation's id; null for anything else. */
export function conversationOf(id: string): { agent: string; session: string } | null {
  const [, agent, session] = /^conv:([^/]*)\/(.*)$/s.exec(id) ?? [];
  return agent === undefined || session === undefined ? null : { agent, session };
}

export const runStream = (run: string): string => `run:${run}`;
/** The run whose stream this is. */
export const runOfStream = (stream: string): string | null => idIn('run', stream);
/** Unique key of the `run.started` of a task: whatever attempts it takes, it has one run, which goes on. */
export const runKey = (task: string): string => `run:${task}`;
/** Unique key of the `task.queued` of a task with a key: two of one queue are the same task. */
export const givenKey = (queue: string, key: string): string => `given:${queue}:${key}`;
export const taskStream = (task: string): string => `task:${task}`;

/** What a message that begins with `@name` is to whom; null if no agent of this name is known: then it is part of the text. */
export function addressee(text: string, known: (name: string) => boolean): { agent: string; text: string } | null {
  const [, name = '', rest = ''] = /^\s*@([a-z][a-z0-9-]{0,62})(?![\w@.])[\s:,]*([^]*)$/i.exec(text) ?? [];
  const agent = name.toLowerCase();
  return name !== '' && known(agent) ? { agent, text: rest } : null;
}

/** Unique key of what has a task done once more, and the task. */
export const retryKey = (task: string): string => `retry:${task}`;
export const retriedBy = (key: string | null | undefined): string | null => idIn('retry', key);
/** The actor, or sender, that an agent is. */
export const agentActor = (agent: string): string => `agent:${agent}`;
