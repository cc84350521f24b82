import type { Boundary } from '../core/ports/boundary.ts';
import type { Clock } from '../core/ports/clock.ts';
import { conversationId } from '../core/ids.ts';
import type { Log } from '../core/ports/log.ts';
import type { Store } from '../core/ports/store.ts';
import { draftKey, OUTBOX } from '../core/records/reply.ts';
import type { Delta } from '../core/api/runtime.ts';
import { spokenStream } from '../core/api/streamed-text.ts';
import { isEnded } from '../core/task.ts';
import type { Channels } from './channels.ts';
import type { Hub } from './hub.ts';

/** Milliseconds after which platforms no longer show that somebody writes. */
const TYPING_MS = 4_500;
/** Milliseconds between two looks where nothing can be shown. */
const IDLE_MS = 1_000;

export interface DraftsDeps {
  store: Store;
  hub: Pick<Hub, 'listen'>;
  channels: Pick<Channels, 'get' | 'has'>;
  clock: Clock;
  log: Log;
  boundary: Boundary;
}

interface Following {
  stop: AbortController;
  done: Promise<void>;
}

/** Shows replies while they are written, on platforms that can edit a message. What is shown may be lost; the reply itself is not. */
export class Drafts {
  readonly #deps: DraftsDeps;
  readonly #following = new Map<string, Following>();

  constructor(deps: DraftsDeps) {
    this.#deps = deps;
  }

  /** Follows the work on a task until it has ended or `settle` is called. */
  follow(task: string, channel: string, to: string): void {
    if (this.#following.has(task)) return;
    const stop = new AbortController();
    const done = this.#show(task, channel, to, stop.signal).catch((error: unknown) => {
      if (!stop.signal.aborted)
        this.#deps.log.warn({ task, channel, error: String(error) }, 'a reply cannot be shown while it is written');
    });
    this.#following.set(task, { stop, done });
    void done.finally(() => this.#following.delete(task));
  }

  /** Follows again what an earlier process had begun. */
  async resume(): Promise<void> {
    for (const task of await this.#deps.store.tasks({ statuses: ['queued', 'running', 'waiting'] })) {
      const cause = task.queue === OUTBOX || task.cause === null ? null : await this.#deps.store.event(task.cause);
      if (cause?.type !== 'message.received') continue;
      const { channel, replyTo } = cause.data;
      // What came over HTTP is fetched: to look at it every second would be of no use.
      if (this.#deps.channels.has(channel)) this.follow(task.id, channel, replyTo);
    }
  }

  /** Ends the showing and waits for an edit under way: the reply itself is to be sent now. */
  async settle(task: string): Promise<void> {
    const following = this.#following.get(task);
    following?.stop.abort();
    await following?.done;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#following.keys()].map((task) => this.settle(task)));
  }

  async #show(task: string, channel: string, to: string, signal: AbortSignal): Promise<void> {
    const { store, hub, clock, boundary } = this.#deps;
    const progress = progressOf();
    const unlisten = hub.listen(task, progress.take);
    const before = await store.byKey(draftKey(task));
    let draft = before?.type === 'message.drafted' ? before.data.draft : null;
    let [shown, typed, wait] = ['', -Infinity, 0];
    try {
      for (;;) {
        const drafts = this.#deps.channels.get(channel)?.drafts;
        await clock.sleep(Math.max(wait, drafts?.everyMs ?? IDLE_MS), signal).catch(() => undefined);
        const now = await store.task(task);
        if (signal.aborted || now === null || isEnded(now.status)) return;
        wait = 0;
        if (!drafts || now.status !== 'running') continue;
        const text = progress.text();
        if (text === '' || text === shown) {
          if (clock.now() - typed < TYPING_MS) continue;
          typed = clock.now();
          await drafts.typing(to);
          continue;
        }
        boundary('channel.draft.before');
        const receipt = await drafts.show(to, text, draft);
        boundary('channel.draft.after');
        // One that may have arrived cannot be edited, and a second one beside it would stay.
        if (receipt.state === 'unsure' && draft === null) return;
        if (receipt.state === 'failed' && receipt.final) return;
        if (receipt.state === 'failed') wait = receipt.retryAfter ?? 0;
        if (receipt.state !== 'sent') continue;
        shown = text;
        if (draft === null && receipt.id !== null) {
          draft = receipt.id;
          await this.#record(task, now, { channel, to, draft });
        }
      }
    } finally {
      unlisten();
    }
  }

  async #record(
    task: string,
    { agent, session, cause }: { agent: string; session: string; cause: string | null },
    about: { channel: string; to: string; draft: string },
  ): Promise<void> {
    const stream = conversationId(agent, session);
    const common = { stream, actor: 'runtime', cause, labels: [], key: draftKey(task) };
    await this.#deps.store.commit({
      events: [{ ...common, type: 'message.drafted', data: { task, ...about } }],
      sync: true,
    });
  }
}

/** What a run has said so far, and what it does now. */
function progressOf(): { take(delta: Delta): void; text(): string } {
  const spoken = spokenStream();
  let said = '';
  let doing = '';
  return {
    take(delta) {
      if (delta.kind === 'tool.started') doing = `⚙ ${delta.tool}`;
      else if (delta.kind === 'retrying') doing = `⏳ ${delta.text}`;
      else {
        const fresh = spoken.push(delta);
        if (fresh !== '') doing = '';
        said += fresh;
      }
    },
    text: () => [said, doing].filter(Boolean).join('\n\n'),
  };
}
