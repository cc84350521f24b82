import type { Problem } from '../core/agent.ts';
import type { Event, Verdict } from '../core/event.ts';
import type { Answer, Explanation, PolicyDesk, PolicyQuestion, PolicyStats, Weakness } from '../core/api/policy.ts';
import type { SecretsDesk } from '../core/api/secrets.ts';
import type { ServerOffer } from '../core/api/runtime.ts';
import type { Store } from '../core/ports/store.ts';
import type { ChangedDecision, Rehearsal } from '../trace/rehearse.ts';
import type { Verification } from '../trace/verify.ts';

/** What commands need of the composition root; `src/app/commands.ts` provides it. Every rejection is a sentence for a person. */
export interface AppPort {
  /** Opens the home, makes what is missing, listens and takes turns. Resolves when `/readyz` would answer 200. */
  startApp(options: StartOptions): Promise<RunningApp>;
  /** Makes a workspace from a template. Rejects if the folder holds anything. */
  initWorkspace(options: { home: string; workspace: string; template: string; env: Env }): Promise<{ commit: string }>;
  /** Reads a home without disturbing the gateway that may hold it. */
  openHomeReadOnly(options: { home: string; workspace: string; again: string; env: Env }): Promise<ReadOnlyHome>;
  /** Looks at everything `doctor` reports that is not the process's own. Never rejects. */
  diagnose(options: { home: string; workspace: string; again: string; env: Env }): Promise<Diagnosis>;
  /** What is free for this user on the disk of a folder; null where that cannot be said. */
  freeBytes(folder: string): Promise<number | null>;
  /** Pauses agents of a home that nothing runs on, or lets them go on. Null where a process runs on it. */
  changePauses(options: {
    home: string;
    workspace: string;
    env: Env;
    verb: 'pause' | 'resume';
    /** Null: every agent. */
    agent: string | null;
    reason: string;
  }): Promise<ChangedPauses | null>;
  /** Whether a process holds a home, also one that starts or stops and does not answer. */
  isHeld(home: string): Promise<boolean>;
  /** The secrets of a home that nothing runs on; null where a process does. `writes`: what an older version has kept is moved first. */
  openSecrets(options: {
    home: string;
    workspace: string;
    env: Env;
    writes: boolean;
    askPassphrase?: AskPassphrase;
  }): Promise<{ desk: SecretsDesk; close(): Promise<void> } | null>;
  /** Skills of the package and of the workspace. */
  openSkills(options: { workspace: string; env: Env }): Promise<SkillsPort>;
  /** What the files of a workspace say about calls. */
  openPolicy(options: { home: string; workspace: string; env: Env }): Promise<PolicyPort>;
  openSimulation(): Promise<SimulationPort>;
}

/** Null: nobody is there. `again`: the one before did not fit. */
type AskPassphrase = (path: string, again: boolean) => Promise<string | null>;

export type Env = Readonly<Record<string, string | undefined>>;

export interface ChangedPauses {
  known: readonly string[];
  /** Of each that was meant: whether there was something to change. */
  changes: readonly { agent: string; changed: boolean }[];
}

export interface StartOptions {
  home: string;
  workspace: string;
  /** Used only where there is no workspace yet. */
  template: string;
  host: string;
  /** 0 takes any free one. */
  port: number;
  acceptLoss: boolean;
  /** As in `Options`, for commands that a refused start advises. */
  again: string;
  /** Null: the one in `<home>/token`, made if there is none. */
  token: string | null;
  /** Every agent is paused before anything is taken up. */
  paused: boolean;
  env: Env;
  version: string;
  askPassphrase?: AskPassphrase;
}

export interface RunningApp {
  url: string;
  /** A link that logs one browser in, once, within ten minutes. */
  loginLink: string;
  /** Null if the token was given and is not kept. */
  tokenFile: string | null;
  /** The model that answers first: `provider/model`. */
  model: string;
  demo: boolean;
  offer: ServerOffer | null;
  /** `none` where nothing confines shell commands. */
  sandbox: string;
  agents: readonly string[];
  workspace: string;
  /** True if the workspace was made just now. */
  created: boolean;
  problems: readonly Problem[];
  /** Stops taking turns, finishes or parks what runs, closes everything; within 10 s. */
  close(reason: string): Promise<void>;
}

export interface ReadOnlyHome {
  store: Pick<Store, 'read' | 'head'>;
  /** Every type of event there is. */
  types: readonly string[];
  /** An event as one line for a terminal. */
  line(event: Event, options: { timeZone: string; width: number }): Promise<string>;
  /** An event with its contents as one line of JSON. */
  json(event: Event): Promise<string>;
  verify(onProgress: (events: number) => void): Promise<Verification>;
  close(): Promise<void>;
}

export interface Diagnosis {
  /** Null: Git is not installed. */
  git: string | null;
  sandbox: { ok: boolean; why: string; mend: string };
  /** Each image that agents run commands in. Of null: what could run one, where none is named. */
  images?: readonly { image: string | null; ok: boolean; why: string; mend: string }[];
  /** References to secrets in `ruche.yaml`, by name only. */
  keys: readonly { provider: string; name: string; present: boolean }[];
  /** The vault as this terminal can open it, without asking for a passphrase; null where there is none. */
  vault?: { problem: string | null; locked: boolean; secrets: number; key: string | null; open?: boolean } | null;
  /** Null if there is no workspace yet. */
  config: { problems: readonly Problem[] } | null;
  /** The workspace cannot be used: no repository, another branch. */
  workspace: string | null;
  /** Refs of runs' work that name objects which Git has removed. */
  refs: readonly string[];
  /** Milliseconds since the epoch of the newest event, null if there is none. */
  newestEvent: number | null;
  /** The database cannot be read, or is of a newer version. */
  database: string | null;
  /** What the record knows of and is gone, so that a start is refused; `safe`: it is not refused, and tells it. */
  lost: readonly { what: string; mend: string; safe?: true }[];
}

/** A skill as `ruche skills` shows it. */
export interface SkillView {
  name: string;
  description: string;
  source: 'workspace' | 'bundled';
  /** Who has enabled it. */
  agents: readonly string[];
  /** Why it cannot work on this machine, in words. */
  missing: readonly string[];
  /** How its makers would install what it needs. Never run. */
  install: readonly string[];
  license: string | null;
  files: readonly { path: string; size: number }[];
  problems: readonly Problem[];
  /** What a person should look at closely. */
  flags: readonly Problem[];
  text: string | null;
}

export interface SkillsPort {
  list(): Promise<readonly SkillView[]>;
  /** Judges a folder that is not in the workspace yet. */
  check(path: string): Promise<Pick<SkillView, 'name' | 'problems' | 'flags'>>;
  /** Copies a folder to `skills/<name>` and commits it as the person. */
  add(path: string, how: { replace: boolean }): Promise<AddedSkill>;
}

export type AddedSkill =
  /** `commit` null: it was there already, just so. */
  | {
      ok: true;
      name: string;
      commit: string | null;
      files: number;
      flags: readonly Problem[];
      problems: readonly Problem[];
    }
  | { ok: false; why: string; problems: readonly Problem[] };

export interface PolicyOutcome {
  line: number | null;
  name: string;
  question: PolicyQuestion;
  expect: Verdict;
  rule?: string;
  answer: Answer<Explanation>;
}

export interface PolicyPort extends PolicyDesk {
  /** Holds the cases of a file against the rules. */
  test(path: string): Promise<readonly PolicyOutcome[]>;
  /** What rules have asked people for since a time. */
  stats(since: number): Promise<PolicyStats>;
  /** What the files weaken of the defaults. */
  weaknesses(): Promise<Weakness[]>;
  /** Decides what is on record again under other rules: those at a path or commit, or (null) of the workspace as it stands. */
  rehearse(request: {
    since: number;
    at: { path: string; name: string } | null;
    onChange(change: ChangedDecision): void;
  }): Promise<Rehearsal>;
  close(): Promise<void>;
}

/** A network that is played: models, clock and channel are scripted, and nothing else. */
export interface SimulationPort {
  breaks: readonly { name: string; what: string; caughtBy: string }[];
  play(request: {
    seed: number;
    days: number;
    keep: string | null;
    broken: string | null;
    path: string;
    /** Command line that plays one process of a folder, to which the folder is added. */
    life: readonly string[];
  }): Promise<Simulated>;
  /** One process of a play. */
  live(dir: string): Promise<void>;
}

export interface Simulated {
  counts: {
    from: number;
    to: number;
    switchAt: number;
    tasks: Record<string, number>;
    faults: Record<string, number>;
    firings: number;
    missed: number;
    triggered: number;
    skipped: number;
    webhooks: number;
    late: number;
    handOvers: number;
    escalations: number;
    waits: number;
    landings: number;
    conflicts: number;
    files: number;
    rejected: number;
    messages: number;
    replies: number;
    events: number;
    /** What the seed alone decides. */
    planned: { messages: number; webhooks: number; orders: number; firings: number; faults: number };
  };
  violations: readonly { invariant: string; about: string; expected: string; found: string; look: string }[];
  broken: { struck: boolean; caughtBy: string } | null;
}
