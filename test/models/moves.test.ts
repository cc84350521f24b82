import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collectAnswer } from '../../src/agent/think/model-call.ts';
import type { ModelMessage, ModelRequest, Part } from '../../src/core/model.ts';
import { ask } from '../contracts/model.ts';
import { type ModelWire, openWire } from '../contracts/model-wires.ts';
import { modelServer, type Piece, chunk, DONE } from '../fakes/model-server.ts';
import { WIRES } from '../fakes/wires/all.ts';
import { anthropicWire, begin, block, finish } from '../fakes/wires/anthropic.ts';
import { chatWire } from '../fakes/wires/chat.ts';
import { geminiWire, parts } from '../fakes/wires/gemini.ts';

const NEVER = new AbortController().signal;
const text = (said: string): Part => ({ type: 'text', text: said });

/** A conversation that any provider may go on with. */
class Talk {
  readonly messages: ModelMessage[] = [];
  readonly seen: string[] = [];

  user(said: string): void {
    this.messages.push({ role: 'user', parts: [text(said)] });
    this.seen.push(said);
  }

  /** One step: asks, checks what was sent, and answers each call with a result. Gives the body that was sent. */
  async step(wire: ModelWire, pieces: readonly Piece[]): Promise<string> {
    const server = await modelServer();
    try {
      server.next({ headers: { 'content-type': wire.contentType ?? 'text/event-stream' }, pieces });
      const port = openWire(wire, new URL(server.baseUrl).origin);
      const request: ModelRequest = ask('', { messages: this.messages });
      const { message, error } = await collectAnswer({ port }, request, NEVER, () => undefined);
      assert.equal(error, null, `${wire.name}: ${error?.message}`);
      const body = server.requests[0]?.body ?? {};
      wire.valid(body);
      const sent = JSON.stringify(body);
      for (const said of this.seen) assert.ok(sent.includes(said), `${wire.name} knows of ${said}`);
      this.messages.push(message);
      this.#run(message);
      return sent;
    } finally {
      await server.close();
    }
  }

  #run({ parts: said }: ModelMessage): void {
    const results = said.flatMap((part): Part[] => {
      if (part.type === 'text') this.seen.push(part.text);
      if (part.type !== 'call') return [];
      const result = `result ${this.messages.length} of ${part.tool}`;
      this.seen.push(part.tool, result);
      return [{ type: 'result', id: part.id, tool: part.tool, text: result, isError: false }];
    });
    if (results.length > 0) this.messages.push({ role: 'tool', parts: results });
  }
}

const thinkingAndCalls = [
  begin(),
  ...block(0, { type: 'thinking', thinking: '', signature: '' }, [
    { type: 'thinking_delta', thinking: 'First I ' },
    { type: 'thinking_delta', thinking: 'look.' },
    { type: 'signature_delta', signature: 'anthropic-signature' },
  ]),
  ...block(1, { type: 'redacted_thinking', data: 'anthropic-sealed' }, []),
  ...block(2, { type: 'text', text: '' }, [{ type: 'text_delta', text: 'I look at both.' }]),
  ...['a.md', 'b.md'].flatMap((path, n) =>
    block(3 + n, { type: 'tool_use', id: `toolu_0${n}`, name: 'read', input: {} }, [
      { type: 'input_json_delta', partial_json: JSON.stringify({ path }) },
    ]),
  ),
  ...finish('tool_use'),
];

test('a turn that moves from provider to provider between its steps: each knows all that was said and run', async () => {
  const talk = new Talk();
  talk.user('Compare a and b.');
  await talk.step(anthropicWire, thinkingAndCalls);

  const toGemini = await talk.step(geminiWire, [
    parts([{ text: 'Now I list.', thought: true }]),
    parts([{ functionCall: { name: 'list', args: {} }, thoughtSignature: 'gemini-signature' }]),
    parts([], 'STOP'),
  ]);
  assert.match(toGemini, /skip_thought_signature_validator/);
  assert.doesNotMatch(toGemini, /First I look|toolu_/, 'neither thoughts nor ids of another');

  const toChat = await talk.step(chatWire, [
    chunk({ reasoning_content: 'Let me search.' }),
    chunk({
      tool_calls: [{ index: 0, id: 'functions.search:0', function: { name: 'search', arguments: '{"for":"c"}' } }],
    }),
    chunk({}, 'tool_calls'),
    DONE,
  ]);
  assert.doesNotMatch(toChat, /First I look|Now I list/);

  const back = await talk.step(anthropicWire, [
    begin(),
    ...block(0, { type: 'text', text: '' }, [{ type: 'text_delta', text: 'They differ.' }]),
    ...finish('end_turn'),
  ]);
  const [thinking, sealed] = [
    '"thinking":"First I look.","signature":"anthropic-signature"',
    '"data":"anthropic-sealed"',
  ];
  assert.ok(
    back.includes(thinking) && back.indexOf(sealed) > back.indexOf(thinking),
    'its own thinking is back, in order',
  );
  assert.doesNotMatch(back, /functions\.search|Now I list|Let me search/);

  talk.user('And now?');
  const later = await talk.step(anthropicWire, anthropicWire.pieces({ text: ['Now ', 'nothing.'], end: 'stop' }));
  assert.match(later, /anthropic-s/, 'thinking stays with the calls it led to');
  const again = await talk.step(geminiWire, geminiWire.pieces({ text: ['Right.'], end: 'stop' }));
  assert.match(again, /gemini-signature/);
});

test('from every provider to every other, in the middle of a turn and after it', async () => {
  let moves = 0;
  const call = (id: string, path: string) => ({ id, tool: 'read', args: [JSON.stringify({ path })] });
  for (const from of WIRES)
    for (const to of WIRES) {
      const talk = new Talk();
      talk.user('Read both.');
      await talk.step(
        from,
        from.pieces({ text: ['I read.'], calls: [call('x_1', 'a'), call('x_2', 'b')], end: 'calls' }),
      );
      await talk.step(to, to.pieces({ calls: [call('x_1', 'c')], end: 'calls' }));
      await talk.step(from, from.pieces({ text: ['Done.'], end: 'stop' }));
      talk.user('Again, please.');
      await talk.step(to, to.pieces({ text: ['Gladly.'], end: 'stop' }));
      moves += 1;
    }
  assert.equal(moves, WIRES.length ** 2);
});
