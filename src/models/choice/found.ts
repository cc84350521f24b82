import type { ProviderSettings } from '../../core/agent.ts';
import { parseTarget } from '../../core/net/host.ts';
import type { Tier } from '../../core/model.ts';
import type { Net } from '../../core/ports/net.ts';
import type { Secrets } from '../../core/ports/secrets.ts';
import type { ProviderView } from '../../core/api/views.ts';
import type { Kept, KeptProvider } from './kept.ts';
import {
  OLLAMA_WINDOW,
  ollamaUrl,
  openOllamaModels,
  type OllamaModel,
  type OllamaModels,
  type OllamaPlace,
} from '../ollama/models.ts';
import { DEFAULT_MODELS } from '../prices/prices.ts';
import { errorText } from '../../core/text/sentence.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** A provider that nobody wrote into `ruche.yaml`. */
export interface FoundProvider extends ProviderSettings {
  source: ProviderView['source'];
  /** Its models for each tier, without the provider's name. Null: it can be named, but is not chosen by itself. */
  models: Readonly<Record<Tier, readonly string[]>> | null;
}

export interface Found {
  /** In the order in which one is chosen where nothing is configured. */
  providers(): readonly FoundProvider[];
  /** Looks for an Ollama: on this machine, or where OLLAMA_HOST says. Never rejects but for the signal. */
  look(signal: AbortSignal): Promise<void>;
  /** What its models can do, and whatever other Ollama is configured. */
  readonly ollama: OllamaModels;
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
}

/** Without a word of the owner nothing but this machine is asked. */
export const OLLAMA_URL = 'http://127.0.0.1:11434';

const same = (model: string): Record<Tier, string[]> => ({ light: [model], standard: [model], strong: [model] });
const given = (env: Env, name: string): string | null => env[name]?.trim() || null;

/** The providers that the environment stands for. A key alone is enough where its maker's models are known. */
export function environmentProviders(env: Env): FoundProvider[] {
  const source = 'environment' as const;
  const found: FoundProvider[] = [];
  for (const type of ['anthropic', 'gemini'] as const) {
    const key = KEY_NAMES[type].find((name) => given(env, name));
    if (!key) continue;
    const baseUrl = given(env, `${type.toUpperCase()}_BASE_URL`);
    found.push({ name: type, type, baseUrl, apiKey: `env:${key}`, source, models: DEFAULT_MODELS[type] });
  }
  // Where it is, is no word yet on whether it should be used.
  const host = given(env, 'OLLAMA_HOST');
  if (host) found.push({ name: 'ollama', type: 'ollama', baseUrl: host, apiKey: null, source, models: null });
  const openai = openAiOf(env);
  if (!openai) return found;
  // Whoever names a model wants it; a key alone may be there for another program.
  const place = given(env, 'OPENAI_MODEL') ? 0 : found[0]?.name === 'anthropic' ? 1 : 0;
  return found.toSpliced(place, 0, openai);
}

/** Variables that hold a maker's key. */
export const KEY_NAMES = {
  anthropic: ['ANTHROPIC_API_KEY'],
  openai: ['OPENAI_API_KEY'],
  gemini: ['GEMINI_API_KEY', 'GOOGLE_API_KEY'],
} as const;

function openAiOf(env: Env): FoundProvider | null {
  if (!given(env, 'OPENAI_API_KEY')) return null;
  const baseUrl = given(env, 'OPENAI_BASE_URL');
  const target = baseUrl === null ? null : parseTarget(baseUrl);
  const theirs = target === null || (target.ok && target.target.host === 'api.openai.com');
  const model = given(env, 'OPENAI_MODEL');
  return {
    name: 'openai',
    // Other servers that call themselves OpenAI's speak chat completions; few know the newer protocol.
    type: theirs ? 'openai' : 'openai-compatible',
    baseUrl,
    apiKey: 'env:OPENAI_API_KEY',
    source: 'environment',
    models: model ? same(model) : theirs ? DEFAULT_MODELS.openai : null,
  };
}

function homeProvider({ model, ...provider }: KeptProvider): FoundProvider {
  const { type } = provider;
  const usual = type === 'anthropic' || type === 'openai' || type === 'gemini' ? DEFAULT_MODELS[type] : null;
  return { ...provider, source: 'home', models: model === null ? usual : same(model) };
}

/** Can run an agent: without tools it could do nothing. */
export const isAble = (model: OllamaModel): boolean => model.tools;

export function openFound(options: FoundOptions): Found {
  const { env, kept, net, secrets } = options;
  const fromEnv = environmentProviders(env);
  const wanted = Number(given(env, 'OLLAMA_CONTEXT_LENGTH') ?? 0);
  const ollama = openOllamaModels({ net, secrets, maxWindow: wanted > 0 ? wanted : OLLAMA_WINDOW });
  const host = given(env, 'OLLAMA_HOST');
  let here: FoundProvider | null = null;
  let missing = '';
  return {
    providers: () => [...kept.providers().map(homeProvider), ...fromEnv, ...(here ? [here] : [])],
    async look(signal) {
      const baseUrl = host === null ? OLLAMA_URL : ollamaUrl(host);
      const place: OllamaPlace = { provider: 'ollama', baseUrl: baseUrl ?? '', apiKey: null };
      try {
        if (baseUrl === null) throw new Error(`OLLAMA_HOST is "${host}", which is no host`);
        const able = (await ollama.list(place, signal)).filter(isAble);
        const first = able[0];
        const models = first ? same(first.name) : null;
        here = { name: 'ollama', type: 'ollama', baseUrl, apiKey: null, source: 'found', models };
        missing = '';
      } catch (error) {
        signal.throwIfAborted();
        // One that was there before stays: that it does not answer is told by the calls, and no reason to become the demo.
        missing = errorText(error);
      }
    },
    ollama,
    get missing() {
      return missing;
    },
    keep: (provider) => kept.keep(provider),
  };
}
