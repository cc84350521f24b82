import { connect } from './connect.ts';
import { type ExitCode, type Io, plain } from './io.ts';
import type { Options } from './options.ts';
import { talk } from './talk.ts';

/** `ruche login`: a link that logs one browser in, once. Beside the link nothing goes to stdout, so that it can be piped. */
export async function login(io: Io, options: Options, flags: { json?: boolean }): Promise<ExitCode> {
  const { url } = await connect(io, options);
  const gateway = talk(io, options, new AbortController().signal);
  const made = await gateway.call<{ path: string; publicUrl?: string | null; seconds: number }>('/api/logins', {});
  const { path, seconds } = made;
  const link = `${made.publicUrl ?? url}${path}`;
  io.out(flags.json ? `${JSON.stringify({ url: link, seconds })}\n` : `${link}\n`);
  if (!flags.json) io.err(`Open the link in a browser. It works once, within ${Math.round(seconds / 60)} minutes.\n`);
  if (!flags.json && made.publicUrl) io.err(`On this machine ${url}${path} works, too.\n`);
  return 0;
}

/** `ruche pair CHANNEL`: a one-time code that makes the person who sends it to the bot an owner. */
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
