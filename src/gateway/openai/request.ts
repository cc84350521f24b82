import { createHash } from 'node:crypto';
import type { ApprovalVerdict } from '../../core/agreed.ts';
import { isSafeName } from '../../core/ids.ts';
import { isObject } from '../../core/text/json.ts';
import type { Fields } from '../http/body.ts';
import { badRequest } from '../http/reply.ts';

/** What one side of a conversation said. */
interface Said {
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
export type Command = { kind: ApprovalVerdict; id: string } | { kind: 'answer'; id: string; text: string };

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
  const session = namedSession(sessionHeader, fields);
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
  /** `result`: what a tool of the client gave it. */
  role: 'user' | 'assistant' | 'context' | 'result';
  text: string;
}

function readMessages(value: unknown): Read[] {
  if (!Array.isArray(value) || value.length === 0)
    throw badRequest('"messages" must be a list with at least one message.', 'messages');
  const messages = value.map((message: unknown, index) => {
    const at = `messages[${index}]`;
    if (!isObject(message)) throw badRequest(`"${at}" must be an object with "role" and "content".`, at);
    return { role: roleOf(message['role'], at), message, at };
  });
  const lastAnswer = messages.findLastIndex(({ role }) => role === 'assistant');
  return messages.map(({ role, message, at }, index) => {
    // What a client has kept of earlier turns is as it is; what the user asks now must not lose anything.
    const lenient = role !== 'user' || index < lastAnswer;
    return { role, text: contentOf(message['content'], at, lenient).toWellFormed() };
  });
}

function roleOf(role: unknown, at: string): Read['role'] {
  if (role === 'user' || role === 'assistant') return role;
  if (role === 'system' || role === 'developer') return 'context';
  if (role === 'tool' || role === 'function') return 'result';
  throw badRequest(`"${at}.role" must be system, developer, user, assistant or tool.`, `${at}.role`);
}

/** Thoughts of another model, and calls of the client's tools: no words of the conversation. */
const UNSAID = /^(?:thinking|reasoning|redacted_thinking|tool_use|tool_call|function_call|step|source)/;

function contentOf(content: unknown, at: string, lenient: boolean): string {
  if (typeof content === 'string') return content;
  if (lenient && (content === null || content === undefined)) return '';
  if (!Array.isArray(content)) throw badRequest(`"${at}.content" must be text or a list of parts.`, `${at}.content`);
  return content
    .map((part: unknown, index) => partOf(part, `${at}.content[${index}]`, lenient))
    .filter((text) => text !== null)
    .join('\n');
}

/** The words of a part; null if it has none. */
function partOf(part: unknown, where: string, lenient: boolean): string | null {
  if (typeof part === 'string') return part;
  if (!isObject(part)) throw badRequest(`"${where}" must be an object with "type".`, where);
  const type = typeof part['type'] === 'string' ? part['type'] : '';
  if (UNSAID.test(type)) return null;
  for (const name of ['text', 'refusal'])
    if (typeof part[name] === 'string' && /text|refusal/.test(type)) return part[name];
  if (!lenient)
    throw badRequest(
      `"${where}" has the type ${JSON.stringify(part['type'])}. Only text is supported. Put other material in the workspace and name its path.`,
      where,
    );
  const inner = part['content'] ?? part['output'] ?? part['text'];
  if (typeof inner === 'string' || Array.isArray(inner)) return contentOf(inner, where, true);
  const what = /image|audio|video|file|document/.exec(type)?.[0];
  return what === undefined ? null : `[${what}, not shown]`;
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
    throw badRequest(
      'A user message with text must follow the last assistant message. The agent runs its own tools, so it waits for no result of yours.',
      'messages',
    );
  const context = textOf(messages.filter((message) => message.role === 'context'));
  const earlier = inSession ? [] : messages.slice(0, lastAnswer + 1);
  const history = earlier.flatMap(({ role, text: said }): Said[] => {
    if (role === 'context' || said.trim() === '') return [];
    return [role === 'result' ? { role: 'user', text: RESULT + said } : { role, text: said }];
  });
  const late = inSession ? [] : messages.slice(lastAnswer + 1).filter(({ role }) => role === 'result');
  for (const { text: said } of late) history.push(...asHistory(said, RESULT));
  return { text, history: context.trim() === '' ? history : [...asHistory(context, CONTEXT), ...history] };
}

const CONTEXT = '[Context given by the client program]\n';
const RESULT = '[Result of a tool that the client program ran]\n';

/** Answered, because some models refuse two messages of the user in a row, and take the first for part of the request. */
const asHistory = (text: string, what: string): Said[] => [
  { role: 'user', text: what + text },
  { role: 'assistant', text: 'Noted.' },
];

/** What clients put where they have nothing to put: an unset variable, a template that nobody filled. */
const UNSET = /^(?:|new|none|null|undefined|\{\{.*\}\}|\$\{.*\})$/i;

/**
 * The session a request names, or null for none. A header is written for Ruche and must be a safe name; one that names
 * nothing asks for a conversation of its own, whatever else the client sends. A conversation's id counts more than a
 * `user`, which many clients fill with the id of an account. Both hold whatever a client calls them, so one that is no
 * safe name becomes a hash: always the same, never a path.
 */
function namedSession(header: string | undefined, fields: Fields): string | null {
  if (header !== undefined) {
    if (UNSET.test(header.trim())) return null;
    if (!isSafeName(header))
      throw badRequest('X-Ruche-Session must be up to 128 letters, digits, "-" and "_".', 'X-Ruche-Session');
    return header;
  }
  const metadata = isObject(fields['metadata']) ? fields['metadata'] : {};
  for (const name of CONVERSATION) {
    const id = metadata[name];
    if (typeof id === 'string' && !UNSET.test(id.trim())) return safe(id, 'chat');
  }
  const { user } = fields;
  if (user === undefined || user === null || user === '') return null;
  if (typeof user !== 'string' && typeof user !== 'number') throw badRequest('"user" must be a string.', 'user');
  return safe(String(user), 'user');
}

/** What clients call the id of a conversation in `metadata`. */
const CONVERSATION = ['conversation_id', 'conversationId', 'chat_id', 'chatId', 'thread_id', 'session_id'] as const;

const safe = (id: string, what: string): string =>
  isSafeName(id) ? id : `${what}-${createHash('sha256').update(id).digest('hex').slice(0, 32)}`;
