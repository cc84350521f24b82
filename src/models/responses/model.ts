import type { ModelPort } from '../../core/model.ts';
import { type HttpModelOptions, joinUrl, overHttp } from '../wire/exchange.ts';
import { responseEvents, responsesReader } from './answer.ts';
import { responsesRequest } from './request.ts';

export const OPENAI_URL = 'https://api.openai.com/v1';

/** OpenAI's own API, which keeps nothing of it. `baseUrl`: up to and without `/responses`. */
export function openai(options: HttpModelOptions): ModelPort {
  const { provider } = options;
  return overHttp(options, {
    // The hint is read by whoever gets a 404.
    urlEnd: '/v1; a server that speaks chat completions only is of type openai-compatible',
    url: (baseUrl) => joinUrl(baseUrl, '/responses'),
    keyHeaders: (key) => ({ authorization: `Bearer ${key}` }),
    body: (request) => responsesRequest(request, provider),
    reader: (draft, { model }) => responsesReader(draft, { from: provider, model }),
    whole: responseEvents,
  });
}
