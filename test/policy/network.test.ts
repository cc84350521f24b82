import assert from 'node:assert/strict';
import { test } from 'node:test';
import ipaddr from 'ipaddr.js';
import fc from 'fast-check';
import { addressKind } from '../../src/core/net/address.ts';
import { decide } from '../../src/policy/decide.ts';
import { allow, ask, deny, facts, fetching } from './support.ts';

const PRIVATE = [
  'http://127.1',
  'http://127.0.0.1:8080/x',
  'http://0x7f.1/',
  'http://0x7f000001/',
  'http://0177.0.0.1/',
  'http://2130706433',
  'http://127.0.0.1./',
  'http://１２７.0.0.1/',
  'http://%31%32%37.0.0.1/',
  'http://[::1]/',
  'http://[0:0:0:0:0:0:0:1]/',
  'http://[::]/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::ffff:7f00:1]/',
  'http://[::127.0.0.1]/',
  'http://[64:ff9b::7f00:1]/',
  'http://[64:ff9b::8.8.8.8]/',
  'http://[64:ff9b:1::a00:1]/',
  'http://[2002:7f00:1::]/',
  'http://[2002:808:808::]/',
  'http://[2001:0:7f00:1::]/',
  'http://[2001:db8::1]/',
  'http://[fe80::1]/',
  'http://[fec0::1]/',
  'http://[fc00::1]/',
  'http://[fd12:3456::1]/',
  'http://[ff02::1]/',
  'http://[100::1]/',
  'http://localhost',
  'http://localhost./',
  'http://LOCALHOST:3000/',
  'http://loc\u00adalhost/',
  'http://a.localhost/',
  'http://printer.local/',
  'http://metadata/',
  'http://metadata.google.internal/',
  'http://nas.home.arpa/',
  'http://router.lan/',
  'http://169.254.169.254/latest/meta-data',
  'http://0.0.0.0/',
  'http://0/',
  'http://10.0.0.1/',
  'http://172.16.0.1/',
  'http://172.31.255.255/',
  'http://192.168.1.1/',
  'http://100.64.0.1/',
  'http://100.127.255.255/',
  'http://192.0.0.1/',
  'http://192.0.2.1/',
  'http://198.18.0.1/',
  'http://198.19.255.255/',
  'http://198.51.100.1/',
  'http://203.0.113.1/',
  'http://192.88.99.1/',
  'http://224.0.0.1/',
  'http://240.0.0.1/',
  'http://255.255.255.255/',
];

test('A36 every spelling of a private address is denied, whatever a glob allows', () => {
  assert.equal(PRIVATE.length, 57);
  const open = facts({ rules: [allow({}), allow({ tool: 'fetch' }), allow({ host: '*' }), allow({ host: '*.*' })] });
  for (const url of PRIVATE) {
    const { verdict, rule } = decide(fetching(url), open);
    assert.deepEqual([verdict, rule], ['deny', 'builtin:private-address'], url);
  }
  const edges = [
    '11.0.0.0',
    '9.255.255.255',
    '100.63.255.255',
    '100.128.0.0',
    '172.15.0.1',
    '172.32.0.0',
    '192.169.0.1',
  ];
  for (const host of [...edges, '198.17.0.1', '198.20.0.0', '223.255.255.255', '126.0.0.1', '[2606:4700::1111]'])
    assert.equal(decide(fetching(`http://${host}/`), open).verdict, 'allow', host);
});

test('A36 only a rule of ruche.yaml that names exactly this host opens a private one', () => {
  const rows: [host: string, url: string, opens: boolean][] = [
    ['127.0.0.1', 'http://127.0.0.1:8080/', true],
    ['127.0.0.1', 'http://127.1/', true],
    ['127.0.0.1', 'http://127.0.0.2/', false],
    ['127.0.0.1', 'http://localhost/', false],
    ['127.0.0.1', 'http://[::ffff:127.0.0.1]/', false],
    ['127.0.0.1:8080', 'http://127.0.0.1:8080/', true],
    ['127.0.0.1:8080', 'http://127.0.0.1/', false],
    ['127.0.0.1:*', 'http://127.0.0.1:1/', true],
    ['127.0.0.*', 'http://127.0.0.1/', false],
    ['local*', 'http://localhost/', false],
    ['localhost', 'http://localhost.:99/', true],
    ['LOCALHOST', 'http://localhost/', true],
    ['localhost', 'http://a.localhost/', false],
    ['::1', 'http://[::1]:5/', true],
    ['[::1]:5', 'http://[::1]:5/', true],
    ['[0:0::1]:5', 'http://[::1]:6/', false],
    ['nas.local:443', 'https://nas.local/', true],
    ['nas.local:443', 'http://nas.local/', false],
    ['169.254.169.254', 'http://169.254.169.254/', true],
  ];
  assert.equal(rows.length, 19);
  for (const [host, url, opens] of rows) {
    assert.equal(decide(fetching(url), facts({ rules: [allow({ host })] })).verdict, opens ? 'allow' : 'deny', url);
    assert.equal(decide(fetching(url), facts({ rules: [ask({ host })] })).verdict, opens ? 'ask' : 'deny', url);
  }
  const closed = facts({ rules: [allow({ host: 'localhost' }), deny({ host: 'localhost:22' })] });
  assert.equal(decide(fetching('http://localhost:22'), closed).verdict, 'deny');
  const elsewhere = facts({ rules: [allow({ host: 'localhost', tool: 'browser' })] });
  assert.equal(decide(fetching('http://localhost'), elsewhere).verdict, 'deny');
});

test('A41 hosts are compared whole and canonical', () => {
  const rows: [pattern: string, url: string, matches: boolean][] = [
    ['api.x.com', 'https://api.x.com/', true],
    ['api.x.com', 'https://API.X.COM./', true],
    ['api.x.com', 'https://api.x.com:8443/', true],
    ['api.x.com', 'https://api.x.com.evil.com/', false],
    ['api.x.com', 'https://evilapi.x.com/', false],
    ['api.x.com', 'https://api.x.comevil.com/', false],
    ['api.x.com', 'https://evil.com/api.x.com', false],
    ['api.x.com', 'https://evil.com/?api.x.com', false],
    ['api.x.com', 'https://evil.com#@api.x.com', false],
    ['api.x.com', 'https:\\\\evil.com\\@api.x.com', false],
    ['api.x.com', 'https://apiXx.com', false],
    ['x.com', 'https://api.x.com/', false],
    ['*.x.com', 'https://a.b.x.com/', true],
    ['*.x.com', 'https://x.com/', false],
    ['*.x.com', 'https://x.com.evil.com/', false],
    ['api.?.com', 'https://api.y.com/', true],
    ['bücher.example.com', 'https://xn--bcher-kva.example.com/', true],
    ['*.bücher.com', 'https://a.xn--bcher-kva.com/', true],
    ['аpple.com', 'https://apple.com/', false],
    ['x.com:443', 'https://x.com/', true],
    ['x.com:443', 'http://x.com/', false],
    ['x.com:80', 'http://x.com:80/', true],
  ];
  assert.equal(rows.length, 22);
  for (const [host, url, matches] of rows)
    assert.equal(decide(fetching(url), facts({ rules: [allow({ host })] })).verdict, matches ? 'allow' : 'ask', url);
});

test('A41 URLs that no rule can open', () => {
  const open = facts({ rules: [allow({}), allow({ host: '*' })] });
  const urls = [
    'https://x.com@evil.com/',
    'https://user:pass@x.com/',
    'https://:pass@x.com/',
    'ftp://x.com/',
    'file:///etc/passwd',
    'data:text/html,hi',
    'javascript:alert(1)',
    'gopher://x.com/',
    'ws://x.com/',
    'blob:https://x.com/1',
    'x.com/path',
    '//x.com/',
    'https://',
    'https://a..b.com/',
    'https://x.com../',
    'http://[fe80::1%25eth0]/',
    `https://x.com/${'a'.repeat(9000)}`,
    '',
  ];
  assert.equal(urls.length, 18);
  for (const url of urls) {
    const { verdict, rule } = decide(fetching(url), open);
    assert.deepEqual([verdict, rule], ['deny', 'builtin:url'], url);
  }
});

test('the ranges agree with a second list of them', () => {
  let open = 0;
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const ours = addressKind(text);
      assert.notEqual(ours, null, text);
      if (ours !== 'public') return;
      open++;
      assert.equal(ipaddr.parse(text).range(), 'unicast', text);
    }),
    { numRuns: 3000 },
  );
  assert.ok(open > 300, `${open} public ones`);
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    '1.2.3.4x',
    '::g',
    '1::2::3',
    'x.org',
    '[::1]',
  ])
    assert.equal(addressKind(text), null, text);
  assert.equal(addressKind('fe80::1%eth0'), 'link-local');
});
