import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { chainHash, GENESIS } from '../../src/core/event-hash.ts';
import type { EventRow } from '../../src/core/event-hash.ts';
import type { Event } from '../../src/core/event.ts';
import { blobRefs } from '../../src/core/blob.ts';
import { verifyChain } from '../store/chain-oracle.ts';
import { EVENT_SCHEMA } from '../../src/core/event.ts';
import { upcast } from '../../src/journal/upcast.ts';

const text = fc.string({ maxLength: 6 });
const columns = fc.record({
  stream: text,
  version: fc.nat(),
  at: fc.nat(),
  actor: text,
  cause: fc.option(text),
  labels: text,
  key: fc.option(text),
  schema: fc.nat(),
  type: text,
  data: text,
});

const chained = (parts: readonly Omit<EventRow, 'seq' | 'hash'>[]): EventRow[] => {
  let previous = GENESIS;
  return parts.map((part, index) => {
    const row = { ...part, seq: index + 1 };
    previous = chainHash(previous, row);
    return { ...row, hash: previous };
  });
};

describe('the hash chain', () => {
  test('is described well enough to be computed elsewhere', () => {
    const row = {
      seq: 1,
      stream: 'gateway',
      version: 1,
      at: 1,
      actor: 'runtime',
      cause: null,
      labels: '[]',
      key: null,
      schema: 1,
      type: 'gateway.stopped',
      data: '{"reason":"asked"}',
    };
    // printf '%s\n%s' '["",1,"gateway",1,1,"runtime",null,"[]",null,1,"gateway.stopped"]' '{"reason":"asked"}' |
    //   openssl dgst -sha256 -binary | basenc --base64url | tr -d =
    assert.equal(chainHash(GENESIS, row), 'JOz7nRYpla9BarqPOahDfAES8oSl88sHRoSMFDDM1U8');
  });

  test('any difference in any column gives another hash, also when text moves between columns', () => {
    let runs = 0;
    fc.assert(
      fc.property(columns, columns, (one, other) => {
        const differ = JSON.stringify(one) !== JSON.stringify(other);
        assert.equal(chainHash('', { ...one, seq: 1 }) !== chainHash('', { ...other, seq: 1 }), differ);
        const moved = { ...one, stream: one.stream + one.actor, actor: '' };
        if (one.actor !== '') assert.notEqual(chainHash('', { ...one, seq: 1 }), chainHash('', { ...moved, seq: 1 }));
        runs++;
      }),
    );
    assert.ok(runs >= 100);
  });

  test('names the first row that was changed, dropped or moved, and nothing else', async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(columns, { minLength: 2, maxLength: 12 }), fc.nat(), async (parts, pick) => {
        const rows = chained(parts);
        assert.equal((await verifyChain(rows)).misfit, null);
        const at = pick % (rows.length - 1);
        const row = rows[at] ?? assert.fail();
        const id = `evt_${at + 1}`;
        assert.equal((await verifyChain(rows.with(at, { ...row, data: `${row.data} ` }))).misfit?.event, id);
        assert.equal((await verifyChain(rows.toSpliced(at, 1))).misfit?.event, id);
        assert.equal((await verifyChain(rows.toSpliced(at, 0, row))).misfit?.event, `evt_${at + 2}`);
        // Forged whole, with a hash of its own: the next row no longer fits.
        const forged = { ...row, data: `${row.data} ` };
        const hash = chainHash(rows[at - 1]?.hash ?? GENESIS, forged);
        assert.equal((await verifyChain(rows.with(at, { ...forged, hash }))).misfit?.event, `evt_${at + 2}`);
        runs++;
      }),
    );
    assert.ok(runs >= 100);
  });

  test('a row that cannot be read is a misfit, not an exception', async () => {
    const rows = chained([1, 2].map((version) => ({ ...fc.sample(columns, 1)[0]!, version })));
    async function* failing(): AsyncGenerator<EventRow> {
      yield rows[0] ?? assert.fail();
      throw new Error('bad sector');
    }
    const report = await verifyChain(failing());
    assert.deepEqual(report.misfit, { event: 'evt_2', why: 'it cannot be read: bad sector' });
    assert.equal(report.events, 1);
  });
});

test('blobRefs finds every reference, however deep', () => {
  const ref = (hash: string) => ({ hash, size: 1, subject: 's' });
  const data = { content: ref('a'), messages: [ref('b'), ref('c')], task: { content: ref('d'), result: null }, n: 1 };
  assert.deepEqual(
    blobRefs(data).map(({ hash }) => hash),
    ['a', 'b', 'c', 'd'],
  );
  assert.deepEqual(blobRefs('text'), []);
});

describe('upcast', () => {
  const event = { id: 'evt_1', seq: 1, type: 'gateway.stopped', schema: 1, data: { reason: 'x' } } as Event;

  test('leaves an event of today alone', () => {
    const today = { ...event, schema: EVENT_SCHEMA };
    assert.equal(upcast(today), today);
  });

  test('reads what version 0.1 wrote', () => {
    const sending = { ...event, type: 'message.sending', data: { message: 'm', channel: 'c', attempt: 1 } } as Event;
    assert.deepEqual(upcast(sending).data, { message: 'm', channel: 'c', attempt: 1, part: 0, parts: 1 });
    const denied = { ...event, type: 'sender.denied', data: { channel: 'c', sender: 's' } } as Event;
    assert.deepEqual(upcast(denied).data, { channel: 'c', sender: 's', chat: '' });
  });

  test('goes through every schema between, and leaves types that did not change', () => {
    const table = {
      'gateway.stopped': {
        2: (data: { reason: string }) => ({ reason: `${data.reason}!` }),
        4: () => assert.fail('that is for a later schema'),
      },
    };
    assert.deepEqual(upcast(event, table, 4), { ...event, data: { reason: 'x!' }, schema: 4 });
    assert.deepEqual(upcast(event, {}, 2), { ...event, schema: 2 });
    assert.deepEqual(event.data, { reason: 'x' });
  });

  test('refuses an event of a newer Ruche', () => {
    assert.throws(() => upcast({ ...event, schema: 9 }), /evt_1 has schema 9; this Ruche reads up to 2: install/);
  });
});
