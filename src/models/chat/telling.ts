import { hostKind, parseTarget } from '../../core/net/host.ts';
import type { Net } from '../../core/ports/net.ts';
import type { Secrets } from '../../core/ports/secrets.ts';
import { isObject } from '../../core/text/json.ts';
import { askServer } from '../wire/ask-server.ts';
import { type Fields, wordsIn } from '../wire/fields.ts';
import { joinUrl } from '../wire/exchange.ts';
import type { ServerPlace, Telling, ToldModel } from '../wire/provider.ts';

/** Milliseconds: a request waits for it. */
const TIMEOUT = 2_500;

/** What the window is called: vLLM and SGLang, OpenRouter and Together, Groq, Mistral, LiteLLM, Novita, Copilot, Google. */
const WINDOW = [
  'max_model_len',
  'context_length',
  'context_window',
  'max_context_length',
  'max_input_tokens',
  'context_size',
  'max_context_window_tokens',
  'max_prompt_tokens',
  'input_token_limit',
  'inputTokenLimit',
  'contextLength',
  'contextWindow',
  'n_ctx',
] as const;
/** Where else it may stand. */
const WITHIN = ['top_provider', 'meta', 'limits', 'capabilities', 'model_info', 'details'] as const;
const [MIN_WINDOW, MAX_WINDOW] = [1_000, 100_000_000];

/** The smallest window that is named: a router's server may hold less than the model. */
function windowIn(fields: Fields): number | null {
  const own = WINDOW.map((name) => fields[name]).filter(
    (value) => typeof value === 'number' && value >= MIN_WINDOW && value <= MAX_WINDOW,
  );
  const inner = WITHIN.map((name) => fields[name]).flatMap((value) => (isObject(value) ? (windowIn(value) ?? []) : []));
  const all = [...own, ...inner].filter((value) => typeof value === 'number');
  return all.length === 0 ? null : Math.floor(Math.min(...all));
}

/** Whether it sees; null if nothing is said. */
function imagesIn(fields: Fields): boolean | null {
  const { architecture, capabilities, modalities, input_modalities: input } = fields;
  if (fields.type === 'vlm') return true;
  for (const list of [input, isObject(architecture) ? architecture.input_modalities : null, capabilities])
    if (Array.isArray(list)) return list.includes('image') || list.includes('vision');
  for (const place of [capabilities, modalities])
    if (isObject(place) && typeof place.vision === 'boolean') return place.vision;
  return null;
}

/** The entry of a model; of a server that has only one it is that, whatever it calls itself. */
function entryOf(body: Fields | null, model: string): Fields | null {
  const list = [body?.data, body?.models].find((each) => Array.isArray(each));
  const entries = (Array.isArray(list) ? list : []).filter(isObject);
  const named = entries.find(({ id, name }) => wordsIn(id) === model || wordsIn(name) === model);
  return named ?? (entries.length === 1 ? (entries[0] ?? null) : null);
}

/** What servers of this form say of their models, where they say anything: each says it in a place of its own. */
export function openTelling(parts: { net: Net; secrets: Secrets }): Telling {
  const told = new Map<string, ToldModel>();
  const asking = new Map<string, Promise<ToldModel | null>>();
  const keyOf = ({ baseUrl }: ServerPlace, model: string): string => `${baseUrl}\n${model}`;

  const find = async (place: ServerPlace, model: string, signal: AbortSignal): Promise<ToldModel | null> => {
    const get = (path: string, at: ServerPlace = place): Promise<Fields | null> =>
      askServer(parts, { ...at, baseUrl: joinUrl(at.baseUrl, '') }, path, null, TIMEOUT, signal);
    const entry = entryOf(await get('/models'), model);
    const window = entry && windowIn(entry);
    const images = entry && imagesIn(entry);
    if (window !== null) return { window, images };
    const target = parseTarget(place.baseUrl);
    if (!target.ok || hostKind(target.target.host) === 'public') return { window, images };
    const root = { ...place, baseUrl: joinUrl(place.baseUrl, '').replace(/\/v1$/, '') };
    return (await fromLlamaCpp(get, root, entry, images)) ?? fromLmStudio(get, root, model, images);
  };
  return {
    known: (place, model) => told.get(keyOf(place, model)) ?? null,
    async learn(place, model, signal) {
      const key = keyOf(place, model);
      const known = told.get(key);
      if (known) return known;
      // What is wrong with the place is told by the call that follows; it is asked again then.
      const found = asking.get(key) ?? find(place, model, signal).catch(() => null);
      asking.set(key, found);
      const said = await found;
      asking.delete(key);
      if (said !== null) told.set(key, said);
      return said;
    },
  };
}

type Get = (path: string, at: ServerPlace) => Promise<Fields | null>;

/** It was started with a window of its own, which is seldom the one that the model was trained for. */
async function fromLlamaCpp(
  get: Get,
  root: ServerPlace,
  entry: Fields | null,
  images: boolean | null,
): Promise<ToldModel | null> {
  const props = await get('/props', root);
  const settings = props?.default_generation_settings;
  const window = isObject(settings) ? windowIn(settings) : null;
  const trained = isObject(entry?.meta) ? windowIn({ n_ctx: entry.meta.n_ctx_train }) : null;
  if (window === null && trained === null) return null;
  return { window: window ?? trained, images: images ?? (props && imagesIn(props)) };
}

/** A model that is not loaded yet will be loaded with less than it could hold: it is asked again. */
async function fromLmStudio(
  get: Get,
  root: ServerPlace,
  model: string,
  images: boolean | null,
): Promise<ToldModel | null> {
  const entry = entryOf(await get('/api/v0/models', root), model);
  if (entry === null) return { window: null, images };
  const window = windowIn({ n_ctx: entry.loaded_context_length });
  return window === null ? null : { window, images: images ?? imagesIn(entry) };
}
