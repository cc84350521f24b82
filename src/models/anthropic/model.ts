import type { ModelPort } from '../../core/model.ts';
import { anthropicEvents, anthropicReader } from './answer.ts';
import { anthropicRequest } from './request.ts';
import { type HttpModelOptions, joinUrl, overHttp } from '../wire/exchange.ts';

export const ANTHROPIC_URL = 'https://api.anthropic.com';

/** Claude, or whatever speaks Anthropic's messages. `baseUrl`: with or without `/v1` at its end. */
export function anthropic(options: HttpModelOptions): ModelPort {
  const { provider } = options;
  return overHttp(options, {
    urlEnd: '/v1',
    url: (baseUrl) => joinUrl(baseUrl, /\/v1\/*$/.test(baseUrl) ? '/messages' : '/v1/messages'),
    keyHeaders: (key) => ({ 'x-api-key': key }),
    headers: { 'anthropic-version': '2023-06-01' },
    body: (request) => anthropicRequest(request, provider),
    reader: (draft, { model }) => anthropicReader(draft, { from: provider, model }),
    whole: anthropicEvents,
  });
}
