import type { ModelMessage, Part } from '../../core/model.ts';
import type { RunLog } from '../run/log.ts';
import { estimateTokens, type Prepared } from './model-call.ts';

/** Characters that are left of an old result or argument. */
const STUB = 400;
/** Characters a token is taken to have when room is shared out. */
const PER_TOKEN = 3;

type Cut = (message: ModelMessage, left: number) => ModelMessage;

/**
 * Cuts this turn until its request fits: old tool results first, then what old calls were given, and at last the results
 * that the model has not seen yet, of which each gets an equal share. The model can run a tool again.
 */
export function shorten(log: RunLog, prepared: Prepared, limit: number): Prepared {
  const messages = [...prepared.request.messages];
  const refs = [...prepared.manifest.messages];
  let { tokens } = prepared;
  const cut = (index: number, how: Cut): void => {
    const message = messages[index];
    if (message === undefined || tokens <= limit) return;
    const own = estimateTokens(message);
    const shorter = how(message, limit - (tokens - own));
    if (shorter === message) return;
    tokens -= own - estimateTokens(shorter);
    messages[index] = shorter;
    refs[index] = log.put(shorter);
  };
  const last = messages.findLastIndex(({ role }) => role === 'tool');
  for (const index of messages.keys()) if (index !== last) cut(index, stubResults);
  for (const index of messages.keys()) cut(index, stubArguments);
  cut(last, shareOut);
  return { request: { ...prepared.request, messages }, manifest: { ...prepared.manifest, messages: refs }, tokens };
}

function mapParts(message: ModelMessage, change: (part: Part) => Part): ModelMessage {
  const parts = message.parts.map(change);
  return parts.every((part, index) => part === message.parts[index]) ? message : { ...message, parts };
}

const stubResults: Cut = (message) =>
  mapParts(message, (part) => (part.type === 'result' ? shortResult(part, STUB) : part));

/** Equal shares of the room that is left for all of them. */
const shareOut: Cut = (message, left) => {
  const results = message.parts.filter((part) => part.type === 'result').length;
  const share = Math.max(STUB, Math.floor((left * PER_TOKEN) / Math.max(1, results)) - STUB);
  return mapParts(message, (part) => (part.type === 'result' ? shortResult(part, share) : part));
};

function shortResult(part: Extract<Part, { type: 'result' }>, most: number): Part {
  if (part.text.length <= most) return part;
  const text = `${part.text.slice(0, most).toWellFormed()}\n[cut to save room: run the tool again if you need the rest]`;
  return { ...part, text };
}

/** The call is done: what it was given is in the workspace or was said, and its beginning is enough to know it by. */
const stubArguments: Cut = (message) =>
  mapParts(message, (part) => {
    if (part.type !== 'call' || part.args.length <= STUB) return part;
    try {
      return { ...part, args: JSON.stringify(shortValue(JSON.parse(part.args))) };
    } catch {
      // Not JSON: the model was told so, and what it wrote stays.
      return part;
    }
  });

function shortValue(value: unknown): unknown {
  if (typeof value === 'string')
    return value.length <= STUB
      ? value
      : `${value.slice(0, STUB).toWellFormed()} [… ${value.length - STUB} more characters, which the call had; left out here to save room]`;
  if (Array.isArray(value)) return value.map(shortValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, shortValue(each)]));
}
