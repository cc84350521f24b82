import type { Json } from '../../core/text/json.ts';
import type { ModelRequest } from '../../core/model.ts';
import { isObject } from '../wire/fields.ts';
import { argsOf, type ModelTurn, textOf, turnsOf, type UserTurn } from '../wire/turns.ts';

type Wire = { [key: string]: Json };

export interface OllamaRequestOptions {
  /** Whose reasoning may be sent back. */
  provider: string;
  /** Tokens it is to hold: without being told it takes a few thousand, and silently drops what is before. */
  window: number;
  /** Whether the model thinks; then its thoughts come apart from its words. */
  thinking: boolean;
}

function wireUser(turn: UserTurn): Wire {
  const images = turn.parts.flatMap((part) => (part.type === 'image' ? [part.base64] : []));
  // Words and pictures come apart, so what stood around a picture gets a line of its own.
  const content = turn.parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
  return { role: 'user', content, ...(images.length > 0 ? { images } : {}) };
}

function wireModel(turn: ModelTurn, provider: string): Wire[] {
  const thinking = turn.parts
    .map((part) =>
      part.type === 'reasoning' && isObject(part.opaque) && part.opaque.from === provider ? part.text : '',
    )
    .join('');
  const calls = turn.parts.flatMap((part) =>
    part.type === 'call' ? [{ id: part.id, function: { name: part.tool, arguments: argsOf(part) } }] : [],
  );
  return [
    {
      role: 'assistant',
      content: textOf(turn),
      ...(turn.present && thinking !== '' ? { thinking } : {}),
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    },
    ...turn.results.map(({ id, tool, text }) => ({ role: 'tool', tool_name: tool, tool_call_id: id, content: text })),
  ];
}

/** The body of `POST /api/chat`. Equal requests give equal bytes. */
export function ollamaRequest(request: ModelRequest, options: OllamaRequestOptions): Wire {
  const system: Wire[] = request.system === '' ? [] : [{ role: 'system', content: request.system }];
  const said = turnsOf(request, /./).flatMap((turn) =>
    turn.role === 'user' ? [wireUser(turn)] : wireModel(turn, options.provider),
  );
  const body: Wire = { model: request.model, messages: [...system, ...said] };
  if (request.tools.length > 0)
    body.tools = request.tools.map(({ name, description, input }) => ({
      type: 'function',
      function: { name, description, parameters: input },
    }));
  if (options.thinking) body.think = true;
  const most: Wire = request.maxOutputTokens === undefined ? {} : { num_predict: request.maxOutputTokens };
  return { ...body, options: { num_ctx: options.window, ...most }, stream: true };
}
