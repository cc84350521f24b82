import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Boundary } from '../core/ports/boundary.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Sandbox, SandboxKind } from '../core/ports/sandbox.ts';
import { ENVIRONMENT } from './system.ts';
import { inheritedFiles, Jobs, type Runner, STATUS_FILE } from './jobs.ts';
import { type Forwarder, forwarderOnce, forwarderWords, networkEnvironment } from './network.ts';
import { LAUNCH, SWEEP_MARKED } from './wrapper.ts';

export interface NoSandboxOptions {
  /** `<home>/shells`. */
  dir: string;
  boundary: Boundary;
  clock: Clock;
}

/** Arguments: folder, checkout, the inner program, then its arguments. The folder marks every process of the command. */
const ENTER = `
exec 2>&1
cd "$2" || exit 125
export RUCHE_JOB="$1"
inner=$3
shift 3
exec /bin/sh -c "$inner" ruche-command "$@"
`;

const unconfinedRunner = (forwarder: () => Promise<Forwarder>): Runner => ({
  name: 'none',
  confined: false,
  sweep: SWEEP_MARKED,

  async prepare({ checkout, limits, network }, dir) {
    const home = join(dir, 'tmp');
    await mkdir(home, { mode: 0o700 });
    return {
      script: ENTER,
      args: [
        dir,
        checkout.dir,
        LAUNCH,
        // Counted over all processes of the user, so it can only be a bound against a fork bomb.
        String(Math.max(limits.processes, 4096)),
        String(Math.floor(limits.memory / 1024)),
        join(dir, 'command'),
        // On any port: all commands share this machine's loopback.
        ...(network === null ? [] : forwarderWords(await forwarder(), network.dir, 0)),
      ],
      env: {
        ...ENVIRONMENT,
        HOME: home,
        TMPDIR: home,
        GIT_DIR: checkout.git,
        GIT_WORK_TREE: checkout.dir,
        RUCHE_STATUS: join(dir, '..', STATUS_FILE),
        ...(network === null ? {} : networkEnvironment(network, network.dir)),
      },
      memory: '',
      pids: '',
    };
  },

  clear: async () => true,
});

/**
 * Commands with nothing around them but limits: they can read and write whatever the runtime's user can, and reach what it
 * can; a proxy is only named to them. For machines without bubblewrap, where the policy asks a person about each command.
 */
export async function openUnconfined(options: NoSandboxOptions): Promise<Sandbox> {
  await mkdir(options.dir, { recursive: true, mode: 0o700 });
  return new Jobs({ ...options, inherited: await inheritedFiles(), runner: unconfinedRunner(forwarderOnce()) });
}

/** Works everywhere, so it is the last that is tried. */
export const unconfined: SandboxKind = {
  name: 'none',
  probe: ({ dir }) =>
    Promise.resolve({ ok: true, why: '', mend: '', open: (parts) => openUnconfined({ dir, ...parts }) }),
  picked: { confined: false, open: ({ dir, boundary, clock }) => openUnconfined({ dir, boundary, clock }) },
};
