import { BOUNDARIES } from '../../src/core/ports/boundary.ts';
import type { EventType } from '../../src/core/event.ts';
import { type Crashes, TICK_MS } from './driver.ts';
import type { Order } from './child.ts';
import { whole } from '../fakes/effort.ts';

/** Events whose commit is a boundary of its own: whatever was to follow it is missing. */
const EVENTS = [
  'task.created',
  'tasks.awaited',
  'task.finished',
  'conversation.moved',
  'schedule.fired',
  'trigger.fired',
  'webhook.received',
  'escalation.started',
  'escalation.reached',
  'message.collected',
] as const satisfies readonly EventType[];

/** Boundaries that every step passes, those that an evening comes by so often: they are hit at several places of a turn. */
const OFTEN = 13;
const SPREAD = 1;

/** Of the quick form: one of each kind of place. The last ones are events. */
const QUICK: ReadonlySet<string> = new Set([
  'store.commit.before',
  'store.commit.after',
  'landing.commit.after',
  'landing.ref.after',
  'shell.start.after',
  'channel.send.after',
  'grant.give.after',
  'grant.use.after',
  'journal.import.before',
  'secrets.file.after',
  'tasks.awaited',
  'schedule.fired',
  'message.collected',
]);

/** Where to kill. Whole: every boundary at its first time, those that come often once more, and the commits of some events. */
export function killPlan(counts: Readonly<Record<string, number>>): Order[] {
  const events = EVENTS.map((name) => ({ name, index: 1, event: true as const }));
  const boundaries = BOUNDARIES.flatMap((name) => {
    const times = counts[name] ?? 0;
    const more =
      times > OFTEN ? Array.from({ length: SPREAD }, (_, i) => Math.floor((times * (i + 1)) / (SPREAD + 1))) : [];
    return [1, ...more].map((index) => ({ name, index }));
  });
  const all = [...boundaries, ...events];
  return whole ? all : all.filter(({ name, index }) => QUICK.has(name) && index === 1);
}

/** Answers until everything is answered, or the process dies: true if it died. */
async function untilDeath(crashes: Crashes): Promise<boolean> {
  try {
    await crashes.finish();
    return false;
  } catch (error) {
    // The cut connection is seen before the death is.
    if (await crashes.died(1_000)) return true;
    throw error;
  }
}

async function startAgain(crashes: Crashes, where: string): Promise<void> {
  crashes.kills += 1;
  if (!(await crashes.start())) throw new Error(`it does not start after a kill ${where}:\n${crashes.log}`);
  await crashes.finish();
}

/** One evening, interrupted: talk, die, start again, and let everything be answered. True if the order was reached. */
export async function interrupted(crashes: Crashes, order: Order): Promise<boolean> {
  if (order.name.startsWith('secrets.')) return interruptedStart(crashes, order);
  await crashes.order(order);
  const { name } = order;
  const telling = name === 'message.collected';
  crashes.say({
    telling,
    filing: name.startsWith('inbox'),
    hooking: name === 'trigger.fired' || name === 'webhook.received',
  });
  const died = await untilDeath(crashes);
  // Some come after the last reply, or by the clock.
  const reached = died || (await crashes.died(order.name.startsWith('schedule') ? 2 * TICK_MS : 1_500));
  if (!reached) await crashes.kill();
  await startAgain(crashes, `at ${order.name}:${order.index}`);
  return reached;
}

/** The first start on a home of an older version dies while it moves the keys; the hook of the evening after it needs them. */
async function interruptedStart(crashes: Crashes, order: Order): Promise<boolean> {
  await crashes.stop();
  crashes.keysOfOld();
  const reached = !(await crashes.start(order));
  if (!reached) await crashes.kill();
  await startAgain(crashes, `at ${order.name}:${order.index}`);
  crashes.say({ hooking: true });
  await crashes.finish();
  return reached;
}

/** Milliseconds of an evening in which a random kill may fall. */
const EVENING = 900;

/** Talk, die at any moment, start, and let everything be answered. */
export async function randomKill(crashes: Crashes, random: () => number): Promise<void> {
  crashes.say();
  const answering = untilDeath(crashes);
  await new Promise((resolve) => setTimeout(resolve, random() * EVENING));
  await crashes.kill();
  await answering;
  await startAgain(crashes, 'at a random moment');
}
