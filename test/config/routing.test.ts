import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAgent } from '../../src/config/agent.ts';
import { parseSettings } from '../../src/config/settings.ts';
import { KNOWN } from '../fakes/known.ts';

function refused(text: string, ...expected: RegExp[]): void {
  const { settings, problems } = parseSettings(text, 'ruche.yaml', KNOWN);
  assert.equal(settings, null);
  const said = problems.map(({ file, line, key, message }) => `${file}:${line} ${key} ${message}`);
  assert.equal(said.length, expected.length, said.join('\n'));
  expected.forEach((pattern, at) => assert.match(said[at] ?? '', pattern));
}

test('routing names tiers and models by kind of step and by rule', () => {
  const routed = (text: string): string => `models:\n  routing:\n${text.replaceAll(/^/gm, '    ')}\n`;
  const rule = '{ id: home, labels: [private], steps: [turn, compact], use: demo/demo }';
  const { settings, problems } = parseSettings(routed(`compact: standard\nrules:\n  - ${rule}`), 'ruche.yaml', KNOWN);
  assert.deepEqual(problems, []);
  assert.equal(parseSettings('models: { sparing: false }', 'ruche.yaml', KNOWN).settings?.sparing, false);
  assert.deepEqual(settings?.routing, {
    steps: { compact: 'standard' },
    rules: [{ id: 'home', labels: ['private'], steps: ['turn', 'compact'], use: 'demo/demo' }],
  });
  refused(routed('compact: small'), /:3 models.routing.compact must be light, standard, strong or provider\/model/);
  refused(routed('title: dmo/demo'), /:3 models.routing.title names the provider "dmo".*Did you mean "demo"/);
  refused(routed('rules: [{ id: a, use: light }]'), /says nothing to match: name steps, agent, from or labels/);
  refused(
    routed(`rules:\n  - ${rule}\n  - { id: home, agent: a, use: nobody/x }`),
    /rules.1.use names the provider "nobody"/,
    /rules.1.id "home" names an earlier rule already/,
  );
});

test('an agent’s file says who does its small steps', () => {
  const read = (routing: string) =>
    parseAgent(`---\nrouting: ${routing}\n---\nYou help.\n`, 'agents/desk/AGENT.md', 'desk', KNOWN);
  assert.deepEqual(read('{ compact: strong, title: demo/demo }').agent?.routing, {
    compact: 'strong',
    title: 'demo/demo',
  });
  assert.match(read('{ compact: dmo/x }').problems[0]?.message ?? '', /names the provider "dmo"/);
  assert.match(read('{ turn: light }').problems[0]?.message ?? '', /is not a known key/);
});
