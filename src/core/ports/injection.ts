import type { Target } from '../net/host.ts';

/** One request that is about to leave: at each hop anew. */
export interface Outgoing {
  /** Null where no agent asks, such as for a model provider. */
  agent: string | null;
  run: string | null;
  target: Target;
  method: string;
  /** Lower-case names. */
  headers: Readonly<Record<string, string>>;
  /** Null: there is none, or it is streamed and looked at with `follow`. */
  body: string | Uint8Array | null;
}

export type Injected =
  /** `headers` are sent in place of the caller's. `scrub`: they carry a credential, so what comes back goes through it. */
  | { ok: true; headers: Record<string, string>; scrub: Scrub | null }
  /** `why` is for the agent; a misdirected placeholder is reported to the owner as well. */
  | { ok: false; why: string };

/** Puts placeholders in the place of the values that one request carried. */
export interface Scrub {
  /** A header of the answer, or any other text that is there as a whole. */
  text(text: string): string;
  /** One body that comes in pieces. */
  body(): BodyScrub;
}

export interface BodyScrub {
  /** What can be passed on by now: the end is held back while it may be the start of a value. */
  push(chunk: Uint8Array): Uint8Array;
  /** What was held back. */
  end(): Uint8Array;
}

/** Looks for placeholders in a body that is streamed. */
export interface FollowedBody {
  /** Why the body must not go on; null if it may. */
  push(chunk: Uint8Array): string | null;
}

/** The variable that holds the placeholder of a secret in commands. */
export const secretVariable = (name: string): string => `RUCHE_SECRET_${name.toUpperCase().replaceAll('-', '_')}`;

/** Puts credentials on the wire for exactly the agents, hosts, methods and paths that `secrets` in `ruche.yaml` names. */
export interface Injection {
  /** Whether a secret of this agent goes to this host and port, so that TLS has to end where it is put in. */
  bound(agent: string | null, host: string, port: number): boolean;
  /** The hosts that the agent's secrets are bound to. */
  hosts(agent: string): readonly string[];
  /** The request as it may leave. Never rejects: a secret that cannot be had is a refusal. */
  outgoing(request: Outgoing): Promise<Injected>;
  /** For the streamed body of a request that `outgoing` has let pass. */
  follow(request: Omit<Outgoing, 'body'>): FollowedBody;
  /** What stands for the agent's secrets in one run, by name; empty if it has none. */
  placeholders(agent: string, run: string): ReadonlyMap<string, string>;
}
