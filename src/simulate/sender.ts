import { createHmac } from 'node:crypto';
import { request } from 'node:http';
import { HOOK, type PlannedHook, SECRET } from './causes.ts';
import { MINUTE } from './calendar.ts';
import type { VirtualClock } from './clock.ts';
import type { Plan } from './plan.ts';
import type { World } from './world.ts';

/** Milliseconds between two tries, and between those after an answer that was none of yes. */
const AGAIN = 2_000;
const REFUSED = MINUTE;

interface SenderParts {
  plan: Plan;
  clock: VirtualClock;
  world: World;
  /** Of the gateway. */
  url: string;
}

/** Somebody else's server: it signs what happens there by its own clock, and sends it until that is taken; some of it once more. */
export function sendHooks(parts: SenderParts, signal: AbortSignal): void {
  for (const hook of parts.plan.hooks)
    for (const [repeat, later] of [0, ...hook.again].entries())
      void deliver(parts, hook, { repeat, at: hook.at + later }, signal);
}

async function deliver(
  { plan, clock, world, url }: SenderParts,
  hook: PlannedHook,
  { repeat, at }: { repeat: number; at: number },
  signal: AbortSignal,
): Promise<void> {
  if (at > plan.end || world.of('accepted').some((each) => each.hook === hook.id && each.repeat === repeat)) return;
  await wait(clock, at, signal);
  if (repeat > 0 && !signal.aborted)
    world.note({ kind: 'fault', fault: 'webhook: repeated', id: `${hook.id}.${repeat}` });
  while (!signal.aborted) {
    clock.stir();
    const answer = await post(`${url}/hooks/${HOOK}`, hook, clock.time);
    if (answer.status === 200 || answer.status === 202) {
      const { task, event } = JSON.parse(answer.body) as { task: string | null; event: string };
      world.note({ kind: 'accepted', hook: hook.id, repeat, status: answer.status, event, task });
      return;
    }
    await wait(clock, clock.time + (answer.status === 401 ? REFUSED : AGAIN), signal);
  }
}

/** Until then, or until it is all over. */
const wait = (clock: VirtualClock, time: number, signal: AbortSignal): Promise<void> =>
  clock.until(time, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });

/** Status 0: nobody answered. */
function post(url: string, { id, booking }: PlannedHook, time: number): Promise<{ status: number; body: string }> {
  const body = JSON.stringify({ id, kind: booking ? 'booking' : 'query' });
  const seconds = Math.floor(time / 1_000);
  const signature = createHmac('sha256', SECRET).update(`${seconds}.${body}`).digest('hex');
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'idempotency-key': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': `sha256=${signature}`,
  };
  return new Promise((resolve) => {
    const none = (): void => resolve({ status: 0, body: '' });
    // A connection that is kept would look like something under way, and time would stand.
    const sent = request(url, { method: 'POST', headers, agent: false }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.once('error', none);
      answer.once('end', () =>
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8') }),
      );
    });
    sent.once('error', none);
    sent.end(body);
  });
}
