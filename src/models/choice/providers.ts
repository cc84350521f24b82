import type { ProviderSettings, Settings } from '../../core/agent.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { ModelChoice, ModelPort, Tier, Usage } from '../../core/model.ts';
import type { KeptSecrets, Secrets } from '../../core/ports/secrets.ts';
import type { Net } from '../../core/ports/net.ts';
import { anthropic, ANTHROPIC_URL } from '../anthropic/model.ts';
import { demoModel } from '../demo/model.ts';
import { type Found, type FoundProvider, KEY_NAMES, OLLAMA_URL } from './found.ts';
import { gemini, GEMINI_URL } from '../gemini/model.ts';
import { ollama } from '../ollama/model.ts';
import { ollamaUrl } from '../ollama/models.ts';
import { openai, OPENAI_URL } from '../responses/model.ts';
import { openAiCompatible } from '../chat/model.ts';
import { CLOUD_WINDOW, costOf, LOCAL_WINDOW, modelFacts, windowOf } from '../prices/prices.ts';

/** A provider with everything filled in that need not be said. */
export interface KnownProvider extends ProviderSettings {
  source: FoundProvider['source'];
  baseUrl: string;
}

export interface ProviderParts {
  net: Net;
  secrets: Secrets & Pick<KeptSecrets, 'has'>;
  clock: Clock;
  found: Pick<Found, 'ollama'>;
  /** Milliseconds without a byte from a model. */
  idleMs?: number;
}

/** What keeps a provider from working, with its key to mend. */
export interface ProviderFlaw {
  key: 'baseUrl' | 'apiKey';
  message: string;
}

const URLS: Readonly<Record<ProviderSettings['type'], string>> = {
  anthropic: ANTHROPIC_URL,
  openai: OPENAI_URL,
  gemini: GEMINI_URL,
  ollama: OLLAMA_URL,
  'openai-compatible': '',
  demo: '',
};
const MAKERS = ['anthropic', 'openai', 'gemini'] as const;

const isMaker = (type: string): type is (typeof MAKERS)[number] => (MAKERS as readonly string[]).includes(type);

/** The key that stands for a maker where none is named: the one in home or in the environment. */
function usualKey(type: (typeof MAKERS)[number], found: readonly FoundProvider[]): string {
  return found.find((each) => each.type === type && each.name === type)?.apiKey ?? `env:${KEY_NAMES[type][0]}`;
}

/** Every provider that can be named, by its name: `ruche.yaml` beats home beats the environment beats what needs no entry. */
export function knownProviders(
  settings: Pick<Settings, 'providers'>,
  found: readonly FoundProvider[],
): Map<string, KnownProvider> {
  const known = new Map<string, KnownProvider>();
  const add = (provider: ProviderSettings, source: KnownProvider['source']): void => {
    const { name, type } = provider;
    // A key of the environment goes to its maker, and not to another address that the file names.
    const implied = isMaker(type) && provider.apiKey === null && provider.baseUrl === null;
    const apiKey = implied ? usualKey(type, found) : provider.apiKey;
    const baseUrl = type === 'ollama' ? (ollamaUrl(provider.baseUrl ?? OLLAMA_URL) ?? '') : provider.baseUrl;
    known.set(name, { ...provider, apiKey, baseUrl: baseUrl ?? URLS[type], source });
  };
  for (const type of ['demo', 'ollama', ...MAKERS] as const)
    add({ name: type, type, baseUrl: null, apiKey: null }, 'built in');
  // The first of equal names is the one that is chosen.
  for (const provider of found.toReversed()) add(provider, provider.source);
  for (const provider of settings.providers)
    if (provider.name !== 'demo' || provider.type !== 'demo') add(provider, 'ruche.yaml');
  return known;
}

/** `provider/model` by tier for what is found, if anything is: the first that offers models. */
export function foundTiers(
  found: readonly FoundProvider[],
): { tiers: Record<Tier, string[]>; source: FoundProvider['source'] } | null {
  const first = found.find(({ models }) => models !== null);
  if (!first?.models) return null;
  const named = (models: readonly string[]): string[] => models.map((model) => `${first.name}/${model}`);
  const { light, standard, strong } = first.models;
  return {
    tiers: { light: named(light), standard: named(standard), strong: named(strong) },
    source: first.source,
  };
}

export function flawOf(provider: KnownProvider, secrets: ProviderParts['secrets']): ProviderFlaw | null {
  const { name, type, apiKey } = provider;
  if (type === 'demo') return null;
  if (provider.baseUrl === '') return { key: 'baseUrl', message: `provider "${name}" needs a baseUrl` };
  if (apiKey === null || secrets.has(apiKey)) return null;
  const variable = /^env:(.+)$/.exec(apiKey)?.[1];
  if (provider.source === 'built in' && isMaker(type))
    return {
      key: 'apiKey',
      message: `there is no key for "${name}": set ${KEY_NAMES[type][0]} where ruche is started, or give it on the web page`,
    };
  if (variable === undefined)
    return {
      key: 'apiKey',
      message: `there is no key "${apiKey.replace(/^home:/, '')}" in home, and provider "${name}" needs it: give it on the web page`,
    };
  return {
    key: 'apiKey',
    message: `the environment variable ${variable} is not set: provider "${name}" needs it where ruche is started`,
  };
}

/** What speaks with this provider. */
export function portOf(provider: KnownProvider, parts: ProviderParts): ModelPort {
  const { net, secrets, clock, idleMs, found } = parts;
  const { baseUrl, apiKey } = provider;
  const options = { provider: provider.name, baseUrl, apiKey, net, secrets, clock, idleMs };
  switch (provider.type) {
    case 'anthropic':
      return anthropic(options);
    case 'openai':
      return openai(options);
    case 'gemini':
      return gemini(options);
    case 'ollama':
      return ollama({ ...options, models: found.ollama });
    case 'openai-compatible':
      return openAiCompatible(options);
    case 'demo':
      return demoModel();
  }
}

export interface Abilities {
  /** Tokens; null where nothing is known. */
  window: number | null;
  images: boolean;
  reasoning: boolean;
}

/** What is known of a model by now. */
export function abilitiesOf(provider: KnownProvider, model: string, found: Pick<Found, 'ollama'>): Abilities {
  const { type, baseUrl, apiKey } = provider;
  if (type === 'demo') return { window: null, images: false, reasoning: false };
  if (type === 'ollama') {
    const facts = found.ollama.known({ provider: provider.name, baseUrl, apiKey }, model);
    return {
      window: facts?.window ?? null,
      images: provider.images ?? facts?.images ?? false,
      reasoning: facts?.thinking ?? false,
    };
  }
  const facts = modelFacts(model);
  // The makers' models have long had eyes; of another server's nobody knows.
  const images = provider.images ?? facts?.images ?? isMaker(type);
  return { window: facts?.window ?? null, images, reasoning: facts?.reasoning ?? false };
}

export function choiceOf(provider: KnownProvider, model: string, parts: ProviderParts): ModelChoice {
  const { type, baseUrl } = provider;
  const { window, images } = abilitiesOf(provider, model, parts.found);
  const usual = type === 'ollama' ? LOCAL_WINDOW : type === 'demo' ? CLOUD_WINDOW : windowOf(model, baseUrl);
  const free = (_usage: Usage): number => 0;
  return {
    provider: provider.name,
    model,
    port: portOf(provider, parts),
    ...(type === 'demo' ? { standIn: true } : {}),
    window: window ?? usual,
    images,
    cost: type === 'ollama' || type === 'demo' ? free : costOf(model),
  };
}
