import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PolicyCall, PolicyFacts } from '../../src/core/policy.ts';
import { decide } from '../../src/policy/decide.ts';
import { hiddenPath, redirectPolicy } from '../../src/policy/grant.ts';
import { ruleProblem } from '../../src/policy/rules.ts';
import { allow, ask, deny, facts, fetching, reading, shell } from './support.ts';

const reason = (call: PolicyCall, more: Partial<PolicyFacts> = {}): string => decide(call, facts(more)).reason;
const verdict = (call: PolicyCall, ...rules: PolicyFacts['rules']): string => decide(call, facts({ rules })).verdict;

test('a refused host is told apart by what it is', () => {
  const opens = 'A rule or the network list of ruche.yaml that names exactly this host, without a glob, can open it.';
  const rows: [host: string, what: string][] = [
    ['127.0.0.1', 'this machine itself'],
    ['10.0.0.1', 'the private network'],
    ['169.254.169.254', 'link-local, where cloud machines keep their credentials'],
    ['240.0.0.1', 'a special-purpose range that no server should be at'],
  ];
  for (const [host, what] of rows) assert.equal(reason(fetching(`http://${host}/`)), `${host} is ${what}. ${opens}`);
});

test('reasons are sentences, short, and name what they are about', () => {
  assert.equal(reason(fetching('nonsense')), 'This is not an absolute URL.');
  assert.equal(
    reason(reading(`/${'x'.repeat(300)}`)),
    `/${'x'.repeat(199)}: absolute paths are outside the workspace.`,
  );
  assert.equal(
    reason(fetching('https://x.org/'), { rules: [{ ...allow({}), reason: ' ' }] }),
    'A rule of ruche.yaml says allow.',
  );
  assert.equal(reason(reading('a'), { rules: [{ ...deny({}), reason: '' }] }), 'A rule of ruche.yaml says deny.');
  assert.equal(reason(reading('a'), { agentRules: [{ ...ask({}), reason: '' }] }), 'A rule of the agent says ask.');
});

test('without a sandbox the question says why nothing vouched', () => {
  const bare = (line: string): string => reason(shell(line), { sandboxed: false, rules: [allow({ command: 'ls *' })] });
  const vouch = (why: string): string => `Nothing confines this command, and no rule may vouch for it: ${why}.`;
  assert.equal(bare('# nothing'), vouch('it holds no command'));
  assert.equal(bare('ls $X'), vouch('an expansion or substitution'));
  assert.equal(bare('ls; rm $X'), 'Nothing confines this command: it has no sandbox.');
});

test('of two rules that are equally strict the first is named', () => {
  const [one, two] = [deny({ path: 'a' }), deny({ path: 'a' })];
  assert.equal(decide(reading('a'), facts({ rules: [ask({}), one, two] })).rule, one.id);
});

test('patterns of commands: spaces, several stars, slashes', () => {
  const rows: [line: string, pattern: string, denied: boolean][] = [
    ['  cat x | tee y  ', 'cat x | tee y', true],
    ['ls; rm a/b/c', 'rm a/*c', true],
    ['ls; rm a/b/d', 'rm a/*c', false],
    ['ls a', '  ls   *  ', true],
    ['ls a b/c', 'ls **', true],
  ];
  for (const [line, pattern, denied] of rows)
    assert.equal(verdict(shell(line), deny({ command: pattern })), denied ? 'deny' : 'allow', `${line} by ${pattern}`);
  const bare = (line: string, command: string): string =>
    decide(shell(line), facts({ sandboxed: false, rules: [allow({ command })] })).verdict;
  assert.equal(bare('ls a b', ' ls   * '), 'allow');
  assert.equal(bare('ls a b/c', 'ls **'), 'allow');
});

test('an allow rule covers the part of a call that it names, and no other', () => {
  const both = (...paths: string[]): PolicyCall => ({ tool: 'shell', effect: 'exec', command: 'ls a', paths });
  const paths = (...given: string[]): PolicyCall => ({ tool: 'shell', effect: 'exec', paths: given });
  assert.equal(verdict(both('x')), 'ask');
  assert.equal(verdict(both('x'), allow({ command: 'ls *' })), 'ask', 'the command is allowed, the path is not');
  assert.equal(verdict(both('x'), allow({ path: 'x' })), 'allow', 'the command is confined');
  assert.equal(verdict(paths('x'), allow({ path: 'x' })), 'allow');
  assert.equal(verdict(paths('x'), allow({ path: 'notes/**' })), 'ask');
  assert.equal(verdict(paths('notes/a', 'x'), allow({ path: 'notes/**' })), 'ask');
  assert.equal(verdict(paths('notes/a', 'x'), allow({ path: 'notes/**' }), allow({ path: 'x' })), 'allow');
});

test('a private host is opened by a rule only for the calls the whole rule speaks of', () => {
  const rule = allow({ host: '10.0.0.1', path: 'a' });
  const call = (...paths: string[]): PolicyCall => ({ ...fetching('http://10.0.0.1/'), paths });
  assert.equal(decide(call('a', 'b'), facts({ rules: [rule] })).rule, 'builtin:private-address');
  assert.notEqual(decide(call('a'), facts({ rules: [rule] })).rule, 'builtin:private-address');
});

test('what a line hides matters to rules that could speak of the call', () => {
  const call = (more: Partial<PolicyCall>): PolicyCall => ({ ...shell('echo $X'), ...more });
  const path = { effect: 'read' as const, paths: ['y'] };
  const url = { url: 'https://x.org/' };
  const asked = (more: Partial<PolicyCall>, ...rules: PolicyFacts['rules']): boolean =>
    decide(call(more), facts({ rules })).rule === 'builtin:hidden-command';
  assert.equal(asked(path, deny({ path: 'x' })), false, 'it does not look at commands');
  assert.equal(asked(path, deny({ path: 'x', command: 'rm *' })), true);
  assert.equal(asked(url, deny({ host: 'y.org', command: 'rm *' })), true);
  assert.equal(asked({}, deny({ host: 'y.org', command: 'rm *' })), false);
});

test('patterns are refused from 1025 characters', () => {
  for (const field of ['path', 'command', 'tool'] as const) {
    assert.equal(ruleProblem(deny({ [field]: 'x'.repeat(1024) })), null);
    assert.equal(ruleProblem(deny({ [field]: 'x'.repeat(1025) })), `${field} is longer than 1024 characters`);
  }
});

test('a redirect stays open for what was asked for, and never for what is denied', () => {
  const hop = (from: string, to: string, ...rules: PolicyFacts['rules']): string | null =>
    redirectPolicy(fetching(from), facts({ rules }))(to);
  assert.equal(hop('http://x.org:8080/a', 'http://x.org:8080/b'), null);
  assert.equal(hop('http://x.org/', 'https://x.org/'), null);
  assert.match(
    hop('http://x.org:8080/', 'http://x.org:8081/') ?? '',
    /^x\.org needs an approval of its own: call the tool/,
  );
  const secure = { ...deny({ host: 'x.org:443' }), reason: 'Not there.' };
  assert.equal(hop('http://x.org/', 'https://x.org/', secure), 'Not there.');
});

test('a listing that was asked for still hides what another question guards', () => {
  const secrets = ask({ path: 'secrets/**' });
  const call: PolicyCall = { tool: 'list', effect: 'read', paths: ['.'] };
  const hides = (...rules: PolicyFacts['rules']): boolean => hiddenPath(call, facts({ rules }))('secrets/x');
  assert.equal(hides(secrets, ask({ tool: 'list' })), true);
  assert.equal(hides(ask({ tool: 'list' })), false);
  assert.equal(hides(secrets), true);
});
