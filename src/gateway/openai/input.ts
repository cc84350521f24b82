import { isObject, type Fields } from '../http/body.ts';
import { badRequest } from '../http/errors.ts';
import { namedSession } from '../http/session.ts';

export interface Said {
  role: 'user' | 'assistant';
  text: string;
}

export interface ChatInput {
  /** The agent's name; null means the default one. */
  agent: string | null;
  /** Null: a fresh conversation. */
  session: string | null;
  text: string;
  /** What was said before, for a conversation that knows nothing yet. */
  history: Said[];
  stream: boolean;
  includeUsage: boolean;
}

/** A message that answers what a run waits for. */
export type Command = { kind: 'approve' | 'deny'; id: string } | { kind: 'answer'; id: string; text: string };

/** `approve ID`, `deny ID` and `answer ID TEXT`, where ID has the form of one; anything else is a message. */
export function commandOf(text: string): Command | null {
  const verdict = /^\s*(approve|deny)\s+`?(apr_[A-Za-z0-9_-]+)`?\s*[.!]?\s*$/i.exec(text);
  if (verdict) return { kind: verdict[1]?.toLowerCase() === 'approve' ? 'approve' : 'deny', id: verdict[2] ?? '' };
  const answer = /^\s*answer\s+`?(qst_[A-Za-z0-9_-]+)`?\s+(\S[\s\S]*)$/i.exec(text);
  return answer ? { kind: 'answer', id: answer[1] ?? '', text: answer[2] ?? '' } : null;
}

/** Reads a chat completion request. Sampling settings and tools of the client are ignored: the agent has its own. */
export function readChat(fields: Fields, sessionHeader: string | undefined): ChatInput {
  const { model, stream, n } = fields;
  if (model !== undefined && model !== null && typeof model !== 'string')
    throw badRequest('"model" must be the name of an agent.', 'model');
  if (stream !== undefined && stream !== null && typeof stream !== 'boolean')
    throw badRequest('"stream" must be true or false.', 'stream');
  if (n !== undefined && n !== null && n !== 1) throw badRequest('"n" must be 1: a run gives one answer.', 'n');
  const session = namedSession(sessionHeader, fields['user']);
  const { text, history } = split(readMessages(fields['messages']), session !== null);
  return {
    agent: typeof model === 'string' && model !== '' ? model : null,
    session,
    text,
    history,
    stream: stream === true,
    includeUsage: isObject(fields['stream_options']) && fields['stream_options']['include_usage'] === true,
  };
}

interface Read {
  role: 'user' | 'assistant' | 'context';
  text: string;
}

function readMessages(value: unknown): Read[] {
  if (!Array.isArray(value) || value.length === 0)
    throw badRequest('"messages" must be a list with at least one message.', 'messages');
  return value.map((message: unknown, index) => {
    const at = `messages[${index}]`;
    if (!isObject(message)) throw badRequest(`"${at}" must be an object with "role" and "content".`, at);
    return { role: roleOf(message['role'], at), text: contentOf(message, at).toWellFormed() };
  });
}

function roleOf(role: unknown, at: string): Read['role'] {
  if (role === 'user' || role === 'assistant') return role;
  if (role === 'system' || role === 'developer') return 'context';
  const why = role === 'tool' || role === 'function' ? ' The agent runs its own tools.' : '';
  throw badRequest(`"${at}.role" must be system, developer, user or assistant.${why}`, `${at}.role`);
}

function contentOf(message: Fields, at: string): string {
  const { content } = message;
  if (typeof content === 'string') return content;
  // An assistant message that only called tools has no content.
  if ((content === null || content === undefined) && message['role'] === 'assistant') return '';
  if (!Array.isArray(content)) throw badRequest(`"${at}.content" must be text or a list of parts.`, `${at}.content`);
  return content
    .map((part: unknown, index) => {
      const where = `${at}.content[${index}]`;
      if (!isObject(part)) throw badRequest(`"${where}" must be an object with "type".`, where);
      if (part['type'] === 'text' && typeof part['text'] === 'string') return part['text'];
      if (part['type'] === 'refusal' && typeof part['refusal'] === 'string') return part['refusal'];
      throw badRequest(
        `"${where}" has the type ${JSON.stringify(part['type'])}. Only text is supported. Put other material in the workspace and name its path.`,
        where,
      );
    })
    .join('\n');
}

/**
 * The message is what the user said after the last answer. What came before is history, which a named session knows
 * already. System and developer messages are context a client gives, without authority: the agent's own instructions
 * and the policy stand above them, and the user's words stay exactly as they are.
 */
function split(messages: readonly Read[], inSession: boolean): { text: string; history: Said[] } {
  const lastAnswer = messages.findLastIndex((message) => message.role === 'assistant');
  const textOf = (some: readonly Read[]): string => some.map((message) => message.text).join('\n\n');
  const text = textOf(messages.slice(lastAnswer + 1).filter((message) => message.role === 'user'));
  if (text.trim() === '')
    throw badRequest('A user message with text must follow the last assistant message.', 'messages');
  const context = textOf(messages.filter((message) => message.role === 'context'));
  const earlier = inSession ? [] : messages.slice(0, lastAnswer + 1);
  const history = earlier.flatMap(({ role, text: said }) =>
    role === 'context' || said.trim() === '' ? [] : [{ role, text: said }],
  );
  return { text, history: context.trim() === '' ? history : [...asHistory(context), ...history] };
}

/** Answered, because some models refuse two messages of the user in a row, and take the first for part of the request. */
const asHistory = (context: string): Said[] => [
  { role: 'user', text: `[Context given by the client program]\n${context}` },
  { role: 'assistant', text: 'Noted.' },
];
