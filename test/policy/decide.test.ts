import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reaches } from '../../src/core/net/reach.ts';
import type { PolicyCall, PolicyFacts } from '../../src/core/policy.ts';
import { decide } from '../../src/policy/decide.ts';
import { hiddenPath, netGrant, redirectPolicy } from '../../src/policy/grant.ts';
import { ruleProblem } from '../../src/policy/rules.ts';
import {
  allow,
  ask,
  check,
  deny,
  facts,
  fetching,
  mailing,
  reading,
  type Row,
  rule,
  shell,
  TOOLS,
  writing,
} from './support.ts';
import { workClock } from '../fakes/work-ms.ts';

test('the built-in defaults, where no rule speaks', () => {
  check(
    [
      ['read', reading('notes.md'), facts(), 'allow', 'builtin:workspace-files'],
      ['write', writing('a/b.md'), facts(), 'allow', 'builtin:workspace-files'],
      ['list of the root', reading(''), facts(), 'allow', 'builtin:workspace-files'],
      ['what the shell calls it', reading('/workspace/a'), facts(), 'allow', 'builtin:workspace-files'],
      ['a file sent away', mailing({ paths: ['a'] }), facts(), 'ask', 'builtin:unknown'],
      ['sent away with nothing known', mailing(), facts(), 'ask', 'builtin:unknown'],
      ['ask', { tool: 'ask', effect: 'read', question: true }, facts(), 'allow', 'builtin:question'],
      ['nothing but a name', { tool: 'ask', effect: 'read' }, facts(), 'ask', 'builtin:unknown'],
      ['a question that sends', mailing({ question: true }), facts(), 'ask', 'builtin:unknown'],
      [
        'a question about a command',
        { ...shell('ls'), question: true },
        facts({ sandboxed: false }),
        'ask',
        'builtin:unsandboxed-shell',
      ],
      ['sandboxed shell', shell('rm -rf x; $(y)'), facts(), 'allow', 'builtin:sandboxed-shell'],
      ['sandboxed shell, empty', shell(''), facts(), 'allow', 'builtin:sandboxed-shell'],
      ['bare shell', shell('ls'), facts({ sandboxed: false }), 'ask', 'builtin:unsandboxed-shell'],
      ['bare shell, empty', shell(''), facts({ sandboxed: false }), 'ask', 'builtin:unsandboxed-shell'],
      ['exec without a command', { tool: 'shell', effect: 'exec' }, facts(), 'ask', 'builtin:unknown'],
      ['exec of a path', { tool: 'shell', effect: 'exec', paths: ['a'] }, facts(), 'ask', 'builtin:unknown'],
      ['read of nothing', { tool: 'read', effect: 'read', paths: [] }, facts(), 'ask', 'builtin:unknown'],
      ['public network', fetching('https://example.org/x'), facts(), 'ask', 'builtin:public-network'],
      ['public address', fetching('http://93.184.216.34/'), facts(), 'ask', 'builtin:public-network'],
      ['tool not listed', reading('a'), facts({ tools: ['write'] }), 'deny', 'builtin:agent-tools'],
      ['no tools', reading('a'), facts({ tools: [] }), 'deny', 'builtin:agent-tools'],
    ],
    21,
  );
});

test('A21 A22 policy is not a tool: an unknown name is denied, whatever lists and rules say', () => {
  const wide = facts({ tools: [...TOOLS, 'config.patch', 'approve all'], rules: [allow({})] });
  check(
    [
      ['A22', { tool: 'config.patch', effect: 'write' }, facts(), 'deny', 'builtin:unknown-tool'],
      ['A22 listed', { tool: 'config.patch', effect: 'write' }, wide, 'deny', 'builtin:unknown-tool'],
      ['spaces', { tool: 'approve all', effect: 'write' }, wide, 'deny', 'builtin:unknown-tool'],
      ['empty', { tool: '', effect: 'read' }, wide, 'deny', 'builtin:unknown-tool'],
      ['not in the list', { tool: 'policy_set', effect: 'write' }, wide, 'deny', 'builtin:agent-tools'],
      ['prototype', { tool: 'constructor', effect: 'read' }, wide, 'deny', 'builtin:agent-tools'],
      [
        'A21',
        { ...fetching('https://example.org'), approved: true, approvalId: 'apr_1' } as PolicyCall,
        facts(),
        'ask',
        'builtin:public-network',
      ],
    ],
    7,
  );
});

test('A30 no rule opens a path outside the workspace, or .git', () => {
  const open = facts({ rules: [allow({}), allow({ path: '**' }), allow({ path: '../**' })] });
  const bad = [
    '../x',
    '/etc/passwd',
    '~/x',
    'a/../../x',
    'a\0',
    '%2e%2e/x',
    '.git/config',
    'sub/.GIT/hooks/x',
    'C:\\x',
  ];
  assert.equal(bad.length, 9);
  for (const path of bad) {
    for (const call of [reading(path), writing('fine.md', path), mailing({ paths: [path] })]) {
      const decision = decide(call, open);
      assert.deepEqual([decision.verdict, decision.rule], ['deny', 'builtin:outside-workspace'], path);
    }
  }
  assert.match(decide(reading('a\u001b[31m\u202e/../../x'), open).reason, /\\u\{1b\}\[31m\\u\{202e\}/);
});

test('rules: every given field must match, and a field that cannot apply does not', () => {
  const on = (...rules: PolicyFacts['rules'][number][]): PolicyFacts => facts({ rules });
  check(
    [
      ['no field at all', reading('a'), on(deny({})), 'deny'],
      ['tool', reading('a'), on(deny({ tool: 'read' })), 'deny'],
      ['tool, other', reading('a'), on(deny({ tool: 'write' })), 'allow'],
      ['tool glob', reading('a'), on(deny({ tool: 'rea*' })), 'deny'],
      ['effect', writing('a'), on(deny({ effect: 'write' })), 'deny'],
      ['effect, other', reading('a'), on(deny({ effect: 'write' })), 'allow'],
      ['path', writing('contracts/a.md'), on(ask({ tool: 'write', path: 'contracts/**' })), 'ask'],
      ['path, other', writing('notes/a.md'), on(ask({ tool: 'write', path: 'contracts/**' })), 'allow'],
      ['path of another tool', reading('contracts/a'), on(ask({ tool: 'write', path: 'contracts/**' })), 'allow'],
      ['path rule on a command', shell('cat contracts/a'), on(deny({ path: 'contracts/**' })), 'allow'],
      ['host rule on a path', reading('example.org'), on(deny({ host: 'example.org' })), 'allow'],
      ['command rule on a path', reading('rm'), on(deny({ command: '*' })), 'allow'],
      ['path and host, only a path', reading('a'), on(deny({ path: 'a', host: 'x.org' })), 'allow'],
      [
        'path and host, both',
        mailing({ paths: ['a'], url: 'https://x.org' }),
        on(deny({ path: 'a', host: 'x.org' })),
        'deny',
      ],
      ['deny beats allow', reading('a'), on(allow({ path: 'a' }), deny({ path: 'a' })), 'deny'],
      ['deny beats ask', reading('a'), on(ask({ path: 'a' }), deny({ path: '*' })), 'deny'],
      ['ask beats allow', reading('a'), on(allow({ path: 'a' }), ask({ path: '*' })), 'ask'],
      ['allow lifts ask-by-default', fetching('https://x.org'), on(allow({ host: 'x.org' })), 'allow'],
      ['allow of a tool lifts too', fetching('https://x.org'), on(allow({ tool: 'fetch' })), 'allow'],
      ['allow of a send', mailing(), on(allow({ tool: 'mail' })), 'allow'],
      ['allow of an effect', mailing(), on(allow({ effect: 'send' })), 'allow'],
      [
        'an allow speaks only for what it names: path',
        mailing({ paths: ['a'], url: 'https://x.org' }),
        on(allow({ path: 'a' })),
        'ask',
      ],
      [
        'an allow speaks only for what it names: host',
        mailing({ paths: ['a'], url: 'https://x.org' }),
        on(allow({ host: 'x.org' })),
        'ask',
      ],
      [
        'all parts allowed',
        mailing({ paths: ['a'], url: 'https://x.org' }),
        on(allow({ path: 'a' }), allow({ host: 'x.org' }), allow({ tool: 'mail' })),
        'allow',
      ],
      [
        'allow of a path to a host covers neither alone',
        mailing({ paths: ['a', 'b'], url: 'https://x.org' }),
        on(allow({ tool: 'mail', path: 'a', host: 'x.org' })),
        'ask',
      ],
      [
        'files written and sent in one call: a path says nothing of the host',
        { ...mailing({ paths: ['a'], url: 'https://x.org' }), effect: 'write' },
        on(allow({ path: 'a' })),
        'ask',
        'builtin:public-network',
      ],
      [
        'a rule for one path to a host does not open the host for another path',
        { ...mailing({ paths: ['a', 'b'], url: 'https://x.org' }), effect: 'write' },
        on(allow({ path: 'a', host: 'x.org' })),
        'ask',
        'builtin:public-network',
      ],
      [
        'nor a rule for one command',
        { ...shell('ls; rm a'), url: 'https://x.org' },
        on(allow({ command: 'ls', host: 'x.org' })),
        'ask',
        'builtin:public-network',
      ],
      [
        'for all of them it does',
        { ...shell('ls; ls'), url: 'https://x.org' },
        on(allow({ command: 'ls', host: 'x.org' })),
        'allow',
      ],
      ['a send is no host', mailing({ url: 'https://x.org' }), on(allow({ host: 'x.org' })), 'ask', 'builtin:unknown'],
      [
        'without a sandbox, what is no command',
        fetching('https://x.org'),
        { ...on(allow({ tool: 'fetch' })), sandboxed: false },
        'allow',
      ],
      ['several paths, one denied', writing('a', 'b'), on(deny({ path: 'b' }), ask({ path: 'a' })), 'deny'],
      ['several paths, one asked', writing('a', 'b'), on(ask({ path: 'b' }), allow({ path: 'a' })), 'ask'],
      ['several paths, all allowed', writing('a', 'b'), on(allow({ path: 'a' })), 'allow'],
    ],
    34,
  );
});

test('path patterns', () => {
  const rows: [pattern: string, path: string, matches: boolean][] = [
    ['archive/**', 'archive', true],
    ['archive/**', 'archive/a/b', true],
    ['archive/**', 'archives/a', false],
    ['archive/', 'archive/a', true],
    ['archive/*', 'archive/a', true],
    ['archive/*', 'archive/a/b', false],
    ['*', 'a/b', false],
    ['*.md', '.hidden.md', true],
    ['**/*.md', 'a.md', true],
    ['**/*.md', 'a/b/c.md', true],
    ['a/**/z', 'a/z', true],
    ['a/**/z', 'a/b/c/z', true],
    ['a/**/z', 'a/b/zz', false],
    ['**/b/**/c', 'b/b/a/c', true],
    ['?.md', 'a.md', true],
    ['?.md', 'ab.md', false],
    ['A.md', 'a.md', false],
    ['{a,b}', 'a', false],
    ['{a,b}', '{a,b}', true],
    ['!(a)', 'b', false],
    ['[ab]', 'a', false],
    ['./a/./b', 'a/b', true],
    ['caf\u00e9/**', 'cafe\u0301/x', true],
    ['a*b*c*d', 'aXbXcXd', true],
    ['a*b*c*d', 'aXbXdXc', false],
    ['with space/**', 'with space/a\nb', true],
  ];
  assert.equal(rows.length, 26);
  for (const [pattern, path, matches] of rows) {
    const { verdict } = decide(reading(path), facts({ rules: [deny({ path: pattern })] }));
    assert.equal(verdict, matches ? 'deny' : 'allow', `${pattern} on ${path}`);
  }
});

test('a pattern built to make matchers slow is answered at once', () => {
  const worked = workClock();
  const nasty = `${'a*'.repeat(500)}b`;
  for (const path of ['a'.repeat(255), `${'a'.repeat(250)}/`.repeat(16)]) {
    decide(reading(path), facts({ rules: [deny({ path: nasty }), deny({ path: `${'**/a'.repeat(250)}x` })] }));
    decide(shell(path), facts({ rules: [deny({ command: nasty })] }));
  }
  decide(fetching(`http://${'a'.repeat(200)}.org`), facts({ rules: [deny({ host: `${'a*'.repeat(100)}b` })] }));
  for (const unit of [':', '[', '.', '*', 'a:', '::1'])
    for (const tail of ['', '/', ':'])
      decide(
        fetching('http://x.org'),
        facts({
          network: [{ host: unit.repeat(300) + tail, ports: null, methods: null, paths: null, verdict: 'allow' }],
        }),
      );
  assert.ok(worked() < 2000);
});

test('a rule that cannot be read closes what it could have meant, and opens nothing', () => {
  const long = 'a'.repeat(2000);
  const broken = [{ path: long }, { path: '../a/**' }, { path: ' ' }, { host: 'https://x.org/' }, { command: long }];
  const calls = [reading('a'), reading('a'), reading('a'), fetching('https://y.org'), shell('ls')];
  assert.equal(broken.length, calls.length);
  broken.forEach((match, index) => {
    const call = calls[index] as PolicyCall;
    assert.ok(ruleProblem(deny(match)), JSON.stringify(match));
    assert.equal(decide(call, facts({ rules: [deny(match)] })).verdict, 'deny');
    assert.equal(decide(call, facts({ rules: [ask(match)] })).verdict, 'ask');
    const before = decide(call, facts({ sandboxed: false }));
    assert.deepEqual(decide(call, facts({ sandboxed: false, rules: [allow(match)] })), before);
  });
  const endless = facts({ sandboxed: false, rules: [allow({ command: '*'.repeat(2000) })] });
  assert.equal(decide(shell('ls'), endless).verdict, 'ask');
  for (const host of [
    'x.org:0',
    'x.org:65536',
    'x.org:a',
    '[::1',
    '::1:x',
    'a b',
    '.',
    `${'a'.repeat(2000)}.org`,
    'a..b',
  ])
    assert.ok(ruleProblem(allow({ host })), host);
  for (const host of ['x.org:1', 'x.org:65535', 'x.org.', '[::1]:*', '::', '1.2.3.4', '*'])
    assert.equal(ruleProblem(allow({ host })), null, host);
  assert.ok(ruleProblem(allow({ tool: '' })));
  assert.equal(ruleProblem(allow({ tool: 'read', path: 'a/**', command: 'ls *', host: '*.x.org:443' })), null);
});

test('A53 rules of an agent only narrow', () => {
  const rows: Row[] = [
    ['allow is ignored', fetching('https://x.org'), facts({ agentRules: [allow({})] }), 'ask'],
    [
      'allow against a deny',
      reading('a'),
      facts({ rules: [deny({ path: 'a' })], agentRules: [allow({ path: 'a' })] }),
      'deny',
    ],
    ['allow for a bare shell', shell('ls'), facts({ sandboxed: false, agentRules: [allow({ command: 'ls' })] }), 'ask'],
    ['deny counts', reading('a'), facts({ rules: [allow({})], agentRules: [deny({ path: 'a' })] }), 'deny'],
    ['ask counts', reading('a'), facts({ rules: [allow({})], agentRules: [ask({ path: 'a' })] }), 'ask'],
    [
      'an agent cannot open a private host',
      fetching('http://127.0.0.1:9/'),
      facts({ agentRules: [allow({ host: '127.0.0.1' }), ask({ host: '127.0.0.1' })] }),
      'deny',
    ],
    [
      'network list: inside',
      fetching('https://x.org'),
      facts({ network: reaches('x.org'), rules: [allow({ tool: 'fetch' })] }),
      'allow',
    ],
    [
      'network list: outside',
      fetching('https://y.org'),
      facts({ network: reaches('x.org'), rules: [allow({ tool: 'fetch' })] }),
      'deny',
      'builtin:agent-network',
    ],
    [
      'network list that only bounds: asked as ever',
      fetching('https://x.org'),
      facts({ network: reaches('x.org') }),
      'ask',
    ],
    ['network list: port', fetching('https://x.org:8443'), facts({ network: reaches('x.org:443') }), 'deny'],
    ['network list: default port', fetching('https://x.org'), facts({ network: reaches('x.org:443') }), 'ask'],
    ['network list: empty', fetching('https://x.org'), facts({ network: [], rules: [allow({})] }), 'deny'],
    ['network list: glob', fetching('https://a.b.x.org'), facts({ network: reaches('*.x.org') }), 'ask'],
    [
      'network list opens nothing private',
      fetching('http://localhost'),
      facts({ network: reaches('localhost') }),
      'deny',
    ],
  ];
  check(rows, 14);
});

test('the verdict names the rule, and a rule without a reason still gets one', () => {
  const named = rule('deny', { path: 'a' }, 'The archive is read-only.');
  assert.deepEqual(decide(reading('a'), facts({ rules: [named] })), {
    verdict: 'deny',
    rule: named.id,
    reason: 'The archive is read-only.',
  });
  const silent = rule('ask', { path: 'a' }, ' ');
  assert.equal(decide(reading('a'), facts({ rules: [silent] })).reason, 'A rule of ruche.yaml says ask.');
  assert.equal(decide(reading('a'), facts({ agentRules: [silent] })).reason, 'A rule of the agent says ask.');
});

test('A55 private data and text from outside in one run: what would be allowed to leave is asked', () => {
  const open = [allow({ host: 'x.org' }), allow({ tool: 'mail' }), allow({ host: '127.0.0.1:8080' })];
  const both = facts({ rules: open, labels: ['private', 'untrusted'] });
  const flow = 'builtin:rule-of-two';
  check(
    [
      ['fetch', fetching('https://x.org'), both, 'ask', flow],
      ['send', mailing(), both, 'ask', flow],
      ['private host', fetching('http://127.0.0.1:8080/'), both, 'ask', flow],
      ['only untrusted', fetching('https://x.org'), { ...both, labels: ['untrusted'] }, 'allow'],
      ['only private', fetching('https://x.org'), { ...both, labels: ['private'] }, 'allow'],
      ['files stay', writing('a'), both, 'allow'],
      ['shell without network stays', shell('ls'), both, 'allow'],
      ['a deny stays', fetching('http://127.0.0.1:8081/'), both, 'deny'],
    ],
    8,
  );
});

test('what a whole-tree tool may not show', () => {
  const rules = [deny({ path: 'secrets/**' }), ask({ tool: 'search', path: 'contracts/**' })];
  const search = (path: string): PolicyCall => ({ tool: 'search', effect: 'read', paths: [path] });
  const root = hiddenPath(search(''), facts({ rules }));
  assert.deepEqual(['a.md', 'secrets/a', 'contracts/a', '../x'].map(root), [false, true, true, true]);
  const asked = hiddenPath(search('contracts'), facts({ rules }));
  assert.deepEqual(['contracts/a', 'secrets/a'].map(asked), [false, true]);
});

test('what the guard may open for a run', () => {
  const rules = [
    allow({ host: 'localhost:8080' }),
    ask({ host: '[::1]:9000' }),
    ask({ tool: 'fetch', host: '::1' }),
    allow({ host: '10.0.0.5' }),
    allow({ host: '10.0.0.5' }),
    allow({ host: 'NAS.local.' }),
    allow({ host: 'api.example.org' }),
    allow({ host: '10.*' }),
    allow({ host: '*' }),
    deny({ host: '10.0.0.6' }),
    allow({ host: '10.0.0.7', path: '../x' }),
    allow({ tool: 'fetch' }),
  ];
  assert.deepEqual(netGrant(facts({ rules, agentRules: [allow({ host: '10.0.0.8' })] })), {
    privateHosts: ['localhost:8080', '[::1]:9000', '[::1]', '10.0.0.5', 'nas.local'],
    only: null,
  });
  assert.deepEqual(netGrant(facts({ network: reaches('x.org') })), { privateHosts: [], only: reaches('x.org') });
});

test('A37 a redirect is decided like a call of its own', () => {
  const given = facts({ rules: [allow({ host: 'free.org' }), deny({ host: 'evil.org' })] });
  const asked = redirectPolicy(fetching('http://x.org/a'), given);
  const rows: [url: string, refused: RegExp | null][] = [
    ['http://x.org/b', null],
    ['https://x.org/b', null],
    ['http://x.org:8080/', /needs an approval of its own/],
    ['https://www.x.org/', /needs an approval of its own/],
    ['https://free.org/', null],
    ['https://evil.org/', /Because/],
    ['http://127.0.0.1/', /this machine itself/],
    ['file:///etc/passwd', /only http/],
    ['http://a:b@x.org/', /user name/],
  ];
  assert.equal(rows.length, 9);
  for (const [url, refused] of rows) {
    const reason = asked(url);
    if (refused === null) assert.equal(reason, null, url);
    else assert.match(reason ?? '', refused, url);
  }
  // Who typed the first address has not typed where it leads.
  const critical = [{ name: 'url', value: 'https://x.org/a', vouched: 'owner' as const }];
  const both = facts({ rules: [allow({ host: '*.org' })], labels: ['private', 'untrusted'], critical });
  assert.equal(decide(fetching('https://x.org/a'), both).verdict, 'allow');
  assert.match(redirectPolicy(fetching('https://x.org/a'), both)('https://y.org/') ?? '', /approval of its own/);
});

test('owners may be told something; anybody else only by a rule that names them, or after asking', () => {
  const telling = (to: string): PolicyCall => ({ tool: 'mail', effect: 'send', to });
  const known = { owners: ['chat:1', 'chat:2'] };
  const tainted = { ...known, labels: ['private', 'untrusted'] as const };
  check(
    [
      ['an owner', telling('chat:2'), facts(known), 'allow', 'builtin:tell-owner'],
      ['what was read of mail', telling('chat:1'), facts(tainted), 'allow', 'builtin:tell-owner'],
      ['nobody known', telling('chat:1'), facts(), 'ask', 'builtin:tell-other'],
      ['another', telling('chat:3'), facts(known), 'ask', 'builtin:tell-other'],
      ['no part of a name', telling('chat:11'), facts(known), 'ask', 'builtin:tell-other'],
      ['by a rule', telling('chat:3'), facts({ ...known, rules: [allow({ to: 'chat:*' })] }), 'allow'],
      ['by a rule for others', telling('chat:3'), facts({ ...known, rules: [allow({ to: 'chat:4' })] }), 'ask'],
      ['what leaves', telling('chat:3'), facts({ ...tainted, rules: [allow({ to: 'chat:*' })] }), 'ask'],
      ['not even the owner', telling('chat:1'), facts({ ...known, agentRules: [deny({ to: 'chat:*' })] }), 'deny'],
      ['not by a rule of the agent', telling('chat:3'), facts({ ...known, agentRules: [allow({ to: '*' })] }), 'ask'],
      [
        'a topic of a chat',
        telling('chat:1_7'),
        facts({ rules: [allow({ to: '*' }), deny({ to: 'chat:1' })] }),
        'deny',
      ],
      [
        'an answer in it',
        telling('chat:1_7:3'),
        facts({ rules: [allow({ to: '*' }), deny({ to: 'chat:1' })] }),
        'deny',
      ],
      ['an answer', telling('chat:1:3'), facts({ rules: [allow({ to: '*' }), ask({ to: 'chat:1' })] }), 'ask'],
      ['another chat', telling('chat:12'), facts({ rules: [allow({ to: '*' }), deny({ to: 'chat:1' })] }), 'allow'],
      ['a chat is not all its topics', telling('chat:1_7'), facts({ rules: [allow({ to: 'chat:1' })] }), 'ask'],
      ['a rule about telling says nothing of mail', mailing(), facts({ rules: [allow({ to: '*' })] }), 'ask'],
      ['another effect of the tool', reading('a'), facts({ rules: [deny({ to: '*' })] }), 'allow'],
    ],
    17,
  );
  assert.match(ruleProblem(allow({ to: ' ' })) ?? '', /to is empty/);
});
