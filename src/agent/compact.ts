import type { Agent } from '../core/agent.ts';
import type { ModelChoice, ModelMessage, ModelRequest } from '../core/model.ts';
import { collectAnswer } from './answer.ts';
import { estimateTokens, note, type Prepared, prepare } from './context.ts';
import type { Conversation } from './conversation.ts';
import type { AgentDeps } from './deps.ts';
import type { RunLog } from './run-log.ts';
import type { Manifest } from './state.ts';

/** Share of the window at which a conversation is compacted; the rest is room for the answer and tool results. */
const FILL = 0.7;
/** Turn results longer than this are cut when even the turn alone does not fit. */
const STUB = 400;
/** Words kept at most; the newest win. */
const MAX_KEPT = 200;

const PROMPT =
  'Summarise the conversation above for yourself, so that you can go on with it. Keep open tasks, decisions and their reasons, ' +
  'who said what matters, every file path, identifier, number and name word for word. Leave out greetings and what was superseded.';

/** Paths, addresses, identifiers: what must survive a summary word for word, in order of first mention. */
export function identifiers(text: string): string[] {
  const found = text.match(
    /https?:\/\/[^\s)>\]"']+|[\w.+-]+@[\w-]+\.[\w.]+|(?:[\w.@-]+\/)+[\w.@-]+|\b[\w-]+\.(?:md|txt|json|ya?ml|csv|pdf|ts|js|py|sh|html?|sql|toml)\b|\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{4,}\b|\b[A-Z]{2,}-\d+\b/g,
  );
  return [...new Set(found ?? [])];
}

const textOf = (messages: readonly ModelMessage[]): string =>
  messages
    .flatMap((message) => message.parts)
    .map((part) => (part.type === 'call' ? part.args : part.text))
    .join('\n');

/** Lines that name open work, kept as they were written. */
export const openLines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /^(?:[-*] \[ \]|(?:todo|open|decided|decision)\b\s*:)/i.test(line) && line.length <= 300);

/** The summary, completed by everything of weight that the model left out. */
export function completeSummary(summary: string, source: string): string {
  const lines = [...new Set(openLines(source))].filter((line) => !summary.includes(line));
  const words = identifiers(source).filter((word) => !summary.includes(word));
  const kept = [...lines.slice(-MAX_KEPT), words.slice(-MAX_KEPT).join(', ')].filter((line) => line !== '');
  return kept.length === 0 ? summary : `${summary}\n\nKept word for word:\n${kept.join('\n')}`;
}

export const mustCompact = (tokens: number, window: number, lastInput: number): boolean =>
  Math.max(tokens, lastInput) > window * FILL;

/**
 * Puts a summary in place of all earlier turns of the conversation, as an event; nothing is deleted. Where the turn
 * alone is too long, old tool results are shortened in the request.
 */
export async function compact(options: {
  deps: AgentDeps;
  log: RunLog;
  agent: Agent;
  choice: ModelChoice;
  conversation: Conversation;
  prepared: Prepared;
  signal: AbortSignal;
}): Promise<{ conversation: Conversation; prepared: Prepared }> {
  const { deps, log, agent, choice, conversation, prepared, signal } = options;
  let current = conversation;
  let result = prepared;
  if (conversation.messages.length > 0) {
    current = await summarise(options, signal);
    result = await prepare(deps, log, agent, current);
  }
  if (result.tokens > choice.window * FILL) result = shorten(log, result, choice.window * FILL);
  return { conversation: current, prepared: result };
}

async function summarise(
  options: Pick<Parameters<typeof compact>[0], 'deps' | 'log' | 'choice' | 'conversation' | 'prepared'>,
  signal: AbortSignal,
): Promise<Conversation> {
  const { deps, log, choice, conversation, prepared } = options;
  const from = prepared.manifest.turnFrom;
  const all = prepared.request.messages.slice(0, from);
  const earlier = fitting(all, choice.window * FILL);
  const request: ModelRequest = {
    model: choice.model,
    system: 'You summarise conversations exactly.',
    tools: [],
    messages: [...earlier, note(PROMPT)],
  };
  const refs = [...prepared.manifest.messages.slice(0, from), log.put(note(PROMPT))];
  const manifest: Manifest = {
    model: choice.model,
    system: log.put(request.system).hash,
    tools: log.put([]).hash,
    messages: refs,
    turnFrom: refs.length,
  };
  const { provider, model } = choice;
  const step = log.state.step + 1;
  log.emit({ type: 'model.called', data: { step, purpose: 'compact', provider, model, request: log.put(manifest) } });
  await log.flush(false);
  const before = deps.clock.now();
  const outcome = await collectAnswer(choice, request, signal, () => {});
  const summary = outcome.message.parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
  const ms = deps.clock.now() - before;
  const common = { step, purpose: 'compact' as const, provider, model, ms };
  if (outcome.error) {
    const detail = log.put(outcome.error);
    log.emit({ type: 'model.failed', data: { ...common, error: outcome.error.kind, detail, partial: null } });
  } else {
    const { finish, usage } = outcome;
    const costUsd = choice.cost(usage);
    const answer = log.put(outcome.message);
    log.emit({ type: 'model.answered', data: { ...common, answer, finish, usage, costUsd } });
  }
  // A failed summary must not stop the run: what has to survive word for word is found without a model.
  const text = completeSummary(summary || 'Earlier turns could not be summarised.', textOf(all));
  const ref = log.put(note(`What was said and done so far, summarised:\n\n${text}`));
  const upTo = conversation.messages.at(-1)?.seq ?? 0;
  log.emit(
    {
      type: 'conversation.compacted',
      data: {
        run: log.state.run,
        upTo,
        summary: ref,
        tokensBefore: estimateTokens(all),
        tokensAfter: Math.ceil(ref.size / 4),
      },
    },
    null,
    { stream: log.subject },
  );
  await log.flush(true);
  return deps.conversations.load(deps.store, log.subject);
}

/** The newest messages that fit; of a message that alone does not, the beginning. */
function fitting(messages: readonly ModelMessage[], tokens: number): ModelMessage[] {
  const kept: ModelMessage[] = [];
  let left = tokens;
  for (const message of messages.toReversed()) {
    const tokens = estimateTokens(message);
    if (tokens > left) {
      if (kept.length === 0) kept.unshift(note(textOf([message]).slice(0, left * 3)));
      break;
    }
    left -= tokens;
    kept.unshift(message);
  }
  // A result without its call is refused by providers.
  while (kept[0]?.role === 'tool') kept.shift();
  return kept;
}

/** Cuts this turn's oldest long tool results until the request fits; the model can run the tool again. */
function shorten(log: RunLog, prepared: Prepared, limit: number): Prepared {
  const messages = [...prepared.request.messages];
  const refs = [...prepared.manifest.messages];
  let tokens = prepared.tokens;
  for (const [index, message] of messages.entries()) {
    if (tokens <= limit) break;
    if (message.role !== 'tool' || index === messages.length - 1) continue;
    const parts = message.parts.map((part) =>
      part.type === 'result' && part.text.length > STUB
        ? { ...part, text: `${part.text.slice(0, STUB)}\n[cut to save room: run the tool again if you need the rest]` }
        : part,
    );
    const shorter: ModelMessage = { ...message, parts };
    tokens -= estimateTokens(message) - estimateTokens(shorter);
    messages[index] = shorter;
    refs[index] = log.put(shorter);
  }
  return { request: { ...prepared.request, messages }, manifest: { ...prepared.manifest, messages: refs }, tokens };
}
