import type { Net } from '../../core/ports/net.ts';
import type { Secrets } from '../../core/ports/secrets.ts';
import { askServer } from '../wire/ask-server.ts';
import { type Fields, wordsIn } from '../wire/fields.ts';
import type { ModelServer, ServerModel, ServerPlace } from '../wire/provider.ts';
import { isObject } from '../../core/text/json.ts';

export interface OllamaModelsOptions {
  net: Net;
  secrets: Secrets;
  /** Tokens a model is asked to hold at most; a window costs memory, used or not. */
  maxWindow: number;
}

/** Milliseconds: it is near, or it is not there. */
const TIMEOUT = { tags: 1_500, show: 5_000 };
/** Models looked at, and at once. */
const MOST = { models: 60, together: 6 };

const OLLAMA_PORT = '11434';

/** The base URL that OLLAMA_HOST, or what a person wrote, means; null if it is none. A server that listens on every address is on this machine. */
export function ollamaUrl(written: string): string | null {
  const text = written.trim().replace(/\/(?:v1|api)?\/*$/, '');
  const url = URL.parse(/^https?:\/\//i.test(text) ? text : `http://${text}`);
  if (!url || url.hostname === '' || url.username !== '' || url.password !== '') return null;
  // Only a port that was left out is Ollama's own: 80 and 443 were meant if a scheme was written.
  if (url.port === '' && !/^https?:\/\//i.test(text) && !/:\d+$/.test(text)) url.port = OLLAMA_PORT;
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1';
  if (url.hostname === '[::]') url.hostname = '[::1]';
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** `qwen3` is `qwen3:latest`. */
export const fullName = (name: string): string => (name.includes(':') ? name : `${name}:latest`);

export function openOllamaModels(options: OllamaModelsOptions): ModelServer {
  const facts = new Map<string, ServerModel>();
  const keyOf = (place: ServerPlace, model: string): string => `${place.baseUrl}\n${fullName(model)}`;

  const show = async (place: ServerPlace, name: string, signal: AbortSignal): Promise<ServerModel | null> => {
    const body = await askServer(options, place, '/api/show', { model: name }, TIMEOUT.show, signal);
    if (body === null) return null;
    const model = readModel(name, body, options.maxWindow);
    facts.set(keyOf(place, name), model);
    return model;
  };
  return {
    async list(place, signal) {
      const body = await askServer(options, place, '/api/tags', null, TIMEOUT.tags, signal);
      if (!body || !Array.isArray(body.models)) throw new Error(`what answers at ${place.baseUrl} is no Ollama`);
      const names = body.models.flatMap((each) => (isObject(each) && typeof each.name === 'string' ? [each.name] : []));
      const found: ServerModel[] = [];
      for (let at = 0; at < Math.min(names.length, MOST.models); at += MOST.together) {
        const batch = names.slice(at, Math.min(at + MOST.together, MOST.models));
        const shown = await Promise.all(batch.map((name) => show(place, name, signal)));
        found.push(...shown.filter((model) => model !== null));
      }
      return found;
    },
    known: (place, model) => facts.get(keyOf(place, model)) ?? null,
    async learn(place, model, signal) {
      const known = facts.get(keyOf(place, model));
      if (known) return known;
      // What is wrong with the place is told by the call that follows.
      return show(place, model, signal).catch(() => null);
    },
  };
}

function readModel(name: string, body: Fields, maxWindow: number): ServerModel {
  const able = Array.isArray(body.capabilities) ? body.capabilities : [];
  const info = isObject(body.model_info) ? body.model_info : {};
  const trained = Object.entries(info).find(([key]) => key.endsWith('.context_length'))?.[1];
  const most = typeof trained === 'number' && trained > 0 ? trained : maxWindow;
  // A window that somebody gave the model stays.
  const made = Number(/^num_ctx\s+(\d+)/m.exec(wordsIn(body.parameters))?.[1] ?? 0);
  // One that runs elsewhere costs no memory here.
  const remote = wordsIn(body.remote_model) !== '';
  const window = remote ? most : Math.min(most, made > 0 ? made : maxWindow);
  return {
    name,
    window,
    images: able.includes('vision'),
    tools: able.includes('tools'),
    thinking: able.includes('thinking'),
  };
}
