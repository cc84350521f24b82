import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Event, NewEvent } from '../../src/core/event.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { openJournalRepository } from '../../src/git/journal.ts';
import type { OpenedJournalRepository } from '../../src/git/journal.ts';
import { StepClock, quiet } from '../workspace/govern-kit.ts';

export const CONV = 'conv:assistant/main';

export interface Journal {
  root: string;
  dir: string;
  clock: StepClock;
  store: Store;
  open(boundary?: (name: string) => void): Promise<OpenedJournalRepository>;
  /** Appends events of a run: a message, a model's answer, a tool and the end. */
  turn(run: string, text?: string): Promise<Event[]>;
  add(...events: NewEvent[]): Promise<Event[]>;
  remove(): Promise<void>;
}

export const env = { PATH: process.env['PATH'] };

export async function makeJournal(): Promise<Journal> {
  const root = await mkdtemp(join(tmpdir(), 'ruche-journal-'));
  const dir = join(root, 'journal.git');
  const clock = new StepClock();
  const store = openMemoryStore({ clock, random: (n) => randomBytes(n) });
  const opened: OpenedJournalRepository[] = [];
  const put = (value: unknown) => store.putBlob(Buffer.from(JSON.stringify(value)), CONV);
  const add = async (...events: NewEvent[]): Promise<Event[]> => {
    clock.time += 100;
    const result = await store.commit({ events, sync: false });
    if (!result.ok) throw new Error(result.why);
    return result.events;
  };
  return {
    root,
    dir,
    clock,
    store,
    add,
    async open(boundary = () => {}) {
      const repository = await openJournalRepository({ dir, env, boundary, log: quiet });
      opened.push(repository);
      return repository;
    },
    turn(run, text = 'list the files') {
      const stream = `run:${run}`;
      const agent = { actor: 'agent:assistant', cause: null, labels: [] };
      const message = { role: 'user', parts: [{ type: 'text', text }] };
      const usage = { input: 10, output: 5, cacheRead: 0, cacheWrite: 0 };
      const model = { step: 1, purpose: 'turn' as const, provider: 'demo', model: 'demo' };
      const answer = { role: 'assistant', parts: [{ type: 'text', text: `Done: ${text}` }] };
      return add(
        {
          type: 'message.received',
          stream: CONV,
          actor: 'person:owner',
          cause: null,
          labels: [],
          data: {
            agent: 'assistant',
            session: 'main',
            channel: 'http',
            from: 'owner',
            replyTo: '',
            content: put(message),
            task: `tsk_${run}`,
          },
        },
        { type: 'model.called', stream, ...agent, data: { ...model, request: put({ messages: [message] }) } },
        {
          type: 'model.answered',
          stream,
          ...agent,
          data: { ...model, answer: put(answer), finish: 'stop', usage, costUsd: 0, ms: 12 },
        },
        {
          type: 'tool.returned',
          stream,
          ...agent,
          data: {
            call: 'c1',
            tool: 'list',
            ok: true,
            result: put({ text: 'notes.md' }),
            labels: [],
            ms: 3,
            reconciled: false,
          },
        },
        {
          type: 'task.finished',
          stream: `task:tsk_${run}`,
          ...agent,
          data: { task: `tsk_${run}`, run, status: 'done', result: put({ text: 'Done' }) },
        },
      );
    },
    async remove() {
      for (const repository of opened) repository.close();
      await store.close();
      await rm(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
