/** What the scripted model does when it reads `[order <id>]`, or `[order <id>.<n>]`: it answers with one step after the other. */
export interface Order {
  id: string;
  agent: string;
  steps: Step[];
  /** Lines that stand in the workspace once it is done, with `#` for the number of the firing that it began with. */
  lines: Line[];
  /** Orders that it gives to others. */
  children: string[];
  /** Milliseconds the model takes for the last step; another run may land meanwhile. */
  lastMs: number;
  /** What it must have been shown of a file that it was given. */
  reads?: string;
}

export interface Line {
  path: string;
  anchor: string;
  text: string;
}

/**
 * No calls: the model says that it is done. `$tasks` stands for the ids of the tasks it has made, `$artefact` for the
 * file it was given, `$soon` for a time that comes soon.
 */
export interface Step {
  calls: { tool: string; args: Record<string, unknown> }[];
  /** Milliseconds that the model takes for it. */
  ms?: number;
}

const ANCHORS = 30;

export const AGENTS = ['system', 'email', 'calendar', 'writing', 'billing'] as const;
export type AgentName = (typeof AGENTS)[number];

export const SHARED = 'shared/notes.md';
export const linesOf = (agent: AgentName): string => `shared/${agent}.md`;
export const anchorOf = (n: number): string => `<!-- ${String(n % ANCHORS).padStart(2, '0')} -->`;
export const tagOf = (order: string): string => `[order ${order}]`;

/** A file in which lines of different anchors merge by themselves, and lines of one do not. */
export const lineFile = (title: string): string =>
  `# ${title}\n\n${Array.from({ length: ANCHORS }, (_, n) => `${anchorOf(n)}\n\n\n`).join('\n')}`;

/** The two calls that put a line before its anchor. */
export const lineSteps = ({ path, anchor, text }: Line): Step[] => [
  { calls: [{ tool: 'read', args: { path } }] },
  { calls: [{ tool: 'edit', args: { path, old: anchor, new: `- ${text}\n${anchor}` } }] },
];

/** Milliseconds until an agent looks at a file it is given, and that a task takes which had to be done within `SOON`. */
const READS = 60_000;
const LATE = 6 * 60_000;
export const SOON = 2 * 60_000;

const DONE: Step = { calls: [] };

/** Makes orders, those they lead to included. */
export class OrderBook {
  readonly orders: Record<string, Order> = {};
  #anchors = 0;

  add(id: string, agent: AgentName, more: Partial<Omit<Order, 'id' | 'agent'>> = {}): Order {
    const order = { id, agent, steps: [DONE], lines: [], children: [], lastMs: 0, ...more };
    this.orders[id] = order;
    return order;
  }

  /** Puts a line into a file. */
  line(id: string, agent: AgentName, place: Partial<Line> & { lastMs?: number } = {}): Order {
    const { lastMs = 0, ...at } = place;
    const line = { path: linesOf(agent), anchor: anchorOf((this.#anchors += 1)), text: id, ...at };
    return this.add(id, agent, { steps: [...lineSteps(line), DONE], lines: [line], lastMs });
  }

  /** Writes a file of its own, with `#` in its name for the number of the firing. */
  file(id: string, agent: AgentName, path: string): Order {
    const text = `${id} #`;
    const calls = [{ tool: 'write', args: { path, content: `- ${text}\n` } }];
    return this.add(id, agent, { steps: [{ calls }, DONE], lines: [{ path, anchor: '', text }] });
  }

  /** Writes a file, gives it to another agent, and changes it before that one can have read it. */
  pass(id: string, agent: AgentName, reader: { id: string; agent: AgentName }): Order {
    const path = `drafts/${id}.md`;
    const [meant, changed] = [`${id} as it is meant`, `${id} as it is later`];
    const reading = { calls: [{ tool: 'read', args: { path: '$artefact' } }], ms: READS };
    const child = this.add(reader.id, reader.agent, { steps: [reading, DONE], reads: meant });
    const steps: Step[] = [
      { calls: [{ tool: 'write', args: { path, content: `- ${meant}\n` } }] },
      { calls: [taskCall(child, { artefacts: [path] })] },
      { calls: [{ tool: 'read', args: { path } }] },
      { calls: [{ tool: 'edit', args: { path, old: meant, new: changed } }] },
      DONE,
    ];
    return this.add(id, agent, { steps, lines: [{ path, anchor: '', text: changed }], children: [child.id] });
  }

  /** Gives work that has to be done sooner than it can be. */
  late(id: string, agent: AgentName, to: { id: string; agent: AgentName }): Order {
    const child = this.line(to.id, to.agent, { lastMs: LATE });
    return this.give(id, agent, [child], { deadline: '$soon' });
  }

  /** Gives work to others, all in one answer, and waits for the results. */
  give(id: string, agent: AgentName, to: readonly Order[], more: Record<string, unknown> = {}): Order {
    const calls = to.map((child) => taskCall(child, { wait: true, ...more }));
    return this.add(id, agent, { steps: [{ calls }, DONE], children: to.map((child) => child.id) });
  }

  /** Gives work first, and waits for all of it later. */
  giveThenWait(id: string, agent: AgentName, to: readonly Order[]): Order {
    const waiting = { tool: 'task', args: { action: 'wait', tasks: '$tasks' } };
    const steps = [{ calls: to.map((child) => taskCall(child, {})) }, { calls: [waiting] }, DONE];
    return this.add(id, agent, { steps, children: to.map((child) => child.id) });
  }

  /** Gives one piece of work after which another begins, and waits for neither. */
  leave(id: string, agent: AgentName, first: Order, second: Order): Order {
    const steps = [{ calls: [taskCall(first, {})] }, { calls: [taskCall(second, { after: '$tasks' })] }, DONE];
    return this.add(id, agent, { steps, children: [first.id, second.id] });
  }

  /** One call, and then the answer. */
  call(id: string, agent: AgentName, tool: string, args: Record<string, unknown>): Order {
    return this.add(id, agent, { steps: [{ calls: [{ tool, args }] }, DONE] });
  }
}

const taskCall = (child: Order, more: Record<string, unknown>): Step['calls'][number] => ({
  tool: 'task',
  args: { action: 'create', agent: child.agent, text: `Please. ${tagOf(`${child.id}.#`)}`, ...more },
});
