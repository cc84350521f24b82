import type { Usage } from '../../core/model.ts';

export interface AnswerHead {
  id: string;
  /** Seconds since the epoch. */
  created: number;
  model: string;
}

const usageOf = (usage: Usage): object => ({
  prompt_tokens: usage.input,
  completion_tokens: usage.output,
  total_tokens: usage.input + usage.output,
  prompt_tokens_details: { cached_tokens: usage.cacheRead },
});

export const completion = (head: AnswerHead, text: string, usage: Usage): object => ({
  id: head.id,
  object: 'chat.completion',
  created: head.created,
  model: head.model,
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: text, refusal: null },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: usageOf(usage),
});

/** One chunk of a streamed answer. `usage`: undefined where the client did not ask for it. */
export const chunk = (
  head: AnswerHead,
  delta: { role?: 'assistant'; content?: string },
  finish: 'stop' | null,
  withUsage: boolean,
): object => ({
  id: head.id,
  object: 'chat.completion.chunk',
  created: head.created,
  model: head.model,
  choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  ...(withUsage ? { usage: null } : {}),
});

export const usageChunk = (head: AnswerHead, usage: Usage): object => ({
  id: head.id,
  object: 'chat.completion.chunk',
  created: head.created,
  model: head.model,
  choices: [],
  usage: usageOf(usage),
});
