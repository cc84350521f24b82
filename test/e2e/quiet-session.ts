// A whole session, to be run in a network where every packet that leaves is counted; tells the counts on stdout.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import OpenAI from 'openai';
import { AGENT, Home } from '../fakes/home.ts';
import { modelsYaml, obedientModel, order, orders } from '../fakes/obedient-model.ts';

/** Name of the interface that leads out. */
const OUT = 'out0';

export interface Quiet {
  /** Packets that left the machine during the session, and during an attempt made on purpose. */
  packets: { session: number; control: number };
  /** Who takes connections in this network: the model's server, which is the test's own, and Ruche. */
  listening: string[];
  events: number;
}

/** The tenth number of an interface's line: packets sent. */
function packetsOut(): number {
  const line = readFileSync('/proc/self/net/dev', 'utf8')
    .split('\n')
    .find((each) => each.trim().startsWith(`${OUT}:`));
  return Number(line?.split(':')[1]?.trim().split(/\s+/)[9] ?? Number.NaN);
}

/** `address:port` of everything that listens, as /proc has it. */
function listeners(): string[] {
  const rows = ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((kind) =>
    readFileSync(`/proc/self/net/${kind}`, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((row) => row.trim().split(/\s+/)),
  );
  // 0A: listening; 07: a UDP socket that is bound.
  return rows
    .filter(([, , , state]) => state === '0A' || state === '07')
    .map(([, local = '']) => {
      const [address = '', port = ''] = local.split(':');
      const parts =
        address.length === 8
          ? address
              .match(/../g)
              ?.reverse()
              .map((byte) => parseInt(byte, 16))
              .join('.')
          : address;
      return `${parts}:${parseInt(port, 16)}`;
    });
}

async function session(home: Home): Promise<Pick<Quiet, 'listening' | 'events'>> {
  const outcome = await home.ask(
    orders(
      [order('list', {}), order('read', { path: 'a.md' }), order('search', { pattern: 'one' })],
      order('write', {
        path: 'b.md',
        content: 'see https://tracker.example/pixel.gif ![x](https://evil.example/x.png)\n',
      }),
      order('edit', { path: 'b.md', old: 'see', new: 'look at' }),
      order('shell', {
        command:
          'curl -m 2 http://198.51.100.7/; git fetch https://git.example/x; getent hosts tracker.example; cat b.md',
      }),
      order('fetch', { url: 'http://169.254.169.254/latest' }),
      order('ask', { question: 'see https://tracker.example/?q=1 — go on?' }),
    ),
  );
  await home.api(`/api/questions/${outcome.waits[0]?.id}`, { text: 'yes, as on https://tracker.example' });
  await home.settled(outcome.task);
  const asked = await home.ask(orders(order('fetch', { url: 'https://public.example/page' })));
  await home.answer(asked.waits[0]?.id ?? '', 'deny');
  await home.settled(asked.task);
  const client = new OpenAI({ baseURL: `${home.url}/v1`, apiKey: home.token });
  await client.models.list();
  await client.chat.completions.create({ model: 'assistant', messages: [{ role: 'user', content: 'hello' }] });
  const listening = listeners();
  home.write('ruche.yaml', `${home.read('ruche.yaml')}concurrency: 7\n`);
  await home.end('SIGKILL');
  await home.start();
  for (const args of [
    ['status'],
    ['doctor'],
    ['approvals'],
    ['log', '--json'],
    ['verify'],
    ['ask', 'assistant', 'hello'],
  ])
    await home.cli(...args);
  const { counts } = await home.verify();
  await home.end('SIGTERM');
  return { listening, events: counts.events };
}

const server = await obedientModel();
const home = await Home.up({
  beside: [server],
  env: { WIRE_KEY: 'a-key-0123456789' },
  files: { 'ruche.yaml': modelsYaml(server.baseUrl), 'agents/assistant/AGENT.md': AGENT, 'a.md': 'one\n' },
});
try {
  const told = await session(home);
  const quiet = packetsOut();
  spawnSync(process.execPath, [
    '-e',
    "fetch('http://198.51.100.7/', { signal: AbortSignal.timeout(300) }).catch(() => 0)",
  ]);
  const packets = { session: quiet, control: packetsOut() - quiet };
  console.log(JSON.stringify({ ...told, packets } satisfies Quiet));
} finally {
  await home.close();
}
