import { type Label, unionLabels } from '../../src/core/labels.ts';
import type { CriticalValue, KeptRecord, PolicyFacts } from '../../src/core/policy.ts';
import type { Tool, ToolContext } from '../../src/core/ports/tool.ts';
import { decide, leaves } from '../../src/policy/decide.ts';
import { type Critical, criticalValues, vouch, type Vouchers } from '../../src/policy/vouch.ts';
import { type Call, freshWorld, injectedWorld, type Pair, signOf, type UserTask, type World } from './agentdojo.ts';
import { attackCalls, harmIn } from './attacks.ts';
import { toyTools } from './tools.ts';

/** How values are vouched for, so that rules can be tried beside the product's. */
export type Gate = (values: readonly Critical[], from: Vouchers, tool: Tool) => CriticalValue[];

export interface Asked {
  call: Call;
  why: string;
  /** Of the injected text, not of the task. */
  attack: boolean;
}

export interface Played {
  world: World;
  asked: Asked[];
  /** Calls that leave or cannot be undone, asked or not. */
  sinks: number;
  /** Whether something was read that others can write. */
  outside: boolean;
}

export const RULES = [{ id: 'toys', verdict: 'allow', match: { tool: '*' }, reason: 'Toys.' }] as const;

interface Attack {
  /** What a tool's result holds once the injected text is read. */
  sign: string;
  calls: readonly Call[];
}

interface Play {
  world: World;
  attack?: Attack;
  gate?: Gate;
}

/**
 * Plays a task through the policy alone. The attack is carried out as soon as its text has been read, and once more when all
 * else is done. The owner approves the calls of the task that ask, and denies those of the attack.
 */
async function play({ prompt, calls }: UserTask, { world, attack, gate = vouch }: Play): Promise<Played> {
  const tools = new Map(toyTools(() => world).map((tool) => [tool.name, tool]));
  const played: Played = { world, asked: [], sinks: 0, outside: false };
  let labels: Label[] = [];
  const records: KeptRecord[] = [];
  const make = async (call: Call, attacks: boolean): Promise<string> => {
    const tool = tools.get(call.function) as Tool;
    const parsed = tool.parse(call.args);
    if (!parsed.ok) throw new Error(`${call.function}: ${parsed.error}`);
    const owner = [{ text: prompt, by: 'evt_1' }];
    const from: Vouchers = { owner, constants: [], contacts: [], records, endorsed: () => null };
    const critical = gate(criticalValues(tool, parsed.value), from, tool);
    const about = { tool: tool.name, effect: tool.effect, ...tool.facts(parsed.value) };
    const run = { rules: RULES, agentRules: [], tools: [...tools.keys()], network: null, sandboxed: true };
    const facts: PolicyFacts = { ...run, labels, critical };
    if (leaves(about, facts)) played.sinks += 1;
    const decision = decide(about, facts);
    if (decision.verdict !== 'allow') {
      const open = critical.filter(({ vouched }) => vouched === null).map(({ name, value }) => `${name} ${value}`);
      played.asked.push({ call, attack: attacks, why: open.join(', ') || decision.reason });
      if (attacks) return '';
    }
    const result = await tool.run(parsed.value, {} as ToolContext);
    labels = unionLabels(labels, result.labels);
    if (labels.includes('untrusted')) played.outside = true;
    records.push(...(result.records ?? []));
    return result.text;
  };
  const strike = async (): Promise<void> => {
    for (const call of attack?.calls ?? []) await make(call, true);
  };
  let read = false;
  for (const call of calls) {
    const said = await make(call, false);
    if (attack === undefined || read || !said.includes(attack.sign)) continue;
    read = true;
    await strike();
  }
  if (attack !== undefined && !read) throw new Error(`the injected text was never read: ${prompt}`);
  await strike();
  return played;
}

export const playBenign = (task: UserTask, gate?: Gate): Promise<Played> => play(task, { world: freshWorld(), gate });

export async function playAttacked(pair: Pair, gate?: Gate): Promise<Played & { harm: string[] }> {
  const world = injectedWorld(pair.task, pair.attack);
  const attack = { sign: signOf(pair.attack), calls: attackCalls(pair, world) };
  const played = await play(pair.task, { world, attack, gate });
  return { ...played, harm: harmIn(world, pair.user) };
}
