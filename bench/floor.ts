// The floor: the least that takes a message by HTTP, asks a model, runs its tools on plain files and answers.
// It keeps no journal, syncs nothing, checks nothing and forgets all at its end: what Ruche costs beside it is what all that costs.
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';

interface Message {
  role: string;
  content: string | null;
  tool_calls?: { id: string; function: { name: string; arguments: string } }[];
  tool_call_id?: string;
}
const [model = '', folder = ''] = process.argv.slice(2);
const sessions = new Map<string, Message[]>();

async function think(messages: Message[]): Promise<Message> {
  const request = { model: 'bench', stream: true, messages };
  const response = await fetch(`${model}/chat/completions`, { method: 'POST', body: JSON.stringify(request) });
  const answer: Message & Required<Pick<Message, 'tool_calls'>> = { role: 'assistant', content: '', tool_calls: [] };
  for (const line of (await response.text()).split('\n')) {
    if (!line.startsWith('data: {')) continue;
    const { choices } = JSON.parse(line.slice(6)) as { choices: { delta: Partial<Message> }[] };
    answer.content += choices[0]?.delta.content ?? '';
    answer.tool_calls.push(...(choices[0]?.delta.tool_calls ?? []));
  }
  return answer.tool_calls.length > 0 ? answer : { role: 'assistant', content: answer.content };
}

async function use(tool: string, args: { path: string; content: string }): Promise<string> {
  if (tool === 'read') return readFile(join(folder, args.path), 'utf8');
  await writeFile(join(folder, args.path), args.content);
  return 'Written.';
}

async function turn(messages: Message[]): Promise<string> {
  for (;;) {
    const answer = await think(messages);
    messages.push(answer);
    if (!answer.tool_calls) return answer.content ?? '';
    for (const { id, function: call } of answer.tool_calls) {
      const content = await use(call.name, JSON.parse(call.arguments) as { path: string; content: string });
      messages.push({ role: 'tool', tool_call_id: id, content });
    }
  }
}

async function reply(request: IncomingMessage): Promise<string> {
  const { user, messages } = (await json(request)) as { user?: string; messages: Message[] };
  const session = sessions.get(user ?? '') ?? [];
  if (user !== undefined) sessions.set(user, session);
  session.push(...messages);
  return JSON.stringify({ choices: [{ message: { role: 'assistant', content: await turn(session) } }] });
}

const server = createServer((request, response) => {
  const answer = request.method === 'GET' ? Promise.resolve('ok') : reply(request);
  answer.then(
    (text) => response.end(text),
    (error) => response.writeHead(500).end(String(error)),
  );
});
server.listen(0, '127.0.0.1', () =>
  console.log(`listens at http://127.0.0.1:${(server.address() as AddressInfo).port}`),
);
