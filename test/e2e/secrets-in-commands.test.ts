import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { filesBelow, gitObjects, sightings } from '../fakes/canary.ts';
import { Home } from '../fakes/home.ts';
import type { ModelServer } from '../fakes/model-server.ts';
import { modelsYaml, obedientModel, order, orders } from '../fakes/obedient-model.ts';
import { bwrapHere } from '../fakes/sandbox-home.ts';
import { requirePeer } from '../fakes/require-peer.ts';
import { openSite, type Site } from '../fakes/site.ts';
import { until } from '../fakes/until.ts';
import { makeBare, serveGit } from '../net/git-backend.ts';
import { certificate } from '../net/support.ts';

const VALUE = 'canary-S3cret/Value+of=commands';
const NEXT = 'canary-N3xt/Value+of=commands';
const PLACEHOLDER = /ruche-secret\.forge\.[0-9a-f]{32}/;
const made = certificate('IP:127.0.0.1');
const { skip: noSandbox } = await bwrapHere();
const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
const skip = requirePeer('openssl', made !== null) || noSandbox || requirePeer('curl', has('curl'));

let model: ModelServer;
let forge: Site;
let elsewhere: Site;
let home: Home;
let gate = false;
const ends: (() => void)[] = [];

before(async () => {
  if (skip !== false || made === null) return;
  model = await obedientModel();
  elsewhere = await openSite((_request, response) => void response.end('elsewhere\n'), made);
  forge = await openSite((request, response) => {
    const { url = '', headers } = request;
    if (url === '/api/gate' && !gate) return void response.writeHead(503).end();
    response.end(`you sent ${headers.authorization ?? 'nothing'}\n`);
  }, made);
  home = new Home({ beside: [model, forge, elsewhere], env: { WIRE_KEY: 'a-key-0123456789' } });
  makeBare(join(home.dir, 'git/api/demo.git'));
  const git = await serveGit(
    { after: (end) => void ends.push(end as () => void) },
    join(home.dir, 'git'),
    `Bearer ${VALUE}`,
    made,
  );
  const hosts = [forge.port, elsewhere.port, git.port].map((port) => `127.0.0.1:${port}`);
  const list = `network: [${hosts.map((host) => `"${host}"`).join(', ')}]`;
  const secret = `for: [coder], host: 127.0.0.1, ports: [${forge.port}, ${git.port}], path: /api/, header: Authorization, format: 'Bearer {}'`;
  const files = {
    'ruche.yaml': modelsYaml(model.baseUrl, `${list}\nsecrets:\n  forge: { ${secret} }\n`),
    'agents/coder/AGENT.md': `---\ndescription: codes\n${list}\n---\nYou code.\n`,
    'agents/other/AGENT.md': `---\ndescription: codes\n${list}\n---\nYou code.\n`,
  };
  mkdirSync(home.workspace, { recursive: true });
  home.git('init', '-q', '-b', 'main');
  for (const [path, text] of Object.entries(files)) home.write(path, text);
  home.git('add', '-A');
  home.commit('start');
  mkdirSync(home.home, { mode: 0o700, recursive: true });
  writeFileSync(join(home.home, 'ca.pem'), made.cert);
  await home.start();
  assert.equal((await home.cliWith(VALUE, 'secrets', 'set', 'forge')).code, 0);
  gitPort = git.port;
});
after(async () => {
  for (const end of ends) end();
  await home?.close();
});
let gitPort = 0;

const inShell = (command: string, agent = 'coder'): Promise<{ text: string }> =>
  home.ask(orders(order('shell', { command })), undefined, agent);
const at = ({ port }: Pick<Site, 'port'>, path: string): string => `https://127.0.0.1:${port}${path}`;
const echo = (): string => at(forge, '/api/echo');

test('clients in a command have the credential on the wire and a placeholder in the hand', { skip }, async () => {
  const curl = await inShell(`curl -sS -H "Authorization: Bearer $RUCHE_SECRET_FORGE" ${echo()}; env`);
  assert.match(curl.text, new RegExp(`you sent Bearer ${PLACEHOLDER.source}`));
  assert.match(curl.text, new RegExp(`RUCHE_SECRET_FORGE=${PLACEHOLDER.source}`));
  assert.equal(forge.hits.at(-1)?.credential, `Bearer ${VALUE}`);
  const url = at({ port: gitPort }, '/api/demo.git');
  const push = 'git -c user.name=x -c user.email=x@x commit -q --allow-empty -m First && git push -q origin HEAD:main';
  const git = await inShell(
    `cd /tmp && git clone -q ${url} demo && cd demo && ${push} && git ls-remote origin && cat .git/config`,
  );
  assert.match(git.text, /refs\/heads\/main[^]*exit 0/);
  if (existsSync('/usr/bin/python3')) {
    const python = await inShell(
      `/usr/bin/python3 -c "import urllib.request as u; print(u.urlopen('${echo()}').read())"`,
    );
    assert.match(python.text, PLACEHOLDER);
  }
  for (const { text } of [curl, git]) assert.deepEqual(sightings(new Map([['text', text]]), [VALUE]), []);
});

test('another agent with the same list has neither', { skip }, async () => {
  const { text } = await inShell(`curl -sS ${echo()}; env | grep -c RUCHE_SECRET`, 'other');
  assert.match(text, /you sent nothing\n0\n/);
  assert.equal(forge.hits.at(-1)?.credential, undefined);
});

test('a placeholder in plain HTTP is refused, told to the agent and put into the Inbox', { skip }, async () => {
  const before = forge.hits.length;
  const { text } = await inShell(`curl -sS "http://127.0.0.1:${forge.port}/?key=$RUCHE_SECRET_FORGE"`);
  assert.match(text, /not reached: 127\.0\.0\.1:\d+: it holds the placeholder of the secret forge/);
  assert.equal(forge.hits.length, before);
  const raised = async () => (await home.pending()).find(({ id }) => id.startsWith('mat_secret_'));
  await until(async () => (await raised()) !== undefined, 'the matter');
  assert.match((await raised())?.text ?? '', /^coder tried to send the placeholder of forge to 127\.0\.0\.1/);
});

test(
  'a new value holds from the next request of a command that runs, also across a crash of Ruche',
  { skip },
  async () => {
    const wait = `until curl -sf -o /dev/null ${at(forge, '/api/gate')}; do sleep 0.1; done`;
    const task = await home.say(
      orders(order('shell', { command: `curl -sS ${echo()}; ${wait}; curl -sS ${echo()}` })),
      undefined,
      'coder',
    );
    await until(async () => forge.hits.at(-1)?.url === '/api/gate', 'the command waits');
    assert.equal(forge.hits.at(-1)?.credential, `Bearer ${VALUE}`);
    assert.equal((await home.cliWith(NEXT, 'secrets', 'rotate', 'forge')).code, 0);
    await until(async () => forge.hits.at(-1)?.credential === `Bearer ${NEXT}`, 'the new value');
    await home.end('SIGKILL');
    await home.start();
    gate = true;
    const { text } = await home.settled(task);
    assert.match(text, new RegExp(`you sent Bearer ${PLACEHOLDER.source}\\nyou sent Bearer ${PLACEHOLDER.source}\\n`));
    assert.deepEqual(forge.hits.at(-1), { url: '/api/echo', credential: `Bearer ${NEXT}` });
  },
);

test('no form of a value is in home, in Git or in what any process shows', { skip }, async () => {
  await home.end('SIGTERM');
  const places = new Map<string, string | Uint8Array>([
    ...filesBelow(home.home),
    ['objects', gitObjects(home.workspace)],
    ['output', home.out + home.err],
    ['prompts', model.requests.map(({ body }) => JSON.stringify(body)).join('\n')],
  ]);
  assert.deepEqual(sightings(places, [VALUE, NEXT]), []);
});
