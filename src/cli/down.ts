import { connect } from './connect.ts';
import { CliError, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { talk } from './talk.ts';

/** Milliseconds: what runs gets 10 s to stop, and a busy disk may need as long again. */
const PATIENCE = 30_000;
const PAUSE = 50;

/**
 * `ruche down`: stops the network of this home in good order, and comes back when its process has ended and the home can be
 * copied. Where nothing runs that is so already, and no failure.
 */
export async function down(io: Io, options: Options): Promise<ExitCode> {
  try {
    // Only what answers as this home's gateway: the number in a file that a crash left may be another process by now.
    await talk(io, options, new AbortController().signal).call('/api/status');
  } catch (error) {
    if (!(error instanceof CliError) || error.exitCode !== 2) throw error;
    return untilFree(io, options, error);
  }
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

/** No gateway answers. A process that stops already is waited for; one that starts cannot be reached yet. */
async function untilFree(io: Io, { home }: Options, silent: CliError): Promise<ExitCode> {
  const { isHeld } = await io.loadApp();
  let waited = 0;
  for (; await isHeld(home); waited += PAUSE) {
    if (waited >= PATIENCE)
      throw new CliError(`A process holds ${home} and does not answer. ${silent.message}`, 1, { cause: silent });
    await io.clock.sleep(PAUSE);
  }
  io.err(waited > 0 ? 'Stopped.\n' : `Nothing is running for ${home}.\n`);
  return 0;
}
