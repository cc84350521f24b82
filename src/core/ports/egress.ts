import type { HostPort } from '../net/host.ts';
import type { ForWhom } from './net.ts';

/** What one command may reach, and for whom. */
export interface EgressGrant {
  agent: string;
  run: string;
  /** As the rules are at this moment: asked anew for each connection, so that what the owner removes is gone at once. */
  forWhom(): ForWhom;
  /** Why a rule keeps commands from a place although the list names it; null if none does. */
  denied(place: HostPort): string | null;
}

/** The way out of one command, as its sandbox needs it. */
export interface EgressHandle {
  /** Holds the proxy's socket, `proxy.sock`. The folder outlives the runtime; a restarted one puts a new socket in it. */
  readonly dir: string;
  /** What the proxy demands of each client. The same for the same command after a restart. */
  readonly token: string;
  /** A file in `dir` with certificates (PEM) for clients, if they are to trust others than the system's. */
  readonly ca: string | null;
  /** Names of the loopback that the list does not have. In a sandbox they are servers of the command's own, which need no proxy. */
  readonly own: readonly string[];
  /** What else the command finds in its environment: placeholders of its secrets. */
  readonly variables: Readonly<Record<string, string>>;
  /** What was refused so far, one line each, without repeats. */
  refused(): readonly string[];
  /** Whether anything was connected to, so that text from outside may be in what the command did. */
  reached(): boolean;
}

/** Proxies of commands: each lets one command reach what its agent may, and nothing else. */
export interface Egress {
  /** Opens the proxy of a command, also of one that was started before a crash. */
  open(key: string, grant: EgressGrant): Promise<EgressHandle>;
  /** Ends its connections and removes its folder. */
  forget(key: string): Promise<void>;
  /** Keys of which a folder is kept. */
  list(): Promise<string[]>;
}
