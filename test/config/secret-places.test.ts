import assert from 'node:assert/strict';
import { test } from 'node:test';
import { secretPlaces } from '../../src/config/secret-places.ts';

const found = (file: string, text: string): [string, string[]][] =>
  [...secretPlaces(file, text)].map(([name, places]) => [name, places.map(({ key }) => key)]);

test('every place where a file names a secret, however deep, also in settings that nobody knows yet', () => {
  const yaml = `models:
  providers:
    a: { type: openai, apiKey: secret:one }
    b: { type: openai, apiKey: home:two }
    c: { type: openai, apiKey: env:THREE }
channels: { telegram: { token: secret:one } }
tomorrow: { deep: [ { key: secret:one } ], text: "the secret:one in a text" }
secrets:
  bound: { for: [a], host: example.org }
  renamed: { for: [a], host: example.org, value: secret:other }
`;
  assert.deepEqual(found('ruche.yaml', yaml), [
    ['one', ['models.providers.a.apiKey', 'channels.telegram.token', 'tomorrow.deep.0.key']],
    ['two', ['models.providers.b.apiKey']],
    ['other', ['secrets.renamed.value']],
    ['bound', ['secrets.bound']],
  ]);
  const agent =
    '---\ndescription: x\ntriggers:\n  - { name: t, secret: [secret:new, secret:old] }\n---\nsecret:prose\n';
  assert.deepEqual(found('agents/a/AGENT.md', agent), [
    ['new', ['triggers.0.secret.0']],
    ['old', ['triggers.0.secret.1']],
  ]);
  assert.deepEqual(found('models.json', '{"providers":[{"apiKey":"home:two"}]}'), [['two', ['providers.0.apiKey']]]);
});

test('a file that cannot be read names nothing', () => {
  for (const [file, text] of [
    ['ruche.yaml', 'a: [secret:one'],
    ['agents/a/AGENT.md', 'no front matter: secret:one'],
    ['models.json', '{"a": "secret:one"'],
    ['ruche.yaml', ''],
  ] as const)
    assert.deepEqual(found(file, text), [], text);
});
