import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Pending } from '../../src/core/api/runtime.ts';
import { filesBelow, gitObjects, sightings } from '../fakes/canary.ts';
import { AGENT, Home } from '../fakes/home.ts';
import type { ModelServer } from '../fakes/model-server.ts';
import { modelsYaml, obedientModel, order, orders } from '../fakes/obedient-model.ts';
import { requirePeer } from '../fakes/require-peer.ts';
import { openSite, type Site } from '../fakes/site.ts';
import { until } from '../fakes/until.ts';
import { certificate } from '../net/support.ts';

const VALUE = 'canary-S3cret/Value+of=the.tests';
const PLACEHOLDER = /ruche-secret\.forge\.[0-9a-f]{32}/;

const made = certificate('IP:127.0.0.1');
const skip = requirePeer('openssl', made !== null);

let model: ModelServer;
let forge: Site;
let elsewhere: Site;
let home: Home;
before(async () => {
  if (made === null) return;
  model = await obedientModel();
  elsewhere = await openSite((_request, response) => void response.end('elsewhere'), made);
  forge = await openSite((request, response) => {
    const { url = '', headers } = request;
    const sent = headers.authorization ?? 'nothing';
    if (url === '/api/away')
      return void response.writeHead(302, { location: `https://127.0.0.1:${elsewhere.port}/` }).end();
    if (url === '/api/leak')
      return void response.writeHead(302, { location: `https://127.0.0.1:${elsewhere.port}/?${sent.slice(7)}` }).end();
    if (url === '/api/part') return void response.writeHead(206, { 'content-range': 'bytes 0-9/99' }).end(sent);
    if (url === '/api/wide')
      return void response.writeHead(200, { 'content-type': 'text/plain; charset=utf-16le' }).end(sent);
    if (url === '/api/inside') return void response.writeHead(307, { location: '/public' }).end();
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.write(`you sent ${sent.slice(0, 20)}`);
    setImmediate(() => response.end(`${sent.slice(20)} and ${Buffer.from(sent).toString('base64')}`));
  }, made);
  const more = `secrets:
  forge: { for: [assistant], host: 127.0.0.1, ports: [${forge.port}], path: /api/, header: Authorization, format: 'Bearer {}', value: env:FORGE_KEY }
policy:
  rules:
    - { id: forge, allow: { tool: fetch, host: "127.0.0.1:${forge.port}" }, reason: "A test's server." }
    - { id: elsewhere, allow: { tool: fetch, host: "127.0.0.1:${elsewhere.port}" }, reason: "Another." }
`;
  home = new Home({
    beside: [model, forge, elsewhere],
    env: { WIRE_KEY: 'a-key-0123456789', FORGE_KEY: VALUE },
    files: {
      'ruche.yaml': modelsYaml(model.baseUrl, more),
      'agents/assistant/AGENT.md': AGENT,
      'agents/other/AGENT.md': AGENT,
    },
  });
  mkdirSync(home.home, { mode: 0o700, recursive: true });
  writeFileSync(join(home.home, 'ca.pem'), made.cert);
  await home.start();
});
after(() => home?.close());

let asked = 0;
/** Each in a conversation of its own: what an account has answered is private, so that more would ask a person. */
const fetched = async (url: string, agent = 'assistant'): Promise<string> => {
  const { text, status } = await home.ask(orders(order('fetch', { url })), `to-${agent}-${(asked += 1)}`, agent);
  assert.equal(status, 'done', text);
  return text;
};
const at = ({ port }: Site, path: string): string => `https://127.0.0.1:${port}${path}`;

test('A42 a bound credential arrives with requests of its agent, which sees a placeholder', { skip }, async () => {
  const text = await fetched(at(forge, '/api/echo'));
  assert.equal(forge.hits.at(-1)?.credential, `Bearer ${VALUE}`);
  assert.match(text, new RegExp(`you sent Bearer ${PLACEHOLDER.source}`));
  assert.deepEqual(sightings(new Map([['answer', text]]), [VALUE]), []);
  // Neither beside the path nor for another agent.
  await fetched(at(forge, '/public'));
  assert.equal(forge.hits.at(-1)?.credential, undefined);
  await fetched(at(forge, '/api/echo'), 'other');
  assert.deepEqual(forge.hits.at(-1), { url: '/api/echo', credential: undefined });
});

test('what an account has answered is private: nobody leads its run elsewhere unasked', { skip }, async () => {
  const before = elsewhere.hits.length;
  const steps = ['/api/echo', '/api/away'].map((path) => order('fetch', { url: at(forge, path) }));
  const { status, text } = await home.ask(orders(...steps), 'twice', 'assistant');
  assert.equal(status, 'done', text);
  assert.match(text, /Nothing was fetched: .*private data/);
  assert.equal(elsewhere.hits.length, before);
});

test('an answer in a form that nobody can look through is refused', { skip }, async () => {
  assert.match(await fetched(at(forge, '/api/part')), /the answer is a part, though that was not asked for/);
  assert.match(await fetched(at(forge, '/api/wide')), /in a charset in which nothing can be looked for: ask for UTF-8/);
});

test('a secret that is not kept is a problem, and requests that need it are refused', { skip }, async () => {
  const text = readFileSync(join(home.workspace, 'ruche.yaml'), 'utf8');
  home.write('ruche.yaml', text.replace('env:FORGE_KEY', 'secret:forge'));
  const found = async () => (await home.status()).problems.find(({ key }) => key === 'secrets.forge.value');
  await until(async () => (await found()) !== undefined, 'the problem');
  assert.match((await found())?.message ?? '', /There is no secret forge.*ruche secrets set forge/);
  const before = forge.hits.length;
  assert.match(await fetched(at(forge, '/api/echo')), /its credential is missing: There is no secret forge/);
  assert.equal(forge.hits.length, before);
  home.write('ruche.yaml', text);
  await until(async () => (await found()) === undefined, 'no problem any more');
});

test('its agent knows of it in a line of the prompt, and no other does', { skip }, async () => {
  const prompts = model.requests.map(({ body }) => JSON.stringify(body));
  const [told, untold] = [prompts.filter((each) => each.includes('get their credential')), prompts];
  assert.ok(told.length > 0 && told.length < untold.length);
  assert.ok(told.every((each) => each.includes('agent \\"assistant\\"') || each.includes('assistant')));
});

test('a redirect takes no credential along, not even one that the server writes into it', { skip }, async () => {
  await fetched(at(forge, '/api/inside'));
  assert.deepEqual(forge.hits.at(-1), { url: '/public', credential: undefined });
  await fetched(at(forge, '/api/away'));
  assert.deepEqual(elsewhere.hits.at(-1), { url: '/', credential: undefined });
  const before = elsewhere.hits.length;
  assert.match(await fetched(at(forge, '/api/leak')), /holds the placeholder of the secret forge/);
  assert.equal(elsewhere.hits.length, before);
});

test('a placeholder that is sent elsewhere is refused, and waits for the owner once', { skip }, async () => {
  const own = PLACEHOLDER.exec(await fetched(at(forge, '/api/echo')))?.[0] ?? '';
  for (const spelling of [own, encodeURIComponent(own), Buffer.from(`x:${own}`).toString('base64url')])
    assert.match(await fetched(at(elsewhere, `/?key=${spelling}`)), /holds the placeholder of/, spelling);
  assert.match(await fetched(`http://127.0.0.1:${forge.port}/api/`), /over TLS only: use https/);
  assert.ok(elsewhere.hits.every(({ url }) => !url.includes('key=')));
  const matters = async (): Promise<Pending[]> =>
    (await home.pending()).filter(({ id }) => id.startsWith('mat_secret_'));
  await until(async () => (await matters()).length >= 4, 'the matters in the Inbox');
  const [matter] = await matters();
  assert.match(
    matter?.text ?? '',
    /^assistant tried to send the placeholder of forge to 127\.0\.0\.1, where it does not belong/,
  );
  const { code } = await home.cli('answer', matter?.id ?? '', 'seen');
  assert.equal(code, 0);
});

test('the value is in no file of home, no object of Git and no word of the process', { skip }, async () => {
  await home.end('SIGTERM');
  const places = new Map<string, string | Uint8Array>([
    ...filesBelow(home.home),
    ['objects', gitObjects(home.workspace)],
    ['output', home.out + home.err],
    ['prompts', model.requests.map(({ body }) => JSON.stringify(body)).join('\n')],
  ]);
  assert.deepEqual(sightings(places, [VALUE]), []);
});
