// The vault as its owner has it: given by a pipe, used by the network, replaced and removed while it runs, and out of order.
import assert from 'node:assert/strict';
import {
  copyFileSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { SecretsView } from '../../src/core/api/secrets.ts';
import { AGENT, Home } from '../fakes/home.ts';
import type { ModelServer } from '../fakes/model-server.ts';
import { modelsYaml, obedientModel } from '../fakes/obedient-model.ts';
import { until } from '../fakes/until.ts';

const FIRST = 'sk-first-Can4ry-0123456789';
const SECOND = 'sk-second-Can4ry-0123456789';
const HOOK = 'hook-Can4ry-0123456789abcdef';

let server: ModelServer;
let home: Home;
before(async () => {
  server = await obedientModel();
  const hooked = `---
description: helps
triggers:
  - { name: told, on: webhook, hook: evening, auth: bearer, secret: secret:hook, task: "Heard {{body.word}}." }
---
You help.
`;
  home = new Home({
    beside: [server],
    files: {
      'ruche.yaml': modelsYaml(server.baseUrl).replace('env:WIRE_KEY', 'secret:wire'),
      'agents/assistant/AGENT.md': hooked,
      'agents/other/AGENT.md': AGENT,
    },
  });
});
after(() => home.close());

const keysSent = (): string[] => server.requests.map(({ headers }) => headers['authorization'] ?? '');
const at = (name: string): string => join(home.home, name);
const ring = async (secret: string): Promise<number> => {
  const init = { method: 'POST', body: '{"word":"x"}', headers: { authorization: `Bearer ${secret}` } };
  return (await home.fetch('/hooks/evening', init)).status;
};

test('before the first start: a value comes from a pipe or a file, is kept, and is not shown', async () => {
  const set = await home.cliWith(`${FIRST}\n`, 'secrets', 'set', 'wire');
  assert.deepEqual([set.code, set.err], [0, '']);
  assert.match(set.out, /^wire is set\. It is used in:\n {4}ruche\.yaml: models\.providers\.wire\.apiKey\n$/);
  const list = await home.cli('secrets');
  assert.match(list.out, /^wire +set \d+ s ago, never used, in ruche\.yaml: models\.providers\.wire\.apiKey$/m);
  assert.match(
    list.out,
    /^✗ hook is named and not given: run ruche secrets set hook\n {4}agents\/assistant\/AGENT\.md: triggers\.0\.secret$/m,
  );
  assert.match((await home.cli('secrets', 'show-use', 'hook')).out, /^hook is not given, and is named in:/);
  assert.match((await home.cli('secrets', 'set', 'hook', HOOK)).err, /never given on the command line/);
  assert.match((await home.cliWith('x\n', 'secrets', 'set', 'hook')).err, /fewer than 8/);
  assert.match((await home.cliWith(HOOK, 'secrets', 'rotate', 'hook')).err, /Unknown secret "hook"\. List them/);
  assert.match(
    (await home.cli('secrets', 'set', 'hook', '--from-file', 'nowhere')).err,
    /nowhere cannot be read \(ENOENT\)/,
  );
  writeFileSync(join(home.dir, 'hook.txt'), `${HOOK}\n`);
  const hook = await home.cli('secrets', 'set', 'hook', '--from-file', 'hook.txt', '--json');
  assert.deepEqual((JSON.parse(hook.out) as { what: string }).what, 'set');
});

test('the network uses it, and says what for', async () => {
  await home.start();
  assert.equal((await home.ask('hello')).text, 'You said: hello');
  assert.equal(keysSent().at(-1), `Bearer ${FIRST}`);
  assert.equal(await ring(HOOK), 202);
  const view = await home.api<SecretsView>('/api/secrets');
  assert.deepEqual(
    view.secrets.map(({ name, lastUsed }) => [name, lastUsed?.for]),
    [
      ['hook', 'the hook evening'],
      ['wire', 'provider "wire"'],
    ],
  );
  assert.equal(JSON.stringify(view).includes('Can4ry'), false);
  assert.match(
    (await home.cli('secrets', 'show-use', 'wire')).out,
    /^wire was last used \d+ s ago for provider "wire"\. It is named in:/,
  );
  assert.deepEqual(
    (await home.events('secret.used')).map(({ data }) => data['name']),
    ['wire', 'hook'],
  );
});

test('a new value and a removal hold from the next request on, without a restart', async () => {
  const turned = await home.cliWith(`${SECOND}\n`, 'secrets', 'rotate', 'wire');
  assert.match(turned.out, /^wire is replaced, and counts from the next request\. It is used in:/);
  await home.ask('again');
  assert.equal(keysSent().at(-1), `Bearer ${SECOND}`);
  assert.match((await home.cliWith(`${HOOK}-new\n`, 'secrets', 'set', 'hook')).out, /^hook is replaced/);
  assert.deepEqual([await ring(HOOK), await ring(`${HOOK}-new`)], [401, 202]);
  const gone = await home.cli('secrets', 'remove', 'hook');
  assert.match(
    gone.out,
    /^hook is removed\. It is still named in:\n {4}agents\/assistant\/AGENT\.md: triggers\.0\.secret\n/,
  );
  assert.notEqual(await ring(`${HOOK}-new`), 202);
  assert.match((await home.cli('status')).out, /the secret hook cannot be read; ruche secrets list says what to do/);
  await home.cliWith(`${HOOK}\n`, 'secrets', 'set', 'hook');
  assert.equal(await ring(HOOK), 202);
  assert.deepEqual(
    (await home.events('secret.changed')).map(({ data }) => `${String(data['what'])} ${String(data['name'])}`),
    ['rotated wire', 'rotated hook', 'removed hook', 'set hook'],
  );
  const refused = await home.fetch('/api/secrets/a%20b', { method: 'POST', body: JSON.stringify({ value: FIRST }) });
  assert.equal(refused.status, 409);
  assert.doesNotMatch(await refused.text(), /Can4ry/);
});

test('a new key while it runs; where the key is changes only while it is stopped', async () => {
  const before = readFileSync(at('secrets.key'), 'utf8');
  assert.match(
    (await home.cli('secrets', 'rotate-key')).out,
    /encrypted with a new key, age1\w+\. It is \S+secrets\.key\./,
  );
  assert.notEqual(readFileSync(at('secrets.key'), 'utf8'), before);
  const stays = await home.cli('secrets', 'rotate-key', '--command', 'cat somewhere');
  assert.match(stays.err, /only while the network is stopped: run ruche down/);
  const overHttp = {
    method: 'POST',
    body: JSON.stringify({ place: { from: 'command', command: `touch ${at('ran')}` } }),
  };
  assert.equal((await home.fetch('/api/secrets-key', overHttp)).status, 200, 'its place is not a matter of HTTP');
  assert.throws(() => readFileSync(at('ran')), /ENOENT/);
  await home.end('SIGTERM');
  copyFileSync(at('secrets.key'), join(home.dir, 'key.copy'));
  await home.cli('secrets', 'rotate-key');
  const moved = await home.cli('secrets', 'rotate-key', '--command', `cat '${join(home.dir, 'key.copy')}'`);
  assert.match(moved.out, /It is the output of the command in \S+secrets-key\.json/);
  rmSync(at('secrets.key'));
  await home.start();
  await home.ask('with the command');
  assert.equal(keysSent().at(-1), `Bearer ${SECOND}`);
  await home.end('SIGTERM');
  const credentials = join(home.dir, 'credentials');
  mkdirSync(credentials);
  writeFileSync(join(credentials, 'ruche'), before, { mode: 0o600 });
  home.env['CREDENTIALS_DIRECTORY'] = credentials;
  assert.equal((await home.cli('secrets', 'rotate-key', '--credential', 'ruche')).code, 0);
  const again = await home.cli('secrets', 'rotate-key', '--credential', 'ruche');
  assert.match(again.err, /the one that is used already\. Put a new one there: age-keygen/);
  const settings = home.read('ruche.yaml');
  const bound = "{ for: [other], host: api.example.org, header: Authorization, format: 'Bearer {}' }";
  home.write('ruche.yaml', `${settings}secrets:\n  wire: ${bound}\n`);
  await home.start();
  delete home.env['CREDENTIALS_DIRECTORY'];
  const { out } = await home.cli('doctor');
  assert.match(out, /^! Secrets: the running network has them open, but this terminal cannot: .*credential ruche/m);
  assert.doesNotMatch(out, /cannot be read/);
  await home.end('SIGTERM');
  home.write('ruche.yaml', settings);
  home.env['CREDENTIALS_DIRECTORY'] = credentials;
  assert.equal((await home.cli('secrets', 'rotate-key', '--key-file', at('secrets.key'))).code, 0);
  delete home.env['CREDENTIALS_DIRECTORY'];
});

test('a vault that cannot be opened: the network starts, and status, doctor and list say what to do', async () => {
  const good = readFileSync(at('secrets.age'));
  const cases: [() => void, RegExp][] = [
    [() => writeFileSync(at('secrets.age'), 'hello'), /secrets\.age is damaged.*put it back from your backup/],
    [() => rmSync(at('secrets.key')), /there is no .*secrets\.key\. Put it back from your backup/],
  ];
  const key = readFileSync(at('secrets.key'));
  for (const [harm, said] of cases) {
    harm();
    const damaged = readFileSync(at('secrets.age'));
    assert.match((await home.cli('doctor')).out, said);
    await home.start();
    for (const command of ['status', 'doctor', 'secrets']) assert.match((await home.cli(command)).out, said, command);
    assert.equal((await home.cli('secrets')).code, 1, 'a script notices it');
    const refused = await home.cliWith(`${FIRST}\n`, 'secrets', 'set', 'new');
    assert.deepEqual([refused.code, said.test(refused.err)], [1, true], refused.err);
    assert.deepEqual(readFileSync(at('secrets.age')), damaged, 'nothing is written over it');
    writeFileSync(at('secrets.age'), good, { mode: 0o600 });
    rmSync(at('secrets.key'), { force: true });
    writeFileSync(at('secrets.key'), key, { mode: 0o600 });
    assert.match((await home.cli('secrets')).out, /^wire +replaced/m, 'what was put back is seen without a restart');
    await home.ask('mended');
    assert.equal(keysSent().at(-1), `Bearer ${SECOND}`);
    await home.end('SIGTERM');
  }
  await home.start();
  assert.equal((await home.ask('mended')).text, 'You said: mended');
  await until(async () => (await home.status()).problems.length === 0, 'no problem is left');
});

test('commands that give secrets at once wait for each other', async () => {
  const quiet = new Home();
  try {
    const names = ['a', 'b', 'c'];
    const ended = await Promise.all(names.map((name) => quiet.cliWith(`${FIRST}-${name}`, 'secrets', 'set', name)));
    for (const { code, err } of ended) assert.deepEqual([code, err], [0, '']);
    const { secrets } = JSON.parse((await quiet.cli('secrets', '--json')).out) as SecretsView;
    assert.deepEqual(secrets.map(({ name }) => name).toSorted(), names);
  } finally {
    await quiet.close();
  }
});

test('a vault and a key that their owner keeps elsewhere stay there, also while that place is away', async () => {
  const quiet = new Home();
  try {
    const [here, there] = [quiet.home, join(quiet.dir, 'stick')];
    assert.equal((await quiet.cliWith(FIRST, 'secrets', 'set', 'a')).code, 0);
    mkdirSync(there);
    for (const name of ['secrets.age', 'secrets.key']) {
      renameSync(join(here, name), join(there, name));
      symlinkSync(join(there, name), join(here, name));
    }
    const old = readFileSync(join(there, 'secrets.key'), 'utf8');
    assert.equal((await quiet.cliWith(SECOND, 'secrets', 'set', 'b')).code, 0);
    const rotated = await quiet.cli('secrets', 'rotate-key');
    assert.deepEqual([rotated.code, rotated.err], [0, '']);
    assert.notEqual(readFileSync(join(there, 'secrets.key'), 'utf8'), old, 'the new key is where the old one was');
    for (const name of ['secrets.age', 'secrets.key']) assert.ok(lstatSync(join(here, name)).isSymbolicLink(), name);

    renameSync(there, `${there}-away`);
    const refused = await quiet.cliWith(HOOK, 'secrets', 'set', 'c');
    assert.equal(refused.code, 1);
    assert.match(refused.err, /secrets\.age cannot be read \(it is a link to a file that is not there\)/);
    renameSync(`${there}-away`, there);
    const { secrets } = JSON.parse((await quiet.cli('secrets', '--json')).out) as SecretsView;
    assert.deepEqual(secrets.map(({ name }) => name).toSorted(), ['a', 'b']);
  } finally {
    await quiet.close();
  }
});
