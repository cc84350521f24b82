import type { BlobRef } from '../../core/blob.ts';
import type { Event } from '../../core/event.ts';
import { type Label, unionLabels } from '../../core/labels.ts';
import type { ModelMessage, Part } from '../../core/model.ts';
import type { Store } from '../../core/ports/store.ts';
import { loadJson } from './log.ts';
import type { RunState } from './state.ts';

/** A conversation as the next turn sees it, folded from its stream. */
export interface Conversation {
  /** Seq of the last event folded. */
  seq: number;
  /** What stands for the messages that were compacted away. */
  summary: BlobRef | null;
  /** `failed`: of a turn that did not end well; `cold`: the first of one before which it was quiet for long. */
  messages: { ref: BlobRef; seq: number; failed?: boolean; cold?: boolean }[];
  /** When its last turn ended; null where there is none. */
  endedAt: number | null;
  labels: Label[];
  /** What its turns have looked at. */
  seen: BlobRef | null;
  /** Values that were taken out of texts from outside. */
  foreign: BlobRef | null;
}

const emptyConversation = (): Conversation => ({
  seq: 0,
  summary: null,
  messages: [],
  labels: [],
  seen: null,
  foreign: null,
  endedAt: null,
});

/** Whether a turn is still there after its conversation was made shorter. */
export const isKept = ({ upTo, only }: { upTo: number; only?: readonly number[] }, seq: number): boolean =>
  only === undefined ? seq > upTo : !only.includes(seq);

/** Whether a turn that begins then finds no provider that still has the conversation in its cache. */
export const isCold = ({ endedAt }: Pick<Conversation, 'endedAt'>, began: number): boolean =>
  endedAt !== null && began - endedAt >= COLD_MS;

/** Pure fold; gives a new value so that a run keeps the one it started with. */
function foldConversation(before: Conversation, event: Event): Conversation {
  const next = { ...before, seq: event.seq };
  switch (event.type) {
    case 'history.given':
    case 'turn.ended': {
      const failed = event.type === 'turn.ended' && ['failed', 'dead'].includes(event.data.status);
      const cold = event.type === 'turn.ended' && event.data.cold === true;
      const said = event.data.messages.map((ref, at) => ({
        ref,
        seq: event.seq,
        ...(failed && { failed }),
        ...(cold && at === 0 && { cold }),
      }));
      if (event.type === 'turn.ended') next.endedAt = event.at;
      next.messages = [...before.messages, ...said];
      next.labels = unionLabels(before.labels, event.labels);
      if (event.type !== 'turn.ended') return next;
      next.seen = event.data.seen ?? before.seen;
      next.foreign = event.data.foreign ?? before.foreign;
      return next;
    }
    case 'conversation.compacted':
      next.summary = event.data.summary;
      next.messages = before.messages.filter(({ seq }) => isKept(event.data, seq));
      return next;
    default:
      return next;
  }
}

/** Milliseconds of quiet after which no provider has a conversation in its cache for certain. */
const COLD_MS = 600_000;

/** Texts that stand in every request of an agent, two an agent and day. */
const COMMON = 256;

/** Bytes that a message takes beside its text: most are short, and it is these that fill the memory. */
export const BESIDE = 400;

interface Stub {
  ref: BlobRef;
  message: ModelMessage;
}

/** Folded conversations and their messages, so that a long one is not read again for every turn. A projection: can be dropped. */
export class ConversationCache {
  readonly #limit: number;
  readonly #maxBytes: number;
  readonly #entries = new Map<string, Conversation>();
  readonly #messages = new Map<string, { message: ModelMessage; size: number }>();
  readonly #lengths = new WeakMap<ModelMessage, number>();
  readonly #stubs = new WeakMap<ModelMessage, { reader: string | null; stub: Stub }>();
  readonly #common = new Map<string, string>();
  #bytes = 0;

  /** Keeps at most `limit` conversations and `maxBytes` of messages; the least recently used leave first. */
  constructor(limit = 256, maxBytes = 8 * 1024 * 1024) {
    this.#limit = limit;
    this.#maxBytes = maxBytes;
  }

  async message(store: Store, ref: BlobRef): Promise<ModelMessage> {
    const known = this.#messages.get(ref.hash);
    if (known) {
      this.#messages.delete(ref.hash);
      this.#messages.set(ref.hash, known);
      return known.message;
    }
    const message = await loadJson<ModelMessage>(store, ref);
    // Two runs may have looked for it at once: it counts once.
    const size = ref.size + BESIDE;
    if (!this.#messages.has(ref.hash)) this.#bytes += size;
    this.#messages.set(ref.hash, { message, size });
    for (const [hash, entry] of this.#messages) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#messages.delete(hash);
      this.#bytes -= entry.size;
    }
    return message;
  }

  /** Characters of a message as JSON, counted once. */
  lengthOf(message: ModelMessage): number {
    const known = this.#lengths.get(message);
    if (known !== undefined) return known;
    const { length } = JSON.stringify(message);
    this.#lengths.set(message, length);
    return length;
  }

  /** What stands for a message in requests that leave its results out: put once, as long as the message is kept here. */
  stub(message: ModelMessage, reader: string | null, make: () => Stub): Stub {
    const known = this.#stubs.get(message);
    if (known?.reader === reader) return known.stub;
    const stub = make();
    this.#stubs.set(message, { reader, stub });
    return stub;
  }

  /** The hash of what stands in every request alike, such as the tools: put once, not for each turn. */
  common(text: string, put: () => string): string {
    const known = this.#common.get(text);
    if (known !== undefined) return known;
    if (this.#common.size >= COMMON) this.#common.clear();
    const hash = put();
    this.#common.set(text, hash);
    return hash;
  }

  async load(store: Store, stream: string): Promise<Conversation> {
    let conversation = this.#entries.get(stream) ?? emptyConversation();
    for await (const event of store.read({ stream, after: conversation.seq }))
      conversation = foldConversation(conversation, event);
    this.#entries.delete(stream);
    this.#entries.set(stream, conversation);
    if (this.#entries.size > this.#limit) {
      const oldest = this.#entries.keys().next();
      if (!oldest.done) this.#entries.delete(oldest.value);
    }
    return conversation;
  }
}

/** The one message that holds the results of a step's calls, in the order of the calls. */
export function resultsMessage({ calls, run }: Pick<RunState, 'calls' | 'run'>): ModelMessage {
  const parts = calls.map((call): Part => ({
    type: 'result',
    id: call.modelId,
    tool: call.tool,
    text: call.result?.text ?? 'This call did not finish.',
    isError: call.result?.isError ?? true,
    output: `output:${run}/${call.id}`,
    ...(call.result?.digest === undefined ? {} : { digest: call.result.digest }),
  }));
  return { role: 'tool', parts };
}

const textMessage = (text: string): ModelMessage => ({ role: 'user', parts: [{ type: 'text', text }] });

/** A message of the runtime, told apart from what people say. */
export const note = (text: string): ModelMessage => textMessage(`[Ruche] ${text}`);
