import { connect } from './connect.ts';
import type { ExitCode, Io } from './io.ts';
import type { Options } from './options.ts';
import { talk } from './talk.ts';

/** `ruche login`: a link that logs one browser in, once. Beside the link nothing goes to stdout, so that it can be piped. */
export async function login(io: Io, options: Options, flags: { json?: boolean }): Promise<ExitCode> {
  const { url } = await connect(io, options);
  const gateway = talk(io, options, new AbortController().signal);
  const { path, seconds } = await gateway.call<{ path: string; seconds: number }>('/api/logins', {});
  const link = `${url}${path}`;
  io.out(flags.json ? `${JSON.stringify({ url: link, seconds })}\n` : `${link}\n`);
  if (!flags.json) io.err(`Open the link in a browser. It works once, within ${Math.round(seconds / 60)} minutes.\n`);
  return 0;
}
