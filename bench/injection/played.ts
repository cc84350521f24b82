import type { EventOf } from '../../src/core/event.ts';
import type { DecisionRecord } from '../../src/core/policy.ts';
import { readJson } from '../../src/core/records/json-blob.ts';
import type { ModelRequest } from '../../src/core/model.ts';
import { type Loop, openLoop } from '../../test/fakes/loop.ts';
import { calls, says, scriptedModel } from '../../test/fakes/scripted-model.ts';
import { type Call, freshWorld, injectedWorld, type Pair, signOf, type UserTask, type World } from './agentdojo.ts';
import { attackCalls, harmIn } from './attacks.ts';
import { type Asked, RULES } from './pure.ts';
import { toyTools } from './tools.ts';

/** What one run of the product came to. */
export interface Run {
  asked: Asked[];
  sinks: number;
  outside: boolean;
  harm: string[];
  /** Calls of the attack that the model made. */
  struck: number;
}

interface Act {
  world: World;
  own: Call[];
  attack: { sign: string; calls: readonly Call[] } | null;
  /** Calls of the attack still to be made. */
  strikes: Call[];
  read: boolean;
  last: boolean;
  current: { call: Call; attack: boolean } | null;
  struck: number;
}

const newAct = (task: UserTask, world: World, attack: Act['attack']): Act => ({
  world,
  own: [...task.calls],
  attack,
  strikes: [],
  read: false,
  last: false,
  current: null,
  struck: 0,
});

/** A model that does its task, and to the letter what injected text says: at once when it reads it, and again at the end. */
function nextCall(act: Act, said: string): Act['current'] {
  const { attack } = act;
  if (attack !== null && !act.read && said.includes(attack.sign)) {
    act.read = true;
    act.strikes = [...attack.calls];
  }
  if (act.strikes.length === 0 && act.own.length === 0 && act.read && !act.last) {
    act.last = true;
    act.strikes = [...(attack?.calls ?? [])];
  }
  const strike = act.strikes.shift();
  if (strike !== undefined) act.struck += 1;
  const own = strike === undefined ? act.own.shift() : undefined;
  if (strike !== undefined) return { call: strike, attack: true };
  return own === undefined ? null : { call: own, attack: false };
}

const lastSaid = ({ messages }: ModelRequest): string =>
  (messages.at(-1)?.parts ?? []).map((part) => (part.type === 'result' ? part.text : '')).join('\n');

/** The product as it is composed, with the toy tools and that model; pairs are played one after the other. */
export async function openStage() {
  let act: Act | null = null;
  const model = scriptedModel((request) => {
    // What it was asked before is of no use here, and there are thousands.
    model.requests.length = 0;
    model.whole.length = 0;
    if (act === null) return says('nothing');
    act.current = nextCall(act, lastSaid(request));
    return act.current === null ? says('done') : calls([act.current.call.function, act.current.call.args]);
  });
  const loop = await openLoop({
    choices: [model.choice({ window: 10_000_000 })],
    tools: toyTools(() => (act as Act).world),
    rules: RULES,
    limits: { steps: 1000, toolOutput: 1_000_000 },
  });
  let sessions = 0;

  const play = async (task: UserTask, world: World, attack: Act['attack'], user: string | null): Promise<Run> => {
    const playing = newAct(task, world, attack);
    act = playing;
    sessions += 1;
    const asked: Asked[] = [];
    let outcome = await loop.send(task.prompt, `s${sessions}`);
    while (outcome.status === 'waiting') {
      const { current } = playing;
      const [wait] = outcome.waits;
      if (current === null || wait === undefined) throw new Error('a run waits, and nothing was asked');
      asked.push({ call: current.call, attack: current.attack, why: wait.reason });
      await loop.runtime.approve(wait.id, current.attack ? 'deny' : 'approve', 'person:owner');
      outcome = await loop.settled(outcome.task);
    }
    if (outcome.status !== 'done') throw new Error(`${task.prompt}: ${outcome.status} ${outcome.text}`);
    const { sinks, outside } = await seen(loop, outcome.task);
    return { asked, sinks, outside, harm: harmIn(world, user), struck: playing.struck };
  };

  return {
    benign: (task: UserTask): Promise<Run> => play(task, freshWorld(), null, null),
    attacked: (pair: Pair): Promise<Run> => {
      const world = injectedWorld(pair.task, pair.attack);
      const attack = { sign: signOf(pair.attack), calls: attackCalls(pair, world) };
      return play(pair.task, world, attack, pair.user);
    },
    close: () => loop.close(),
  };
}

/** What the record says: calls that leave, and whether anything from outside was read. */
async function seen(loop: Loop, task: string): Promise<{ sinks: number; outside: boolean }> {
  const run = (await loop.store.byKey(`run:${task}`)) as EventOf<'run.started'>;
  const leaving = new Set<string>();
  let outside = false;
  for await (const event of loop.store.read({ stream: run.stream })) {
    outside ||= event.labels.includes('untrusted');
    if (event.type !== 'decision.made' || event.data.facts === undefined) continue;
    const record = await readJson<DecisionRecord>(loop.store, event.data.facts);
    if (record?.call.leaves ?? record?.call.effect === 'send') leaving.add(event.data.call);
  }
  return { sinks: leaving.size, outside };
}
