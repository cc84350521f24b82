import type { ProviderSettings } from '../../core/agent.ts';
import type { Net } from '../../core/ports/net.ts';
import type { Secrets } from '../../core/ports/secrets.ts';
import type { ServerOffer } from '../../core/api/runtime.ts';
import type { ProviderView } from '../../core/api/views.ts';
import type { Kept, KeptProvider } from './kept.ts';
import {
  type Env,
  given,
  type ModelServer,
  type Offer,
  type Provider,
  sameModel,
  type ServerModel,
  type Telling,
  type TierModels,
} from '../wire/provider.ts';
import { errorText } from '../../core/text/sentence.ts';

/** A provider that nobody wrote into `ruche.yaml`. */
export interface FoundProvider extends ProviderSettings {
  source: ProviderView['source'];
  /** Its models for each tier, without the provider's name. Null: it can be named, but is not chosen by itself. */
  models: TierModels | null;
}

export interface Found {
  /** What a network can be made of. */
  readonly kinds: readonly Provider[];
  /** In the order in which one is chosen where nothing is configured. */
  providers(): readonly FoundProvider[];
  /** Looks for servers on this machine, or where the environment says. Never rejects but for the signal. */
  look(signal: AbortSignal): Promise<void>;
  /** What the servers of a kind can do, by its type: the one that was found and all that are configured. */
  readonly servers: ReadonlyMap<string, ModelServer>;
  /** What servers of many makers say of their models, by the type of their kind. */
  readonly telling: ReadonlyMap<string, Telling>;
  /** What the last look saw and nobody has chosen yet; null if there is nothing, or something else is chosen. */
  readonly offer: ServerOffer | null;
  /** Why the last look saw none; '' if it did, or nobody has looked. */
  readonly missing: string;
  /** Keeps what a person gave: on disk when it resolves, and in force from then on. */
  keep(provider: KeptProvider): Promise<void>;
}

export interface FoundOptions {
  env: Env;
  kept: Kept;
  net: Net;
  secrets: Secrets;
  kinds: readonly Provider[];
  /** Names of servers that this home has used before it had to be asked for: their owner goes on with them. */
  used: readonly string[];
}

/** The providers that the environment stands for. A key alone is enough where its maker's models are known. */
function environmentProviders(kinds: readonly Provider[], env: Env): FoundProvider[] {
  const found = kinds.flatMap((kind) => {
    const offer = kind.inEnvironment ? kind.inEnvironment(env) : keyOf(kind, env);
    if (offer === null) return [];
    const { named = false, ...provider } = offer;
    return [{ named, provider: { name: kind.name, type: kind.type, ...provider, source: 'environment' as const } }];
  });
  // A person who names a model wants it; a key alone may be there for another program.
  return [...found.filter(({ named }) => named), ...found.filter(({ named }) => !named)].map(
    ({ provider }) => provider,
  );
}

function keyOf({ type, maker }: Provider, env: Env): Offer | null {
  const key = maker?.keys.find((name) => given(env, name));
  if (!maker || !key) return null;
  return { baseUrl: given(env, `${type.toUpperCase()}_BASE_URL`), apiKey: `env:${key}`, models: maker.models };
}

function homeProvider({ model, ...provider }: KeptProvider, kinds: readonly Provider[]): FoundProvider {
  const usual = kinds.find(({ type }) => type === provider.type)?.maker?.models ?? null;
  return { ...provider, source: 'home', models: model === null ? usual : sameModel(model) };
}

/** Can run an agent: without tools it could do nothing. */
export const isAble = (model: ServerModel): boolean => model.tools;

export function openFound(options: FoundOptions): Found {
  const { env, kept, net, secrets, kinds, used } = options;
  const fromEnv = environmentProviders(kinds, env);
  const servers = new Map<string, ModelServer>();
  for (const { type, server } of kinds) if (server) servers.set(type, server.open({ net, secrets, env }));
  const telling = new Map<string, Telling>();
  for (const kind of kinds) if (kind.telling) telling.set(kind.type, kind.telling({ net, secrets }));
  const here = new Map<string, FoundProvider>();
  const offers = new Map<string, ServerOffer>();
  let missing = '';
  const lookFor = async ({ name, type, server }: Provider, signal: AbortSignal): Promise<void> => {
    const baseUrl = server?.near(env) ?? '';
    const listed = await servers.get(type)?.list({ provider: name, baseUrl, apiKey: null }, signal);
    const first = listed?.find(isAble);
    // Any process may listen on that port, and would be sent every conversation and every tool.
    const models = first && used.includes(name) ? sameModel(first.name) : null;
    here.set(type, { name, type, baseUrl, apiKey: null, source: 'found', models });
    if (first && server) offers.set(type, { kind: type, title: server.title, baseUrl, model: first.name });
    else offers.delete(type);
  };
  const providers = (): FoundProvider[] => [
    ...kept.providers().map((each) => homeProvider(each, kinds)),
    ...fromEnv,
    ...here.values(),
  ];
  return {
    kinds,
    providers,
    get offer() {
      const chosen = providers().some(({ models }) => models !== null);
      return chosen ? null : (offers.values().next().value ?? null);
    },
    async look(signal) {
      let failed = '';
      for (const kind of kinds.filter(({ server }) => server !== undefined))
        try {
          await lookFor(kind, signal);
        } catch (error) {
          signal.throwIfAborted();
          // One that was there before stays: that it does not answer is told by the calls, and no reason to become the demo.
          failed = errorText(error);
        }
      missing = failed;
    },
    servers,
    telling,
    get missing() {
      return missing;
    },
    keep: (provider) => kept.keep(provider),
  };
}
