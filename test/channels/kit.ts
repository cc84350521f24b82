import { setTimeout as delay } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { telegram, type TelegramOptions } from '../../src/channels/telegram/telegram.ts';
import type { Channel, ChannelHost, ChannelMessage, ChannelPress } from '../../src/core/ports/channel.ts';
import type { Log } from '../../src/core/ports/log.ts';
import { openNet } from '../../src/net/guard.ts';
import { quickClock } from '../fakes/quick-clock.ts';
import { startTelegram, type TelegramFake } from '../fakes/telegram/telegram.ts';

const realClock = {
  now: () => Date.now(),
  sleep: (ms: number, signal?: AbortSignal) => delay(ms, undefined, { signal }),
};

export interface Lab {
  fake: TelegramFake;
  open(more?: Partial<TelegramOptions>): Channel;
  /** `level message {fields}` of every line. */
  lines: string[];
  clock: ReturnType<typeof quickClock>;
}

/** The fake platform, and adapters on it over the real guard, whose time runs `factor` times as fast as ours. */
export async function openLab(t: TestContext, factor = 100): Promise<Lab> {
  const clock = quickClock(factor);
  const fake = await startTelegram({ clock });
  t.after(() => fake.close());
  const lines: string[] = [];
  const keep = (level: string) => (fields: object, message: string) =>
    void lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const log: Log = { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') };
  const net = openNet({ clock: realClock, log });
  t.after(() => net.close());
  const common = { name: 'telegram', token: fake.token, apiRoot: fake.url, net, clock, log, random: () => 0.5 };
  return { fake, lines, clock, open: (more) => telegram({ ...common, ...more }) };
}

/** Takes everything. */
export class Taker implements ChannelHost {
  readonly taken: ChannelMessage[] = [];
  readonly presses: ChannelPress[] = [];
  readonly strangers = new Set<string>();
  /** What kept it from working, and null each time it worked again. */
  readonly reports: (string | null)[] = [];

  report(problem: string | null): void {
    if (this.reports.at(-1) !== problem) this.reports.push(problem);
  }

  expects(sender: string): boolean {
    return !this.strangers.has(sender);
  }

  deliver(message: ChannelMessage): Promise<void> {
    this.taken.push(message);
    return Promise.resolve();
  }

  press(press: ChannelPress): Promise<{ text: string; done: boolean }> {
    this.presses.push(press);
    return Promise.resolve({ text: 'Noted.', done: true });
  }
}

/** Runs the channel until the test ends. Gives how it ended. */
export function running(
  t: TestContext,
  channel: Channel,
  host: ChannelHost,
): { stop(): Promise<void>; ended: Promise<void> } {
  const stopping = new AbortController();
  const ended = channel.start(host, stopping.signal);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await ended;
  };
  t.after(() => {
    stopping.abort();
    return ended.catch(() => undefined);
  });
  return { stop, ended };
}
