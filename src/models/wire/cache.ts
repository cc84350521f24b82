import type { ModelRequest } from '../../core/model.ts';
import type { Json } from '../../core/text/json.ts';

/**
 * What a server of OpenAI's kind wants to be told to use its cache well. OpenAI sends requests of one key to the machines that
 * have their beginning; OpenRouter marks Claude's requests by itself if asked. Others cache without it, or refuse the word.
 */
export function cacheFields({ model, cacheKey }: ModelRequest, host: string): { [key: string]: Json } {
  if (host === 'api.openai.com') return cacheKey === undefined ? {} : { prompt_cache_key: cacheKey };
  return host === 'openrouter.ai' && /^~?anthropic\//.test(model) ? { cache_control: { type: 'ephemeral' } } : {};
}
