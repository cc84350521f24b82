import type { Spender, spansAt } from '../core/budget.ts';
import type { Event, EventOf } from '../core/event.ts';
import { runOfStream } from '../core/ids.ts';
import type { EventLog } from '../core/ports/store.ts';
import { amountsOf, Corrections, Ledger } from './ledger.ts';

const TYPES = [
  'model.called',
  'model.answered',
  'model.failed',
  'tool.returned',
  'net.sent',
  'price.corrected',
  'budget.met',
  'budget.answered',
] as const;
type Spending = EventOf<(typeof TYPES)[number]>;

/** A call as it is known in this process, whose end may not be on record yet. */
interface Live {
  run: string;
  step: number;
}

interface Reading {
  store: Pick<EventLog, 'read'>;
  /** Since when, and up to which event. */
  from: number;
  head: number;
  /** Whose run it is. */
  who(run: string | null, agent: string | null): Promise<Spender | null>;
  spans(at: number): ReturnType<typeof spansAt>;
  live: readonly Live[];
}

async function eventsSince({ store, from, head }: Reading): Promise<Spending[]> {
  const found: Spending[] = [];
  for await (const event of store.read({ types: TYPES, reverse: true, before: head + 1 })) {
    if (event.at < from) break;
    found.push(event as Spending);
  }
  return found.reverse();
}

const agentOf = (event: Event): string | null =>
  event.type === 'net.sent' ? event.data.agent : event.actor.replace(/^agent:/, '');

/**
 * What the record says was spent since a moment. A call without an end on record counts with all that it could cost, but for
 * those that this process still waits for.
 */
export async function readLedger(reading: Reading): Promise<Ledger> {
  const ledger = new Ledger();
  const corrections = new Corrections();
  const events = await eventsSince(reading);
  for (const event of events) if (event.type === 'price.corrected') corrections.take(event);
  const open = new Map<string, EventOf<'model.called'>>();
  const add = async (event: Spending, run: string | null, amounts: Parameters<Ledger['add']>[2]): Promise<void> => {
    const by = await reading.who(run, agentOf(event));
    if (by !== null) ledger.add(by, reading.spans(event.at), amounts);
  };
  const lost = async (called: EventOf<'model.called'> | undefined): Promise<void> => {
    const reserved = called?.data.reserved;
    if (called !== undefined && reserved !== undefined)
      await add(called, runOfStream(called.stream), amountsOf(reserved));
  };
  for (const event of events) {
    const run = runOfStream(event.stream);
    switch (event.type) {
      case 'model.called':
        await lost(open.get(event.stream));
        open.set(event.stream, event);
        break;
      case 'model.answered': {
        const called = open.get(event.stream) ?? event;
        open.delete(event.stream);
        const { provider, model, usage, costUsd } = event.data;
        const usd = corrections.usd(`${provider}/${model}`, event.at, usage, costUsd);
        await add(called, run, amountsOf({ usd, tokens: usage.input + usage.output }));
        break;
      }
      case 'model.failed': {
        const called = open.get(event.stream) ?? event;
        open.delete(event.stream);
        await add(called, run, amountsOf(event.data.cost ?? { usd: 0, tokens: 0 }));
        break;
      }
      case 'tool.returned':
        await add(event, run, { toolSeconds: event.data.ms / 1000 });
        break;
      case 'net.sent':
        await add(event, event.data.run, { bytesOut: event.data.bytesOut });
        break;
      case 'budget.met': {
        const { account, approval } = event.data;
        const by = approval === null ? null : await reading.who(run, null);
        if (approval !== null && by?.task) ledger.ask(account, { task: by.task, approval });
        break;
      }
      case 'budget.answered':
        ledger.answered(event.data.account, event.data.raised);
        break;
      case 'price.corrected':
    }
  }
  for (const called of open.values()) {
    const run = runOfStream(called.stream);
    if (!reading.live.some((each) => each.run === run && each.step === called.data.step)) await lost(called);
  }
  return ledger;
}
