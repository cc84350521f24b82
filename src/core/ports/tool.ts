import type { SandboxChoice, Settings } from '../agent.ts';
import type { Boundary } from './boundary.ts';
import type { Effect } from '../event.ts';
import type { Field } from '../extract.ts';
import type { Change, FileEntry, Files } from '../files.ts';
import type { Json } from '../text/json.ts';
import type { MailReader } from '../mail.ts';
import type { Label } from '../labels.ts';
import type { CallFacts, KeptRecord } from '../policy.ts';
import type { TaskCall } from '../task.ts';
import type { ScheduleBook } from '../schedule.ts';
import type { Egress, EgressGrant } from './egress.ts';
import type { Mailbox } from './mailbox.ts';
import type { Net } from './net.ts';
import type { Sandbox } from './sandbox.ts';
import type { Checkouts } from './workspace.ts';

export type Parsed<T> = { ok: true; value: T } | { ok: false; error: string };

/** What a tool is handed. Everything it can reach is here. */
export interface ToolContext {
  run: string;
  agent: string;
  /** The model's call id, unique in the run. */
  call: string;
  /** Names this effect permanently: equal after a crash and resume. Matches `^[A-Za-z0-9_-]+$`. */
  key: string;
  files: Files;
  /** What a path means that names nothing in `files`; null for one that is meant as a file there. */
  open(path: string): Promise<Opened | null>;
  net: Net;
  /** What a command of this call may reach by itself; null: nothing. */
  network: EgressGrant | null;
  /** What confines the agent's commands; the strictest of this machine unless given. */
  sandbox?: SandboxChoice | undefined;
  /** How this conversation last saw a path, in this turn or an earlier one; null: it never looked. */
  seen(path: string): Promise<Seen | null>;
  /**
   * The policy for single paths. A call that names a folder, or a command, touches files it does not name: what may not be
   * read is left out of what it sees (list, search, the shell's checkout), and a change it may not make is refused.
   */
  mayRead(path: string): boolean;
  mayWrite(path: string): boolean;
  /** The chat in which the run was asked, as `CHANNEL:ADDRESS`; null where nobody can be written to. */
  chat?(): Promise<string | null>;
  /** IANA name of the zone by whose clock the person lives who asked; absent where the network's counts. */
  zone?(): Promise<string>;
  /** Where a file's text comes from: who wrote it had read such data, or its path is private. */
  labelsOf(entry: Pick<FileEntry, 'path' | 'oid'>): Label[];
  /** The same for its name. */
  nameLabels(entry: Pick<FileEntry, 'path' | 'oid'>): Label[];
  /** What a command line can read. */
  readBy(command: string): CommandReads;
  /** What closes text from outside in this call: its author cannot guess it, and a resumed call has the same. */
  mark: string;
  /** Accounts that this call may use; none unless given. */
  accounts?: readonly string[];
  signal: AbortSignal;
  boundary: Boundary;
  /** Called with pieces of output while the tool works; they go to listeners, never to the journal. */
  progress(text: string): void;
}

/** What a command can read, told from its line. */
export interface CommandReads {
  /**
   * Paths and globs it names, '' for the whole workspace: `paths` of what it reads, `names` of what it only lists. Null: it may read
   * whatever it sees.
   */
  named: { paths: readonly string[]; names: readonly string[] } | null;
  /** Labels of what it could find in Git although no file has it now. */
  past: readonly Label[];
}

/** `edit` and `write` refuse a file that was not seen as it is now. */
export interface Seen {
  /** Null: there was no file. */
  oid: string | null;
  /** False if it was read by a call of the very answer this call is of: the model could not know what it says. */
  known: boolean;
}

export type Opened =
  /** What an earlier call had to say at length. */
  | { kind: 'output'; text: string; labels: Label[] }
  /** A file as it was at the commit it was handed over with. */
  | { kind: 'file'; files: Files; path: string }
  | { kind: 'refused'; why: string };

export interface ToolResult {
  ok: boolean;
  /** What the model reads. The loop shortens it if it is long and keeps the whole in a blob. */
  text: string;
  labels: Label[];
  /** What the call changed in the overlay. */
  changes: Change[];
  /** Blobs by path (null: no file) this call has shown to the model (see `ToolContext.seen`). */
  seen?: Record<string, string | null>;
  /** What the service keeps, of which the result tells. */
  records?: readonly KeptRecord[];
}

/** What could be found out about a call that had started when the process died. */
export type Reconciled =
  | { state: 'done'; result: ToolResult }
  | { state: 'not-started' }
  | { state: 'doubt'; why: string };

/** What is known of a tool before it is opened. */
export interface ToolName {
  readonly name: string;
  /** Only agents that name it have it: others would pay for its schema with each turn. */
  readonly onDemand?: true;
  /**
   * The runtime uses this tool where it does such a thing itself, or obeys the rules for it: a script that a schedule runs,
   * an address that is checked, a file that is handed over or that a command touches. At most one tool for each.
   */
  readonly usualFor?: 'reading' | 'writing' | 'commands' | 'addresses' | 'delegating';
}

/** Name of the tool that is used, or whose rules hold. Without such a tool no agent has it, so whatever asks for it is denied. */
export function usualTool(tools: ReadonlyMap<string, ToolName>, use: NonNullable<ToolName['usualFor']>): string {
  return [...tools.values()].find(({ usualFor }) => usualFor === use)?.name ?? use;
}

/** Mail for tools. Nothing is connected or loaded before it is asked for. */
export interface MailAccess {
  /** Rejects with an AccountError. */
  mailbox(account: string): Promise<Mailbox>;
  reader(): Promise<MailReader>;
}

/** What tools may need of the machine. */
export interface ToolParts {
  sandbox: Sandbox;
  checkouts: Checkouts;
  egress: Egress;
  book: ScheduleBook;
  accounts: MailAccess;
  limits: Settings['limits'];
}

/** A tool as `app/` lists it. One that needs nothing of the machine is its own declaration. */
export type ToolDeclaration = AnyTool | (ToolName & { open(parts: ToolParts): Tool });

/** What each tool says of itself. */
interface Described<Input> extends ToolName {
  /** For the model; short, since every turn pays for it. */
  description: string;
  effect: Effect;
  /** True if it looks at the whole workspace, so that all of a person's edits must be committed first. */
  readsTree?: boolean;
  /** Arguments that settle where something goes and what it does there, such as a recipient or an amount. */
  critical?: readonly string[];
  /** Those of them that hold an id which a service has given: such a number in the owner's words may mean anything. */
  ids?: readonly string[];
  /** It takes a record away for good: that the owner has named it, for whatever, is no leave for that. */
  destroys?: true;
  /** Arguments that the recipient reads: a link in them leads somewhere, so it is critical too. */
  texts?: readonly string[];
  /** The service whose records it reads or changes. */
  service?: string;
  /** JSON Schema of the arguments. */
  schema: Json;
  parse(args: unknown): Parsed<Input>;
  facts(input: Input): CallFacts;
  /** Called once the call's `tool.returned` is durable: what was kept to find the result again may go. Safe to repeat. */
  settled?(key: string): Promise<void>;
  /** Called at start: lets go of what is kept of calls that are not among these. */
  sweep?(liveKeys: ReadonlySet<string>): Promise<void>;
}

/** What a call asks of the engine itself: it concerns the queue, conversations or people, which no tool sees. */
export type EngineCall =
  /** A question to a person, whose answer is the result. `early`: it is asked before the calls ahead of it are done. */
  | { kind: 'question'; text: string; reason: string; early: boolean }
  | { kind: 'task'; task: TaskCall }
  | { kind: 'hand-over'; to: string; brief: string }
  /** Values of a text that the caller does not see. */
  | { kind: 'extract'; path: string; fields: readonly Field[] }
  /** Words for a person; nobody waits for an answer. */
  | { kind: 'message'; to: string; text: string };

/** A tool whose calls the engine answers. */
export interface EngineTool<Input = unknown> extends Described<Input> {
  kind: 'engine';
  asks(input: Input, agent: string): EngineCall;
}

export type AnyTool = Tool | EngineTool;

/** A tool that runs. */
export interface Tool<Input = unknown> extends Described<Input> {
  kind?: 'run';
  /** True if running it twice is the same as once. */
  idempotent: boolean;
  /** It does nothing but change `files`: a run over a copy of them shows a person what they are asked for. */
  rehearses?: true;
  /** Failures are results with `ok: false`; a throw is a bug. */
  run(input: Input, ctx: ToolContext): Promise<ToolResult>;
  reconcile?(input: Input, ctx: ToolContext): Promise<Reconciled>;
}
