import { setImmediate as turn } from 'node:timers/promises';
import type { Task } from '../core/task.ts';
import type { ChainNode, ChainView } from '../core/api/views.ts';
import { asides, taskNode } from './chain-lines.ts';
import { ancestorsOf, causeLine, originOf, rootOf } from './causes.ts';
import type { Facts } from './facts.ts';
import { taskOf } from './run.ts';

/** Tasks that are told of one chain, and looked at to choose them. */
const SHOWN = 200;
const LOOKED_AT = 5_000;
/** Lines between two turns for others. */
const SLICE = 10;

/** Its causes up to the message, firing or file that all began with, and everything that has come of it; null for no task. */
export async function readChain(facts: Facts, id: string): Promise<ChainView | null> {
  const { store } = facts;
  await facts.book(); // what has been committed is in it
  const name = await taskOf(facts, id);
  const current = name === null ? null : await store.task(name);
  if (current === null) return null;
  const root = await rootOf(store, current);
  const family = await store.tasks({ root: root.id, limit: LOOKED_AT });
  const children = new Map<string, Task[]>();
  for (const task of family) {
    const parent = task.origin?.parent ?? root.id;
    children.set(parent, [...(children.get(parent) ?? []), task]);
  }
  const path = await ancestorsOf(store, current);
  const nodes = await originOf(facts, root);
  const teller = new Teller(facts, children, chosen(root, current, path, children), nodes);
  await teller.tell(root, nodes.length);
  return { task: current.id, nodes };
}

/** The tasks that are told: those between the root and the one that was asked about first, then its own, then by how near they are. */
function chosen(
  root: Task,
  current: Task,
  path: readonly string[],
  children: ReadonlyMap<string, Task[]>,
): Set<string> {
  const kept = new Set([root.id, ...path.slice(-SHOWN / 2), current.id]);
  for (const from of [current.id, root.id]) {
    const open = [from];
    for (let at = open.shift(); at !== undefined && kept.size < SHOWN; at = open.shift())
      for (const { id } of children.get(at) ?? []) {
        if (kept.size < SHOWN) kept.add(id);
        open.push(id);
      }
  }
  return kept;
}

/** Writes the tree down, line by line. */
class Teller {
  readonly #facts: Facts;
  readonly #children: ReadonlyMap<string, readonly Task[]>;
  readonly #kept: ReadonlySet<string>;
  readonly #nodes: ChainNode[];

  constructor(
    facts: Facts,
    children: ReadonlyMap<string, readonly Task[]>,
    kept: ReadonlySet<string>,
    nodes: ChainNode[],
  ) {
    this.#facts = facts;
    this.#children = children;
    this.#kept = kept;
    this.#nodes = nodes;
  }

  async tell(task: Task, depth: number): Promise<void> {
    const entry = await this.#facts.entry(task.id);
    if (entry === null) return;
    if (this.#nodes.length % SLICE === 0) await turn();
    this.#nodes.push(await taskNode(this.#facts, entry, depth));
    for (const aside of await asides(this.#facts, entry)) this.#nodes.push({ ...aside, depth: depth + 1 });
    const children = this.#children.get(task.id) ?? [];
    const shown = children.filter(({ id }) => this.#kept.has(id));
    for (const child of shown) await this.tell(child, depth + 1 + (await this.#between(child, depth + 1)));
    const left = children.filter((child) => !shown.includes(child)).reduce((sum, { id }) => sum + this.#size(id), 0);
    if (left > 0) this.#nodes.push({ kind: 'more', depth: depth + 1, at: entry.queuedAt, left });
  }

  /** A trigger or a chain of escalation that stands between a task and the one it looked at: lines told. */
  async #between(child: Task, depth: number): Promise<number> {
    if (!/^(?:trigger|escalation):/.test(child.from)) return 0;
    const event = child.cause === null ? null : await this.#facts.store.event(child.cause);
    this.#nodes.push({ ...(await causeLine(this.#facts, child, event)), depth });
    return 1;
  }

  #size(task: string): number {
    return (this.#children.get(task) ?? []).reduce((sum, { id }) => sum + this.#size(id), 1);
  }
}
