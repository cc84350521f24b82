import { secretIn } from '../../core/ids.ts';
import type { ModelWants, ProviderSettings, Settings } from '../../core/agent.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { ModelChoice, ModelPort, Tier, Usage } from '../../core/model.ts';
import type { KeptSecrets, Secrets } from '../../core/ports/secrets.ts';
import type { Net } from '../../core/ports/net.ts';
import type { Found, FoundProvider } from './found.ts';
import type { ModelServer, Provider } from '../wire/provider.ts';
import type { Quirk } from '../wire/quirks.ts';
import { costOf, LOCAL_WINDOW, modelFacts, STAND_IN_WINDOW, windowOf } from '../prices/prices.ts';

/** A provider with everything filled in that need not be said. */
export interface KnownProvider extends ProviderSettings {
  kind: Provider;
  source: FoundProvider['source'];
  baseUrl: string;
}

export interface ProviderParts {
  net: Net;
  secrets: Secrets & Pick<KeptSecrets, 'has'>;
  clock: Clock;
  found: Pick<Found, 'servers' | 'telling'>;
  /** Milliseconds without a byte from a model. */
  idleMs?: number;
  /** What is spoken with, by its settings: it keeps what it has learned of its models. */
  ports?: Map<string, ModelPort>;
}

/** What keeps a provider from working, with its key to mend. */
export interface ProviderFlaw {
  key: 'baseUrl' | 'apiKey';
  message: string;
}

/** The key that stands for a maker where none is named: the one in home or in the environment. */
function usualKey({ type, name, maker }: Provider, found: readonly FoundProvider[]): string | null {
  if (!maker) return null;
  return found.find((each) => each.type === type && each.name === name)?.apiKey ?? `env:${maker.keys[0]}`;
}

/** Every provider that can be named, by its name: `ruche.yaml` beats home beats the environment beats what needs no entry. */
export function knownProviders(
  kinds: readonly Provider[],
  settings: Pick<Settings, 'providers'>,
  found: readonly FoundProvider[],
): Map<string, KnownProvider> {
  const known = new Map<string, KnownProvider>();
  const add = (provider: ProviderSettings, source: KnownProvider['source']): void => {
    const kind = kinds.find(({ type }) => type === provider.type);
    if (!kind) return;
    // A key of the environment goes to its maker, and not to another address that the file names.
    const implied = provider.apiKey === null && provider.baseUrl === null;
    const apiKey = implied ? usualKey(kind, found) : provider.apiKey;
    const written = provider.baseUrl ?? kind.url ?? '';
    const baseUrl = kind.server ? (kind.server.urlOf(written) ?? '') : written;
    known.set(provider.name, { ...provider, kind, apiKey, baseUrl, source });
  };
  // What needs no key is listed first.
  const listed = [...kinds.filter(({ maker }) => !maker), ...kinds.filter(({ maker }) => maker)];
  for (const { name, type, url } of listed)
    if (url !== '') add({ name, type, baseUrl: null, apiKey: null }, 'built in');
  // The first of equal names is the one that is chosen.
  for (const provider of found.toReversed()) add(provider, provider.source);
  for (const provider of settings.providers) if (!isStandIn(provider, kinds)) add(provider, 'ruche.yaml');
  return known;
}

/** The one that is always there, whether or not a file names it. */
export const isStandIn = (provider: Pick<ProviderSettings, 'name' | 'type'>, kinds: readonly Provider[]): boolean =>
  kinds.some(({ name, type, standIn }) => standIn !== undefined && name === provider.name && type === provider.type);

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
  const { name, kind, apiKey } = provider;
  if (kind.url === null) return null;
  if (provider.baseUrl === '') return { key: 'baseUrl', message: `provider "${name}" needs a baseUrl` };
  if (apiKey === null || secrets.has(apiKey)) return null;
  const variable = /^env:(.+)$/.exec(apiKey)?.[1];
  if (provider.source === 'built in' && kind.maker)
    return {
      key: 'apiKey',
      message: `there is no key for "${name}": set ${kind.maker.keys[0]} where ruche is started, or give it on the web page`,
    };
  if (variable === undefined)
    return {
      key: 'apiKey',
      message: `the secret "${secretIn(apiKey) ?? ''}" cannot be read, and provider "${name}" needs it: ruche secrets list says why; if it was never given, run ruche secrets set ${secretIn(apiKey) ?? 'NAME'}, or paste it on the web page`,
    };
  return {
    key: 'apiKey',
    message: `the environment variable ${variable} is not set: provider "${name}" needs it where ruche is started`,
  };
}

const serverOf = ({ kind }: KnownProvider, { servers }: Pick<Found, 'servers'>): ModelServer | null =>
  servers.get(kind.type) ?? null;

/** What speaks with this provider. */
function portOf(provider: KnownProvider, parts: ProviderParts): ModelPort {
  const { net, secrets, clock, found, ports } = parts;
  const { name, kind, baseUrl, apiKey, timeoutMs: idleMs = parts.idleMs } = provider;
  const key = JSON.stringify([kind.type, name, baseUrl, apiKey]);
  const open = ports?.get(key);
  if (open !== undefined) return open;
  const quirks = (model: string): Quirk[] => quirksOf(toldOf(provider, model).wants);
  const learn = (model: string, signal: AbortSignal): Promise<unknown> => learnOf(provider, model, found, signal);
  const options = { provider: name, baseUrl, apiKey, net, secrets, clock, idleMs, quirks, learn };
  const port = kind.open(options, serverOf(provider, found));
  ports?.set(key, port);
  return port;
}

/** Asks the server what its model holds, unless its owner has said it. */
export async function learnOf(
  provider: KnownProvider,
  model: string,
  { servers, telling }: Pick<Found, 'servers' | 'telling'>,
  signal: AbortSignal,
): Promise<void> {
  const { name, kind, baseUrl, apiKey } = provider;
  if (baseUrl === '') return;
  const place = { provider: name, baseUrl, apiKey };
  if (kind.server) await servers.get(kind.type)?.learn(place, model, signal);
  else if (toldOf(provider, model).window === undefined && modelFacts(model) === null)
    await telling.get(kind.type)?.learn(place, model, signal);
}

const quirksOf = ({ streamOptions, systemRole, maxTokensField }: ModelWants = {}): Quirk[] => [
  ...(streamOptions === false ? ['no-stream-options' as const] : []),
  ...(systemRole === false ? ['no-system' as const] : []),
  ...(maxTokensField === 'max_completion_tokens' ? ['other-max-tokens' as const] : []),
];

/** What the file says of a model: of itself, else of all models of its provider. */
export function toldOf(
  provider: ProviderSettings,
  model: string,
): Pick<ProviderSettings, 'window' | 'price' | 'images' | 'wants'> {
  const { window, price, images, wants, byModel = {} } = provider;
  return { window, price, images, wants, ...(Object.hasOwn(byModel, model) ? byModel[model] : {}) };
}

export interface Abilities {
  /** Tokens; null where nothing is known. */
  window: number | null;
  images: boolean;
  reasoning: boolean;
}

/** What is known of a model by now. */
export function abilitiesOf(
  provider: KnownProvider,
  model: string,
  found: Pick<Found, 'servers' | 'telling'>,
): Abilities {
  const { name, kind, baseUrl, apiKey } = provider;
  const server = serverOf(provider, found);
  const own = toldOf(provider, model);
  if (server) {
    const facts = server.known({ provider: name, baseUrl, apiKey }, model);
    return {
      window: own.window ?? facts?.window ?? null,
      images: own.images ?? facts?.images ?? false,
      reasoning: facts?.thinking ?? false,
    };
  }
  if (kind.free) return { window: own.window ?? null, images: false, reasoning: false };
  const facts = modelFacts(model);
  const said = found.telling.get(kind.type)?.known({ provider: name, baseUrl, apiKey }, model);
  // The makers' models have long had eyes; of another server's nobody knows.
  const images = own.images ?? said?.images ?? facts?.images ?? kind.maker !== undefined;
  const window = own.window ?? said?.window ?? facts?.window ?? null;
  return { window, images, reasoning: facts?.reasoning ?? false };
}

/** Tokens that a model is taken to hold where nobody says. */
export function assumedWindow({ kind, baseUrl }: KnownProvider, model: string): number {
  return kind.server ? LOCAL_WINDOW : kind.standIn ? STAND_IN_WINDOW : windowOf(model, baseUrl);
}

/** Whether nobody says what a model costs: neither its owner nor the list of prices, and its provider is not free. */
export const isUnpriced = (provider: KnownProvider, model: string): boolean =>
  !provider.kind.free && toldOf(provider, model).price === undefined && modelFacts(model) === null;

export function choiceOf(provider: KnownProvider, model: string, parts: ProviderParts): ModelChoice {
  const { kind } = provider;
  const { window, images } = abilitiesOf(provider, model, parts.found);
  const told = toldOf(provider, model).price;
  const picture = kind.server ? undefined : modelFacts(model)?.picture;
  const free = (_usage: Usage): number => 0;
  return {
    provider: provider.name,
    model,
    port: portOf(provider, parts),
    ...(kind.standIn === undefined ? {} : { standIn: true }),
    window: window ?? assumedWindow(provider, model),
    ...(window === null && kind.standIn === undefined ? { assumed: true } : {}),
    images,
    ...(picture === undefined ? {} : { picture }),
    cost: kind.free && told === undefined ? free : costOf(model, told),
    ...(isUnpriced(provider, model) ? { unpriced: true } : {}),
  };
}
