import { httpOnly, NetError, type Net, type NetRequest } from '../core/ports/net.ts';
import type { VirtualClock } from './clock.ts';
import { lineSteps, SOON, type Step } from './orders.ts';
import type { Outage, Plan } from './plan.ts';
import type { World } from './world.ts';

/** Milliseconds of a model's answer. */
const LATENCY = 40;

interface Said {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string | null;
}

/** Two model providers behind the network port: the product speaks its own wire with them, and they answer by the orders. */
export function scriptedNet({ plan, clock, world }: { plan: Plan; clock: VirtualClock; world: World }): Net {
  return httpOnly(async (request) => {
    const outage = plan.outages.find(({ from, to }) => clock.time >= from && clock.time < to);
    const first = request.url.includes('one.');
    if (outage && (first || outage.both)) {
      const bitten = world.of('fault').some(({ id }) => id === outage.id);
      if (!bitten) world.note({ kind: 'fault', fault: `provider: ${outage.kind}`, id: outage.id });
      const failed = await broken(outage, request, clock);
      if (failed) return failed;
    }
    const said = (JSON.parse(String(request.body)) as { messages: Said[] }).messages;
    const { step, text, ms } = answerTo(plan, said, clock.now());
    await clock.until(clock.time + LATENCY + ms, request.signal);
    const whole = stream(step, text);
    return events(outage?.kind === 'truncated' && first ? whole.slice(0, whole.length / 2) : whole);
  });
}

async function broken({ kind }: Outage, request: NetRequest, clock: VirtualClock): Promise<Response | null> {
  const told = (status: number, type: string, headers = {}): Response =>
    Response.json({ error: { type, message: `scripted: ${type}` } }, { status, headers });
  if (kind === 'rate') return told(429, 'rate_limit_exceeded', { 'retry-after': '2' });
  if (kind === 'error') return told(500, 'server_error');
  if (kind === 'truncated') return null;
  await clock.until(clock.time + request.idleMs, request.signal);
  throw new NetError('timeout', 'scripted: not a byte came');
}

/** Which step of which order comes next, as the conversation shows. */
function answerTo(plan: Plan, said: readonly Said[], now: number): { step: Step; text: string; ms: number } {
  const users = said.map(({ role, content }) => (role === 'user' ? (content ?? '') : ''));
  const at = users.findLastIndex((text) => text.includes('[order '));
  const [, id = '', given] = /\[order ([\w-]+)(?:\.([\w-]+))?\](?![^]*\[order )/.exec(users[at] ?? '') ?? [];
  const order = plan.orders[id];
  if (order === undefined) return { step: { calls: [] }, text: 'I know of no order.', ms: 0 };
  // The number of this firing: what it was given, else what the conversation has heard of this order so far.
  const n = given ?? String(users.filter((text) => text.includes(`[order ${id}]`)).length);
  const conflict = users.findLastIndex((text) => text.includes('[Ruche] Your changes conflict'));
  const again = conflict > at;
  const steps = again ? [...order.lines.flatMap(lineSteps), { calls: [] }] : order.steps;
  const from = again ? conflict : at;
  const done = said.slice(from).filter(({ role }) => role === 'assistant').length;
  const last = done >= steps.length - 1;
  const made = said
    .slice(at)
    .flatMap(({ role, content }) =>
      role === 'tool' ? (/^(tsk_[\w-]+) is queued/.exec(content ?? '')?.[1] ?? []) : [],
    );
  const [artefact = ''] = /[^\s,]+@[0-9a-f]{40}/.exec(users[at] ?? '') ?? [];
  const names = { $tasks: made, $artefact: artefact, $soon: new Date(now + SOON).toISOString() };
  const step = filled(steps[Math.min(done, steps.length - 1)] ?? { calls: [] }, n, names);
  return { step, text: `done ${id} ${n}`, ms: (step.ms ?? 0) + (last && !again ? order.lastMs : 0) };
}

function filled({ calls, ms = 0 }: Step, n: string, names: Readonly<Record<string, unknown>>): Step {
  const fill = (value: unknown): unknown =>
    typeof value === 'string' ? (names[value] ?? value.replaceAll('#', n)) : value;
  const args = (given: Record<string, unknown>): Record<string, unknown> =>
    Object.fromEntries(Object.entries(given).map(([name, value]) => [name, fill(value)]));
  return { ms, calls: calls.map((call) => ({ tool: call.tool, args: args(call.args) })) };
}

function stream({ calls }: Step, text: string): string {
  const chunks: object[] =
    calls.length === 0
      ? [delta({ content: text.slice(0, 5) }), delta({ content: text.slice(5) })]
      : calls.map(({ tool, args }, index) =>
          delta({
            tool_calls: [{ index, id: `call_${index}`, function: { name: tool, arguments: JSON.stringify(args) } }],
          }),
        );
  const end = { choices: [{ delta: {}, finish_reason: calls.length === 0 ? 'stop' : 'tool_calls' }] };
  const usage = { choices: [], usage: { prompt_tokens: 100, completion_tokens: 10 } };
  return [...chunks, end, usage].map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('') + 'data: [DONE]\n\n';
}

const delta = (content: object): object => ({ choices: [{ delta: content }] });

const events = (body: string): Response => new Response(body, { headers: { 'content-type': 'text/event-stream' } });
