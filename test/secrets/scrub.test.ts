import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTarget } from '../../src/core/net/host.ts';
import { openInjection } from '../../src/secrets/injection.ts';
import { scrubOf } from '../../src/secrets/scrub.ts';
import { spellings } from '../fakes/canary.ts';

const VALUE = 'tok_a+b/c=d&ä-0123456789';
const MARK = 'ruche-secret.x.0123456789abcdef0123456789abcdef';
const scrub = scrubOf([{ value: VALUE, mark: MARK }]);

/** The bytes as they come through in pieces that end at these places. */
function through(bytes: Uint8Array, ...cuts: number[]): Buffer {
  const body = scrub.body();
  const ends = [...cuts, bytes.length];
  const pieces = ends.map((end, index) => body.push(bytes.subarray(ends[index - 1] ?? 0, end)));
  return Buffer.concat([...pieces, body.end()]);
}

test('each spelling of a value is replaced, wherever the pieces end, and every other byte is as it was', () => {
  const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  assert.deepEqual(through(every, 7, 100), every);
  for (const spelling of spellings(VALUE)) {
    const bytes = Buffer.concat([every, Buffer.from(spelling), every]);
    const clean = Buffer.concat([every, Buffer.from(MARK), every]);
    for (let cut = every.length - 1; cut <= every.length + spelling.length + 1; cut += 1) {
      assert.deepEqual(through(bytes, cut), clean, `${spelling} at ${cut}`);
      assert.deepEqual(through(bytes, cut, Math.min(cut + 1, bytes.length)), clean, `${spelling} at ${cut} and on`);
    }
  }
});

test('what frameworks make of a value in JSON and HTML is replaced, too', () => {
  const value = `tok<a>+b/c=d&"e"'f\``;
  const one = scrubOf([{ value, mark: 'MARK' }]);
  const codes = (write: (code: number) => string): string =>
    Array.from(value, (char) => write(char.charCodeAt(0))).join('');
  const escaped = (code: number): string => code.toString(16).padStart(4, '0');
  for (const spelling of [
    // Go and Rails, .NET, and every character.
    String.raw`tok\u003ca\u003e+b/c=d\u0026\"e\"'f` + '`',
    String.raw`tok\u003Ca\u003E\u002Bb/c=d\u0026\u0022e\u0022\u0027f\u0060`,
    codes((code) => `\\u${escaped(code)}`),
    codes((code) => `\\u${escaped(code).toUpperCase()}`),
    // Go, Mustache, Handlebars, Python, Jinja, and every character.
    'tok&lt;a&gt;&#43;b/c=d&amp;&#34;e&#34;&#39;f`',
    'tok&lt;a&gt;+b&#x2F;c&#x3D;d&amp;&quot;e&quot;&#39;f&#x60;',
    'tok&lt;a&gt;+b/c&#x3D;d&amp;&quot;e&quot;&#x27;f&#x60;',
    'tok&lt;a&gt;+b/c=d&amp;&quot;e&quot;&#x27;f`',
    'tok&lt;a&gt;+b/c=d&amp;&#34;e&#34;&#39;f`',
    codes((code) => `&#${code};`),
    codes((code) => `&#x${code.toString(16)};`),
  ])
    assert.equal(one.text(`x ${spelling} y`), 'x MARK y', spelling);
});

test('of values that begin alike, or overlap, nothing is left, in whatever order they are known', () => {
  const values = [
    { value: 'prefix-T0ken-abc', mark: 'SHORT' },
    { value: 'prefix-T0ken-abc-and-the-rest', mark: 'LONG' },
    { value: 'the-rest-is-another', mark: 'OTHER' },
    { value: 'SHORT-is-in-a-mark', mark: 'MARKED' },
  ];
  for (const known of [values, values.toReversed()]) {
    const both = scrubOf(known);
    assert.equal(both.text('x prefix-T0ken-abc-and-the-rest y prefix-T0ken-abc z'), 'x LONG y SHORT z');
    assert.equal(both.text('x prefix-T0ken-abc-and-the-rest-is-another y'), 'x LONG y');
    assert.equal(
      both.text('x prefix-T0ken-abc-is-in-a-mark y'),
      'x SHORT-is-in-a-mark y',
      'what stands in a mark is not looked at',
    );
    const bytes = Buffer.from('x prefix-T0ken-abc-and-the-rest y');
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const body = both.body();
      const pieces = [body.push(bytes.subarray(0, cut)), body.push(bytes.subarray(cut)), body.end()];
      assert.equal(Buffer.concat(pieces).toString(), 'x LONG y', `cut at ${cut}`);
    }
  }
});

test('a body that ends in the middle of a value is given out to its end', () => {
  const half = Buffer.from(`x ${VALUE.slice(0, 10)}`);
  assert.deepEqual(through(half, 4), half);
});

test('a header is cleaned as a whole', () => {
  assert.equal(scrub.text(`Bearer ${VALUE}; ü`), `Bearer ${MARK}; ü`);
});

test('a value that is only looked for in an answer is not used', async () => {
  const read: string[] = [];
  const injection = openInjection({
    bindings: () => [
      {
        name: 'forge',
        for: ['coder'],
        host: 'forge.example',
        ports: [443],
        methods: null,
        path: '/api/',
        header: 'authorization',
        format: 'Bearer {}',
        value: 'secret:forge',
      },
    ],
    resolve: async () => (read.push('used'), VALUE.replace('ä', 'a')),
    peek: async () => (read.push('looked for'), VALUE.replace('ä', 'a')),
    hide: () => undefined,
    key: Buffer.alloc(32),
    misdirected: () => undefined,
  });
  const request = async (agent: string, path: string): Promise<string[]> => {
    const parsed = parseTarget(`https://forge.example${path}`);
    assert.ok(parsed.ok);
    const { target } = parsed;
    const sent = await injection.outgoing({ agent, run: 'r', target, method: 'GET', headers: {}, body: null });
    assert.ok(sent.ok && sent.scrub !== null);
    return read.splice(0);
  };
  assert.deepEqual(await request('coder', '/api/x'), ['used', 'looked for']);
  assert.deepEqual(await request('coder', '/other'), ['looked for']);
  assert.deepEqual(await request('somebody', '/api/x'), ['looked for']);
});
