import type { Budget, ModelPrice, NetworkBudget } from './budget.ts';
import type { EscalationLevel } from './escalation.ts';
import type { Reach } from './net/reach.ts';
import type { Json } from './text/json.ts';
import type { Rule } from './policy.ts';
import type { Routing, StepModels } from './routing.ts';
import type { ActiveHours, Schedule } from './schedule.ts';
import type { PinnedScripts, Skill } from './skill.ts';
import type { Trigger } from './trigger.ts';

/** The settings of the network, at the root of the workspace. */
export const SETTINGS_FILE = 'ruche.yaml';

/** Files in the folder of an agent whose text belongs to its instructions, in this order after `AGENT.md`. */
export const EXTRA_FILES = ['SOUL.md', 'IDENTITY.md', 'USER.md'] as const;

/** What confines shell commands, by the name of its kind; `image` for a kind that takes one. */
export interface SandboxChoice {
  kind: string;
  /** `name@sha256:…` */
  image?: string;
}

/** `agents/<name>/AGENT.md` at a commit. */
export interface Agent {
  name: string;
  description: string;
  /** A tier, or `provider/model`. */
  model: string;
  /** Who does which of its steps, a tier or `provider/model` each, where its file says it. */
  routing?: StepModels;
  tools: readonly string[];
  /** Names of the skills it may use, as `AGENT.md` lists them. */
  skills?: readonly string[];
  /** Accounts of `ruche.yaml` that it may use. */
  accounts?: readonly string[];
  rules: readonly Rule[];
  /** The only places it reaches; null: what the rules say. */
  network: readonly Reach[] | null;
  /** What confines its commands, that of `ruche.yaml` counted in; the strictest of this machine unless given. */
  sandbox?: SandboxChoice;
  /** What it does by the clock. */
  schedules: readonly Schedule[];
  /** What it does when something happens. */
  triggers?: readonly Trigger[];
  /** The chain that its approvals, questions and matters go up; the one named `owner` unless given. */
  escalation?: string;
  /** What it may spend. */
  budget?: Budget;
  /** Role and instructions: the prose below the front matter, then SOUL.md, IDENTITY.md and USER.md if present. */
  instructions: string;
}

/** Stands for a file in problems of the workspace itself. */
export const WORKSPACE = 'workspace';

/** Where something is wrong in a file, and what to do. */
export interface Problem {
  /** False: of a change that therefore does not count; what governed before it still does. */
  applied?: false;
  /** The file is in order and something else is not: to correct the file mends nothing. */
  live?: true;
  file: string;
  /** From 1; null if the whole file is meant. */
  line: number | null;
  /** Dotted path of the key, '' for none. */
  key: string;
  message: string;
  severity: 'error' | 'warning';
}

/** What a kind of provider says of itself to those who only read its name. */
export interface ProviderKind {
  /** What `type` says in `ruche.yaml`: how it is spoken to. */
  readonly type: string;
  /** The name of one that needs no entry in `ruche.yaml`. */
  readonly name: string;
  /** Where its API is unless told; '' if only its owner can tell; null if it is reached without a URL and a key. */
  readonly url: string | null;
  /** The model that answers where there is no other, if it is a stand-in for one. */
  readonly standIn?: string;
}

export interface ProviderSettings {
  name: string;
  /** How it is spoken to, by the type of its kind. */
  type: string;
  /** Null: where its maker has it. */
  baseUrl: string | null;
  /** A reference such as `env:LOCAL_KEY` or `secret:local`. */
  apiKey: string | null;
  /** Whether its models can see, where nothing is known of them. */
  images?: boolean;
  /** Tokens that its models hold, and what they cost: it counts more than what is known of them. */
  window?: number;
  price?: ModelPrice;
  /** Milliseconds without a byte after which an answer is given up. */
  timeoutMs?: number;
  wants?: ModelWants;
  /** What of this is different for one of its models. */
  byModel?: Readonly<Record<string, { window?: number; price?: ModelPrice; images?: boolean; wants?: ModelWants }>>;
}

/** How a model wants to be asked, where that is not learned from what it refuses. */
export interface ModelWants {
  /** False: takes no `stream_options`. */
  streamOptions?: boolean;
  /** False: takes no system message. */
  systemRole?: boolean;
  /** What the limit of an answer is called. */
  maxTokensField?: 'max_tokens' | 'max_completion_tokens';
}

export interface ChannelSettings {
  name: string;
  /** The messenger, by the type it declares. */
  type: string;
  /** References such as `env:BOT_TOKEN`, by their key. */
  secrets: Readonly<Record<string, string>>;
  /** The platform's immutable ids of those who may write. */
  owners: readonly string[];
  /** Who answers; null for the first agent. */
  agent: string | null;
  /** What the messenger itself has settings for. */
  settings: Readonly<Record<string, unknown>>;
}

/** A server, and the secrets by which it lets us in. */
export interface AccountSettings {
  /** Of small letters, digits and `-`. */
  name: string;
  /** What it is, by the type it declares. */
  type: string;
  /** References such as `secret:office`, by their key. */
  secrets: Readonly<Record<string, string>>;
  settings: Readonly<Record<string, unknown>>;
}

/** Ties a chat to an agent. */
export interface Binding {
  /** Name of a channel; null: every one. */
  channel: string | null;
  /** The platform's id of a chat, its topics included; null: every one. */
  chat: string | null;
  agent: string;
}

/** A credential that is put on the wire for its destination; no agent sees its value. */
export interface SecretBinding {
  /** Of small letters, digits and `-`. */
  name: string;
  /** The agents whose requests carry it. */
  for: readonly string[];
  /** Exact, in the form that requests have it. */
  host: string;
  ports: readonly number[];
  /** Null: every one. */
  methods: readonly string[] | null;
  /** Where the path of a request begins, in whole segments; null: anywhere. */
  path: string | null;
  /** In lower case. */
  header: string;
  /** What the header says, with the value in the place of `{}`. */
  format: string;
  /** Where the value is kept: `secret:NAME`, `env:NAME` or `home:NAME`. */
  value: string;
}

/** `ruche.yaml`, with defaults filled in. */
export interface Settings {
  providers: readonly ProviderSettings[];
  /** `provider/model` in order of preference; all empty where no models are named. */
  tiers: { light: readonly string[]; standard: readonly string[]; strong: readonly string[] };
  /** Who does which steps; absent: the light tier all but the agents' own thinking. */
  routing?: Routing;
  /** False: every result is sent again with each request. */
  sparing?: false;
  rules: readonly Rule[];
  /** Addresses and URLs that the owner approves as destinations, whatever a run has read. */
  contacts?: readonly string[];
  /** The places that agents may reach at most; any unless given. */
  network?: readonly Reach[];
  /** Globs of files that are private, beside memory. */
  privatePaths?: readonly string[];
  channels: readonly ChannelSettings[];
  /** Absent: none. */
  accounts?: readonly AccountSettings[];
  /** In order: the first that fits counts. One without channel and chat names the front desk. */
  bindings: readonly Binding[];
  /** Addresses on the web that the runtime looks at every few minutes, for the probes. */
  checks: readonly string[];
  /** When long conversations that rest are summarised; null: never. */
  compaction: CompactionSettings | null;
  /** IANA name of the zone by whose clock the network lives; that of the machine unless given. */
  timezone?: string;
  /** IANA names of the zones of people and chats elsewhere, by `owner` or `CHANNEL:ADDRESS`. */
  zones?: Readonly<Record<string, string>>;
  /** Origin under which people reach the page through a proxy, such as `https://ruche.example.org`. */
  publicUrl?: string;
  /** What confines the commands of all agents, unless one narrows it; the strictest of this machine unless given. */
  sandbox?: SandboxChoice;
  /** Runs at once. */
  concurrency: number;
  limits: {
    /** Model calls in one run. */
    steps: number;
    /** Milliseconds of one run, parked time not counted. */
    runMs: number;
    /** Characters of one tool result the model sees. */
    toolOutput: number;
    /** Milliseconds of one shell command. */
    shellMs: number;
    /** Bytes of memory of one shell command. */
    shellMemory: number;
    shellProcesses: number;
    /** Tasks between a message and the last task it leads to. */
    hops: number;
    /** Tasks that one message, firing or file may lead to in all. */
    tasks: number;
    /** Tasks that one run may make. */
    fanOut: number;
  };
  /** Addresses of persons, by name: anybody else counts as the owner. */
  people?: Readonly<Record<string, readonly string[]>>;
  /** Milliseconds after which an approval that no chain takes up is denied; 24 hours unless given, null: never. */
  approvalMs?: number | null;
  /** Chains of escalation, by name. */
  escalation: Readonly<Record<string, readonly EscalationLevel[]>>;
  /** When nobody is told anything that can wait; absent: never. */
  quiet?: QuietSettings;
  /** What is settled of single queues. */
  queues: Readonly<Record<string, QueueSettings>>;
  /** Attempts of a task before it is dead. */
  maxAttempts: number;
  /** Milliseconds that work by the clock waits for a provider that is down; an hour unless given. */
  patienceMs?: number;
  /** What the network may spend, and each conversation and person in it. */
  budget?: NetworkBudget;
  /** Credentials by destination, in order: the first that fits a request and a header counts. Absent: none. */
  secrets?: readonly SecretBinding[];
}

/** `22:00-07:00`, `Sat,Sun`. */
export interface QuietHours extends ActiveHours {
  /** IANA name; null: that of the network. */
  zone: string | null;
}

export interface QuietSettings {
  everybody: QuietHours | null;
  /** By `owner` or `CHANNEL:ADDRESS`; null: this one has none. */
  people: Readonly<Record<string, QuietHours | null>>;
}

export interface CompactionSettings {
  /** `03:00`, by the clock of the network. */
  at: string;
  /** Milliseconds since the last word. */
  idleMs: number;
  /** Shorter conversations, in tokens, stay as they are. */
  tokens: number;
  /** What one night may cost, in dollars. */
  usd: number;
}

/** A JSON Schema as it was read. */
export interface InputSchema {
  /** Where a value does not fit, with the path of the wrong field and why; null if it fits. */
  misfit(value: Json): string | null;
}

export interface QueueSettings {
  /** Runs at once; null: as many as there may be in all. */
  concurrency: number | null;
  /** Attempts of a task before it is dead; null: as elsewhere. */
  maxAttempts: number | null;
  /** What the input of a task must fit; null: anything. */
  input: InputSchema | null;
  /** `paused`: nothing is begun. `draining`: what is there is worked off, nothing new is taken. */
  state: 'open' | 'paused' | 'draining';
  /** What the tasks of it may spend together. */
  budget?: Budget;
}

/** What governs the network, all read from one commit. */
export interface Governance {
  commit: string;
  settings: Settings;
  agents: ReadonlyMap<string, Agent>;
  /** Those that an agent has enabled and that are in order, by name; each as it was approved. */
  skills: readonly Skill[];
  /** What schedules and triggers run; each file as it was approved. */
  scripts: PinnedScripts;
  /** Refused agents and warnings; the others work. */
  problems: readonly Problem[];
}
