import { type Json, isObject } from '../../core/text/json.ts';
import type { Draft, PartialCall, Read } from '../wire/answer.ts';
import { count, type Fields, wordsIn } from '../wire/fields.ts';

/** A block of content that is still open. */
interface Block {
  type: string;
  call: PartialCall | null;
  /** Of a call whose arguments did not come in pieces. */
  input: unknown;
  chars: number;
  signature: string;
}

/** Characters a piece of thinking counts beside its text: pieces without end are an answer without end. */
const PIECE = 64;

const REASONS: ReadonlyMap<string, Draft['reason']> = new Map([
  ['max_tokens', 'length'],
  ['model_context_window_exceeded', 'length'],
  // Not finished, and only for tools of the provider, which are never asked for.
  ['pause_turn', 'length'],
  ['refusal', 'refused'],
]);

function readUsage(raw: Fields): Draft['usage'] {
  const cacheRead = count(raw.cache_read_input_tokens);
  const cacheWrite = count(raw.cache_creation_input_tokens);
  return {
    input: count(raw.input_tokens) + cacheRead + cacheWrite,
    output: count(raw.output_tokens),
    cacheRead,
    cacheWrite,
  };
}

/** Reads the events of a message. `owner`: whom its thinking goes back to. */
export function anthropicReader(draft: Draft, owner: { from: string; model: string }): Read {
  const open = new Map<unknown, Block>();
  const usage: Fields = {};
  /** Of the thinking since the last text or call: it becomes one part. No copy for each piece: there may be very many. */
  let thought: Json[] = [];

  const addUsage = (raw: unknown): void => {
    if (!isObject(raw)) return;
    // The end counts again, some servers only a part and zeros for the rest.
    for (const [name, value] of Object.entries(raw)) if (count(value) > 0) usage[name] = value;
    draft.usage = readUsage(usage);
  };
  const addText = (text: string): void => {
    if (text !== '') thought = [];
    draft.text(text);
  };
  const addThinking = (block: Block, text: string): void => {
    block.chars += text.length;
    draft.reasoning(text);
  };
  const keepThought = (piece: Json): void => {
    thought.push(piece);
    draft.grow(PIECE);
    draft.reasoning('', { ...owner, blocks: thought });
  };
  const start = (index: unknown, raw: Fields): void => {
    const type = wordsIn(raw.type);
    const call = type === 'tool_use' ? { id: wordsIn(raw.id), tool: wordsIn(raw.name), args: '' } : null;
    const block: Block = { type, call, input: raw.input, chars: 0, signature: wordsIn(raw.signature) };
    open.set(index, block);
    if (call) draft.pending.push(call);
    if (type === 'text') addText(wordsIn(raw.text));
    if (type === 'thinking') addThinking(block, wordsIn(raw.thinking));
    if (type === 'redacted_thinking') keepThought({ data: wordsIn(raw.data) });
  };
  const change = (block: Block, delta: Fields): void => {
    addText(wordsIn(delta.text));
    addThinking(block, wordsIn(delta.thinking));
    block.signature += wordsIn(delta.signature);
    const json = wordsIn(delta.partial_json);
    if (block.call) block.call.args += json;
    draft.grow(json.length);
  };
  const stop = (block: Block): void => {
    if (block.type === 'thinking') keepThought({ chars: block.chars, signature: block.signature });
    const { call } = block;
    if (!call) return;
    draft.pending = draft.pending.filter((each) => each !== call);
    if (call.args.trim() === '') call.args = JSON.stringify(block.input ?? {});
    thought = [];
    draft.call(call);
  };

  return (event) => {
    const block = open.get(event.index);
    switch (event.type) {
      case 'message_start':
        if (isObject(event.message)) addUsage(event.message.usage);
        return;
      case 'content_block_start':
        if (isObject(event.content_block)) start(event.index, event.content_block);
        return;
      case 'content_block_delta':
        if (block && isObject(event.delta)) change(block, event.delta);
        return;
      case 'content_block_stop':
        if (block) stop(block);
        open.delete(event.index);
        return;
      case 'message_delta': {
        addUsage(event.usage);
        const reason = isObject(event.delta) ? wordsIn(event.delta.stop_reason) : '';
        if (reason !== '') draft.reason = REASONS.get(reason) ?? 'stop';
        return;
      }
      case 'message_stop':
        draft.done = true;
    }
  };
}

/** A message that did not come as a stream, as the events it would have come in. */
export function anthropicEvents(body: Fields): Fields[] | null {
  if (body.type !== 'message' || !Array.isArray(body.content)) return null;
  return [
    { type: 'message_start', message: { usage: body.usage } },
    ...body.content.flatMap((block: unknown, index) => [
      { type: 'content_block_start', index, content_block: block },
      { type: 'content_block_stop', index },
    ]),
    { type: 'message_delta', delta: { stop_reason: body.stop_reason } },
    { type: 'message_stop' },
  ];
}
