// The real process of the crash suite: the whole app, a channel that talks to the suite, and a boundary that kills.
import { enableCompileCache } from 'node:module';
enableCompileCache();
const { startApp } = await import('../../src/app/app.ts');
const { openDb } = await import('../../src/store/sqlite/db.ts');
const { fakeChannel } = await import('../fakes/fake-channel.ts');

/** What the suite tells the process: die at the nth time of this boundary, or of this event's commit, from now on. */
export interface Order {
  name: string;
  index: number;
  /** The name is that of an event. */
  event?: true;
}

const { HOME_DIR = '', WORKSPACE = '', TEMPLATE = '', PLATFORM = '', TOKEN = '', ORDER } = process.env;
const counts: Record<string, number> = {};
let order: (Order & { left: number }) | null = null;
/** Set while an order waits for an event: reads what has been committed. */
let committed: (() => number) | null = null;

function take(given: Order): void {
  order = { ...given, left: given.index };
  committed = null;
  if (!given.event) return;
  const db = openDb(`${HOME_DIR}/ruche.sqlite`, { readOnly: true, timeout: 1_000 });
  const [from] = db.prepare<{ seq: number }>('SELECT max(seq) AS seq FROM event').all();
  const count = db.prepare<{ n: number }>('SELECT count(*) AS n FROM event WHERE type = ? AND seq > ?');
  committed = () => count.get(given.name, from?.seq ?? 0)?.n ?? 0;
}

process.on('message', (message: Order | 'counts') => {
  if (message === 'counts') process.send?.({ counts });
  else {
    take(message);
    process.send?.({ ordered: true });
  }
});

if (ORDER !== undefined) take(JSON.parse(ORDER) as Order);

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
  token: () => TOKEN,
  env: { PATH: process.env.PATH, HOME: HOME_DIR },
  platform: process.platform,
  machine: { arch: process.arch, uid: process.getuid?.() ?? 0 },
  log,
  channels: () => [{ channel: fakeChannel(PLATFORM), owners: ['1'], agent: null }],
  boundary: (name) => {
    counts[name] = (counts[name] ?? 0) + 1;
    const due = committed
      ? name === 'store.commit.after' && committed() >= (order?.index ?? 1)
      : order?.name === name && --order.left <= 0;
    if (!due) return;
    process.kill(process.pid, 'SIGKILL');
  },
});
process.on('SIGTERM', () => void app.close('SIGTERM').then(() => process.exit(0)));
process.send?.({ ready: app.gateway.url });
