import type { z } from 'zod';
import type {
  CompactionSettings,
  ModelWants,
  Problem,
  ProviderKind,
  ProviderSettings,
  SandboxChoice,
  Settings,
} from '../core/agent.ts';
import { bareOrigin } from '../core/net/host.ts';
import { readDuration } from '../core/text/duration.ts';
import type { Rule, RuleMatch } from '../core/policy.ts';
import type { SandboxName } from '../core/ports/sandbox.ts';
import type { ToolName } from '../core/ports/tool.ts';
import { SETTINGS_LATER, settingsSchema } from './schemas.ts';
import { didYouMean } from '../core/text/unknown.ts';
import { listed, validate } from './validate.ts';
import { accountsOf, type AccountType } from './accounts.ts';
import { networkBudgetOf } from './budget-schema.ts';
import { chainsOf } from './chains.ts';
import { channelsOf, type Messenger } from './channels.ts';
import { reachesOf } from './network-schema.ts';
import { routingOf, routingProblems } from './routing-schema.ts';
import { peopleOf, peopleProblems } from './people.ts';
import { quietOf } from './quiet.ts';
import type { Recipients } from './recipients.ts';
import { queuesOf } from './queues.ts';
import { sandboxOf } from './sandbox.ts';
import { bindingsOf } from './secret-bindings.ts';
import { decodeText, parseYaml, problem, type Path, type YamlSource } from './yaml-source.ts';

export const DEFAULT_LIMITS: Settings['limits'] = {
  steps: 50,
  runMs: 30 * 60_000,
  toolOutput: 16_000,
  shellMs: 120_000,
  shellMemory: 2 * 1024 ** 3,
  shellProcesses: 256,
  hops: 8,
  tasks: 200,
  fanOut: 25,
};

const COMPACTION = { at: '03:00', idle: '12h', tokens: 20_000, usd: 1 };

function compactionOf(given: false | Partial<typeof COMPACTION> | undefined): CompactionSettings | null {
  if (given === false) return null;
  const { at, idle, tokens, usd } = { ...COMPACTION, ...given };
  return { at, idleMs: readDuration(idle) ?? 0, tokens, usd };
}

/** What the files may name, and what the gate says of a rule. */
export interface Known {
  /** Providers beside those of `ruche.yaml`: ones that need no entry. */
  providers: readonly string[];
  /** How a provider can be spoken to. */
  providerKinds: readonly ProviderKind[];
  tools: readonly ToolName[];
  messengers: readonly Messenger[];
  /** Kinds of accounts; none unless given. */
  accountTypes?: readonly AccountType[];
  /** What confines commands, the strictest first. */
  sandboxes: readonly SandboxName[];
  /** Channels beside those of `ruche.yaml`, and those that a secret alone makes. */
  channels?: readonly string[];
  /** What is wrong with a rule's patterns; a rule that can never match must not look like protection. */
  ruleProblem(rule: Rule): string | null;
}

/** The same for an agent: `providers` are all there are. */
export interface KnownToAgent extends Omit<Known, 'messengers' | 'channels' | 'accountTypes' | 'providerKinds'> {
  /** Accounts of `ruche.yaml`. */
  accounts?: readonly string[];
  /** Chains of escalation that it may name. */
  chains: readonly string[];
  /** Whom its schedules and triggers may tell. */
  recipients: Recipients;
  /** What `ruche.yaml` has picked for the commands of all. */
  sandbox?: SandboxChoice;
}

interface RuleSource {
  id: string;
  reason: string;
  allow?: RuleMatch;
  ask?: RuleMatch;
  deny?: RuleMatch;
  approvers?: number | undefined;
}

export function toRule(source: RuleSource): Rule {
  const { id, reason, approvers = 1 } = source;
  if (source.allow) return { id, verdict: 'allow', match: source.allow, reason };
  if (source.ask) return { id, verdict: 'ask', match: source.ask, reason, ...(approvers > 1 ? { approvers } : {}) };
  return { id, verdict: 'deny', match: source.deny ?? {}, reason };
}

/** What is wrong with rules beyond their shape: a name used twice (decisions are recorded by it), a pattern that cannot match. */
export function checkRules(
  rules: readonly RuleSource[],
  source: YamlSource,
  file: string,
  at: string[],
  known: Pick<Known, 'tools' | 'ruleProblem'>,
): Problem[] {
  const seen = new Set<string>();
  return rules.flatMap((rule, index) => {
    const found: Problem[] = [];
    const add = (path: Path, said: string, severity?: 'warning'): void => {
      found.push(problem(file, source.lineOf(path), path.join('.'), said, severity));
    };
    if (seen.has(rule.id)) add([...at, index, 'id'], `"${rule.id}" names an earlier rule already`);
    seen.add(rule.id);
    const { verdict, match } = toRule(rule);
    const wrong = known.ruleProblem(toRule(rule));
    if (wrong !== null) add([...at, index, verdict], `cannot match: ${wrong}`);
    const { tool } = match;
    const tools = known.tools.map(({ name }) => name);
    if (tool !== undefined && !/[*?]/.test(tool) && !tools.includes(tool))
      add(
        [...at, index, verdict, 'tool'],
        `matches nothing: there is no tool "${tool}".${didYouMean(tool, tools)}`,
        'warning',
      );
    return found;
  });
}

/** Warnings for keys that have no effect yet. */
export function laterKeys(source: YamlSource, file: string, names: readonly string[]): Problem[] {
  const given = Object.keys(source.value ?? {});
  return names
    .filter((name) => given.includes(name))
    .map((name) =>
      problem(file, source.lineOf([name]), name, 'is known, but not built yet: it has no effect', 'warning'),
    );
}

/** How a person is named in a chain, with a messenger that there is. */
const exampleOf = ([first]: readonly Messenger[]): string => (first ? ` (${first.type}:${first.ids.example})` : '');

/** Whom files may name, given the channels of `ruche.yaml`. A messenger's own name is one: its secret alone makes a channel. */
export const recipientsOf = (
  channels: Settings['channels'],
  { messengers, channels: others = [] }: Pick<Known, 'messengers' | 'channels'>,
): Recipients => ({ channels, others: [...messengers.map(({ type }) => type), ...others], messengers });

type GivenFacts = Pick<ProviderSettings, 'window' | 'price' | 'images'> & ModelWants;

/** What is said of the models of a provider, or of one of them. */
function factsOf({ window, price, images, streamOptions, systemRole, maxTokensField }: GivenFacts) {
  const wants: ModelWants = {
    ...(streamOptions === undefined ? {} : { streamOptions }),
    ...(systemRole === undefined ? {} : { systemRole }),
    ...(maxTokensField === undefined ? {} : { maxTokensField }),
  };
  return {
    ...(images === undefined ? {} : { images }),
    ...(window === undefined ? {} : { window }),
    ...(price === undefined ? {} : { price }),
    ...(Object.keys(wants).length === 0 ? {} : { wants }),
  };
}

/** An unset tier takes what the nearest set one has. */
function tiersOf(models: { light?: string[]; standard?: string[]; strong?: string[] }): Settings['tiers'] {
  const { light, standard, strong } = models;
  return {
    light: light ?? standard ?? strong ?? [],
    standard: standard ?? strong ?? light ?? [],
    strong: strong ?? standard ?? light ?? [],
  };
}

type Given = z.infer<ReturnType<typeof settingsSchema>>;

/** Who is asked for what, and what is sent. */
const askingOf = ({ routing, sparing }: NonNullable<Given['models']> = {}): Pick<Settings, 'routing' | 'sparing'> => ({
  ...(routing === undefined ? {} : { routing: routingOf(routing) }),
  ...(sparing === false ? { sparing } : {}),
});

const providersOf = (all: NonNullable<NonNullable<Given['models']>['providers']>): ProviderSettings[] =>
  Object.entries(all).map(([name, given]): ProviderSettings => ({
    name,
    type: given.type,
    baseUrl: given.baseUrl ?? null,
    apiKey: given.apiKey ?? null,
    ...factsOf(given),
    ...(given.models === undefined
      ? {}
      : { byModel: Object.fromEntries(Object.entries(given.models).map(([model, facts]) => [model, factsOf(facts)])) }),
    ...(given.timeout === undefined ? {} : { timeoutMs: readDuration(given.timeout) ?? 0 }),
  }));

function tierProblems(
  { light = [], standard = [], strong = [] }: NonNullable<Given['models']>,
  named: ReadonlySet<string>,
  source: YamlSource,
  file: string,
): Problem[] {
  return Object.entries({ light, standard, strong }).flatMap(([tier, refs]) =>
    refs.flatMap((ref, index) => {
      const name = ref.slice(0, ref.indexOf('/'));
      if (named.has(name)) return [];
      const path = ['models', tier, index];
      const said = `names the provider "${name}", which is not among models.providers (${listed(named)}).${didYouMean(name, named)}`;
      return [problem(file, source.lineOf(path), path.join('.'), said)];
    }),
  );
}

/** What the network is joined with. */
function connectionsOf(source: YamlSource, file: string, { messengers, accountTypes = [] }: Known) {
  const { channels, problems } = channelsOf(source, file, messengers);
  const { accounts, problems: wrong } = accountsOf(source, file, accountTypes);
  return { channels, accounts: accounts.length === 0 ? {} : { accounts }, problems: [...problems, ...wrong] };
}

/**
 * Reads `ruche.yaml`. `settings` is null if there is an error; every problem names file, line and key. An empty file
 * means the defaults.
 */
export function parseSettings(
  input: string | Uint8Array,
  file: string,
  known: Known,
): { settings: Settings | null; problems: Problem[] } {
  const decoded = decodeText(input, file);
  if (!decoded.ok) return { settings: null, problems: [decoded.problem] };
  const source = parseYaml(decoded.text, file);
  if (source.problems.length > 0) return { settings: null, problems: source.problems };
  const { value, problems } = validate(settingsSchema(known.providerKinds), source, file);
  const { channels, accounts, problems: others } = connectionsOf(source, file, known);
  problems.push(...others);
  const warnings = laterKeys(source, file, SETTINGS_LATER);
  if (!value) return { settings: null, problems: [...problems, ...warnings] };

  const providers = providersOf(value.models?.providers ?? {});
  // What stands in for a model is always there.
  for (const { name, type, standIn } of known.providerKinds)
    if (standIn !== undefined && !providers.some((provider) => provider.name === name))
      providers.push({ name, type, baseUrl: null, apiKey: null });
  const named = new Set([...providers.map((provider) => provider.name), ...known.providers]);
  problems.push(...tierProblems(value.models ?? {}, named, source, file));
  const routing = value.models?.routing;
  if (routing) problems.push(...routingProblems(routing, ['models', 'routing'], named, { source, file }));
  const rules = value.policy?.rules ?? [];
  for (const found of checkRules(rules, source, file, ['policy', 'rules'], known))
    (found.severity === 'warning' ? warnings : problems).push(found);
  const recipients = recipientsOf(channels, known);
  const chains = chainsOf(
    value.escalation ?? {},
    { ...recipients, example: exampleOf(known.messengers) },
    source,
    file,
  );
  problems.push(...chains.problems);
  const quiet = value.quiet === undefined ? null : quietOf(value.quiet, recipients, source, file);
  problems.push(...(quiet?.problems ?? []));
  problems.push(...peopleProblems(value, recipients, source, file));
  const queues = queuesOf(value.queues ?? {}, source, file);
  const sandbox = sandboxOf(value, known.sandboxes, source, file);
  problems.push(...queues.problems, ...sandbox.problems);
  if (problems.length > 0) return { settings: null, problems: [...problems, ...warnings] };
  return {
    settings: {
      queues: queues.settings,
      escalation: chains.chains,
      ...(quiet === null ? {} : { quiet: quiet.quiet }),
      providers,
      tiers: tiersOf(value.models ?? {}),
      ...askingOf(value.models),
      rules: rules.map(toRule),
      ...(value.policy?.contacts === undefined ? {} : { contacts: value.policy.contacts }),
      channels,
      ...accounts,
      bindings: (value.bindings ?? []).map(({ channel = null, chat = null, agent }) => ({ channel, chat, agent })),
      checks: [...new Set(value.checks)],
      compaction: compactionOf(value.compaction),
      ...(value.network === undefined ? {} : { network: reachesOf(value.network) }),
      ...(value.private === undefined ? {} : { privatePaths: value.private }),
      ...(value.timezone === undefined ? {} : { timezone: value.timezone }),
      ...peopleOf(value),
      ...(value.publicUrl === undefined ? {} : { publicUrl: bareOrigin(value.publicUrl) ?? value.publicUrl }),
      ...(sandbox.choice === undefined ? {} : { sandbox: sandbox.choice }),
      concurrency: value.concurrency ?? 50,
      limits: { ...DEFAULT_LIMITS, ...value.limits },
      maxAttempts: value.maxAttempts ?? 3,
      ...(value.budget === undefined ? {} : { budget: networkBudgetOf(value.budget) }),
      ...(value.patience === undefined ? {} : { patienceMs: readDuration(value.patience) ?? 0 }),
      ...(value.secrets === undefined ? {} : { secrets: bindingsOf(value.secrets) }),
    },
    problems: warnings,
  };
}
