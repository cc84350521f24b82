import { type Json, isObject } from '../../core/text/json.ts';
import type { ImageType } from '../../core/image.ts';
import type { ModelMessage, ModelRequest, Part } from '../../core/model.ts';
import { parseJson } from './fields.ts';

type Text = Extract<Part, { type: 'text' }>;
type Reasoning = Extract<Part, { type: 'reasoning' }>;
export type Call = Extract<Part, { type: 'call' }>;
export type Result = Extract<Part, { type: 'result' }>;
interface Picture {
  type: 'image';
  mediaType: ImageType;
  name: string;
  base64: string;
}

export interface UserTurn {
  role: 'user';
  parts: (Text | Picture)[];
}

export interface ModelTurn {
  role: 'assistant';
  /** In the order in which they came; of the calls only those with a result. */
  parts: (Text | Reasoning | Call)[];
  /** One for each call, in their order. */
  results: Result[];
  /** After the last words of the user: reasoning may have to go back. */
  present: boolean;
}

export type Turn = UserTurn | ModelTurn;

const BEFORE = '[The beginning of this conversation is not shown.]';
const GO_ON = 'Go on.';

/**
 * A conversation as every provider takes it: it begins with the user, user and model alternate (the results of calls
 * count as the user's words), and it ends with something to answer. Calls without results and results without calls
 * are left out, since servers refuse the whole request for one of them. Ids that do not fit `idForm` are replaced.
 */
export function turnsOf(request: ModelRequest, idForm: RegExp): Turn[] {
  const { messages } = request;
  const turns: Turn[] = [];
  const userTurn = (text: string): UserTurn => ({ role: 'user', parts: [{ type: 'text', text }] });
  for (const [index, message] of messages.entries()) {
    if (message.role === 'user') addUser(turns, message, request);
    if (message.role === 'assistant') addModel(turns, messages, index);
  }
  if (turns[0]?.role !== 'user') turns.unshift(userTurn(BEFORE));
  const last = turns.at(-1);
  if (last?.role === 'assistant' && last.results.length === 0) turns.push(userTurn(GO_ON));
  mendIds(turns, idForm);
  // As it will be sent: words without content have been left out, and some may have been added.
  const lastUser = turns.findLastIndex((turn) => turn.role === 'user');
  for (const turn of turns.slice(lastUser + 1)) if (turn.role === 'assistant') turn.present = true;
  return turns;
}

function addUser(turns: Turn[], message: ModelMessage, { images }: ModelRequest): void {
  const parts: UserTurn['parts'] = [];
  for (const part of message.parts) {
    const shown = part.type === 'image' ? picture(part, images) : part;
    const last = parts.at(-1);
    if (shown.type === 'image') parts.push(shown);
    else if (shown.type === 'text' && last?.type === 'text') last.text += shown.text;
    else if (shown.type === 'text') parts.push({ type: 'text', text: shown.text });
  }
  const said = parts.filter((part) => part.type === 'image' || part.text.trim() !== '');
  if (said.length === 0) return;
  const before = turns.at(-1);
  if (before?.role !== 'user') {
    turns.push({ role: 'user', parts: said });
    return;
  }
  // Two messages in a row become one: templates of local models insist on alternation.
  const [first, ...rest] = said;
  const last = before.parts.at(-1);
  if (first?.type === 'text' && last?.type === 'text') {
    last.text += `\n\n${first.text}`;
    before.parts.push(...rest);
  } else before.parts.push(...said);
}

function picture(part: Extract<Part, { type: 'image' }>, images: ModelRequest['images']): Text | Picture {
  const bytes = images?.get(part.blob.hash);
  if (!bytes) return { type: 'text', text: `[image ${part.name} is no longer available]` };
  const { mediaType, name } = part;
  return { type: 'image', mediaType, name, base64: Buffer.from(bytes).toString('base64') };
}

/** The results that follow a message, up to the next one of the model. */
function resultsAfter(messages: readonly ModelMessage[], index: number): Map<string, Result> {
  const results = new Map<string, Result>();
  for (const message of messages.slice(index + 1)) {
    if (message.role === 'assistant') break;
    for (const part of message.parts) if (part.type === 'result') results.set(part.id, part);
  }
  return results;
}

function addModel(turns: Turn[], messages: readonly ModelMessage[], index: number): void {
  const found = resultsAfter(messages, index);
  const parts: ModelTurn['parts'] = [];
  const results: Result[] = [];
  for (const part of messages[index]?.parts ?? []) {
    if (part.type === 'text' && part.text.trim() !== '') parts.push(part);
    if (part.type === 'reasoning') parts.push(part);
    const result = part.type === 'call' ? found.get(part.id) : undefined;
    if (part.type !== 'call' || !result) continue;
    parts.push({ ...part, tool: toolName(part.tool) });
    results.push({ ...result, tool: toolName(part.tool) });
  }
  if (parts.every((part) => part.type === 'reasoning')) return;
  const before = turns.at(-1);
  if (before?.role === 'assistant' && before.results.length === 0) {
    before.parts.push(...parts);
    before.results.push(...results);
  } else turns.push({ role: 'assistant', parts, results, present: false });
}

/** A name that every provider takes: a model may have made one up, and the next one refuses to read it. */
function toolName(name: string): string {
  const fit = name.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, 64);
  return /^[a-zA-Z_]/.test(fit) ? fit : `_${fit}`.slice(0, 64);
}

/** Providers refuse the ids of others; nine letters and digits are what all of them take. */
function mendIds(turns: readonly Turn[], idForm: RegExp): void {
  const taken = new Set(
    turns.flatMap((turn) => (turn.role === 'assistant' ? turn.results.map((result) => result.id) : [])),
  );
  let n = 0;
  for (const turn of turns) {
    if (turn.role !== 'assistant') continue;
    for (const result of turn.results) {
      if (idForm.test(result.id)) continue;
      const call = turn.parts.find((part) => part.type === 'call' && part.id === result.id);
      let id = '';
      do id = `c${String((n += 1)).padStart(8, '0')}`;
      while (taken.has(id));
      result.id = id;
      if (call?.type === 'call') call.id = id;
    }
  }
}

/** The arguments of an earlier call as an object: servers refuse the whole request for any that are not. */
export function argsOf(call: Call): { [key: string]: Json } {
  const parsed = parseJson(call.args);
  return isObject(parsed) ? (parsed as { [key: string]: Json }) : { malformed: call.args };
}

/** What a provider wants back, if this model of it gave it: signatures of another are refused. */
export function ownOpaque(part: { opaque?: Json }, from: string, model: string): { [key: string]: Json } | null {
  const { opaque } = part;
  if (!isObject(opaque) || opaque.from !== from || opaque.model !== model) return null;
  return opaque;
}

/** The text of all its text parts. */
export const textOf = (turn: Turn): string =>
  turn.parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
