import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { AppPort } from '../../src/cli/app-port.ts';
import type { Io } from '../../src/cli/io.ts';
import { run } from '../../src/cli/program.ts';
import { localAccess, presenceOf, writePresence } from '../../src/app/presence.ts';
import { startGateway, type Gateway } from '../../src/gateway/server.ts';
import { systemRandom } from '../../src/platform/system.ts';
import { fakeJournal, fakeRuntime, type FakeRuntime, type Script } from '../fakes/runtime.ts';
import { countingIds, realClock, recordedLog, TOKEN } from '../gateway/help.ts';

export interface Desk {
  home: string;
  runtime: FakeRuntime;
  stdin: PassThrough;
  /** What the commands printed so far. */
  out(): string;
  err(): string;
  /** Runs a command on the home; prints are collected. */
  ruche(...args: string[]): Promise<number>;
  signal(name: 'SIGINT' | 'SIGTERM'): void;
  /** The gateway goes away, and comes back on another port with what it had accepted. */
  stop(): Promise<void>;
  start(): Promise<void>;
  io: Io;
}

const noApp = (): Promise<never> => Promise.reject(new Error('this test has no app'));

export const NO_APP: AppPort = {
  startApp: noApp,
  initWorkspace: noApp,
  openHomeReadOnly: noApp,
  diagnose: noApp,
  freeBytes: noApp,
  changePauses: noApp,
  isHeld: noApp,
  openSecrets: noApp,
  openSkills: noApp,
  openPolicy: noApp,
  openSimulation: noApp,
};

/** A process in a folder, away from any terminal. */
export const ioOf = (dir: string, more: Partial<Io>): Io => ({
  out: () => undefined,
  err: () => undefined,
  outIsTerminal: false,
  errIsTerminal: false,
  stdin: new PassThrough(),
  inIsTerminal: false,
  editor: null,
  env: {},
  cwd: dir,
  userHome: dir,
  clock: realClock,
  ids: countingIds(),
  version: '1.2.3',
  self: 'ruche',
  command: ['ruche'],
  onSignal: () => () => undefined,
  kill: () => false,
  exit: () => undefined,
  loadApp: async () => NO_APP,
  ...more,
});

/** A gateway over the fake engine with its home, and a process around the commands. */
export async function withDesk(
  script: Script,
  test: (desk: Desk) => Promise<void>,
  changes: Partial<Io> = {},
): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'ruche-cli-'));
  const runtime = fakeRuntime(script);
  let gateway: Gateway | null = null;
  const printed = { out: '', err: '' };
  const handlers = new Set<(signal: 'SIGINT' | 'SIGTERM') => void>();
  const stdin = new PassThrough();
  const io = ioOf(home, {
    out: (text) => void (printed.out += text),
    err: (text) => void (printed.err += text),
    stdin,
    env: { RUCHE_HOME: home, RUCHE_TOKEN: TOKEN },
    onSignal(handler) {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    ...changes,
  });
  const desk: Desk = {
    home,
    runtime,
    stdin,
    io,
    out: () => printed.out,
    err: () => printed.err,
    ruche: (...args) => run(args, io),
    signal: (name) => handlers.forEach((handler) => handler(name)),
    async stop() {
      await gateway?.close();
      gateway = null;
    },
    async start() {
      const local = localAccess(home, process.platform, systemRandom.bytes);
      gateway = await startGateway({
        local,
        runtime,
        store: fakeJournal(),
        token: () => TOKEN,
        host: '127.0.0.1',
        port: 0,
        clock: realClock,
        ids: countingIds(),
        log: recordedLog(),
        redact: (text) => text,
        limits: { closeMs: 200 },
        web: home,
        sessions: { keep: { load: async () => [], save: async () => undefined }, bytes: systemRandom.bytes },
      });
      await writePresence(home, presenceOf(gateway, local));
    },
  };
  await desk.start();
  try {
    await test(desk);
  } finally {
    await desk.stop();
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
}
