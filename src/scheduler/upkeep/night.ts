import type { Agent, CompactionSettings, Governance } from '../../core/agent.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { COMPACTION, compactionKey, KEPT_TURNS } from '../../core/records/compaction.ts';
import type { Event } from '../../core/event.ts';
import { type Ids, taskStream, conversationOf } from '../../core/ids.ts';
import { type ModelChoice, NO_USAGE } from '../../core/model.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Store } from '../../core/ports/store.ts';
import { putJson } from '../../core/records/json-blob.ts';
import { newTask } from '../../core/records/new-task.ts';
import { openWall } from '../../core/time/wall.ts';

/** Later than this after its time a night is over, and waits for the next one. */
const WINDOW_MS = 3_600_000;
/** Tasks of one night; they run beside whatever else there is to do. */
const MAX_TASKS = 100;
/** Tokens of a summary, for the estimate of what it costs. */
const SUMMARY_TOKENS = 2_000;
const DAY = 86_400_000;

export interface NightDeps {
  store: Store;
  clock: Pick<Clock, 'now'>;
  ids: Ids;
  log: Log;
  governance(): Governance;
  zone(): string;
  /** The models that would summarise for the agent; empty for none. */
  models(agent: Agent): readonly ModelChoice[];
  paused(agent: string): boolean;
}

interface Conversation {
  /** When the last word was said, and its place in the journal. */
  at: number;
  seq: number;
  /** Bytes of what the next turn would carry, by turn. */
  turns: { seq: number; bytes: number }[];
  summary: number;
}

/**
 * At night long conversations in which nothing has been said for long are summarised, so that a person who takes one up again
 * does not pay for all of it. Each is a task of the conversation's own lane, and has a key: once for each rest.
 */
export class Night {
  readonly #deps: NightDeps;
  readonly #conversations = new Map<string, Conversation>();
  #seq = 0;
  /** The night that has been looked at. */
  #done = 0;
  /** Whether another process had begun with the first night that this one sees; null before it is known. */
  #begun: boolean | null = null;

  constructor(deps: NightDeps) {
    this.#deps = deps;
  }

  /** To be called every minute or so. Gives the tasks it has made. */
  async look(): Promise<string[]> {
    const { clock, governance } = this.#deps;
    const { compaction } = governance().settings;
    if (compaction === null) return [];
    const now = clock.now();
    const night = lastTime(compaction.at, now, this.#deps.zone());
    if (night <= this.#done || now - night > WINDOW_MS) return [];
    this.#begun ??= await this.#begunSince(night);
    // A process before this one has spent of the budget already.
    if (this.#begun) {
      this.#done = night;
      this.#begun = false;
      return [];
    }
    await this.#read();
    const made: string[] = [];
    let left = compaction.usd;
    for (const [lane, conversation] of this.#conversations) {
      if (made.length >= MAX_TASKS) break;
      const agent = await this.#mayCompact(lane, conversation, now, compaction);
      const usd = agent === null ? null : this.#estimate(agent, conversation);
      if (agent === null || usd === null || usd > left) continue;
      const task = await this.#enqueue(lane, conversation, agent);
      if (task === null) continue;
      left -= usd;
      made.push(task);
    }
    this.#done = night;
    return made;
  }

  async #begunSince(night: number): Promise<boolean> {
    for await (const event of this.#deps.store.read({ types: ['task.queued'], reverse: true })) {
      if (event.at < night) break;
      if (event.type === 'task.queued' && event.data.task.from === COMPACTION) return true;
    }
    return false;
  }

  async #mayCompact(
    lane: string,
    { at, seq, turns, summary }: Conversation,
    now: number,
    { idleMs, tokens }: CompactionSettings,
  ): Promise<Agent | null> {
    const { store, governance, paused } = this.#deps;
    if (now - at < idleMs || tokensOf(turns, summary) < tokens || turns.length <= KEPT_TURNS) return null;
    const agent = governance().agents.get(agentOf(lane));
    if (agent === undefined || paused(agent.name)) return null;
    // What is under way will be said there soon.
    const open = await store.tasks({ lane, statuses: ['queued', 'running', 'waiting'], limit: 1 });
    if (open.length > 0) return null;
    return (await store.byKey(compactionKey(lane, seq))) === null ? agent : null;
  }

  /** Dollars, as far as they can be told before; null where no language model would do it. */
  #estimate(agent: Agent, { turns, summary }: Conversation): number | null {
    const [choice] = this.#deps.models(agent);
    if (choice === undefined || choice.standIn === true) return null;
    return choice.cost({ ...NO_USAGE, input: tokensOf(turns, summary), output: SUMMARY_TOKENS });
  }

  async #enqueue(lane: string, { seq }: Conversation, { name }: Agent): Promise<string | null> {
    const { store, ids } = this.#deps;
    const { session } = conversationOf(lane) ?? { session: '' };
    const key = compactionKey(lane, seq);
    const content = putJson(store, { title: 'Summarise this conversation.' }, lane);
    const task = newTask({ id: ids.next('tsk'), agent: name, session, from: COMPACTION, content, key, maxAttempts: 1 });
    const event = {
      type: 'task.queued',
      stream: taskStream(task.id),
      actor: 'runtime',
      cause: null,
      labels: [],
      key,
    } as const;
    const result = await store.commit({
      events: [{ ...event, data: { task } }],
      queue: [{ op: 'enqueue', task, causeOf: 0 }],
      sync: true,
    });
    if (result.ok) return task.id;
    if (result.why !== 'duplicate') this.#deps.log.warn({ why: result.why }, 'a conversation could not be summarised');
    return null;
  }

  /** Reads on from the last night. */
  async #read(): Promise<void> {
    const types = ['turn.ended', 'history.given', 'conversation.compacted'] as const;
    for await (const event of this.#deps.store.read({ types, after: this.#seq })) {
      this.#fold(event);
      this.#seq = event.seq;
    }
  }

  #fold({ stream, seq, at, type, data }: Event): void {
    const known = this.#conversations.get(stream) ?? { at: 0, seq: 0, turns: [], summary: 0 };
    if (type === 'conversation.compacted') {
      const turns = known.turns.filter(({ seq: end }) => (data.only ? !data.only.includes(end) : end > data.upTo));
      this.#conversations.set(stream, { ...known, turns, summary: data.summary.size });
    }
    // A run that left no words, such as one of ours, does not wake a conversation.
    if ((type !== 'turn.ended' && type !== 'history.given') || data.messages.length === 0) return;
    const bytes = data.messages.reduce((sum, { size }) => sum + size, 0);
    this.#conversations.set(stream, { ...known, at, seq, turns: [...known.turns, { seq, bytes }] });
  }
}

/** About four characters a token, as elsewhere. */
const tokensOf = (turns: Conversation['turns'], summary: number): number =>
  Math.ceil((turns.reduce((sum, { bytes }) => sum + bytes, 0) + summary) / 4);

const agentOf = (lane: string): string => conversationOf(lane)?.agent ?? '';

/** The last time the clocks of a zone showed this. */
function lastTime(at: string, now: number, zone: string): number {
  const wall = openWall(zone);
  if (wall === null) throw new Error(`there is no time zone "${zone}"`);
  const [hour = 0, minute = 0] = at.split(':').map(Number);
  const shown = wall.at(now);
  const today = Math.floor(shown / DAY) * DAY + hour * 3_600_000 + minute * 60_000;
  const last = today <= shown ? today : today - DAY;
  // Clocks that are put forward over it show it a little later.
  return wall.instant(last) ?? last - (shown - now);
}
