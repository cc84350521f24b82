import { NO_USAGE } from '../../src/core/model.ts';
import type { Provider } from '../../src/models/wire/provider.ts';

/** Who asked for which model, with which key. */
export const asked: string[] = [];

/** A provider in one file: it calls the tool `stamp`, and says so once it has its result. */
export const toyProvider: Provider = {
  type: 'parrot',
  name: 'parrot',
  url: 'http://127.0.0.1:9/parrot',
  maker: { keys: ['PARROT_KEY'], models: { light: ['grey'], standard: ['grey'], strong: ['macaw'] } },
  open: ({ provider, baseUrl, apiKey }) => ({
    async *stream({ model, messages }) {
      asked.push(`${provider} ${baseUrl} ${apiKey} ${model}`);
      const done = messages.at(-1)?.parts.some((part) => part.type === 'result') ?? false;
      if (done) yield { type: 'text', delta: 'It is stamped.' };
      else yield { type: 'call', id: 'c1', tool: 'stamp', args: '{"text":"A letter"}' };
      yield { type: 'finish', reason: done ? 'stop' : 'calls', usage: NO_USAGE };
    },
  }),
};
