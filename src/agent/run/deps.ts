import type { Stops } from '../../core/task.ts';
import type { RunLog } from './log.ts';
import type { PieceRedactor } from '../../core/ports/secrets.ts';
import type { Agent, Governance } from '../../core/agent.ts';
import type { Boundary } from '../../core/ports/boundary.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Ids } from '../../core/ids.ts';
import type { ModelChoice, ModelError } from '../../core/model.ts';
import type { GovernanceReader } from '../../core/ports/governance.ts';
import type { Log } from '../../core/ports/log.ts';
import type { FileLabels } from '../../core/records/file-labels.ts';
import type { Label } from '../../core/labels.ts';
import type { Place } from '../../core/recipient.ts';
import type { Net } from '../../core/ports/net.ts';
import type { Spend } from '../../core/ports/spend.ts';
import type { Store } from '../../core/ports/store.ts';
import type { Workspace } from '../../core/ports/workspace.ts';
import type { Delta } from '../../core/api/runtime.ts';
import type { OfferedSkill } from '../../core/skill.ts';
import type { AnyTool } from '../../core/ports/tool.ts';
import type { FileVouch } from '../../core/standing.ts';
import type { AskingCall, GrantUse } from '../../policy/standing.ts';
import type { ConversationCache } from './conversation.ts';
import type { Hindrances } from './hindrances.ts';
import type { LandingOrder } from './landing-order.ts';

/** Grants and endorsements, answered at once. */
export interface Vouching {
  /** The endorsement that vouches for a critical argument; null if none does. */
  vouchedBy(name: string, value: string): string | null;
  /** The same for a file with exactly this content. */
  fileVouched(path: string, oid: string): FileVouch | null;
  /** The grant that lets a call through which would ask, and holds a use of it; null if none does. */
  grantFor(call: Omit<AskingCall, 'at'>): GrantUse | null;
  /** Resolves once what was committed before the call is taken in. */
  settled(): Promise<void>;
  /** Looks for what another process has committed. */
  refresh(): Promise<void>;
}

/** All that a run can reach. */
export interface AgentDeps {
  store: Store;
  workspace: Workspace;
  reader: Pick<GovernanceReader, 'protectedChanges' | 'pinned'>;
  /** Skills to name in the agent's prompt, in a stable order: enabled, in order, and possible on this machine. */
  skills(agent: Agent): Promise<readonly OfferedSkill[]>;
  /** What is in force now. */
  governance(): Governance;
  /** A change of what governs the network has landed with a person's approval. */
  governanceLanded(commit: string): Promise<void>;
  /** Takes in what has become of `main`: what a person has just committed governs from now on. */
  governanceLook(): Promise<void>;
  /** Models of the agent in order of preference; empty if none is usable. */
  models(agent: Agent): readonly ModelChoice[];
  /** What to do about a failed call: wait (ms) and go on with a choice, or give up. `tries` counts failures of this choice. */
  nextTry(
    error: ModelError,
    tries: number,
    choices: readonly ModelChoice[],
    index: number,
    random: () => number,
  ): { wait: number; index: number } | null;
  /** By name, in the order models see them. */
  tools(): ReadonlyMap<string, AnyTool>;
  net: Net;
  /** Whether the shell commands of an agent are confined. */
  sandboxed(agent: Agent): boolean;
  /** What people have agreed to beyond single calls. */
  standing: Vouching;
  /** Whether the agent takes no work now: its runs stop at the next step. */
  paused(agent: string): boolean;
  /** True for channels the runtime sends to; others come and fetch their reply. */
  pushes(channel: string): boolean;
  /** What an address is not that its platform cannot know; null if it may be one. */
  wrongAddress(place: Place): string | null;
  redact(text: string): string;
  redactPieces(): PieceRedactor;
  emit(delta: Delta): void;
  /** Ends a task and all it has led to. False if it had ended already. */
  cancelTask(task: string, by: string): Promise<boolean>;
  /** What it may cost. */
  spend: Spend;
  conversations: ConversationCache;
  /** What no author of text can guess, the same for the same name in this home. */
  mark(name: string): string;
  /** Whether a credential has gone out for a run in this process. */
  usedSecret(run: string): boolean;
  /** Where the content of files came from. */
  fileLabels: FileLabels;
  /** Where what governs an agent came from. */
  agentLabels(agent: string): Promise<Label[]>;
  landingOrder: LandingOrder;
  hindrances: Hindrances;
  clock: Clock;
  /** IANA name of the zone by whose clock the network lives. */
  zone(): string;
  /** A moment in words, by the clock of a zone, or of the network's. */
  timeText(at: number, zone?: string): string;
  ids: Ids;
  random(): number;
  log: Log;
  boundary: Boundary;
  worker: string;
}

/** A run under way: what it can reach, its hand on the journal, and what ends it early. */
export interface Turn {
  readonly deps: AgentDeps;
  readonly log: RunLog;
  readonly stops: Stops;
  /** Milliseconds of work on it in this process so far. While the machine sleeps nobody works. */
  worked(): number;
}

/** The same at a step, with its agent as it is in force at that step. */
export interface AgentTurn extends Turn {
  readonly agent: Agent;
  /** The zone by whose clock the network lives, looked up once a step: to ask the machine for it takes long. */
  zone(): string;
}
