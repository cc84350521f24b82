import type { Json } from '../../core/text/json.ts';
import type { ModelRequest } from '../../core/model.ts';
import {
  argsOf,
  type Call,
  type ModelTurn,
  ownOpaque,
  type Result,
  type Turn,
  turnsOf,
  type UserTurn,
} from '../wire/turns.ts';

type Wire = { [key: string]: Json };
type Content = { role: 'user' | 'model'; parts: Wire[] };

/** Google's own word for a call that none of its models has signed. */
const UNSIGNED = 'skip_thought_signature_validator';
/** From the third generation on, the first call of each step in the present turn must be signed. */
const NEVER_SIGNED = /(?:^|\/)(?:gemini-[12](?:\.|-|$)|gemma)/;
const ANY_ID = /^/;

interface Maker {
  from: string;
  model: string;
}

function callPart(call: Call, first: boolean, turn: ModelTurn, { from, model }: Maker): Wire {
  const own = ownOpaque(call, from, model);
  const id: Wire = own && typeof own.id === 'string' ? { id: own.id } : {};
  const part: Wire = { functionCall: { ...id, name: call.tool, args: argsOf(call) } };
  if (typeof own?.signature === 'string') part.thoughtSignature = own.signature;
  else if (first && turn.present && !NEVER_SIGNED.test(model)) part.thoughtSignature = UNSIGNED;
  return part;
}

function resultPart(result: Result, call: Call | undefined, { from, model }: Maker): Wire {
  const own = call ? ownOpaque(call, from, model) : null;
  const id: Wire = own && typeof own.id === 'string' ? { id: own.id } : {};
  const response: Wire = result.isError ? { error: result.text } : { output: result.text };
  return { functionResponse: { ...id, name: result.tool, response } };
}

function modelContents(turn: ModelTurn, maker: Maker): Content[] {
  const calls = turn.parts.filter((part) => part.type === 'call');
  // Thoughts are summaries for people; what the model needs of them is in the signatures.
  const parts = turn.parts.flatMap((part): Wire[] => {
    if (part.type === 'text') return [{ text: part.text }];
    return part.type === 'call' ? [callPart(part, part === calls[0], turn, maker)] : [];
  });
  const said: Content = { role: 'model', parts };
  if (turn.results.length === 0) return [said];
  const results = turn.results.map((result, index) => resultPart(result, calls[index], maker));
  return [said, { role: 'user', parts: results }];
}

const userContent = (turn: UserTurn): Content => ({
  role: 'user',
  parts: turn.parts.map((part): Wire => {
    if (part.type === 'text') return { text: part.text };
    // The one kind that others see and Gemini refuses.
    if (part.mediaType === 'image/gif')
      return { text: `[image ${part.name} cannot be seen by this model: it is a GIF]` };
    return { inlineData: { mimeType: part.mediaType, data: part.base64 } };
  }),
});

const contentsOf = (turns: readonly Turn[], maker: Maker): Content[] =>
  turns.flatMap((turn) => (turn.role === 'user' ? [userContent(turn)] : modelContents(turn, maker)));

/** The body of `POST …:streamGenerateContent`. Equal requests give equal bytes, the stable part first. */
export function geminiRequest(request: ModelRequest, provider: string): Wire {
  const { model, system, tools, maxOutputTokens } = request;
  const functionDeclarations = tools.map(({ name, description, input }): Wire => ({
    name,
    description,
    parametersJsonSchema: input,
  }));
  return {
    ...(system.trim() === '' ? {} : { systemInstruction: { parts: [{ text: system }] } }),
    ...(tools.length > 0 ? { tools: [{ functionDeclarations }] } : {}),
    contents: contentsOf(turnsOf(request, ANY_ID), { from: provider, model }),
    ...(maxOutputTokens === undefined ? {} : { generationConfig: { maxOutputTokens } }),
  };
}
