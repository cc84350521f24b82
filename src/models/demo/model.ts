import { canonicalJson } from '../../core/text/json.ts';
import type { ModelEvent, ModelMessage, ModelPort, ModelRequest, Usage } from '../../core/model.ts';
import { NO_USAGE, wordsOf } from '../../core/model.ts';
import { type Outcome, saying, SIGNATURE, type Step, type ToolUse } from './steps.ts';
import { stepsOf } from './words.ts';
import type { Provider } from '../wire/provider.ts';

/** How the runtime marks what no person said. */
const NOTE = '[Ruche] ';

type Move = { call: ToolUse } | { answer: string };

const textOf = (message: ModelMessage): string =>
  message.parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
const isCall = (message: ModelMessage): boolean => message.parts.some((part) => part.type === 'call');
const isNote = (message: ModelMessage): boolean => message.role === 'user' && textOf(message).startsWith(NOTE);
/** A note that passes on what time it is, of which nobody needs to hear. */
const isTime = (message: ModelMessage): boolean => isNote(message) && textOf(message).startsWith(`${NOTE}It is `);
const isOrder = (message: ModelMessage): boolean => message.role === 'user' && !isNote(message);
const isConflict = (message: ModelMessage): boolean => isNote(message) && /conflict/i.test(textOf(message));

/** Where the turn begins: after the last answer that called nothing, unless it could not land. */
function turnStart(messages: readonly ModelMessage[]): number {
  const ended = messages.findLastIndex((message, index) => {
    const next = messages[index + 1];
    return message.role === 'assistant' && !isCall(message) && !(next && isConflict(next));
  });
  return ended + 1;
}

/** What people said, in the conversation or in the demo's own summary of it. */
const saidIn = (messages: readonly ModelMessage[]): string[] =>
  messages.flatMap((message) => {
    if (isOrder(message)) return [textOf(message)];
    if (!isNote(message)) return [];
    return [...textOf(message).matchAll(/^- said: (.*)$/gm)].map((match) => match[1] ?? '');
  });

interface Made extends Outcome {
  use: string;
}

const nameOf = ({ tool, args }: ToolUse): string => `${tool} ${canonicalJson(args)}`;

function canonicalArgs(text: string): string {
  try {
    return canonicalJson(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

/** The calls of the turn that have their result. */
function madeCalls(turn: readonly ModelMessage[]): Made[] {
  const results = new Map<string, Outcome>();
  for (const { parts } of turn) for (const part of parts) if (part.type === 'result') results.set(part.id, part);
  return turn.flatMap(({ parts }) =>
    parts.flatMap((part) => {
      const outcome = part.type === 'call' ? results.get(part.id) : undefined;
      if (part.type !== 'call' || !outcome) return [];
      return [{ use: `${part.tool} ${canonicalArgs(part.args)}`, text: outcome.text, isError: outcome.isError }];
    }),
  );
}

/** Someone else's change stands in the way: what can be done again on top of it is, the rest is given up. */
function afterConflict(note: string, steps: Step[]): Step[] {
  const hit = steps.filter((step) => step.changes && note.includes(step.changes.path));
  for (const step of hit) steps.splice(steps.indexOf(step), 1, silent(step));
  return hit.map((step) => {
    if (step.changes?.again) return step;
    const path = step.changes?.path ?? '';
    return saying(step.label, `${step.label} was given up: someone else has changed ${path} meanwhile.`);
  });
}

/** Its calls have been made, but what came of them does not count. */
const silent = (step: Step): Step => ({
  label: step.label,
  *run() {
    yield* step.run();
    return '';
  },
});

function stepsOfTurn(messages: readonly ModelMessage[], start: number): Step[] {
  const steps: Step[] = [];
  for (const [index, message] of messages.entries()) {
    if (index < start || message.role !== 'user') continue;
    if (isOrder(message)) steps.push(...stepsOf(textOf(message), { earlier: saidIn(messages.slice(0, index)) }));
    const again = isConflict(message) ? afterConflict(textOf(message), steps) : [];
    steps.push(...again);
    // A note that nothing can be done about is at least passed on.
    const last = index === messages.length - 1;
    if (last && isNote(message) && !isTime(message) && again.length === 0)
      steps.push(saying('note', textOf(message).slice(NOTE.length)));
  }
  return steps;
}

/** Replays the turn from its record up to the first call that has no result yet. */
function nextMove(request: ModelRequest): Move {
  const start = turnStart(request.messages);
  const made = madeCalls(request.messages.slice(start));
  const offered = new Set(request.tools.map((tool) => tool.name));
  const take = (use: ToolUse): Outcome | null => {
    if (!offered.has(use.tool)) return { text: `this agent has no tool "${use.tool}"`, isError: true };
    const index = made.findIndex((each) => each.use === nameOf(use));
    return index < 0 ? null : (made.splice(index, 1)[0] ?? null);
  };
  const lines: string[] = [];
  for (const step of stepsOfTurn(request.messages, start)) {
    const run = step.run();
    let next = run.next();
    while (!next.done) {
      const outcome = take(next.value);
      if (!outcome) return { call: next.value };
      next = run.next(outcome);
    }
    if (next.value !== '') lines.push(next.value);
  }
  if (lines.length === 0) lines.push('There is nothing for me to do.');
  return { answer: [...lines, SIGNATURE].join('\n\n') };
}

const SUMMARY_LENGTH = 4_000;

/** The newest of what was said and called, word for word as far as it fits. */
function summary(messages: readonly ModelMessage[]): string {
  const lines = messages.flatMap((message) =>
    message.parts.flatMap((part) => {
      if (part.type === 'text')
        return [`- ${message.role === 'user' ? 'said' : 'answered'}: ${part.text.slice(0, 400)}`];
      return part.type === 'call' ? [`- called ${part.tool}: ${part.args.slice(0, 200)}`] : [];
    }),
  );
  let length = 0;
  const from = lines.findLastIndex((line) => (length += line.length) > SUMMARY_LENGTH) + 1;
  return ['Summary by the demo model, in order:', ...lines.slice(from)].join('\n');
}

const asksForSummary = ({ tools, messages }: ModelRequest): boolean => {
  const last = messages.at(-1);
  return tools.length === 0 && last?.role === 'user' && /\bsummar/i.test(textOf(last));
};

const move = (request: ModelRequest): Move =>
  asksForSummary(request) ? { answer: summary(request.messages.slice(0, -1)) } : nextMove(request);

/** About four characters a token. */
function usageOf({ system, messages }: ModelRequest, output: number): Usage {
  let input = system.length;
  for (const { parts } of messages) for (const part of parts) input += wordsOf(part).length;
  return { ...NO_USAGE, input: Math.ceil(input / 4), output: Math.ceil(output / 4) };
}

/** A few dozen pieces whatever the length, none of them half a character. */
function piecesOf(text: string): string[] {
  const size = Math.max(12, Math.ceil(text.length / 40));
  return text.match(new RegExp(`[\\s\\S]{1,${size}}`, 'gu')) ?? [];
}

/** Unlike any id of the conversation so far. */
const callId = ({ messages }: ModelRequest): string => `demo_${messages.length}`;

function* eventsOf(request: ModelRequest): Generator<ModelEvent> {
  const next = move(request);
  if ('call' in next) {
    const args = JSON.stringify(next.call.args);
    yield { type: 'call', id: callId(request), tool: next.call.tool, args };
    yield { type: 'finish', reason: 'calls', usage: usageOf(request, args.length) };
    return;
  }
  for (const delta of piecesOf(next.answer)) yield { type: 'text', delta };
  yield { type: 'finish', reason: 'stop', usage: usageOf(request, next.answer.length) };
}

export const demoProvider: Provider = {
  type: 'demo',
  name: 'demo',
  url: null,
  standIn: 'demo',
  free: true,
  open: () => demoModel(),
};

/** The built-in demo: no intelligence, no network, but real tools. A pure function of the request. */
export function demoModel(): ModelPort {
  return {
    async *stream(request, signal) {
      for (const event of eventsOf(request)) {
        if (signal.aborted) {
          const error = {
            kind: 'aborted' as const,
            message: 'The model call was stopped.',
            retryable: false,
            retryAfter: null,
          };
          yield { type: 'error', error, usage: NO_USAGE };
          return;
        }
        yield event;
      }
    },
  };
}
