import type { Problem, Settings } from '../../core/agent.ts';
import { type ModelChoice, type Tier, TIERS, type ModelError, type ModelPort, NO_USAGE } from '../../core/model.ts';
import type { ServerOffer } from '../../core/api/runtime.ts';
import type { Found } from './found.ts';
import type { Provider } from '../wire/provider.ts';
import { CLOUD_WINDOW } from '../prices/prices.ts';
import {
  choiceOf,
  flawOf,
  foundTiers,
  type KnownProvider,
  knownProviders,
  learnOf,
  type ProviderFlaw,
  type ProviderParts,
} from './providers.ts';

interface ModelsOptions extends ProviderParts {
  settings: Pick<Settings, 'providers' | 'tiers'>;
  found: Pick<Found, 'kinds' | 'providers' | 'look' | 'servers' | 'telling' | 'offer'>;
}

interface ModelsDescription {
  /** `provider/model` by tier, in order of preference. */
  tiers: Record<Tier, string[]>;
  /** The first of `standard`. */
  model: string;
  /** True if that is the stand-in: there is no other. */
  demo: boolean;
  /** What would answer if the owner said so. */
  offer: ServerOffer | null;
  source: 'ruche.yaml' | 'home' | 'environment' | 'found' | 'stand-in';
}

export interface Models {
  /** For a tier or `provider/model`, in order of preference; never empty. One that cannot work answers with the reason. */
  choices(modelOrTier: string): ModelChoice[];
  describe(): ModelsDescription;
  /** What is wrong with the configuration; everything else works. */
  problems(): Problem[];
  /** Every provider that can be named. */
  providers(): readonly KnownProvider[];
  /** Models of the tiers whose window nobody says, once that was looked for: the tokens that are assumed, by name. */
  assumed(): Readonly<Record<string, number>>;
  /** Why a model cannot work; '' if nothing is known to be wrong. */
  problem(ref: string): string;
  /**
   * Finds out what only a server can tell: which models it has where none are named, and what they can do where some are.
   * `named`: what agents name, too.
   */
  prepare(signal: AbortSignal, named?: readonly string[]): Promise<void>;
}

/** The model that answers where there is no other. */
function standIn(kinds: readonly Provider[]): string {
  const kind = kinds.find((each) => each.standIn !== undefined);
  if (kind === undefined) throw new Error('no provider stands in where no model is configured');
  return `${kind.name}/${kind.standIn}`;
}

const isTier = (name: string): name is Tier => (TIERS as readonly string[]).includes(name);

const isUnset = (tiers: Settings['tiers']): boolean => TIERS.every((tier) => tiers[tier].length === 0);

function planTiers({ settings, found }: ModelsOptions): Pick<ModelsDescription, 'tiers' | 'source'> {
  if (isUnset(settings.tiers)) {
    const plan = foundTiers(found.providers());
    if (plan) return { tiers: plan.tiers, source: plan.source === 'built in' ? 'found' : plan.source };
    const only = (): string[] => [standIn(found.kinds)];
    return { tiers: { light: only(), standard: only(), strong: only() }, source: 'stand-in' };
  }
  const { light, standard, strong } = settings.tiers;
  const first = (...lists: (readonly string[])[]): string[] => [...(lists.find((list) => list.length > 0) ?? [])];
  const tiers = {
    light: first(light, standard, strong),
    standard: first(standard, strong, light),
    strong: first(strong, standard, light),
  };
  return { tiers, source: 'ruche.yaml' };
}

interface Ref {
  provider: string;
  model: string;
}

function split(ref: string): Ref {
  const slash = ref.indexOf('/');
  return { provider: ref.slice(0, Math.max(0, slash)), model: ref.slice(slash + 1) };
}

/** All models of a network. Cheap: nothing is contacted or loaded before the first call. What is found later counts at once. */
export function openModels(parts: ModelsOptions): Models {
  const options = { ...parts, ports: new Map<string, ModelPort>() };
  const { settings, found, secrets } = options;
  const { kinds } = found;
  let looked = false;
  const known = (): Map<string, KnownProvider> => knownProviders(kinds, settings, found.providers());
  return {
    choices(modelOrTier) {
      const providers = known();
      const refs = isTier(modelOrTier) ? planTiers(options).tiers[modelOrTier] : [modelOrTier];
      const chosen = refs.map((ref) => openChoice(ref, providers, options));
      const working = chosen.filter(({ works }) => works);
      return (working.length > 0 ? working : chosen).map(({ choice }) => choice);
    },
    describe() {
      const { tiers, source } = planTiers(options);
      const model = tiers.standard[0] ?? standIn(kinds);
      const demo = known().get(split(model).provider)?.kind.standIn !== undefined;
      return { tiers, model, demo, offer: source === 'stand-in' ? found.offer : null, source };
    },
    problems: () => findProblems(options, known()),
    providers: () => [...known().values()],
    problem(ref) {
      const providers = known();
      const { provider, model } = split(ref);
      const each = providers.get(provider);
      if (!each || model === '') return unknownModel(ref, [...providers.keys()], kinds);
      const flaw = flawOf(each, secrets);
      return flaw ? said(each, flaw) : '';
    },
    async prepare(signal, named = []) {
      if (isUnset(settings.tiers) && foundTiers(found.providers()) === null) await found.look(signal);
      const refs = [...TIERS.flatMap((tier) => planTiers(options).tiers[tier]), ...named.filter((ref) => !isTier(ref))];
      const providers = known();
      await Promise.all(
        [...new Set(refs)].map(async (ref) => {
          const { provider, model } = split(ref);
          const each = providers.get(provider);
          if (each && model !== '' && flawOf(each, secrets) === null) await learnOf(each, model, found, signal);
        }),
      );
      looked = true;
    },
    // Before that it is not known that nobody says it.
    assumed: () => (looked ? assumedIn(options, known()) : {}),
  };
}

function assumedIn(options: ModelsOptions, providers: ReadonlyMap<string, KnownProvider>): Record<string, number> {
  const refs = TIERS.flatMap((tier) => planTiers(options).tiers[tier]);
  const choices = refs.map((ref) => openChoice(ref, providers, options));
  const unsaid = choices.filter(({ works, choice }) => works && choice.assumed === true);
  return Object.fromEntries(unsaid.map(({ choice: { provider, model, window } }) => [`${provider}/${model}`, window]));
}

/** With the place to mend it. */
function said(provider: KnownProvider, flaw: ProviderFlaw): string {
  const where = provider.source === 'ruche.yaml' ? `models.providers.${provider.name}.${flaw.key} in ruche.yaml: ` : '';
  const text = `${where}${flaw.message}.`;
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`.replace(/^Models\.providers/, 'models.providers');
}

function openChoice(
  ref: string,
  providers: ReadonlyMap<string, KnownProvider>,
  options: ModelsOptions,
): { choice: ModelChoice; works: boolean } {
  const { provider, model } = split(ref);
  const known = providers.get(provider);
  const broken = (kind: 'auth' | 'invalid', message: string): { choice: ModelChoice; works: boolean } => {
    const port = brokenModel(kind, message);
    return { choice: { provider, model, port, window: CLOUD_WINDOW, images: false, cost: () => 0 }, works: false };
  };
  if (!known || model === '') return broken('invalid', unknownModel(ref, [...providers.keys()], options.found.kinds));
  const flaw = flawOf(known, options.secrets);
  if (flaw) return broken(flaw.key === 'apiKey' ? 'auth' : 'invalid', said(known, flaw));
  return { choice: choiceOf(known, model, options), works: true };
}

function unknownModel(ref: string, providers: readonly string[], kinds: readonly Provider[]): string {
  if (!ref.includes('/') || ref.endsWith('/'))
    return `"${ref}" is not a model: write a tier (${TIERS.join(', ')}) or provider/model.`;
  if (kinds.some(({ name, url }) => url === '' && ref.startsWith(`${name}/`)))
    return `The model "${ref}" is at the URL that the web page was given, and it was given none: set it up there, or name another model.`;
  return `The model "${ref}" names a provider that is not configured (there are: ${providers.join(', ')}): add it to models.providers in ruche.yaml.`;
}

function findProblems(
  { settings, secrets, found: { kinds } }: ModelsOptions,
  providers: ReadonlyMap<string, KnownProvider>,
): Problem[] {
  const problem = (key: string, message: string): Problem => ({
    file: 'ruche.yaml',
    line: null,
    key,
    message,
    severity: 'error',
  });
  const flawed = settings.providers.flatMap(({ name }) => {
    const provider = providers.get(name);
    const flaw = provider ? flawOf(provider, secrets) : null;
    return flaw ? [problem(`models.providers.${name}.${flaw.key}`, flaw.message)] : [];
  });
  const named = TIERS.flatMap((tier) =>
    settings.tiers[tier].flatMap((ref, index) => {
      const key = `models.${tier}.${index}`;
      const { provider, model } = split(ref);
      const known = providers.get(provider);
      if (!known || model === '') return [problem(key, unknownModel(ref, [...providers.keys()], kinds))];
      // One that ruche.yaml has is reported where it stands.
      const flaw = known.source === 'ruche.yaml' ? null : flawOf(known, secrets);
      return flaw ? [problem(key, flaw.message)] : [];
    }),
  );
  return [...flawed, ...named];
}

/** Stands for a model that cannot be used, so that the reason reaches a person by the ordinary way. */
function brokenModel(kind: 'auth' | 'invalid', message: string): ModelPort {
  const error: ModelError = { kind, message, retryable: false, retryAfter: null };
  return {
    async *stream() {
      yield { type: 'error', error, usage: NO_USAGE };
    },
  };
}
