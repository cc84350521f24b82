import type { Boundary } from '../core/ports/boundary.ts';
import type { Builtin } from './builtin.ts';
import type { Channel } from '../core/ports/channel.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Ids } from '../core/ids.ts';
import type { KeptSecrets, Secrets } from '../core/ports/secrets.ts';
import type { Log } from '../core/ports/log.ts';
import type { Net } from '../core/ports/net.ts';
import type { Store } from '../core/ports/store.ts';
import type { Workspace } from '../core/ports/workspace.ts';
import type { Runtime } from '../core/api/runtime.ts';
import type { Gateway } from '../gateway/server.ts';

export interface AppOptions {
  version: string;
  home: string;
  workspace: string;
  /** Folder of the template for a workspace that does not exist yet. */
  template: string;
  /** Folder of the bundled skills; none without it. */
  skills?: string;
  host: string;
  port: number;
  token: string;
  /** The process's environment. Only references such as `env:NAME`, Git's identity and PATH are looked up in it. */
  env: Readonly<Record<string, string | undefined>>;
  platform: string;
  machine: { arch: string; uid: number };
  log: Log;
  /** Opened already where the log must hide them as well; else they are opened. */
  secrets?: KeptSecrets;
  /** Channels that `ruche.yaml` does not name. */
  channels?: (parts: { net: Net; secrets: Secrets; log: Log }) => readonly FixedChannel[];
  boundary?: Boundary;
  /** Time, ids and chance; those of the machine without it. */
  system?: System;
  /** What the network can be made of; all that Ruche comes with unless given. */
  builtin?: Builtin;
  /** Puts something before a port that was opened, or in its place. */
  wrap?: Wrap;
}

export interface System {
  clock: Clock;
  ids: Ids;
  random: { bytes(length: number): Uint8Array; number(): number };
}

export interface Wrap {
  store?(store: Store): Store;
  workspace?<T extends Workspace>(workspace: T): T;
  net?(net: Net): Net;
}

export interface FixedChannel {
  channel: Channel;
  owners: readonly string[];
  /** Who answers; null for the first agent. */
  agent: string | null;
}

export interface App {
  gateway: Gateway;
  runtime: Runtime;
  /** True if the workspace was made just now. */
  made: boolean;
  /** Stops claiming, lets steps end for a few seconds and closes everything; what is left is resumed after the next start. */
  close(reason: string): Promise<void>;
}
