import type { ChannelSettings } from '../core/agent.ts';
import type { ChannelState } from '../core/api/runtime.ts';
import type { Channel, ChannelHost, Receipt } from '../core/ports/channel.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { errorText } from '../core/text/sentence.ts';

export interface ChannelsOptions {
  /** Channels that no settings name. */
  fixed: readonly Channel[];
  settings(): readonly ChannelSettings[];
  /** Another value than before: what these references name has changed, and the adapter was made with what they named. */
  stamp?(references: Readonly<Record<string, string>>): string;
  /** Makes the adapter. Rejects with what a person has to mend. */
  open(settings: ChannelSettings): Promise<Channel>;
  log: Log;
  clock: Pick<Clock, 'now'>;
}

/** How a channel does. */
export type ChannelDoing = Required<Omit<ChannelState, 'name' | 'title'>>;

/** The messengers of the network. They follow the settings in force. */
export interface Channels {
  /** Undefined while it is not open. */
  get(name: string): Channel | undefined;
  /** Whether it is configured, open or not. */
  has(name: string): boolean;
  /** Opens what has been configured and closes what is no longer. What is opened delivers to the host that `host` gives for it. */
  sync(host: (channel: string) => ChannelHost): void;
  /** What became of a send. */
  went(name: string, receipt: Receipt): void;
  /** How it does; null for one that was never opened. */
  doing(name: string): ChannelDoing | null;
  stop(): void;
}

interface Open {
  /** What it was opened with; another value means that it must be opened again. */
  made: string;
  stopping: AbortController;
}

/** Nothing is open before the first `sync`. */
export function openChannels(options: ChannelsOptions): Channels {
  const { log } = options;
  const running = new Map<string, Open>();
  const channels = new Map<string, Channel>();
  const doings = new Doings(() => options.clock.now());

  const receive = async (
    name: string,
    make: () => Promise<Channel>,
    host: ChannelHost,
    { stopping }: Open,
  ): Promise<void> => {
    try {
      const channel = await make();
      if (stopping.signal.aborted) return;
      channels.set(name, channel);
      doings.change(name, null);
      const report = (problem: string | null): void => {
        if (!stopping.signal.aborted) doings.change(name, problem);
      };
      await channel.start(doings.watching(name, { ...host, report }), stopping.signal);
    } catch (error) {
      if (stopping.signal.aborted) return;
      const why = errorText(error);
      doings.change(name, why);
      log.error({ channel: name, error: why }, 'a channel has stopped');
    }
  };
  const begin = (name: string, made: string, make: () => Promise<Channel>, host: ChannelHost): void => {
    const open = { made, stopping: new AbortController() };
    running.set(name, open);
    void receive(name, make, host, open);
  };
  const end = (name: string): void => {
    running.get(name)?.stopping.abort();
    running.delete(name);
    channels.delete(name);
    doings.forget(name);
  };

  const sync = (host: (channel: string) => ChannelHost): void => {
    const wanted = options.settings();
    const names = new Set([...options.fixed, ...wanted].map(({ name }) => name));
    for (const name of running.keys()) if (!names.has(name)) end(name);
    for (const channel of options.fixed)
      if (!running.has(channel.name)) begin(channel.name, '', () => Promise.resolve(channel), host(channel.name));
    for (const settings of wanted) {
      const { name, type, secrets, settings: own } = settings;
      // Owners and agent are asked for with every message.
      const made = JSON.stringify({ type, secrets, own, stamp: options.stamp?.(secrets) });
      if (running.get(name)?.made === made) continue;
      end(name);
      begin(name, made, () => options.open(settings), host(name));
    }
  };
  return {
    get: (name) => channels.get(name),
    has: (name) => [...options.fixed, ...options.settings()].some((each) => each.name === name),
    sync,
    went: (name, receipt) => doings.went(name, receipt),
    doing: (name) => doings.of(name),
    stop: () => {
      for (const { stopping } of running.values()) stopping.abort();
    },
  };
}

const NOTHING: ChannelDoing = { problem: null, since: null, lastIn: null, lastOut: null, lastError: null };

/** How channels do, since the start. */
class Doings {
  readonly #list = new Map<string, ChannelDoing>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  of = (name: string): ChannelDoing | null => this.#list.get(name) ?? null;

  forget(name: string): void {
    this.#list.delete(name);
  }

  change(name: string, problem: string | null): void {
    const at = this.#now();
    const before = this.of(name);
    const since = before?.problem === problem ? before.since : at;
    const failed = problem !== null && before?.problem !== problem ? { lastError: { at, text: problem } } : {};
    this.#note(name, { problem, since, ...failed });
  }

  went(name: string, receipt: Receipt): void {
    const at = this.#now();
    this.#note(name, receipt.state === 'sent' ? { lastOut: at } : { lastError: { at, text: receipt.error } });
  }

  /** The same host, which is seen to get something. */
  watching(name: string, host: ChannelHost): ChannelHost {
    const came = (): void => this.#note(name, { lastIn: this.#now() });
    return {
      ...host,
      deliver: (message) => host.deliver(message).then(came),
      press: (press) => host.press(press).finally(came),
    };
  }

  #note(name: string, more: Partial<ChannelDoing>): void {
    this.#list.set(name, { ...NOTHING, ...this.of(name), ...more });
  }
}
