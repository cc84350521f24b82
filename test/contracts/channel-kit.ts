import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Channel, ChannelHost, ChannelMessage, ChannelPress, Receipt } from '../../src/core/ports/channel.ts';
import { until } from '../fakes/until.ts';

export interface Seen {
  text: string;
  buttons: readonly string[];
  file: { name: string; bytes: Uint8Array } | null;
}

/** One platform with a person on it, who has a chat with the channel. What is absent is named, with the reason, in `lacking`. */
export interface ChannelRig {
  /** A fresh adapter, as after a restart. */
  open(): Channel;
  /** The platform's immutable ids. */
  person: string;
  stranger: string;
  /** Characters of one message. */
  limit: number;
  says(text: string): void;
  strangerSays?: (text: string) => void;
  sendsFile?: (name: string, bytes: Uint8Array, text: string) => void;
  presses?: (label: string) => void;
  /** What was shown to the person who pressed last. */
  pressed?: () => string;
  /** Messages that the platform still keeps for the channel. */
  kept?: () => number;
  /** What the channel has written into the person's chat, as it stands there now. */
  shown(): Seen[];
  /** The next send is carried out late, or its answer is lost, or it is refused for a while. */
  slow?: () => void;
  loseAnswer?: () => void;
  throttle?: (seconds: number) => void;
  down?: () => Promise<void>;
  up?: () => Promise<void>;
}

export type Ability =
  | Exclude<keyof ChannelRig, 'open' | 'person' | 'stranger' | 'limit' | 'says' | 'shown'>
  | 'drafts'
  | 'files out'
  | 'receipts'
  | 'patience';
export type Able = Required<ChannelRig>;

/** A host that keeps what it takes. `refuse` says why the nth try, from 1, does not succeed. */
export class Host implements ChannelHost {
  readonly taken: ChannelMessage[] = [];
  readonly tried: ChannelMessage[] = [];
  readonly presses: ChannelPress[] = [];
  refuse: (message: ChannelMessage, nth: number) => boolean = () => false;
  refusePress: (nth: number) => boolean = () => false;
  /** Until it resolves nothing is on disk. */
  gate: Promise<void> = Promise.resolve();

  async deliver(message: ChannelMessage): Promise<void> {
    this.tried.push(message);
    if (this.refuse(message, this.tried.length)) throw new Error('not now');
    await this.gate;
    this.taken.push(message);
  }

  press(press: ChannelPress): Promise<{ text: string; done: boolean }> {
    this.presses.push(press);
    if (this.refusePress(this.presses.length)) return Promise.reject(new Error('not now'));
    return Promise.resolve({ text: 'Noted.', done: true });
  }

  texts(): string[] {
    return this.taken.map(({ text }) => text);
  }
}

/** Runs until `stop`, which ends it and waits for that. */
export function run(t: TestContext, channel: Channel, host: ChannelHost): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const ended = channel.start(host, stopping.signal);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await ended;
  };
  t.after(stop);
  return { stop };
}

export const send = (
  channel: Channel,
  to: string,
  text: string,
  more: Partial<Parameters<Channel['send']>[2]> = {},
): Promise<Receipt> => {
  const [part] = channel.split({ text, files: [], buttons: [] });
  assert.ok(part);
  return channel.send(to, part, { key: 'k1', again: false, draft: null, ...more });
};

export function arrived(receipt: Receipt): string | null {
  assert.equal(receipt.state, 'sent', JSON.stringify(receipt));
  return receipt.state === 'sent' ? receipt.id : null;
}

/** The person writes first: gives the address that answers them. */
export async function greeted(rig: ChannelRig, host: Host): Promise<string> {
  rig.says('hello');
  const message = await until(() => host.taken.at(-1), 'the greeting arrives');
  return message.replyTo;
}

export interface Case {
  name: string;
  /** How many times as fast as ours the time of the channel runs. */
  factor?: number;
  needs?: readonly Ability[];
  check(t: TestContext, rig: Able, channel: Channel, host: Host): Promise<void>;
}

export const LONG = Array.from(
  { length: 420 },
  (_, n) => `Sentence number ${n} stands here.${n % 9 === 0 ? '\n\n' : ''}`,
).join(' ');
