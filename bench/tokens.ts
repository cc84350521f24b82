import { createHash } from 'node:crypto';
import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import { pngOf } from '../test/fakes/images.ts';
import type { ModelChoice, ModelEvent, ModelMessage, ModelPort, ModelRequest, Part, Usage } from '../src/core/model.ts';
import { addUsage, NO_USAGE } from '../src/core/model.ts';
import { pictureTokens, SEEN_SIDE, UNKNOWN_RULE } from '../src/core/image.ts';
import { costOf, modelFacts } from '../src/models/prices/prices.ts';
import { editTool } from '../src/tools/edit.ts';
import { listTool } from '../src/tools/list.ts';
import { readTool } from '../src/tools/read.ts';
import { searchTool } from '../src/tools/search.ts';
import { writeTool } from '../src/tools/write.ts';
import { leapClock, type LeapClock } from '../test/fakes/leap-clock.ts';
import { type Loop, openLoop } from '../test/fakes/loop.ts';
import { type OfficeTask, type OfficeTurn, TASKS } from './office.ts';

const MODEL = 'claude-sonnet-5-5';
const LIGHT = 'claude-haiku-5-5';
const RULE = modelFacts(MODEL)?.picture ?? UNKNOWN_RULE;
/** How long a provider keeps what nobody asks for, and the least that it keeps. */
const CACHE_MS = 300_000;
const CACHE_LEAST = 1_024;
/** What sparing has to save of what a cache alone leaves to pay, in all tasks together. */
const AIM = 0.8;

const counted = new Map<string, number>();
function tokensOf(text: string): number {
  const key = createHash('sha1').update(text).digest('base64');
  const known = counted.get(key) ?? encode(text).length;
  counted.set(key, known);
  return known;
}

/** What a part is on the wire, as far as it is billed. */
function partText(part: Part): string {
  if (part.type === 'call') return `${part.tool}${part.args}`;
  return part.type === 'image' ? '' : part.text;
}

/** The pieces of a request in their order, each with what it is known by and its tokens. */
type Piece = readonly [text: string, tokens: number];

function piecesOf({ system, tools, messages }: ModelRequest): Piece[] {
  const head = JSON.stringify([tools, system]);
  const message = ({ role, parts }: ModelMessage): Piece => {
    const text = parts.map(partText).join('\n');
    const pictures = parts.flatMap((part) => (part.type === 'image' ? [part] : []));
    const seen = pictures.reduce((sum, each) => sum + pictureTokens(each, RULE), 0);
    return [JSON.stringify([role, text, pictures]), tokensOf(text) + seen + 4];
  };
  return [[head, tokensOf(head)], ...messages.map(message)];
}

interface Spent {
  requests: number;
  usage: Usage;
  usd: number;
  /** The same without any cache. */
  plainUsd: number;
}

const NOTHING: Spent = { requests: 0, usage: NO_USAGE, usd: 0, plainUsd: 0 };

const add = (a: Spent, b: Spent): Spent => ({
  requests: a.requests + b.requests,
  usage: addUsage(a.usage, b.usage),
  usd: a.usd + b.usd,
  plainUsd: a.plainUsd + b.plainUsd,
});

/** A model that does what the task says, counts what it is sent, and has a cache as providers do. */
class OfficeModel {
  spent = NOTHING;
  #turn: OfficeTurn | null = null;
  #at = 0;
  #cached: { model: string; pieces: readonly Piece[]; at: number } = { model: '', pieces: [], at: 0 };
  readonly #clock: LeapClock;

  constructor(clock: LeapClock) {
    this.#clock = clock;
  }

  begin(turn: OfficeTurn): void {
    this.#turn = turn;
    this.#at = 0;
  }

  readonly port: ModelPort = { stream: (request) => this.#stream(request) };

  async *#stream(request: ModelRequest): AsyncGenerator<ModelEvent> {
    const events = this.#answer(request);
    const output = tokensOf(
      events.map((event) => ('delta' in event ? event.delta : 'args' in event ? event.args : '')).join('\n'),
    );
    const usage = this.#count(request, output);
    yield* events;
    yield { type: 'finish', reason: events.some(({ type }) => type === 'call') ? 'calls' : 'stop', usage };
  }

  #answer(request: ModelRequest): ModelEvent[] {
    if (request.model === LIGHT) return [{ type: 'text', delta: 'Earlier the files were read and noted.' }];
    const { steps = [], reply = 'Done.' } = this.#turn ?? {};
    for (; this.#at < steps.length;) {
      const { calls = [], needs = [] } = steps[this.#at] ?? {};
      this.#at += 1;
      const missing = needs.flatMap((path) => readAgain(request, path));
      const all = [...calls, ...missing.map((path) => ['read', { path }] as const)];
      if (all.length > 0)
        return all.map(([tool, args], n) => ({
          type: 'call',
          id: `c${this.spent.requests}n${n}`,
          tool,
          args: JSON.stringify(args),
        }));
    }
    return [{ type: 'text', delta: reply }];
  }

  #count(request: ModelRequest, output: number): Usage {
    const { model } = request;
    const pieces = piecesOf(request);
    const now = this.#clock.now();
    const input = pieces.reduce((sum, [, tokens]) => sum + tokens, 0);
    const warm = this.#cached.model === model && now - this.#cached.at < CACHE_MS;
    const differs = pieces.findIndex(([text], index) => text !== this.#cached.pieces[index]?.[0]);
    const prefix = pieces.slice(0, differs < 0 ? pieces.length : differs).reduce((sum, [, tokens]) => sum + tokens, 0);
    const cacheRead = warm && prefix >= CACHE_LEAST ? prefix : 0;
    const usage = { input, output, cacheRead, cacheWrite: input < CACHE_LEAST ? 0 : input - cacheRead };
    this.#cached = { model, pieces, at: now };
    const cost = costOf(model);
    const plainUsd = cost({ ...usage, cacheRead: 0, cacheWrite: 0 });
    this.spent = add(this.spent, { requests: 1, usage, usd: cost(usage), plainUsd });
    return usage;
  }
}

/** Where the model reads a file again that it has no more before it; nothing if it has. */
function readAgain({ messages }: ModelRequest, path: string): string[] {
  const results = messages.flatMap(({ parts }) => parts.filter((part) => part.type === 'result'));
  if (results.some(({ text }) => text.includes(`# ${path}\n`))) return [];
  const call = messages
    .flatMap(({ parts }) => parts.filter((part) => part.type === 'call'))
    .findLast(({ args }) => args.includes(`"${path}"`));
  const stub = results.find(({ id }) => id === call?.id);
  return [/path "(output:[^"]+)"/.exec(stub?.text ?? '')?.[1] ?? path];
}

const TOOLS = [readTool, writeTool, editTool, listTool, searchTool];

/** Each task in a conversation of its own, as the product is composed. */
async function play(tasks: readonly OfficeTask[], sparing: boolean): Promise<Spent[]> {
  const clock = leapClock(Date.UTC(2026, 10, 30, 8));
  const spent: Spent[] = [];
  for (const task of tasks) {
    const model = new OfficeModel(clock);
    const loop = await openLoop({
      choices: [],
      tools: TOOLS,
      files: task.files,
      clock,
      limits: { steps: 200, toolOutput: 16_000, runMs: 1_800_000 },
    });
    const choice = (name: string): ModelChoice => ({
      provider: 'anthropic',
      model: name,
      port: model.port,
      window: modelFacts(name)?.window ?? 0,
      images: true,
      cost: costOf(name),
    });
    loop.deps.models = ({ model: tier }) => [choice(tier === 'light' ? LIGHT : MODEL)];
    if (!sparing) loop.governance.settings = { ...loop.governance.settings, sparing: false };
    try {
      for (const turn of task.turns) await say(loop, clock, model, sparing ? withScaled(turn) : turn);
      spent.push(model.spent);
    } finally {
      await loop.close();
    }
  }
  return spent;
}

type Size = readonly [width: number, height: number];

/** As the page sends a picture. */
function scaled([width, height]: Size): Size {
  const scale = Math.min(1, SEEN_SIDE / Math.max(width, height));
  return [Math.round(width * scale), Math.round(height * scale)];
}

const withScaled = (turn: OfficeTurn): OfficeTurn => ({ ...turn, pictures: (turn.pictures ?? []).map(scaled) });

let messages = 0;

async function say(loop: Loop, clock: LeapClock, model: OfficeModel, turn: OfficeTurn): Promise<void> {
  clock.leap(turn.quiet * 60_000);
  model.begin(turn);
  const files = (turn.pictures ?? []).map(([width, height]) => ({
    name: `${width}x${height}.png`,
    mediaType: 'image/png',
    bytes: pngOf(width, height, `${messages}`),
  }));
  const about = { channel: 'http', sender: 'person:owner', agent: 'assistant', session: 'office', replyTo: 'owner' };
  const result = await loop.runtime.deliver({ ...about, text: turn.says, externalId: `m${(messages += 1)}`, files });
  if (!result.ok) throw new Error(result.message);
  const { status, text } = await loop.settled(result.delivered.task);
  if (status !== 'done') throw new Error(`${turn.says}: ${status} ${text}`);
}

const grouped = (value: number): string =>
  Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ' ');
const dollars = (value: number): string => value.toFixed(4);

const PICTURES: readonly (readonly [what: string, ...size: Size])[] = [
  ['photo of a telephone', 4_032, 3_024],
  ['screenshot', 2_880, 1_800],
  ['screenshot', 1_920, 1_080],
  ['scanned page', 2_480, 3_508],
];
const LOOKERS = [MODEL, 'claude-haiku-4-5', 'gpt-6.2-sol', 'gpt-4o', 'gemini-4-argon'];

/** What pictures are billed as, as they are and as the page sends them, by the rules of the makers. */
function pictureTable(): string {
  const rows = PICTURES.map(([what, ...size]) => [
    `${what}, ${size.join('×')}`,
    ...LOOKERS.map((name) => {
      const rule = modelFacts(name)?.picture ?? UNKNOWN_RULE;
      return [size, scaled(size)].map(([width, height]) => grouped(pictureTokens({ width, height }, rule))).join(' → ');
    }),
  ]);
  return markdown(['picture', ...LOOKERS], rows);
}

/** The table of the twenty tasks, as Markdown. */
export async function officeTokens(): Promise<string> {
  const all = await play(TASKS, false);
  const less = await play(TASKS, true);
  const rows = [...TASKS.map(({ name }) => name), '**in all**'].map((name, index) => {
    const [without, spared] = [all, less].map((list) => list[index] ?? list.reduce(add, NOTHING)) as [Spent, Spent];
    const share = spared.usage.cacheRead / spared.usage.input;
    return [
      name,
      `${without.requests}`,
      grouped(without.usage.input),
      dollars(without.plainUsd),
      dollars(without.usd),
      `${spared.requests}`,
      grouped(spared.usage.input),
      `${Math.round(share * 100)} %`,
      dollars(spared.usd),
      `${(spared.usd / without.usd).toFixed(2)}×`,
    ];
  });
  const head = [
    'task',
    'requests',
    'tokens in',
    'USD, no cache',
    'USD, cache',
    'requests',
    'spared: in',
    'cached',
    'USD, spared',
    'ratio',
  ];
  const total = less.reduce(add, NOTHING).usd / all.reduce(add, NOTHING).usd;
  const verdict = total <= AIM ? 'met' : 'missed';
  return `${pictureTable()}\n\n${MODEL}, tokens as o200k counts them; a cache that lasts five minutes. Aim for all: at most ${AIM} of what the cache alone leaves to pay: ${total.toFixed(2)}, ${verdict}.\n\n${markdown(head, rows)}`;
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, at) => Math.max(name.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(' | ')} |`;
  const rule = `| ${widths.map((width, at) => (at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}
