import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { httpOnly, type Net, NetError } from '../../src/core/ports/net.ts';
import { ask, callsOf, collect, endOf, textOf } from '../contracts/model.ts';
import { type ModelWire, openWire } from '../contracts/model-wires.ts';
import { WIRES } from '../fakes/wires/all.ts';
import { tries } from '../fakes/effort.ts';

const RUNS = tries(60, 300);
const TEXT = 'Grüße, 🐝!';
const ARGS = '{"path":"a.md","content":"línea"}';

/** Gives the bytes in pieces of a size and then ends or breaks. */
const netOf = (bytes: Uint8Array, size: number, breaks: boolean, contentType: string): Net =>
  httpOnly(async () => {
    let at = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (at < bytes.length) controller.enqueue(bytes.slice(at, (at += size)));
        else if (breaks) controller.error(new NetError('protocol', 'the connection broke'));
        else controller.close();
      },
    });
    return new Response(body, { headers: { 'content-type': contentType } });
  });

async function cutAnywhere(wire: ModelWire): Promise<{ finish: number; error: number }> {
  const ends = { finish: 0, error: 0 };
  const call = { id: 'c1', tool: 'write', args: [ARGS.slice(0, 9), ARGS.slice(9)] };
  const pieces = wire.pieces({ text: [TEXT.slice(0, 4), TEXT.slice(4)], calls: [call], end: 'calls' });
  const stream = Buffer.concat(pieces.map((piece) => Buffer.from(piece as string)));
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.integer({ min: 0, max: stream.length }), fc.integer({ min: stream.length - 60, max: stream.length })),
      fc.integer({ min: 1, max: 60 }),
      fc.boolean(),
      async (length, size, breaks) => {
        const net = netOf(stream.subarray(0, length), size, breaks, wire.contentType ?? 'text/event-stream');
        const port = openWire(wire, 'http://127.0.0.1:1', { net });
        const events = await collect(port.stream(ask('hi'), new AbortController().signal));
        const end = endOf(events);
        ends[end.type] += 1;
        assert.ok(TEXT.startsWith(textOf(events)));
        const [got] = callsOf(events);
        assert.ok(ARGS.startsWith(got?.args ?? ''));
        if (end.type === 'finish') assert.deepEqual([end.reason, got?.args, textOf(events)], ['calls', ARGS, TEXT]);
        else assert.equal(end.error.kind, 'network', JSON.stringify(end));
      },
    ),
    RUNS,
  );
  return ends;
}

for (const wire of WIRES)
  test(`${wire.name}: wherever an answer is cut, what came is kept, it ends once, and half a call is never one to run`, async () => {
    const ends = await cutAnywhere(wire);
    assert.ok(ends.finish > 0 && ends.error > RUNS.numRuns / 3, JSON.stringify(ends));
  });
