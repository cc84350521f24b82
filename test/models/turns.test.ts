import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Json } from '../../src/core/text/json.ts';
import type { ModelMessage, ModelRequest, Part } from '../../src/core/model.ts';
import { ask } from '../contracts/model.ts';
import { sentBy } from '../contracts/model-wires.ts';
import { WIRES } from '../fakes/wires/all.ts';
import { anthropicWire } from '../fakes/wires/anthropic.ts';
import { chatWire } from '../fakes/wires/chat.ts';
import { geminiWire } from '../fakes/wires/gemini.ts';
import { effort, tries } from '../fakes/effort.ts';

// Whatever a conversation has been through, what is sent is what the provider accepts.

const words = fc.constantFrom('', ' ', '\n', 'Hello', 'and then?', 'ça va 🐝');
const IDS = ['a', 'call_1', 'toolu_01AbC', 'functions.read:0', 'x'.repeat(60), 'é', 'c00000001', 'fc-9'] as const;
const tools = fc.constantFrom('read', 'functions.read', 'x'.repeat(80), '9lives', '', 'a b');
const opaques: fc.Arbitrary<Json | undefined> = fc.constantFrom(
  undefined,
  { from: 'anthropic', model: 'm', blocks: [{ chars: 5, signature: 'anthropic-1' }] },
  { from: 'anthropic', model: 'm', blocks: [{ chars: 4, signature: 'anthropic-2' }] },
  { from: 'anthropic', model: 'other', blocks: [{ chars: 5, signature: 'other-model' }] },
  { from: 'anthropic', model: 'm', blocks: 'nonsense' },
  { from: 'gemini', model: 'm', signature: 'gemini-1', id: 'g1' },
  { from: 'gemini', model: 'other', signature: 'other-model', id: 'g2' },
  { from: 'openai-compatible', field: 'reasoning_content' },
  { from: 'elsewhere', id: 'rs_1', signature: 'foreign' },
  'nonsense',
);
const args = fc.constantFrom('{}', '{"path":"a.md"}', '{"path":', '[]', 'null', '');

const text = words.map((said): Part => ({ type: 'text', text: said }));
const image = fc.constantFrom('here', 'gone').map((hash): Part => ({
  type: 'image',
  mediaType: hash === 'here' ? 'image/gif' : 'image/png',
  name: 'photo.png',
  blob: { hash, size: 3, subject: 's' },
}));
const reasoning = opaques.map((opaque): Part => ({
  type: 'reasoning',
  text: 'Hmm..',
  ...(opaque === undefined ? {} : { opaque }),
}));
const call = fc.record({ tool: tools, args, opaque: opaques }).map(({ tool, args: written, opaque }): Part => ({
  type: 'call',
  id: '',
  tool,
  args: written,
  ...(opaque === undefined ? {} : { opaque }),
}));

const step = fc.oneof(
  {
    weight: 2,
    arbitrary: fc
      .array(fc.oneof(text, image), { maxLength: 3 })
      .map((parts): ModelMessage => ({ role: 'user', parts })),
  },
  {
    weight: 3,
    arbitrary: fc
      .array(fc.oneof(text, reasoning, call, call), { maxLength: 5 })
      .map((parts): ModelMessage => ({ role: 'assistant', parts })),
  },
);

/** Gives each call an id of its own, and most of them a result. */
const conversation = fc
  .record({ steps: fc.array(step, { maxLength: 8 }), lost: fc.integer({ min: 2, max: 9 }), system: words })
  .map(({ steps, lost, system }): ModelRequest => {
    let n = 0;
    const messages = steps.flatMap(({ role, parts }): ModelMessage[] => {
      const named = parts.map((part) => (part.type === 'call' ? { ...part, id: IDS[n++] ?? `id.${n}` } : part));
      const results = named.flatMap((part, index): Part[] =>
        part.type === 'call' && (n + index) % lost !== 0
          ? [{ type: 'result', id: part.id, tool: part.tool, text: index === 0 ? '' : 'done', isError: index === 1 }]
          : [],
      );
      return results.length > 0
        ? [
            { role, parts: named },
            { role: 'tool', parts: results },
          ]
        : [{ role, parts: named }];
    });
    return ask('', { system, messages, images: new Map([['here', Uint8Array.of(1, 2, 3)]]) });
  });

for (const wire of WIRES)
  test(`${wire.name}: any conversation becomes a request that its provider accepts, and is not changed by it`, async () => {
    let calls = 0;
    await fc.assert(
      fc.asyncProperty(conversation, async (request) => {
        const before = structuredClone(request);
        const body = await sentBy(wire, request);
        wire.valid(body);
        assert.deepEqual(request, before);
        assert.deepEqual(await sentBy(wire, request), body);
        if (/"done"/.test(JSON.stringify(body))) calls += 1;
      }),
      tries(60, 300),
    );
    assert.ok(calls > effort(30, 60), `${calls} requests held calls`);
  });

test('an erased image is named, two messages in a row are one, and the order of words and pictures is kept', async () => {
  const request = ask('look', { images: new Map([['here', Uint8Array.of(1, 2, 3)]]) });
  const picture = (hash: string): Part => ({
    type: 'image',
    mediaType: 'image/png',
    name: `${hash}.png`,
    blob: { hash, size: 3, subject: 's' },
  });
  request.messages[0]?.parts.push(picture('here'), picture('gone'));
  request.messages.push({ role: 'user', parts: [{ type: 'text', text: 'well?' }] });
  const inOrder = /look.*AQID.*\[image gone\.png is no longer available\]\\n\\nwell\?/;
  for (const wire of [chatWire, anthropicWire, geminiWire])
    assert.match(JSON.stringify(await sentBy(wire, request)), inOrder, wire.name);
  // Some put pictures beside the words.
  for (const wire of WIRES) {
    const sent = JSON.stringify(await sentBy(wire, request));
    for (const part of ['look', 'AQID', '[image gone.png is no longer available]', 'well?'])
      assert.ok(sent.includes(part), `${wire.name}: ${part}`);
  }
});
