import type { ModelPort } from '../../core/model.ts';
import { chatReader } from './answer.ts';
import { chatRequest } from './request.ts';
import { type HttpModelOptions, joinUrl, overHttp } from '../wire/exchange.ts';

/** `baseUrl`: up to and without `/chat/completions`, usually ending in `/v1`. */
export type OpenAiCompatibleOptions = HttpModelOptions;

/** OpenAI refuses ids of more than forty characters. */
const ANY = /^[\x21-\x7e]{1,40}$/;
const NINE = /^[a-zA-Z0-9]{9}$/;

/** A model behind any URL that speaks OpenAI's chat completions: OpenAI, Ollama, llama.cpp, vLLM, LM Studio, OpenRouter … */
export function openAiCompatible(options: OpenAiCompatibleOptions): ModelPort {
  const { provider } = options;
  return overHttp(options, {
    urlEnd: '/v1',
    url: (baseUrl) => joinUrl(baseUrl, '/chat/completions'),
    keyHeaders: (key) => ({ authorization: `Bearer ${key}` }),
    body: (request, { host }) => {
      const maxTokensField = host === 'api.openai.com' ? 'max_completion_tokens' : 'max_tokens';
      const idForm = host === 'api.mistral.ai' ? NINE : ANY;
      return chatRequest(request, { provider, maxTokensField, idForm });
    },
    reader: chatReader(provider),
    whole: (body) => ('choices' in body ? [body] : null),
  });
}
