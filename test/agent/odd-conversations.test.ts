import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelChoice } from '../../src/core/model.ts';
import { systemClock } from '../../src/platform/system.ts';
import { openAiCompatible } from '../../src/models/chat/model.ts';
import { tryOut } from '../../src/models/setup/setup.ts';
import { envSecrets } from '../../src/secrets/env.ts';
import { pngOf } from '../fakes/images.ts';
import { type Loop, openLoop, testTools } from '../fakes/loop.ts';
import { chunk, DONE, modelServer, type RawAnswer, type RawRequest, sse } from '../fakes/model-server.ts';
import { fakeNet } from '../fakes/net.ts';
import { refusalOf, STRICT, type Strict, type StrictMessage, wordsOf } from '../fakes/strict-servers.ts';

const choiceAt = (baseUrl: string, more: Partial<ModelChoice> = {}): ModelChoice => ({
  provider: 'odd',
  model: 'm',
  port: openAiCompatible({
    provider: 'odd',
    baseUrl,
    apiKey: null,
    net: fakeNet(),
    secrets: envSecrets({ env: {} }),
    clock: systemClock,
  }),
  window: 128_000,
  images: true,
  cost: () => 0,
  ...more,
});

const NOTES = 60;

const usage = { usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 } };

/** Answers as a model would that is asked to read: with calls in the server's own form, then with what it was given. */
function answer(strict: Strict, messages: readonly StrictMessage[], gate: Promise<void>): RawAnswer {
  const at = messages.findLastIndex(({ role }) => role === 'user');
  const said = wordsOf(messages[at]);
  const results = messages.slice(at + 1).filter(({ role }) => role === 'tool').length;
  const wanted = /read (\d)/.exec(said);
  const say = (text: string): RawAnswer => ({
    pieces: [chunk({ role: 'assistant', content: text }), chunk({}, 'stop', usage), DONE],
  });
  if (/summarise/i.test(said)) return say('Ann asked for things to be read.');
  if (wanted === null || results > 0) return say(`ok: ${said.slice(-40)}`);
  const count = Number(wanted[1]);
  const id = (n: number): string => `call${String(messages.length).padStart(4, '0')}${n}`.slice(0, 9);
  const tool_calls = Array.from({ length: count }, (_, index) => ({
    index,
    id: id(index),
    type: 'function',
    function: { name: 'read', arguments: JSON.stringify({ path: `notes/${(messages.length + index) % NOTES}.md` }) },
  }));
  const wait = said.includes('slowly') ? [gate] : [];
  return { pieces: [...wait, chunk({ ...strict.thinking, tool_calls }), chunk({}, 'tool_calls', usage), DONE] };
}

const ABOUT = { channel: 'http', sender: 'owner', agent: 'assistant', session: 's1', replyTo: 's1' };

async function picture(loop: Loop): Promise<string> {
  const files = [{ name: 'a.png', mediaType: 'image/png', bytes: pngOf(2, 2, 'png') }];
  const result = await loop.runtime.deliver({ ...ABOUT, text: 'what is in it?', externalId: 'picture', files });
  assert.ok(result.ok);
  return result.delivered.task;
}

for (const [name, strict] of Object.entries(STRICT))
  test(`a server like ${name} holds a conversation of ten turns with tools, a picture, a refusal and an overflow`, async () => {
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const refused: string[] = [];
    const server = await modelServer(({ body }: RawRequest) => {
      const messages = body['messages'] as StrictMessage[];
      const refusal = refusalOf(strict, body);
      if (refusal !== null) {
        refused.push(refusal.why);
        return refusal.answer;
      }
      if (wordsOf(messages.at(-1)).includes('slowly')) begun.resolve();
      return answer(strict, messages, gate.promise);
    });
    const loop = await openLoop({
      tools: Object.values(testTools([])),
      // No two alike: what was read before is not sent again.
      files: Object.fromEntries(
        Array.from({ length: NOTES }, (_, n) => [
          `notes/${n}.md`,
          `line ${n} of the notes, which says little\n`.repeat(150),
        ]),
      ),
      choices: [choiceAt(server.baseUrl, { window: strict.window, images: strict.images })],
      maxAttempts: 1,
    });
    const ask = async (text: string): Promise<string> => {
      const { status, text: reply } = await loop.send(text, 's1');
      assert.equal(status, 'done', `${text}: ${reply}`);
      return reply;
    };
    try {
      await ask('My name is Ann.');
      await ask('read 1');
      assert.equal((await loop.settled(await picture(loop))).status, 'done');
      // A second message comes while the first is at work: its words stand right behind the result.
      const first = loop.deliver('read 1 slowly', 's1');
      await begun.promise;
      const second = await loop.deliver('and be brief', 's1');
      gate.resolve();
      for (const task of [await first, second]) assert.equal((await loop.settled(task)).status, 'done');
      await ask('read 2');
      const { status, text } = await loop.send('a FORBIDDEN thing', 's1');
      assert.deepEqual([status, /refused/.test(text)], ['failed', true], text);
      assert.match(await ask('what is the time?'), /^ok: [\s\S]*refused something that was said earlier/);
      for (let n = 0; n < 3; n += 1) await ask('read 3');
      assert.doesNotMatch(await ask('still there?'), /refused/, 'it is told once');
      const last = server.requests.at(-1)?.body;
      assert.doesNotMatch(JSON.stringify(last), /FORBIDDEN/);
      assert.match(JSON.stringify(last), /Ann/, 'what matters is still known');
      assert.deepEqual(
        strict.expects.filter((why) => !refused.includes(why)),
        [],
        `each was met: ${refused.join(', ')}`,
      );
    } finally {
      await loop.close();
      await server.close();
    }
  });

const ok = (text = 'hello'): RawAnswer => ({ pieces: [chunk({ content: text }), chunk({}, 'stop', usage), DONE] });
const no = (status: number, message: string, more: object = {}): RawAnswer => ({
  status,
  pieces: [JSON.stringify({ error: { message, ...more } })],
});
type Serve = (body: Record<string, unknown>) => RawAnswer;
const unless = (wrong: (body: Record<string, unknown>) => boolean, refusal: RawAnswer): Serve => {
  return (body) => (wrong(body) ? refusal : ok());
};
const hasSystem = ({ messages }: Record<string, unknown>): boolean =>
  (messages as StrictMessage[])[0]?.role === 'system';

/** Servers that are odd in one way each, and whether an agent can work with them. */
const ODD: Record<string, [works: boolean, serve: Serve]> = {
  'nothing odd': [true, () => ok()],
  'vLLM without a tool parser': [
    false,
    unless((body) => 'tools' in body, no(400, '"auto" tool choice requires --enable-auto-tool-choice')),
  ],
  'a model without tools': [false, unless((body) => 'tools' in body, no(400, 'm does not support tools'))],
  'OpenRouter without tools': [
    false,
    unless((body) => 'tools' in body, no(404, 'No endpoints found that support tool use.')),
  ],
  'no max_tokens': [
    true,
    unless((body) => 'max_tokens' in body, no(400, "'max_tokens' is not supported with this model")),
  ],
  'no stream_options': [
    true,
    unless((body) => 'stream_options' in body, no(422, 'stream_options: Extra inputs are not permitted')),
  ],
  'no system role': [true, unless(hasSystem, no(400, 'System role not supported'))],
  'no system role, said after a 200': [
    true,
    unless(hasSystem, { pieces: [sse({ error: { message: 'System role not supported' } })] }),
  ],
  'an empty answer': [false, () => ({ pieces: [chunk({ content: '' }), chunk({}, 'stop'), DONE] })],
  'thinking alone': [false, () => ok('<think>hm</think>')],
  'thinking, then words': [true, () => ok('<think>hm</think>hello')],
  'no reason, but an end': [true, () => ({ pieces: [chunk({ content: 'hello' }), DONE] })],
  'neither reason nor end': [false, () => ({ pieces: [chunk({ content: 'hello' })] })],
  'a reason in each chunk': [
    true,
    () => ({ pieces: [chunk({ content: 'hel' }, 'stop'), chunk({ content: 'lo' }, 'stop'), DONE] }),
  ],
  'a whole answer as JSON': [
    true,
    () => ({
      headers: { 'content-type': 'application/json' },
      pieces: [JSON.stringify({ choices: [{ message: { content: 'hello' }, finish_reason: 'stop' }] })],
    }),
  ],
  'a web page': [false, () => ({ headers: { 'content-type': 'text/html' }, pieces: ['<html>hello</html>'] })],
  'a wrong key': [false, () => no(401, 'Incorrect API key provided')],
  'no credit': [false, () => no(402, 'Insufficient credits')],
  'an unknown model': [false, () => no(404, 'The model `m` does not exist')],
  'an error event': [false, () => ({ pieces: ['event: error\ndata: {"message":"engine failed"}\n\n'] })],
  'a filter that refuses all': [false, () => no(400, 'filtered', { code: 'content_filter' })],
  'a window that holds nothing': [false, () => no(400, 'maximum context length is 12 tokens')],
  'few words of JSON Schema': [
    true,
    unless(({ tools }) => JSON.stringify(tools ?? null).includes('minLength'), no(400, 'Unknown name "minLength"')),
  ],
};

test('the test of a model agrees with a run for twenty odd servers', async () => {
  assert.ok(Object.keys(ODD).length > 20);
  let serve: Serve = () => ok();
  const server = await modelServer(({ body }) => serve(body));
  const port = { current: choiceAt(server.baseUrl).port };
  // A new port each time: nothing that was learned of another server may help.
  const choice: ModelChoice = {
    ...choiceAt(server.baseUrl),
    port: { stream: (request, signal) => port.current.stream(request, signal) },
  };
  const loop = await openLoop({
    tools: Object.values(testTools([])),
    choices: [choice],
    maxAttempts: 1,
    nextTry: () => null,
  });
  try {
    for (const [what, [works, each]] of Object.entries(ODD)) {
      serve = each;
      port.current = choiceAt(server.baseUrl).port;
      const tried = await tryOut(choice, systemClock, new AbortController().signal);
      port.current = choiceAt(server.baseUrl).port;
      const { status, text } = await loop.send('hello', what.replace(/\W+/g, '-'));
      assert.deepEqual([tried.ok, status === 'done'], [works, works], `${what}: ${tried.said} | ${text}`);
    }
  } finally {
    await loop.close();
    await server.close();
  }
});
