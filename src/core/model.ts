import type { BlobRef } from './blob.ts';
import type { ImageType, PictureRule } from './image.ts';
import type { Json } from './text/json.ts';

interface Result {
  type: 'result';
  id: string;
  tool: string;
  /** What the model reads. */
  text: string;
  isError: boolean;
  /** Where the whole of it can be read again. */
  output?: string;
  /** What the whole is known by, where `text` is only a part of it. */
  digest?: string;
  /** The `output` of an earlier result that it refers to, its text being the same. */
  same?: string;
}

export type Part =
  | { type: 'text'; text: string }
  /** Of a user's message. `name` is the file's; the bytes are a blob of their own. */
  | {
      type: 'image';
      mediaType: ImageType;
      name: string;
      blob: BlobRef;
      /** Pixels; missing in messages of older versions. */
      width?: number;
      height?: number;
    }
  /** `opaque` is what the provider needs to get back unchanged (signatures, ids). */
  | { type: 'reasoning'; text: string; opaque?: Json }
  /** `args` is the argument text exactly as the model wrote it; it may not parse. */
  | { type: 'call'; id: string; tool: string; args: string; opaque?: Json }
  | Result;

export interface ModelMessage {
  role: 'user' | 'assistant' | 'tool';
  parts: Part[];
}

/** A file that came with a message. `path` is where a run finds it in the workspace. */
export interface FileRef {
  name: string;
  mediaType: string;
  path: string;
  blob: BlobRef;
}

/** The blob of `message.received`. */
export interface UserMessage extends ModelMessage {
  files?: FileRef[];
}

/** What of a part is words: of a call its arguments, of an image its name. */
export function wordsOf(part: Part): string {
  if (part.type === 'call') return part.args;
  return part.type === 'image' ? `[image ${part.name}]` : part.text;
}

export interface ToolSchema {
  name: string;
  description: string;
  /** JSON Schema of the arguments. */
  input: Json;
}

export interface ModelRequest {
  /** The model's name at its provider, without the provider's. */
  model: string;
  system: string;
  tools: ToolSchema[];
  messages: ModelMessage[];
  /** Bytes of the images in `messages`, by the hash of their blob. One that is missing has been erased. */
  images?: ReadonlyMap<string, Uint8Array>;
  maxOutputTokens?: number;
  /** The same for all requests of a conversation, and tells nobody which it is: providers find what they have cached by it. */
  cacheKey?: string;
  /** For whom it is asked; it stands on record with what left, and is not sent. */
  by?: { agent: string; run: string };
}

export interface Usage {
  /** All input tokens, cached ones included. */
  input: number;
  output: number;
  cacheRead: number;
  cacheWrite: number;
}

export const NO_USAGE: Usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };

export const addUsage = (a: Usage, b: Usage): Usage => ({
  input: a.input + b.input,
  output: a.output + b.output,
  cacheRead: a.cacheRead + b.cacheRead,
  cacheWrite: a.cacheWrite + b.cacheWrite,
});

/** `calls` means that the answer holds tool calls to be run, whatever the provider named it. */
export type FinishReason = 'stop' | 'calls' | 'length' | 'refused';

export type ModelErrorKind =
  | 'rate'
  | 'overloaded'
  | 'auth'
  | 'context'
  | 'refused'
  | 'aborted'
  | 'network'
  | 'timeout'
  | 'invalid'
  | 'unavailable';

export interface ModelError {
  kind: ModelErrorKind;
  /** For people: what is wrong and what to do. Never holds a key. */
  message: string;
  /** True if the same request may succeed later. */
  retryable: boolean;
  /** Milliseconds the provider asked us to wait. */
  retryAfter: number | null;
  /** Nothing of it has left, so it cost nothing. */
  unsent?: true;
  /** Where asking again helps little: how often one is asked at most, and whether it may help to come back to it later. */
  asks?: { most: number; later: boolean };
}

/** A stream ends with exactly one `finish` or `error`; what came before an `error` is the partial answer. */
export type ModelEvent =
  | { type: 'text'; delta: string }
  | { type: 'reasoning'; delta: string; opaque?: Json }
  | { type: 'call'; id: string; tool: string; args: string; opaque?: Json }
  | { type: 'finish'; reason: FinishReason; usage: Usage }
  | { type: 'error'; error: ModelError; usage: Usage };

/** A provider's adapter. Never throws for network, auth, refusal or abort: it yields `error`. */
export interface ModelPort {
  stream(request: ModelRequest, signal: AbortSignal): AsyncIterable<ModelEvent>;
}

/** A model that a tier names: `provider/model`. */
export interface ModelChoice {
  provider: string;
  model: string;
  port: ModelPort;
  /** Tokens the model can hold; compaction starts near it. */
  window: number;
  /** True if nobody says how many. */
  assumed?: boolean;
  /** True if it only stands in for a language model, and can do nothing for it that wants one, such as a summary. */
  standIn?: boolean;
  /** False if it cannot see: images are then named in the text instead. */
  images: boolean;
  /** How its maker counts pictures, where that is known. */
  picture?: PictureRule;
  /** True if the runtime itself stands in for it: nothing is asked and nothing spent. */
  ours?: true;
  /** USD for a usage; 0 where no price is known. */
  cost: (usage: Usage) => number;
  /** True if nobody says what it costs. */
  unpriced?: true;
}

/** What an event says of the cost of an answer. */
export const priced = ({ cost, unpriced }: ModelChoice, usage: Usage): { costUsd: number; unpriced?: true } => ({
  costUsd: cost(usage),
  ...(unpriced ? { unpriced } : {}),
});

/** What a model is asked for: an agent's own thinking, or something beside it that a small model can do. */
export const PURPOSES = ['turn', 'compact', 'title', 'extract', 'classify'] as const;
export type Purpose = (typeof PURPOSES)[number];

export type Tier = 'light' | 'standard' | 'strong';
export const TIERS: readonly Tier[] = ['light', 'standard', 'strong'];
