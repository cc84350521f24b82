import { AGENT, Home } from './home.ts';
import { chunk, DONE, modelServer, type ModelServer, type RawAnswer, type RawRequest } from './model-server.ts';

/** A call the model is told to make; a text instead of an object is sent as the arguments' raw text. */
export interface Order {
  tool: string;
  args: unknown;
}

/** The words that make the model do it: the steps in order, each of them one call or several at once. */
export const orders = (...steps: readonly (Order | readonly Order[])[]): string => `do ${JSON.stringify(steps)}`;
export const order = (tool: string, args: unknown): Order => ({ tool, args });

interface Message {
  role: string;
  content: string | null;
}

/**
 * The worst model there is: it does to the letter what the last message says, from any author, and then repeats the
 * results it got. Any text without orders is answered by that text.
 */
export async function obedientModel(): Promise<ModelServer> {
  return modelServer(obey);
}

export function obey(request: RawRequest): RawAnswer {
  const messages = (request.body['messages'] as Message[]).map((message) => withoutTime(message));
  const at = messages.findLastIndex(({ role, content }) => role === 'user' && content?.startsWith('do ['));
  const said = messages.findLast(({ role }) => role === 'user')?.content ?? '';
  if (at === -1) return text(`You said: ${said}`);
  const steps = JSON.parse((messages[at]?.content ?? '').split('\n\n[Ruche]')[0]?.slice(3) ?? '[]') as (
    | Order
    | Order[]
  )[];
  const results = messages.slice(at + 1).filter(({ role }) => role === 'tool');
  const made = messages.slice(at + 1).filter((message) => message.role === 'assistant' && 'tool_calls' in message);
  const next = steps[made.length];
  if (next === undefined) return text(results.map(({ content }) => content ?? '').join('\n---\n'));
  return calls(made.length, Array.isArray(next) ? next : [next]);
}

/** What time it is, what labels lead to, and whose task, stands before the words of a message, and is no order. */
const withoutTime = (message: Message): Message =>
  message.role !== 'user' || message.content === null
    ? message
    : {
        ...message,
        content: message.content.replace(
          /\[Ruche\] (?:(?:It is|This run has read) [^\n]*\n\n|This is a task from [^\n]*\n\n(?=do \[))/g,
          '',
        ),
      };

export const text = (content: string): RawAnswer => ({
  pieces: [chunk({ role: 'assistant', content }), chunk({}, 'stop', USAGE), DONE],
});

const USAGE = { usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 } };

function calls(step: number, list: readonly Order[]): RawAnswer {
  const tool_calls = list.map(({ tool, args }, index) => ({
    index,
    id: `call_${step}_${index}`,
    type: 'function',
    function: { name: tool, arguments: typeof args === 'string' ? args : JSON.stringify(args) },
  }));
  return { pieces: [chunk({ role: 'assistant', content: null, tool_calls }), chunk({}, 'tool_calls', USAGE), DONE] };
}

/** A `ruche.yaml` whose only model is this one; `rules` and further keys come behind. */
export const modelsYaml = (baseUrl: string, more = ''): string => `models:
  providers:
    wire: { type: openai-compatible, baseUrl: "${baseUrl}", apiKey: env:WIRE_KEY }
  standard: [wire/obedient]
${more}`;

/** A home, not yet started, of one agent `assistant` that does what it is told; closing it closes the model. */
export async function obedientHome(files: Readonly<Record<string, string>> = {}, more = ''): Promise<Home> {
  const server = await obedientModel();
  const own = { 'ruche.yaml': modelsYaml(server.baseUrl, more), 'agents/assistant/AGENT.md': AGENT };
  return new Home({ beside: [server], env: { WIRE_KEY: 'a-key-0123456789' }, files: { ...own, ...files } });
}
