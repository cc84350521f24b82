import type { Spender, spansAt } from '../core/budget.ts';
import type { Event, EventOf } from '../core/event.ts';
import { runOfStream } from '../core/ids.ts';
import type { EventLog } from '../core/ports/store.ts';
import { CALL_TYPES, callsOf, eventsSince } from './calls.ts';
import { amountsOf, Ledger } from './ledger.ts';

const TYPES = [...CALL_TYPES, 'tool.returned', 'net.sent', 'budget.met', 'budget.answered'] as const;
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

const agentOf = (event: Event): string | null =>
  event.type === 'net.sent' ? event.data.agent : event.actor.replace(/^agent:/, '');

/**
 * What the record says was spent since a moment. A call without an end on record counts with all that it could cost, but for
 * those that this process still waits for.
 */
export async function readLedger(reading: Reading): Promise<Ledger> {
  const ledger = new Ledger();
  const { store, from, head, live } = reading;
  const events = await eventsSince(store, { types: TYPES, from, before: head + 1 });
  const add = async (event: Spending, run: string | null, at: number, amounts: Parameters<Ledger['add']>[2]) => {
    const by = await reading.who(run, agentOf(event));
    if (by !== null) ledger.add(by, reading.spans(at), amounts);
  };
  for (const { event, begun, open, ...cost } of callsOf(events)) {
    const run = runOfStream(event.stream);
    const waitedFor = open && live.some((each) => each.run === run && each.step === event.data.step);
    if (!waitedFor) await add(event, run, begun, amountsOf(cost));
  }
  for (const event of events) {
    const run = runOfStream(event.stream);
    switch (event.type) {
      case 'tool.returned':
        await add(event, run, event.at, { toolSeconds: event.data.ms / 1000 });
        break;
      case 'net.sent':
        await add(event, event.data.run, event.at, { bytesOut: event.data.bytesOut });
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
      default:
    }
  }
  return ledger;
}
