import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { reaches } from '../src/core/net/reach.ts';
import type { Egress, EgressHandle } from '../src/core/ports/egress.ts';
import type { ForWhom } from '../src/core/ports/net.ts';
import type { Sandbox } from '../src/core/ports/sandbox.ts';
import { openEgress } from '../src/net/egress/egress.ts';
import { openNet } from '../src/net/guard.ts';
import { systemClock } from '../src/platform/system.ts';
import { openInjection } from '../src/secrets/injection.ts';
import { openBwrap } from '../src/sandbox/bwrap.ts';
import { findForwarder } from '../src/sandbox/network.ts';
import { probeSandbox } from '../src/sandbox/probe.ts';
import { median, timed } from './measure.ts';
import type { Row } from './table.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const machine = { arch: process.arch, uid: process.getuid?.() ?? -1 };
const LIMITS = { timeMs: 20_000, memory: 512 << 20, processes: 64, output: 1 << 20 };

interface Commands {
  sandbox: Sandbox;
  egress: Egress;
  forWhom: ForWhom;
  dir: string;
}

/** Runs commands one after the other, with a way out or without; milliseconds and output of each. */
function commandsIn({ sandbox, egress, forWhom, dir }: Commands) {
  let count = 0;
  return async (command: string, networked: boolean): Promise<{ ms: number; text: string }> => {
    const key = `bench-${(count += 1)}`;
    const checkout = { id: key, dir: join(dir, key), git: join(dir, `${key}.git`), objects: join(dir, 'objects') };
    for (const folder of [join(checkout.dir, '.git'), join(checkout.git, 'objects', 'info'), checkout.objects])
      await mkdir(folder, { recursive: true });
    let text = '';
    const ms = await timed(async () => {
      const grant = { agent: 'a', run: 'r', forWhom: () => forWhom, denied: () => null };
      const network: EgressHandle | null = networked ? await egress.open(key, grant) : null;
      const job = { key, command, checkout, limits: LIMITS, network };
      const { output } = await sandbox.exec(job, () => undefined, new AbortController().signal);
      text = Buffer.from(output).toString();
      if (networked) await egress.forget(key);
    });
    await sandbox.forget(key);
    return { ms, text };
  };
}

/** A request through the guard against bare Node. */
async function requests(url: string, forWhom: ForWhom, net: ReturnType<typeof openNet>, times: number): Promise<Row> {
  const taken = { guard: [] as number[], bare: [] as number[] };
  const limits = { maxBytes: 1e6, timeoutMs: 10_000, idleMs: 10_000, maxRedirects: 0 };
  const agent = new http.Agent({ keepAlive: true });
  const kept = async (): Promise<void> => {
    const [response] = (await once(http.get(url, { agent }), 'response')) as [http.IncomingMessage];
    response.resume();
    await once(response, 'end');
  };
  const guarded = async (): Promise<void> => void (await (await net.request({ url, ...limits }, forWhom)).text());
  for (let time = 0; time < 50; time++) await Promise.all([kept(), guarded()]);
  for (let time = 0; time < times; time++) {
    taken.bare.push(await timed(kept));
    taken.guard.push(await timed(guarded));
  }
  agent.destroy();
  return {
    what: 'a request through the guard',
    unit: 'ms',
    value: median(taken.guard),
    floor: median(taken.bare),
    note: 'floor: bare node:http, kept connections',
  };
}

/** What a way out costs a command, and the guard a request. Nothing where there is no bubblewrap. */
export async function egress(dir: string, times: number): Promise<Row[]> {
  const probe = await probeSandbox({ dir, path: process.env.PATH ?? '', platform: process.platform, machine });
  if (!probe.ok) return [];
  const base = await mkdtemp(join(dir, 'egress-'));
  const server = http.createServer((_request, response) => response.end('hello'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const place = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const forWhom: ForWhom = { who: 'bench', agent: 'a', run: 'r', privateHosts: [place], only: reaches(place) };
  const net = openNet({ clock: systemClock, log: quiet });
  const injection = openInjection({
    bindings: () => [],
    resolve: () => Promise.reject(new Error('no secrets here')),
    peek: () => Promise.reject(new Error('no secrets here')),
    hide: () => undefined,
    key: Buffer.alloc(32),
    misdirected: () => undefined,
  });
  const ways = openEgress({ dir: join(base, 'egress'), key: Buffer.alloc(32), net, clock: systemClock, injection });
  const { features } = probe;
  const parts = { dir: join(base, 'shells'), boundary: () => undefined, clock: systemClock, features, machine };
  const run = commandsIn({ sandbox: await openBwrap(parts), egress: ways, forWhom, dir: base });
  try {
    const taken = { with: [] as number[], without: [] as number[] };
    for (let time = 0; time < times + 3; time++) {
      const [without, own] = [(await run('true', false)).ms, (await run('true', true)).ms];
      if (time >= 3) {
        taken.without.push(without);
        taken.with.push(own);
      }
    }
    const { kind } = await findForwarder();
    const { text } = await run(
      'for f in $(grep -lx -e perl -e node /proc/[0-9]*/comm); do grep VmRSS "${f%comm}status"; done',
      true,
    );
    const rss = Number(/VmRSS:\s+(\d+)/.exec(text)?.[1] ?? NaN) / 1024;
    const [value, floor] = [median(taken.with), median(taken.without)];
    return [
      {
        what: 'a command with a network',
        unit: 'ms',
        value,
        floor,
        aim: floor + 25,
        note: `+${(value - floor).toFixed(1)} ms; floor: the same without`,
      },
      { what: 'memory of its forwarder', unit: 'MB', value: rss, aim: 10, note: kind },
      await requests(`http://${place}/`, forWhom, net, times * 10),
    ];
  } finally {
    await ways.close();
    net.close();
    server.close();
    server.closeAllConnections();
    await rm(base, { recursive: true, force: true });
  }
}
