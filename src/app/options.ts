import type { Boundary } from '../core/ports/boundary.ts';
import type { AgentDeps } from '../agent/run/deps.ts';
import type { Builtin } from './builtin.ts';
import type { Channel } from '../core/ports/channel.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Ids } from '../core/ids.ts';
import type { KeptSecrets, Secrets } from '../core/ports/secrets.ts';
import type { Log } from '../core/ports/log.ts';
import type { Net } from '../core/ports/net.ts';
import type { Store } from '../core/ports/store.ts';
import type { Runtime } from '../core/api/runtime.ts';
import type { Views } from '../core/api/views.ts';
import type { JournalRepository } from '../core/ports/journal.ts';
import type { Sandbox } from '../core/ports/sandbox.ts';
import type { Gateway, LocalAccess } from '../gateway/server.ts';
import type { Models } from '../models/choice/choose.ts';
import type { Trust } from '../trust/trust.ts';
import type { OpenWorkspace } from '../workspace/workspace.ts';

export interface AppOptions {
  version: string;
  home: string;
  workspace: string;
  /** A person has said that the start may go on without events or a workspace that are gone; else it is refused. */
  acceptLoss?: boolean;
  /** The flags that name a command the same places, for what a refused start advises. */
  again?: string;
  /** Folder of the template for a workspace that does not exist yet. */
  template: string;
  /** Folder of the bundled skills; none without it. */
  skills?: string;
  host: string;
  port: number;
  /** As it is now: it may be changed while the network runs. */
  token: () => string;
  /** For the commands of this home. */
  local?: LocalAccess;
  /** Every agent is paused before anything is taken up. */
  paused?: boolean;
  /** The process's environment. Only references such as `env:NAME`, Git's identity and PATH are looked up in it. */
  env: Readonly<Record<string, string | undefined>>;
  platform: string;
  machine: { arch: string; uid: number };
  log: Log;
  /** Opened already where the log must hide them as well; else they are opened. */
  secrets?: KeptSecrets;
  /** Asks a person for the passphrase of the vault's key; null where there is nobody. */
  askPassphrase?: (path: string, again: boolean) => Promise<string | null>;
  /** Channels that `ruche.yaml` does not name. */
  channels?: (parts: { net: Net; secrets: Secrets; log: Log }) => readonly FixedChannel[];
  boundary?: Boundary;
  /** Time, ids and chance; those of the machine without it. */
  system?: System;
  /** What the network can be made of; all that Ruche comes with unless given. */
  builtin?: Builtin;
  /** Puts something before a part of the network, or in its place. */
  wrap?: Wrap;
}

export interface System {
  clock: Clock;
  ids: Ids;
  random: { bytes(length: number): Uint8Array; number(): number };
}

/** Each is given how its part is opened and gives what is used: that, something before it, or something else. */
export interface Wrap {
  store?: Around<Promise<Store>>;
  workspace?: Around<Promise<OpenWorkspace>>;
  journal?: Around<Promise<JournalRepository>>;
  net?: Around<Net>;
  sandbox?: Around<Promise<Sandbox>>;
  trust?: Around<Promise<Trust>>;
  models?: Around<Models>;
  /** All that runs can reach. */
  agents?: Around<AgentDeps>;
}

type Around<T> = (open: () => T) => T;

/** Opens a part as it comes, where nothing is put around it. */
export const plainly = <T>(open: () => T): T => open();

export interface FixedChannel {
  channel: Channel;
  owners: readonly string[];
  /** Who answers; null for the first agent. */
  agent: string | null;
}

export interface App {
  gateway: Gateway;
  runtime: Runtime;
  views: Views;
  /** True if the workspace was made just now. */
  made: boolean;
  /** Stops claiming, lets steps end for a few seconds and closes everything; what is left is resumed after the next start. */
  close(reason: string): Promise<void>;
}
