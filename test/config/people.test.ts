import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettings } from '../../src/config/settings.ts';
import { KNOWN } from '../fakes/known.ts';

const CHANNELS = 'channels:\n  telegram: { token: env:TOKEN }\n';
const read = (text: string) => parseSettings(`${CHANNELS}${text}`, 'ruche.yaml', KNOWN);
const said = (text: string): string[] =>
  read(text).problems.map(({ line, key, message }) => `${line} ${key} ${message}`);

test('people are told apart by their addresses, and an approval has its time', () => {
  const { settings, problems } = read(
    "people:\n  anna: ['telegram:222', 'telegram:333']\napprovals: { expire: 3d }\npolicy:\n  rules:\n    - { id: pay, ask: { tool: fetch }, approvers: 2, reason: Two. }\n",
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(settings?.people, { anna: ['telegram:222', 'telegram:333'] });
  assert.equal(settings?.approvalMs, 3 * 86_400_000);
  assert.equal(read('approvals: { expire: never }\n').settings?.approvalMs, null);
  assert.equal(read('').settings?.approvalMs, undefined);
});

test('a wrong address, one of two persons, more approvers than persons and a wrong time are named with their lines', () => {
  const cases = [
    ["people:\n  anna: ['owner']\n", /^4 people\.anna\.0 must be CHANNEL:ADDRESS/],
    ["people:\n  anna: ['signal:1']\n", /^4 people\.anna\.0 .*signal/],
    ["people:\n  anna: ['telegram:222']\n  ben: ['telegram:222']\n", /^5 people\.ben\.0 is an address of anna already/],
    [
      'policy:\n  rules:\n    - { id: pay, ask: { tool: fetch }, approvers: 2, reason: Two. }\n',
      /^5 policy\.rules\.0\.approvers wants 2 persons, and only the owner is known: name them under people/,
    ],
    ['approvals: { expire: soon }\n', /^3 approvals\.expire /],
  ] as const;
  for (const [text, problem] of cases) {
    assert.equal(read(text).settings, null, text);
    assert.match(said(text)[0] ?? '', problem);
  }
});
