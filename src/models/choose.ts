import type { Problem, ProviderSettings, Settings } from '../core/agent.ts';
import type { Clock } from '../core/clock.ts';
import type { ModelChoice, Tier } from '../core/model.ts';
import { TIERS } from '../core/model.ts';
import type { Net, Secrets } from '../core/ports.ts';
import { brokenModel } from './broken.ts';
import { demoModel } from './demo.ts';
import { openAiCompatible } from './openai-compatible.ts';
import { CLOUD_WINDOW, costOf, windowOf } from './prices.ts';

export interface ModelsOptions {
  settings: Pick<Settings, 'providers' | 'tiers'>;
  env: Readonly<Record<string, string | undefined>>;
  net: Net;
  secrets: Secrets;
  clock: Clock;
  /** Milliseconds without a byte from a model. */
  idleMs?: number;
}

export interface ModelsDescription {
  /** `provider/model` by tier, in order of preference. */
  tiers: Record<Tier, string[]>;
  /** The first of `standard`. */
  model: string;
  /** True if that is the built-in demo. */
  demo: boolean;
  source: 'ruche.yaml' | 'environment' | 'demo';
}

export interface Models {
  /** For a tier or `provider/model`, in order of preference; never empty. One that cannot work answers with the reason. */
  choices(modelOrTier: string): ModelChoice[];
  describe(): ModelsDescription;
  /** What is wrong with the configuration; everything else works. */
  problems(): Problem[];
}

export const DEMO_MODEL = 'demo/demo';
/** Providers that need no entry in ruche.yaml. */
export const PROVIDERS = ['demo', 'openai'] as const;
const OPENAI_URL = 'https://api.openai.com/v1';

/** The provider that `OPENAI_API_KEY` (and `OPENAI_BASE_URL`) stand for; null without a key. */
export function environmentProvider(env: ModelsOptions['env']): ProviderSettings | null {
  if (!env.OPENAI_API_KEY?.trim()) return null;
  const baseUrl = env.OPENAI_BASE_URL?.trim() || OPENAI_URL;
  return { name: 'openai', type: 'openai-compatible', baseUrl, apiKey: 'env:OPENAI_API_KEY' };
}

const isTier = (name: string): name is Tier => (TIERS as readonly string[]).includes(name);

/** Nothing but the demo, which is what an empty file means too, counts as nothing configured. */
const isUnset = (tiers: Settings['tiers']): boolean =>
  TIERS.every((tier) => tiers[tier].every((ref) => ref === DEMO_MODEL));

function planTiers({ settings, env }: ModelsOptions): Pick<ModelsDescription, 'tiers' | 'source'> {
  const all = (ref: string): Record<Tier, string[]> => ({ light: [ref], standard: [ref], strong: [ref] });
  if (!isUnset(settings.tiers)) {
    const { light, standard, strong } = settings.tiers;
    const first = (...lists: (readonly string[])[]): string[] => [...(lists.find((list) => list.length > 0) ?? [])];
    const tiers = {
      light: first(light, standard, strong),
      standard: first(standard, strong, light),
      strong: first(strong, standard, light),
    };
    return { tiers, source: 'ruche.yaml' };
  }
  const model = env.OPENAI_MODEL?.trim();
  if (model && environmentProvider(env)) return { tiers: all(`openai/${model}`), source: 'environment' };
  return { tiers: all(DEMO_MODEL), source: 'demo' };
}

/** What keeps a provider from working, with the key to mend. */
function flawOf(provider: ProviderSettings, env: ModelsOptions['env']): { key: string; message: string } | null {
  if (provider.type === 'demo') return null;
  if (!provider.baseUrl) return { key: 'baseUrl', message: `provider "${provider.name}" needs a baseUrl` };
  const name = /^env:(.+)$/.exec(provider.apiKey ?? '')?.[1];
  if (name === undefined || env[name]?.trim()) return null;
  const message = `the environment variable ${name} is not set: provider "${provider.name}" needs it where ruche is started`;
  return { key: 'apiKey', message };
}

/** All models of a network. Cheap: nothing is contacted or loaded before the first call. */
export function openModels(options: ModelsOptions): Models {
  const { settings, env } = options;
  const providers = new Map<string, ProviderSettings>();
  providers.set('demo', { name: 'demo', type: 'demo', baseUrl: null, apiKey: null });
  const fromEnv = environmentProvider(env);
  if (fromEnv) providers.set(fromEnv.name, fromEnv);
  for (const provider of settings.providers) providers.set(provider.name, provider);
  const { tiers, source } = planTiers(options);

  const choose = (ref: string): { choice: ModelChoice; works: boolean } => openChoice(ref, providers, options);
  const model = tiers.standard[0] ?? DEMO_MODEL;
  return {
    choices(modelOrTier) {
      const refs = isTier(modelOrTier) ? tiers[modelOrTier] : [modelOrTier];
      const chosen = refs.map(choose);
      const working = chosen.filter(({ works }) => works);
      return (working.length > 0 ? working : chosen).map(({ choice }) => choice);
    },
    describe: () => ({ tiers, model, demo: providers.get(model.split('/')[0] ?? '')?.type === 'demo', source }),
    problems: () => findProblems(settings, providers, env),
  };
}

function openChoice(
  ref: string,
  providers: ReadonlyMap<string, ProviderSettings>,
  options: ModelsOptions,
): { choice: ModelChoice; works: boolean } {
  const slash = ref.indexOf('/');
  const provider = ref.slice(0, Math.max(0, slash));
  const model = ref.slice(slash + 1);
  const known = providers.get(provider);
  const broken = (kind: 'auth' | 'invalid', message: string): { choice: ModelChoice; works: boolean } => {
    const port = brokenModel(kind, message);
    return { choice: { provider, model, port, window: CLOUD_WINDOW, images: false, cost: () => 0 }, works: false };
  };
  if (!known || model === '') return broken('invalid', unknownModel(ref, [...providers.keys()]));
  const flaw = flawOf(known, options.env);
  if (flaw) {
    const where = `models.providers.${provider}.${flaw.key} in ruche.yaml`;
    return broken(flaw.key === 'apiKey' ? 'auth' : 'invalid', `${where}: ${flaw.message}.`);
  }
  if (known.type === 'demo') {
    return {
      choice: { provider, model, port: demoModel(), window: CLOUD_WINDOW, images: false, cost: () => 0 },
      works: true,
    };
  }
  const { net, secrets, clock, idleMs } = options;
  const { apiKey } = known;
  const baseUrl = known.baseUrl ?? '';
  const port = openAiCompatible({ provider, baseUrl, apiKey, net, secrets, clock, idleMs });
  return {
    choice: { provider, model, port, window: windowOf(model, baseUrl), images: false, cost: costOf(model) },
    works: true,
  };
}

function unknownModel(ref: string, providers: readonly string[]): string {
  if (!ref.includes('/') || ref.endsWith('/'))
    return `"${ref}" is no model: write a tier (${TIERS.join(', ')}) or provider/model.`;
  return `The model "${ref}" names a provider that is not configured (there are: ${providers.join(', ')}): add it to models.providers in ruche.yaml.`;
}

function findProblems(
  settings: ModelsOptions['settings'],
  providers: ReadonlyMap<string, ProviderSettings>,
  env: ModelsOptions['env'],
): Problem[] {
  const problem = (key: string, message: string): Problem => ({
    file: 'ruche.yaml',
    line: null,
    key,
    message,
    severity: 'error',
  });
  const flawed = settings.providers.flatMap((provider) => {
    const flaw = flawOf(provider, env);
    return flaw ? [problem(`models.providers.${provider.name}.${flaw.key}`, flaw.message)] : [];
  });
  const unknown = TIERS.flatMap((tier) =>
    settings.tiers[tier].flatMap((ref, index) => {
      const known = providers.has(ref.slice(0, Math.max(0, ref.indexOf('/')))) && !ref.endsWith('/');
      return known ? [] : [problem(`models.${tier}.${index}`, unknownModel(ref, [...providers.keys()]))];
    }),
  );
  return [...flawed, ...unknown];
}
