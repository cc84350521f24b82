import type { Event, EventOf } from '../core/event.ts';
import { readJson } from '../core/records/json-blob.ts';
import type { UserMessage } from '../core/model.ts';
import type { ChannelMessage } from '../core/ports/channel.ts';
import type { Store } from '../core/ports/store.ts';
import { runOf } from '../pending/pending.ts';
import { messageKey } from './inbox.ts';

/** What stands before the words of an edit whose message the agent may have acted on. */
const EDITED = '(An edited message, as it reads now:)\n\n';
/** Messages whose words are kept in mind: of commands nothing else tells them. */
const MAX_KEPT = 1_000;
/** Characters from which a part may have been cut out of a longer text, in the middle of a line. */
const MAY_BE_CUT = 2_048;
/** Messages that are looked at for one that has an edited one as a part. */
const MAX_LOOKED = 200;

export interface EditDeps {
  store: Store;
  redact(text: string): string;
  cancel(task: string, by: string, text: string): Promise<boolean>;
}

/** Edits of messages: which of them say anything new, and what they mean by then. */
export class Edits {
  readonly #deps: EditDeps;
  readonly #said = new Map<string, string>();

  constructor(deps: EditDeps) {
    this.#deps = deps;
  }

  /**
   * The message as it is to be delivered; null for an edit that changes nothing. Platforms send those for a reaction or the
   * preview of a link. An edit of a message that nobody has begun with takes its place.
   */
  async taken(channel: string, message: ChannelMessage): Promise<ChannelMessage | null> {
    const { edits, text } = message;
    if (edits === undefined) return message;
    const whole = await this.#burst(channel, message, edits);
    if (whole !== null)
      return isPartOf(whole, this.#deps.redact(text.toWellFormed())) ? null : { ...message, text: `${EDITED}${text}` };
    const before = await this.#before(channel, message, edits);
    if (before !== null && before.said === sayings(this.#deps, message)) return null;
    if (text.startsWith('/')) return message;
    const replaces =
      before?.task !== undefined && (await this.#takesPlace(before.task, `${channel}:${message.sender}`));
    return replaces ? message : { ...message, text: `${EDITED}${text}` };
  }

  /** Once it has been delivered: what was rejected comes again, and is no repetition then. */
  keep(channel: string, message: ChannelMessage): void {
    const name = messageKey(channel, message.chat, message.edits ?? message.externalId);
    this.#said.delete(name);
    this.#said.set(name, sayings(this.#deps, message));
    const [oldest] = this.#said.keys();
    if (this.#said.size > MAX_KEPT && oldest !== undefined) this.#said.delete(oldest);
  }

  /** The words of a message that came in parts, one of which is edited now; null if it came in one. */
  async #burst(channel: string, { chat }: ChannelMessage, edited: string): Promise<string | null> {
    const { store } = this.#deps;
    const key = messageKey(channel, chat, edited);
    const first = await store.byKey(key);
    const holds = (event: Event | null): event is EventOf<'message.received'> =>
      event?.type === 'message.received' &&
      (event.key === key ? event.data.parts !== undefined : event.data.parts?.includes(edited) === true) &&
      event.data.channel === channel;
    if (holds(first)) return (await contentOf(store, first)).text;
    if (first !== null) return null;
    const recent = { types: ['message.received'], reverse: true, limit: MAX_LOOKED } as const;
    for await (const event of store.read(recent)) if (holds(event)) return (await contentOf(store, event)).text;
    return null;
  }

  /** The newest version that was taken in, and its task. */
  async #before(
    channel: string,
    { chat }: ChannelMessage,
    original: string,
  ): Promise<{ said: string; task?: string } | null> {
    const { store } = this.#deps;
    const key = messageKey(channel, chat, original);
    const known = this.#said.get(key);
    const first = await store.byKey(key);
    if (first?.type !== 'message.received') return known === undefined ? null : { said: known };
    let newest: EventOf<'message.received'> = first;
    for await (const event of store.read({ stream: first.stream, types: ['message.received'], after: first.seq }))
      if (event.type === 'message.received' && event.key?.startsWith(`${key}.`) === true) newest = event;
    return { said: known ?? (await wordsOf(store, newest)), task: newest.data.task };
  }

  /** Whether the task has not begun, and has been taken back. */
  async #takesPlace(id: string, by: string): Promise<boolean> {
    const { store } = this.#deps;
    const task = await store.task(id);
    if (task === null || task.status !== 'queued' || task.absorbedBy !== null) return false;
    if ((await runOf(store, task)) !== null) return false;
    return this.#deps.cancel(id, by, 'Your edited message takes its place.');
  }
}

/** What a message says, so that two can be compared: its words as they are kept, and names and sizes of its files. */
/** Whether the words of one part stand in a whole as they were. What was only made shorter stands there too, but not as whole lines. */
function isPartOf(whole: string, part: string): boolean {
  if (part.length > MAY_BE_CUT) return whole.includes(part);
  return `\n${whole}\n`.includes(`\n${part}\n`);
}

function sayings({ redact }: Pick<EditDeps, 'redact'>, { text, files }: ChannelMessage): string {
  const named = files.map(({ name, bytes }) => `${name} ${bytes.length}`);
  return JSON.stringify([redact(text.toWellFormed()), named]);
}

async function wordsOf(store: Store, event: EventOf<'message.received'>): Promise<string> {
  const { text, named } = await contentOf(store, event);
  return JSON.stringify([text, named]);
}

async function contentOf(
  store: Store,
  { data }: EventOf<'message.received'>,
): Promise<{ text: string; named: string[] }> {
  const message = await readJson<UserMessage>(store, data.content);
  const [part] = message?.parts ?? [];
  const text = part?.type === 'text' ? part.text : '';
  const own = text.replace(/(?:^|\n\n)\[Files that came with this message: [^\n]*\]$/, '');
  const named = (message?.files ?? []).map(({ name, blob }) => `${name} ${blob.size}`);
  return { text: own.startsWith(EDITED) ? own.slice(EDITED.length) : own, named };
}
