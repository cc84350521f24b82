import assert from 'node:assert/strict';
import { test } from 'node:test';
import ipaddr from 'ipaddr.js';
import fc from 'fast-check';
import { addressKind } from '../../src/core/net/address.ts';
import { parseReach, reaches, type ReachSource } from '../../src/core/net/reach.ts';
import type { PolicyFacts } from '../../src/core/policy.ts';
import { decide } from '../../src/policy/decide.ts';
import { redirectPolicy } from '../../src/policy/grant.ts';
import { allow, ask, check, deny, facts, fetching, type Row, shell } from './support.ts';

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

test("an agent's own list gives leave for what it names, and nothing that is stricter is lifted by it", () => {
  const own = (...entries: (string | ReachSource)[]): Partial<PolicyFacts> => ({
    network: entries.flatMap((entry) => parseReach(entry) ?? []),
    leave: true,
  });
  const url = 'https://x.org/repos/our/1';
  const both = { labels: ['private', 'untrusted'] as const };
  const inside = { settingsNetwork: reaches('127.0.0.1:9') };
  const rows: Row[] = [
    ['listed', fetching(url), facts(own('x.org')), 'allow', 'builtin:agent-network'],
    ['not listed', fetching('https://y.org/'), facts(own('x.org')), 'deny', 'builtin:agent-network'],
    ['listed with ask', fetching(url), facts(own({ host: 'x.org', ask: true })), 'ask', 'builtin:network-asks'],
    ['ask beats allow', fetching(url), facts(own('*.org', { host: 'x.org', ask: true })), 'ask'],
    [
      'ask beats an allow rule',
      fetching(url),
      facts({ ...own({ host: 'x.org', ask: true }), rules: [allow({ host: 'x.org' })] }),
      'ask',
    ],
    ['a rule asks', fetching(url), facts({ ...own('x.org'), rules: [ask({ host: 'x.org' })] }), 'ask'],
    ['a rule denies', fetching(url), facts({ ...own('x.org'), agentRules: [deny({ tool: 'fetch' })] }), 'deny'],
    ['labels ask', fetching(url), facts({ ...own('x.org'), ...both }), 'ask', 'builtin:rule-of-two'],
    ['method', fetching(url), facts(own({ host: 'x.org', methods: ['POST'] })), 'deny'],
    ['method given', { ...fetching(url), method: 'post' }, facts(own({ host: 'x.org', methods: ['POST'] })), 'allow'],
    ['path', fetching(url), facts(own({ host: 'x.org', paths: ['/repos/our/'] })), 'allow'],
    ['other path', fetching(url), facts(own({ host: 'x.org', paths: ['/repos/their/'] })), 'deny'],
    ['odd path', fetching('https://x.org/a/%2e%2e%2fb'), facts(own({ host: 'x.org', paths: ['/'] })), 'deny'],
    ['private', fetching('http://127.0.0.1:9/'), facts(own('127.0.0.1:9')), 'deny', 'builtin:private-address'],
    ['private, opened', fetching('http://127.0.0.1:9/'), facts({ ...own('127.0.0.1:9'), ...inside }), 'allow'],
    ['private, other port', fetching('http://127.0.0.1:8/'), facts({ ...own('127.0.0.1'), ...inside }), 'deny'],
    ['private, opened, not listed', fetching('http://127.0.0.1:9/'), facts({ ...own('x.org'), ...inside }), 'deny'],
    ['private by ruche.yaml alone', fetching('http://127.0.0.1:9/'), facts({ network: null, ...inside }), 'ask'],
    ['private by a glob', fetching('http://127.0.0.1/'), facts({ ...own('*'), settingsNetwork: reaches('*') }), 'deny'],
  ];
  check(rows, 19);
});

test('a command that reaches hosts asks once the run holds private data, and says where it gets', () => {
  const own = { network: reaches('x.org'), leave: true };
  const asks = { network: [{ ...reaches('x.org')[0]!, verdict: 'ask' as const }], leave: true };
  const rows: Row[] = [
    ['nothing private', shell('ls'), facts({ ...own, labels: ['untrusted'] }), 'allow'],
    ['private', shell('ls'), facts({ ...own, labels: ['private'] }), 'ask', 'builtin:rule-of-two'],
    [
      'private, whatever a rule allows',
      shell('ls'),
      facts({ ...own, labels: ['private'], rules: [allow({ command: 'ls' })] }),
      'ask',
    ],
    ['no list', shell('ls'), facts({ labels: ['private', 'untrusted'] }), 'allow'],
    ['only that of ruche.yaml', shell('ls'), facts({ ...own, leave: false, labels: ['private'] }), 'allow'],
    ['only what asks', shell('ls'), facts({ ...asks, labels: ['private'] }), 'allow'],
  ];
  check(rows, 6);
  assert.match(decide(shell('ls'), facts(own)).reason, /with the agent's network list/);
  assert.match(decide(shell('ls'), facts({})).reason, /without network/);
});

test('a redirect to a part of a host that is asked for needs leave of its own', () => {
  const network = [...reaches('x.org'), parseReach({ host: 'x.org', paths: ['/admin'], ask: true })!];
  const list = facts({ network, leave: true });
  const from = (url: string): ((to: string) => string | null) => redirectPolicy(fetching(url), list);
  assert.equal(from('https://x.org/')('https://x.org/b'), null);
  assert.match(from('https://x.org/')('https://x.org/admin/x') ?? '', /needs an approval of its own/);
  assert.equal(from('https://x.org/admin')('https://x.org/admin/x'), null);
  assert.match(from('https://x.org/')('https://y.org/') ?? '', /not in the agent's network list/);
});

test('a list of * names every public host, and no private one', () => {
  const all = facts({ network: reaches('*'), leave: true });
  assert.equal(decide(fetching('https://x.org/'), all).verdict, 'allow');
  assert.equal(decide(fetching('https://127.0.0.1/'), all).verdict, 'deny');
});

test('a denial says which list lacks the host, or that another port, method or path of it is listed', () => {
  const network = [...reaches('x.org:8443'), parseReach({ host: 'y.org', methods: ['GET'], paths: ['/a'] })!];
  const rows: [url: string, said: string, more?: object][] = [
    ['https://x.org:9000/', "x.org:9000 is not in the agent's network list."],
    ['https://z.org/', "z.org is not in the agent's network list."],
    ['https://z.org/', 'z.org is not in the network list of ruche.yaml.', { settingsNetwork: reaches('x.org') }],
    ['https://y.org/b', 'The network list has y.org, but not this path or not the method GET.'],
  ];
  for (const [url, said, more] of rows)
    assert.equal(decide(fetching(url), facts({ network, leave: true, ...more })).reason, said);
});
