import type { ModelPort } from '../../core/model.ts';
import { type HttpModelOptions, joinUrl, overHttp } from '../wire/exchange.ts';
import { geminiReader } from './answer.ts';
import { geminiRequest } from './request.ts';

export const GEMINI_URL = 'https://generativelanguage.googleapis.com';

/** Google's Gemini. `baseUrl`: with or without `/v1beta` at its end. */
export function gemini(options: HttpModelOptions): ModelPort {
  const { provider } = options;
  return overHttp(options, {
    urlEnd: '/v1beta',
    url: (baseUrl, model) => {
      const name = encodeURIComponent(model.replace(/^models\//, ''));
      const version = /\/v1[a-z0-9]*\/*$/.test(baseUrl) ? '' : '/v1beta';
      return joinUrl(baseUrl, `${version}/models/${name}:streamGenerateContent?alt=sse`);
    },
    // In a header, since addresses end up in logs.
    keyHeaders: (key) => ({ 'x-goog-api-key': key }),
    body: (request) => geminiRequest(request, provider),
    reader: (draft, { model }) => geminiReader(draft, { from: provider, model }),
    whole: (body) => ('candidates' in body || 'promptFeedback' in body ? [body] : null),
  });
}
