import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { TOKEN } from './help.ts';

export const clientOf = (url: string, options: object = {}): OpenAI =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: TOKEN, ...options });

export const user = (content: string): { role: 'user'; content: string } => ({ role: 'user', content });

/** The status of an API error, for `assert.rejects`. */
export const failsWith = (status: number, message: RegExp) => (error: Error) => {
  assert.ok(error instanceof OpenAI.APIError, String(error));
  assert.equal(error.status, status);
  assert.match(error.message, message);
  return true;
};
