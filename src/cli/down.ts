import { connect } from './connect.ts';
import { CliError, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { talk } from './talk.ts';

/** Milliseconds: what runs gets 10 s to stop, and a busy disk may need as long again. */
const PATIENCE = 30_000;
const PAUSE = 50;

/** `ruche down`: stops the network of this home in good order, and comes back when its process has ended and the home can be copied. */
export async function down(io: Io, options: Options): Promise<ExitCode> {
  // Only what answers as this home's gateway: the number in a file that a crash left may be another process by now.
  await talk(io, options, new AbortController().signal).call('/api/status');
  const { pid } = await connect(io, options);
  if (pid === 0) throw new CliError('The gateway does not say which process it is. Stop it with Ctrl-C, or with kill.');
  io.kill(pid, 'SIGTERM');
  for (let waited = 0; io.kill(pid, 0); waited += PAUSE) {
    if (waited >= PATIENCE)
      throw new CliError(
        `Process ${pid} has not ended after ${PATIENCE / 1000} s. Look into the log; kill -9 ${pid} ends it, and loses nothing.`,
      );
    await io.clock.sleep(PAUSE);
  }
  io.err('Stopped.\n');
  return 0;
}
