import { conversationId, runStream } from '../core/ids.ts';
import type { MatterKind } from '../core/event.ts';
import { matterId } from '../core/records/matter.ts';
import type { ChainNode } from '../core/api/views.ts';
import { firstWords, readSaid, readSentence } from './blobs.ts';
import type { Entry } from './entry.ts';
import type { Facts } from './facts.ts';

export async function taskNode(facts: Facts, entry: Entry, depth: number): Promise<ChainNode> {
  const { task, agent, title, from, status, standing, queuedAt: at, commit, costUsd } = await facts.summary(entry);
  const answered = entry.status === 'done' && entry.result !== null;
  const result = answered ? firstWords((await readSaid(facts.store, entry.result ?? '')).text, 200) : '';
  return { kind: 'task', depth, at, task, agent, title, from, status, standing, result, commit, costUsd };
}

type Aside = ChainNode extends infer Node ? (Node extends ChainNode ? Omit<Node, 'depth'> : never) : never;

/** What a task has led to beside tasks of its own, oldest first. */
export async function asides(facts: Facts, entry: Entry): Promise<Aside[]> {
  const found = [...(await joined(facts, entry)), ...(await moves(facts, entry)), ...(await matters(facts, entry))];
  if (entry.absorbedBy !== null) found.push(await link(facts, 'taken', entry.absorbedBy, entry.queuedAt));
  if (entry.retriedAs !== null) found.push(await link(facts, 'repeats', entry.retriedAs, entry.endedAt ?? 0));
  return found.sort((a, b) => a.at - b.at);
}

async function link(
  facts: Facts,
  of: 'joined' | 'taken' | 'repeats' | 'moved',
  task: string,
  at: number,
): Promise<Aside> {
  const entry = await facts.entry(task);
  const title = entry === null ? '' : await facts.title(entry);
  return { kind: 'link', of, at, task, agent: entry?.agent ?? '', title };
}

async function joined(facts: Facts, { run }: Entry): Promise<Aside[]> {
  const found: Aside[] = [];
  if (run === null) return found;
  for await (const event of facts.store.read({ stream: runStream(run), types: ['task.created'] }))
    if (event.type === 'task.created' && event.data.joined)
      found.push(await link(facts, 'joined', event.data.child, event.at));
  return found;
}

/** Hand-overs of the conversation in this task's run, each with the message the other agent went on with. */
async function moves(facts: Facts, entry: Entry): Promise<Aside[]> {
  const found: Aside[] = [];
  if (entry.run === null) return found;
  const { agent, session, run, order, seen } = entry;
  const stream = conversationId(agent, session);
  const types = ['conversation.moved'] as const;
  for await (const event of facts.store.read({ stream, types, after: order, before: seen + 1 })) {
    if (event.type !== 'conversation.moved' || event.data.run !== run) continue;
    const next = await firstMessage(facts, conversationId(event.data.to, session), event.seq);
    if (next !== null) found.push(await link(facts, 'moved', next, event.at));
    else {
      const title = firstWords(await readSentence(facts.store, event.data.brief.hash), 200);
      found.push({ kind: 'link', of: 'moved', at: event.at, task: null, agent: event.data.to, title });
    }
  }
  return found;
}

async function firstMessage({ store }: Facts, stream: string, after: number): Promise<string | null> {
  for await (const event of store.read({ stream, types: ['message.received'], after, limit: 1 }))
    if (event.type === 'message.received') return event.data.task;
  return null;
}

/** The kinds of matter there can be about a task; guards speak of the one that all began with. */
function kindsOf({ status, deadline }: Entry, root: boolean): MatterKind[] {
  const kinds: MatterKind[] = root ? ['hops', 'tasks', 'fan-out', 'ping-pong'] : [];
  if (deadline !== null) kinds.push('deadline');
  if (status === 'dead' || status === 'failed') kinds.push('dead', 'conflict');
  return kinds;
}

async function matters({ store }: Facts, entry: Entry): Promise<Aside[]> {
  const found: Aside[] = [];
  const { task } = entry;
  const root = (await store.task(task))?.origin === undefined;
  for (const kind of kindsOf(entry, root)) {
    const raised = await store.byKey(`asked:${matterId(kind, task)}`);
    if (raised?.type !== 'matter.raised') continue;
    const title = firstWords(await readSentence(store, raised.data.text.hash), 200);
    const settled = (await store.byKey(`answered:${raised.data.matter}`)) !== null;
    found.push({ kind: 'matter', at: raised.at, title, settled });
  }
  return found;
}
