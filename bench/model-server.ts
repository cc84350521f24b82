import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';

interface ChatBody {
  messages: { role: string; content: string | null }[];
  tools?: unknown[];
}

export interface ModelServer {
  /** Ends in `/v1`. */
  url: string;
  /** The last request, as it came. */
  last(): ChatBody | null;
  close(): Promise<void>;
}

/**
 * A model of no weight on loopback, which streams as OpenAI does and obeys the last message: `hello …` is answered at
 * once, `wait MS` after so long, `touch NAME` by a call of `write`, a call of `read`, and an answer, `look NAME` by a call
 * of `read`, `give NAME` by a task for another agent that it waits for, and `pass NAME` by handing the conversation over.
 */
export async function startModelServer(): Promise<ModelServer> {
  let last: ChatBody | null = null;
  const server = createServer((request, response) => {
    // What is asked about the model before it is asked anything: nothing is known.
    if (request.method !== 'POST') return void response.writeHead(404).end();
    void json(request).then((body) => {
      last = body as ChatBody;
      return answer(last, response);
    });
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    last: () => last,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer({ messages }: ChatBody, response: ServerResponse): Promise<void> {
  const asked = messages.findLastIndex((message) => message.role === 'user');
  // What time it is stands before the words.
  const said = (messages[asked]?.content ?? '').replace(/^\[Ruche\] It is [^\n]*\n\n/, '');
  const [verb, word = ''] = said.split(/\s+/);
  if (verb === 'wait') await delay(Number(word));
  const results = messages.slice(asked).filter((message) => message.role === 'tool').length;
  const path = `bench-${word}.md`;
  if (verb === 'touch' && results === 0) stream(response, call('write', { path, content: `${word}\n` }));
  else if (verb === 'touch' && results === 1) stream(response, call('read', { path }));
  else if (verb === 'look' && results === 0) stream(response, call('read', { path: 'README.md' }));
  else if (verb === 'give' && results === 0)
    stream(response, call('task', { action: 'create', agent: 'agent-2', text: `hello ${word}`, wait: true }));
  else if (verb === 'pass' && results === 0) stream(response, call('hand_over', { agent: 'agent-2', brief: word }));
  else stream(response, { content: `Done: ${`${verb} ${word}`.trim()}.` });
}

let calls = 0;
const call = (name: string, args: object): object => ({
  tool_calls: [
    { index: 0, id: `call_${(calls += 1)}`, type: 'function', function: { name, arguments: JSON.stringify(args) } },
  ],
});

function stream(response: ServerResponse, delta: object): void {
  const chunk = (choice: object[], more: object = {}): string =>
    `data: ${JSON.stringify({ id: 'bench', object: 'chat.completion.chunk', created: 1, model: 'bench', choices: choice, ...more })}\n\n`;
  const finish = 'tool_calls' in delta ? 'tool_calls' : 'stop';
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(chunk([{ index: 0, delta: { role: 'assistant', ...delta }, finish_reason: null }]));
  response.write(chunk([{ index: 0, delta: {}, finish_reason: finish }]));
  response.write(chunk([], { usage: { prompt_tokens: 900, completion_tokens: 10, total_tokens: 910 } }));
  response.end('data: [DONE]\n\n');
}
