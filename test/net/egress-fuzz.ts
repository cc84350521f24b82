import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import fc from 'fast-check';
import { reaches } from '../../src/core/net/reach.ts';
import { NetError } from '../../src/core/ports/net.ts';
import { placeOf } from '../../src/net/egress/judge.ts';
import { openingOf } from '../../src/net/egress/opening.ts';
import { clientHello, extension, serverName } from './egress-support.ts';
import type { Server } from 'node:http';

/** Bytes that are nearly right: whole parts, with some of them changed, left out or put twice. */
function nearly(whole: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Buffer> {
  const change = fc.record({ at: fc.nat(), by: fc.oneof(fc.uint8Array({ maxLength: 4 }), fc.constant(null)) });
  return fc.tuple(whole, fc.array(change, { maxLength: 4 })).map(([bytes, changes]) =>
    changes.reduce<Buffer>((now, { at, by }) => {
      const place = at % (now.length + 1);
      const rest = now.subarray(by === null ? place + 1 : place + (at % 3));
      return Buffer.concat([now.subarray(0, place), by ?? Buffer.alloc(0), rest]);
    }, Buffer.from(bytes)),
  );
}

const NAMES = ['good.org', 'evil.org', 'GOOD.ORG', 'good.org.', 'a.good.org', 'x'.repeat(260), 'good.org\0', ''];
const hello = fc
  .tuple(
    fc.array(
      fc.oneof(
        fc.constantFrom(...NAMES).map(serverName),
        fc
          .tuple(fc.constantFrom(1, 10, 16, 43, 0xfe0d, 0xffce), fc.uint8Array({ maxLength: 12 }))
          .map(([type, body]) => extension(type, body)),
      ),
      { maxLength: 4 },
    ),
    fc.constantFrom(5, 40, 16_384),
  )
  .map(([extensions, record]) => clientHello(extensions, record));

/** Whatever comes first: it is never read as TLS for a name that does not stand in it, and is judged the same however it is cut. */
export function fuzzOpenings(numRuns: number, seed: number): void {
  fc.assert(
    fc.property(
      fc.oneof(
        nearly(hello),
        fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
      ),
      fc.nat(),
      (bytes, cut) => {
        const opening = openingOf(bytes);
        if (opening.kind === 'tls' && opening.name !== null) {
          assert.match(opening.name, /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/);
          assert.ok(bytes[0] === 0x16 && bytes.length > opening.name.length + 40);
        }
        const before = openingOf(bytes.subarray(0, cut % (bytes.length + 1)));
        // What was decided by fewer bytes is not decided otherwise by more.
        if (before.kind === 'tls' || before.kind === 'other')
          assert.equal(opening.kind === 'more' ? 'more' : 'decided', 'decided');
      },
    ),
    { numRuns, seed },
  );
}

/** Whatever stands for a place: it is read as one canonical host and port, or not at all. */
export function fuzzPlaces(numRuns: number, seed: number): void {
  const piece = fc.oneof(
    fc.constantFrom(
      'good.org',
      '127.0.0.1',
      '[::1]',
      '0x7f.1',
      ':',
      ':443',
      ':80',
      '.',
      '@',
      '%2e',
      '/',
      '#',
      '\\',
      'xn--',
      'ä',
      ' ',
    ),
    fc.string({ maxLength: 4 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 5 }), fc.constantFrom(80 as const, 443 as const, null), (pieces, port) => {
      const place = placeOf(pieces.join(''), port);
      if (place === null) return;
      assert.match(place.host, /^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|[0-9a-f:.]+)$/);
      assert.ok(place.port >= 1 && place.port <= 65_535);
      const again = `${place.host.includes(':') ? `[${place.host}]` : place.host}:${place.port}`;
      assert.deepEqual(placeOf(again, null), place);
    }),
    { numRuns, seed },
  );
}

const PIECES = [
  'GET ',
  'POST ',
  'CONNECT ',
  'http://good.org/',
  'http://evil.org/',
  'http://good.org@evil.org/',
  'https://good.org/',
  'good.org:443',
  'evil.org:443',
  '/x',
  ' HTTP/1.1\r\n',
  ' HTTP/1.0\r\n',
  '\r\n',
  '\n',
  ' ',
  '\t',
  '\0',
  '\r\n\r\n',
  '0\r\n\r\n',
  '3\r\nabc\r\n',

  'Host: good.org\r\n',
  'Host: evil.org\r\n',
  'host:good.org:80\r\n',
  'Content-Length: 3\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',

  'Transfer-Encoding: identity\r\n',
  'Connection: close\r\n',
  'Connection: host\r\n',
  'Upgrade: websocket\r\nConnection: Upgrade\r\n',
  'Proxy-Authorization: Basic eDp5\r\n',
];

/** What an upstream server got: one request line, one Host, which is the one it is meant for, and nothing of the proxy. */
function checkSent(bytes: string): void {
  const head = bytes.split('\r\n\r\n')[0] ?? '';
  const lines = head.split('\r\n');
  assert.match(lines[0] ?? '', /^[A-Z-]+ \/\S* HTTP\/1\.1$/);
  const names = lines.slice(1).map((line) => line.split(':')[0]?.toLowerCase());
  assert.deepEqual(
    lines.slice(1).filter((line) => /^host:/i.test(line)),
    ['host: good.org'],
  );
  assert.ok(names.every((name) => name !== undefined && !name.startsWith('proxy-')));
  assert.ok(!(names.includes('content-length') && names.includes('transfer-encoding')));
}

/** Whatever a command says to its proxy: nothing is dialled but what the list has, and nothing without the token. */
export async function fuzzRequests(
  numRuns: number,
  seed: number,
  open: (dial: (to: { host: string; port: number }) => Promise<Socket>) => { server: Server; auth: string },
): Promise<void> {
  const dialled: string[] = [];
  let carried = 0;
  const sent: Buffer[][] = [];
  const { server, auth } = open(({ host, port }) => {
    if (!reaches('good.org').some((reach) => reach.host === host))
      return Promise.reject(new NetError('blocked', 'not listed'));
    dialled.push(`${host}:${port}`);
    const [ours, theirs] = duplexPair();
    const got: Buffer[] = [];
    sent.push(got);
    theirs.on('data', (piece: Buffer) => got.push(piece));
    theirs.on('error', () => undefined);
    return Promise.resolve(Object.assign(ours, { destroySoon: () => ours.destroy() }) as unknown as Socket);
  });
  const piece = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...PIECES) },
    { weight: 3, arbitrary: fc.constant(auth) },
    { weight: 1, arbitrary: fc.string({ maxLength: 3 }) },
  );
  const plain = fc.constant(['GET ', 'http://good.org/', ' HTTP/1.1\r\n', 'Host: good.org\r\n', auth, '\r\n']);
  const said = fc.oneof(
    fc.array(piece, { maxLength: 14 }),
    fc
      .tuple(plain, fc.array(piece, { maxLength: 6 }), fc.nat())
      .map(([whole, more, at]) => whole.toSpliced(at % whole.length, at % 2, ...more)),
  );
  await fc.assert(
    fc.asyncProperty(said, async (pieces) => {
      [dialled.length, sent.length] = [0, 0];
      const [client, ours] = duplexPair();
      client.on('error', () => undefined);
      client.resume();
      Object.assign(ours, { destroySoon: () => ours.destroy() });
      server.emit('connection', ours);
      client.write(pieces.join(''));
      const over = once(client, 'close');
      client.once('end', () => client.destroy());
      // Requests that are being carried get no answer from this side.
      for (let turn = 0; turn < 6; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      client.destroy();
      await over;
      if (!pieces.join('').includes(auth)) assert.deepEqual(dialled, []);
      carried += sent.filter((got) => got.length > 0).length;
      for (const place of dialled) assert.match(place, /^good\.org:\d+$/);
      for (const got of sent)
        if (got.length > 0 && !/CONNECT/.test(pieces.join(''))) checkSent(Buffer.concat(got).toString('latin1'));
    }),
    { numRuns, seed },
  );
  assert.ok(carried > numRuns / 50, `only ${carried} requests went through, too few for this to mean anything`);
}
