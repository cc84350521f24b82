import { type ExitCode, type Io, plain } from './io.ts';
import type { Options } from './options.ts';
import { talk } from './talk.ts';

/** `ruche pair CHANNEL`: a one-time code that makes whoever sends it to the bot an owner. */
export async function pair(io: Io, options: Options, channel: string, flags: { json?: boolean }): Promise<ExitCode> {
  const gateway = talk(io, options, new AbortController().signal);
  const made = await gateway.call<{ code: string; until: number }>('/api/pairings', { channel });
  const minutes = Math.max(1, Math.round((made.until - io.clock.now()) / 60_000));
  if (flags.json) io.out(`${JSON.stringify(made)}\n`);
  else io.out(`${made.code}\n`);
  const how = `Send this code to the bot on ${plain(channel)} within ${minutes} minutes. The first person to send it becomes an owner.`;
  if (!flags.json) io.err(`${how}\n`);
  return 0;
}
