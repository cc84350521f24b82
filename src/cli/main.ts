import { homedir } from 'node:os';
import manifest from '../../package.json' with { type: 'json' };
import { systemClock, systemIds } from '../platform/system.ts';
import type { Io } from './io.ts';
import { run } from './program.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

const io: Io = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  outIsTerminal: process.stdout.isTTY,
  errIsTerminal: process.stderr.isTTY,
  stdin: process.stdin,
  inIsTerminal: process.stdin.isTTY,
  editor: process.stdin.isTTY && process.stdout.isTTY ? process.stdout : null,
  env: process.env,
  cwd: process.cwd(),
  userHome: homedir(),
  clock: systemClock,
  ids: systemIds,
  version: manifest.version,
  // What npm runs is seldom on the PATH.
  self: process.env['npm_command'] === undefined ? 'ruche' : 'npx ruche',
  command: [process.execPath, ...process.execArgv, process.argv[1] ?? ''],
  onSignal(handler) {
    for (const signal of SIGNALS) process.on(signal, handler);
    return () => {
      for (const signal of SIGNALS) process.off(signal, handler);
    };
  },
  kill(pid, signal) {
    try {
      return process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
      throw error;
    }
  },
  exit: (code) => process.exit(code),
  loadApp: async () => ({
    ...(await import('../app/commands.ts')),
    diagnose: async (options) => (await import('../app/doctor.ts')).diagnose(options),
    openSimulation: () => import('../simulate/play.ts'),
  }),
};

// A reader that has seen enough (`ruche log | head`) closes the pipe: that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
// Nobody left to complain to is no reason to end: a gateway whose terminal is gone still closes in good order.
process.stderr.on('error', () => undefined);

process.exitCode = await run(process.argv.slice(2), io);
