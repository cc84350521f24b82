import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextTry } from '../../src/models/choice/retry.ts';
import { ask, collect, endOf, type Tally } from '../contracts/model.ts';
import { SITUATIONS } from '../contracts/model-situations.ts';
import { openWire, wireContract } from '../contracts/model-wires.ts';
import { modelServer } from '../fakes/model-server.ts';
import { WIRES } from '../fakes/wires/all.ts';

// Every provider in every situation, over the real wire.

const tallies = WIRES.map((wire) => ({ name: wire.name, tallies: wireContract(wire) }));

test('model contract: every situation was tried on every wire, and most of them twice', () => {
  const seen = (tally: Tally): [ran: number, skipped: number] => [tally.ran, tally.skipped.size];
  for (const { name, tallies: both } of tallies) {
    const [ran, skipped] = seen(both.raw);
    assert.ok(ran >= SITUATIONS.length && skipped <= 2, `${name}, raw: ${ran} ran, ${skipped} skipped`);
    const [mocked, left] = seen(both.aimock);
    assert.ok(mocked >= 15 && left <= 6, `${name}, aimock: ${mocked} ran, ${left} skipped`);
    for (const reason of [...both.raw.skipped.values(), ...both.aimock.skipped.values()]) assert.ok(reason.length > 15);
    for (const situation of SITUATIONS)
      assert.ok(!both.raw.skipped.has(situation) || !['malformed', 'cut', 'call'].includes(situation));
  }
});

test('what is no answer, under a 200, is a passing fault on every wire, and names the URL as the other cause', async () => {
  const page = '<!doctype html><html><head><title>Sign in</title></head>\n<body>{"a": 1}</body></html>';
  const answers: readonly [type: string, body: string, named: boolean][] = [
    ['text/html; charset=utf-8', page, true],
    ['application/json', page, true],
    ['text/plain', 'OK', true],
    ['application/json', '[]', true],
    ['application/json', '{"choices":[{"mess', false],
    ['application/json', '{"status":"ok"}', false],
    ['text/event-stream', page, false],
    ['text/event-stream', 'data: {"choi\n\n', false],
  ];
  const choice = { window: 16_384 };
  for (const wire of WIRES) {
    const server = await modelServer();
    try {
      for (const [type, body, named] of answers) {
        server.next({ headers: { 'content-type': type }, pieces: [body] });
        const model = openWire(wire, new URL(server.baseUrl).origin);
        const end = endOf(await collect(model.stream(ask('hi'), new AbortController().signal)));
        assert.ok(end.type === 'error', `${wire.name}, ${type}: ${body}`);
        assert.equal(end.error.retryable, true, `${wire.name}, ${type}: ${body}: ${end.error.message}`);
        if (named) assert.match(end.error.message, /the URL is wrong: check baseUrl of models\.providers\./, wire.name);
        assert.notEqual(
          nextTry(end.error, 1, [choice], 0, () => 0),
          null,
        );
        assert.deepEqual(
          nextTry(end.error, 2, [choice, choice], 0, () => 0),
          { wait: 0, index: 1 },
          'the next of the tier',
        );
      }
    } finally {
      await server.close();
    }
  }
});
