import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Lab } from './lab.ts';
import { median, timed } from './measure.ts';
import type { Served } from './served.ts';
import type { Row } from './table.ts';

/** How often each thing of a network is measured. */
export interface NetworkPlan {
  /** Tasks at once, of so many milliseconds, over so many agents. */
  crowd: { rounds: number; tasks: number; agents: number; ms: number };
  /** Turns of each kind. */
  turns: number;
  /** Files put in an inbox at once. */
  files: number;
}

const names = (count: number): string[] => [
  'assistant',
  ...Array.from({ length: count - 1 }, (_, n) => `agent-${n + 2}`),
];

const agentFiles = (count: number): Record<string, string> =>
  Object.fromEntries(
    names(count).map((name) => [`agents/${name}/AGENT.md`, '---\ndescription: helps\n---\nYou help.\n']),
  );

/** Many tasks over many agents against the ideal, and how late the event loop comes meanwhile. */
export async function crowd(lab: Lab, { crowd: { rounds, tasks, agents, ms } }: NetworkPlan): Promise<Row[]> {
  const files = { ruche: join(lab.dir, 'delay-ruche'), floor: join(lab.dir, 'delay-floor') };
  const name = await lab.network('crowd', agentFiles(agents));
  const pair = {
    floor: await lab.floor(lab.watched(files.floor), agentFiles(agents)),
    ruche: await lab.ruche(name, lab.watched(files.ruche)),
  };
  const who = names(agents);
  const all = (served: Served): Promise<number> =>
    timed(() =>
      Promise.all(Array.from({ length: tasks }, (_, n) => served.turn(`wait ${ms}`, undefined, who[n % who.length]))),
    );
  const spans = { ruche: [] as number[], floor: [] as number[] };
  for (const each of ['floor', 'ruche'] as const) {
    for (let warm = 0; warm < 30; warm++) await pair[each].turn(`hello warm-${warm}`);
    pair[each].watch();
    for (let round = 0; round < rounds; round++) spans[each].push(await all(pair[each]));
    await pair[each].stop();
  }
  const late = (file: string): number => (JSON.parse(readFileSync(file, 'utf8')) as { p99: number }).p99;
  const [value, floor] = [median(spans.ruche) / 1000, median(spans.floor) / 1000];
  const ideal = ms / 1000;
  return [
    {
      what: `${tasks} tasks of ${ideal} s over ${agents} agents`,
      unit: 's',
      value,
      floor,
      aim: ideal + 0.2,
      note: `ideal: ${ideal} s, so ${(value / ideal).toFixed(2)}×`,
    },
    { what: 'event loop late, p99, meanwhile', unit: 'ms', value: late(files.ruche), floor: late(files.floor) },
  ];
}

/** What giving work costs, beside turns that do not. */
export async function giving(lab: Lab, plan: NetworkPlan): Promise<Row[]> {
  const served = await lab.ruche(await lab.network('giving', agentFiles(2)));
  const kinds = ['hello', 'look', 'pass', 'give'] as const;
  const taken: Record<(typeof kinds)[number], number[]> = { hello: [], look: [], pass: [], give: [] };
  for (let at = -10; at < plan.turns; at++)
    for (const kind of kinds) {
      const ms = await timed(() => served.turn(`${kind} ${kind}-${at}`));
      if (at >= 0) taken[kind].push(ms);
    }
  await served.stop();
  const [plain, look] = [median(taken.hello), median(taken.look)];
  const note = `median of ${plan.turns}; floor: a plain turn`;
  return [
    { what: 'a turn that reads a file', unit: 'ms', value: look, floor: plain, note },
    { what: 'a turn that hands over', unit: 'ms', value: median(taken.pass), floor: plain, note },
    {
      what: 'a turn with a child task',
      unit: 'ms',
      value: median(taken.give),
      floor: plain,
      note: 'task, wait, the child’s own turn, resume, answer; floor: a plain turn',
    },
  ];
}

/** Files put in an inbox at once, until each is a task, or lies in `rejected/`. */
export async function inbox(lab: Lab, plan: NetworkPlan): Promise<Row[]> {
  const name = await lab.network('inbox', agentFiles(2), 'queues: { agent-2: { state: paused } }\n');
  const served = await lab.ruche(name);
  const before = served.memory();
  const queue = join(lab.workspace(name), 'tasks', 'agent-2');
  mkdirSync(join(queue, 'inbox'), { recursive: true });
  for (let n = 0; n < plan.files; n++)
    writeFileSync(join(queue, 'inbox', `${n}.json`), n % 10 === 9 ? '{"text":' : `{"text":"hello ${n}"}`);
  let most = 0;
  const ms = await timed(async () => {
    while (readdirSync(join(queue, 'inbox')).length > 0) {
      await delay(250);
      most = Math.max(most, served.memory());
    }
  });
  const { tasks } = (await served.get('/api/status')) as { tasks: { queued: number } };
  const rejected = readdirSync(join(queue, 'rejected')).length / 2;
  await served.stop();
  if (tasks.queued + rejected !== plan.files) throw new Error(`${tasks.queued} tasks and ${rejected} rejected files`);
  return [
    {
      what: `${plan.files.toLocaleString('en-GB')} files in an inbox`,
      unit: 's',
      value: ms / 1000,
      note: `${tasks.queued} tasks, ${rejected} rejected, none lost`,
    },
    { what: 'memory they take at most', unit: 'MB', value: (most - before) / 1e6 },
  ];
}
