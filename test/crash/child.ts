// The real process of the crash suite: the whole app, a channel that talks to the suite, and a boundary that kills.
import { enableCompileCache } from 'node:module';
enableCompileCache();
const { startApp } = await import('../../src/app.ts');
const { fakeChannel } = await import('../fakes/fake-channel.ts');

/** What the suite tells the process: die at the nth time of this boundary from now on. */
export interface Order {
  name: string;
  index: number;
}

const { HOME_DIR = '', WORKSPACE = '', TEMPLATE = '', PLATFORM = '', TOKEN = '' } = process.env;
const counts: Record<string, number> = {};
let order: (Order & { left: number }) | null = null;
const orderOf = (given: Order): Order & { left: number } => ({ ...given, left: given.index });
if (process.env.ORDER) order = orderOf(JSON.parse(process.env.ORDER) as Order);

process.on('message', (message: Order | 'counts') => {
  if (message === 'counts') process.send?.({ counts });
  else {
    order = orderOf(message);
    process.send?.({ ordered: true });
  }
});

const log = {
  debug: () => undefined,
  info: () => undefined,
  warn: (fields: object, message: string) => console.error('warn', message, JSON.stringify(fields)),
  error: (fields: object, message: string) => console.error('error', message, JSON.stringify(fields)),
};

const app = await startApp({
  version: '0.0.0-crash',
  home: HOME_DIR,
  workspace: WORKSPACE,
  template: TEMPLATE,
  host: '127.0.0.1',
  port: 0,
  token: TOKEN,
  env: { PATH: process.env.PATH, HOME: HOME_DIR },
  platform: process.platform,
  machine: { arch: process.arch, uid: process.getuid?.() ?? 0 },
  log,
  channels: () => [{ channel: fakeChannel(PLATFORM), owners: ['1'], agent: null }],
  boundary: (name) => {
    counts[name] = (counts[name] ?? 0) + 1;
    if (order?.name !== name || --order.left > 0) return;
    process.kill(process.pid, 'SIGKILL');
  },
});
process.on('SIGTERM', () => void app.close('SIGTERM').then(() => process.exit(0)));
process.send?.({ ready: app.gateway.url });
