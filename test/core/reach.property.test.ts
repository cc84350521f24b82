import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  commonReach,
  connectionTo,
  entriesFor,
  isInspected,
  misleading,
  overridesRequest,
  parseReach,
  plainPath,
  type Reach,
  reaches,
  reachText,
  type ReachSource,
  reachVerdict,
  type Use,
} from '../../src/core/net/reach.ts';
import { tries } from '../fakes/effort.ts';

const RUNS = tries(500, 5000);
const HOSTS = ['x.org', 'a.x.org', 'b.a.x.org', 'y.org', 'x.y.org', '10.0.0.1', '::1'];
const PATTERNS = [
  'x.org',
  'a.x.org',
  '*.x.org',
  '*.a.x.org',
  '*.org',
  '*',
  'y.org',
  '10.0.0.1',
  '[::1]',
  'a?x.*',
  '?.*.org',
  'x.*',
];
const PATHS = ['/', '/a', '/a/', '/a/b', '/ab', '/a/b/c', '/c', '/a/%62', '/c/..', '/a//b', '/a%2fb', '/A'];
const PREFIXES = ['/', '/a', '/a/', '/a/b', '/c'];

const sources: fc.Arbitrary<ReachSource> = fc.record(
  {
    host: fc.constantFrom(...PATTERNS),
    ports: fc.subarray([80, 443, 8443], { minLength: 1 }),
    methods: fc.subarray(['GET', 'POST', 'PUT'], { minLength: 1 }),
    paths: fc.subarray(PREFIXES, { minLength: 1 }),
    ask: fc.boolean(),
  },
  { requiredKeys: ['host'] },
);
const read = (source: string | ReachSource): Reach => {
  const reach = parseReach(source);
  assert.ok(reach, JSON.stringify(source));
  return reach;
};
const lists = fc.array(sources.map(read), { maxLength: 4 });
const uses: fc.Arbitrary<Use> = fc.record({
  host: fc.constantFrom(...HOSTS),
  port: fc.constantFrom(80, 443, 8443, 22),
  http: fc.option(
    fc.record({ method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'), path: fc.constantFrom(...PATHS) }),
  ),
});

const stricter = (a: 'allow' | 'ask' | null, b: 'allow' | 'ask' | null): 'allow' | 'ask' | null =>
  a === null || b === null ? null : a === 'ask' || b === 'ask' ? 'ask' : 'allow';

test('two lists in common say what the stricter of them says, whatever is used and however they are written', () => {
  const seen = { allow: 0, ask: 0, null: 0 };
  fc.assert(
    fc.property(lists, lists, uses, (a, b, use) => {
      const common = commonReach(a, b);
      assert.ok(common);
      const expected = stricter(reachVerdict(a, use), reachVerdict(b, use));
      assert.equal(reachVerdict(common, use), expected);
      assert.equal(reachVerdict(commonReach(b, a) ?? [], use), expected);
      assert.equal(reachVerdict(commonReach(common, a) ?? [], use), expected);
      seen[expected ?? 'null']++;
    }),
    RUNS,
  );
  for (const [verdict, count] of Object.entries(seen)) assert.ok(count > 0, verdict);
});

test('what may be connected to unseen may be used for anything, and what is looked into for something', () => {
  fc.assert(
    fc.property(lists, uses, (list, use) => {
      const way = connectionTo(list, use);
      if (way === 'open') assert.equal(reachVerdict(list, use), 'allow');
      if (way === null) assert.notEqual(reachVerdict(list, use), 'allow');
      assert.equal(way === 'inspect' && !entriesFor(list, use).some(isInspected), false);
    }),
    RUNS,
  );
});

test('an entry is what its text says', () => {
  const rows: [entry: string | ReachSource, url: string, verdict: 'allow' | 'ask' | null, method?: string][] = [
    ['x.org', 'https://x.org/any', 'allow'],
    ['x.org', 'https://a.x.org/', null],
    ['X.org.', 'https://x.org/', 'allow'],
    ['bücher.example', 'https://xn--bcher-kva.example/', 'allow'],
    ['*.x.org', 'https://b.a.x.org/', 'allow'],
    ['*.x.org', 'https://x.org/', null],
    ['*.x.org', 'https://notx.org/', null],
    ['x.org:8443', 'https://x.org:8443/', 'allow'],
    ['x.org:8443', 'https://x.org/', null],
    [{ host: 'x.org', ports: [443, 8443] }, 'https://x.org:8443/', 'allow'],
    [{ host: 'x.org', ask: true }, 'https://x.org/', 'ask'],
    [{ host: 'x.org', methods: ['get'] }, 'https://x.org/', 'allow'],
    [{ host: 'x.org', methods: ['GET'] }, 'https://x.org/', null, 'POST'],
    [{ host: 'x.org', paths: ['/repos/our'] }, 'https://x.org/repos/our', 'allow'],
    [{ host: 'x.org', paths: ['/repos/our'] }, 'https://x.org/repos/our/x?y=/../', 'allow'],
    [{ host: 'x.org', paths: ['/repos/our'] }, 'https://x.org/repos/ourselves', null],
    [{ host: 'x.org', paths: ['/repos/our/'] }, 'https://x.org/repos/our', null],
    [{ host: 'x.org', paths: ['/repos/our/'] }, 'https://x.org/repos/our/../theirs', null],
    [{ host: 'x.org', paths: ['/grüße'] }, 'https://x.org/gr%C3%BC%C3%9Fe/1', 'allow'],
  ];
  for (const [entry, text, verdict, method = 'GET'] of rows) {
    const url = new URL(text);
    const use = { host: url.hostname, port: Number(url.port) || 443, http: { method, path: url.pathname } };
    assert.equal(reachVerdict([read(entry)], use), verdict, `${JSON.stringify(entry)} ${text}`);
  }
  for (const bad of [
    '',
    'https://x.org',
    'x.org/path',
    'a@b',
    { host: 'x.org:443' },
    { host: 'x.org', paths: ['/a/../b'] },
  ])
    assert.equal(parseReach(bad), null, JSON.stringify(bad));
  assert.throws(() => reaches('https://x.org'), /not host or host:port/);
});

test('a path that servers read in two ways fits no entry, and is refused where paths are told apart', () => {
  const odd = [
    '/a/../b',
    '/a/%2e%2e/b',
    '/a/.%2E/b',
    '/a/%252e%252e/b',
    '/a%2fb',
    '/a%5cb',
    '/a\\b',
    '/a//b',
    '//a',
    '/a/./b',

    '/a/..;/b',
    '/a;x=1/b',
    '/a/%00',
    '/a/%0a',
    '/a/%c0%ae%c0%ae/b',
    '/a/%',
    '/a/%zz',
    'a',
    '',
    '/a/.. /b',
    '/a/...',
    '/a/%E2%80%A5/b',
    '/a/%EF%BC%8E%EF%BC%8E/b',
    '/a%EF%BC%8Fb',
    '/a/%EF%BC%85%32%65/b',
  ];
  const list = [read('x.org'), read({ host: 'x.org', paths: ['/a'], ask: true })];
  for (const path of odd) {
    assert.equal(plainPath(path), null, path);
    assert.equal(reachVerdict(list, { host: 'x.org', port: 443, http: { method: 'GET', path } }), null, path);
  }
  for (const path of ['/', '/a', '/a/', '/a/b.c', '/.well-known/x', '/a%20b', '/~u', '/%C3%BC', '/a..b', '/a:b@c'])
    assert.notEqual(plainPath(path), null, path);
  fc.assert(
    fc.property(fc.webPath(), (path) => {
      const plain = plainPath(path);
      if (plain === null) return;
      // The URL parser, which every client has, finds the same path in it.
      assert.equal(decodeURIComponent(new URL(`http://x${path}`).pathname), plain);
    }),
    tries(100, 2000),
  );
});

test('headers that name another method or path are known', () => {
  for (const header of [
    'X-HTTP-Method-Override',
    'x-method-override',
    'X-HTTP-Method',
    'x-original-url',
    'X-Rewrite-URL',
    'X_HTTP_Method_Override',
    'x_original-url',
    'X-Original-Method',
    'X-Envoy-Original-Path',
    'X-Request-URI',
  ])
    assert.ok(overridesRequest(header), header);
  for (const header of ['accept', 'x-method', 'x-request-id', 'content-type'])
    assert.equal(overridesRequest(header), header === 'x-method', header);
});

test('where WebDAV copies to is another path, which entries for paths do not give', () => {
  const [methods, paths] = [read({ host: 'x.org', methods: ['MOVE'] }), read({ host: 'x.org', paths: ['/mine/'] })];
  assert.equal(misleading(['accept', 'destination'], [methods]), undefined);
  assert.equal(misleading(['accept', 'Destination'], [methods, paths]), 'Destination');
  assert.equal(misleading(['x-http_method-override'], [methods]), 'x-http_method-override');
  assert.equal(misleading(['x-http-method-override'], [read('x.org')]), undefined);
});

test('an entry is shown as a person reads it', () => {
  assert.equal(reachText(read('*.x.org:443')), '*.x.org:443');
  assert.equal(reachText(read('::1')), '[::1]');
  const full = { host: 'x.org', ports: [1, 2], methods: ['get', 'put'], paths: ['/a/'], ask: true };
  assert.equal(reachText(read(full)), 'x.org:1,2 (GET/PUT, /a/, asks)');
});
