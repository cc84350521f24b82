import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { imageHere } from '../fakes/container-image.ts';
import { whole } from '../fakes/effort.ts';
import { AGENT, Home } from '../fakes/home.ts';
import type { ModelServer } from '../fakes/model-server.ts';
import { modelsYaml, obedientModel, order, orders } from '../fakes/obedient-model.ts';
import { requirePeer } from '../fakes/require-peer.ts';
import { openSite, type Site } from '../fakes/site.ts';
import { until } from '../fakes/until.ts';
import { answerGit } from '../net/git-backend.ts';
import { certificate } from '../net/support.ts';

const made = certificate('IP:127.0.0.1,DNS:localhost');
const has = (program: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
const skip =
  requirePeer('openssl', made !== null) ||
  requirePeer('bubblewrap', has('bwrap')) ||
  requirePeer('curl', has('curl')) ||
  // Inside the sandbox the machine's own npm is used, so it has to be where the sandbox sees programs.
  requirePeer('npm in /usr/bin', existsSync('/usr/bin/npm'));

/** A company's server: a page, a repository over HTTPS and a registry of packages. */
const companySite = (name: string): Promise<Site> =>
  openSite((request, response) => {
    const { url = '', headers } = request;
    if (url.startsWith('/git/')) answerGit(dir, url.slice(4), request, response);
    else if (url.startsWith('/npm/')) packument(url.slice(5), response);
    else response.end(`page of ${name}, asked with ${headers.authorization ?? 'nothing'}\n`);
  }, made);

function packument(name: string, response: ServerResponse): void {
  const version = { name, version: '1.2.3', dist: { tarball: 'https://127.0.0.1/none.tgz', shasum: '0'.repeat(40) } };
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ name, 'dist-tags': { latest: '1.2.3' }, versions: { '1.2.3': version } }));
}

/** The sandboxes, each with two agents: one has `one` in its list, the other `two`. */
const SANDBOXES = { bubblewrap: ['one', 'two'], podman: ['one-box', 'two-box'] } as const;
const later = skip || (whole ? false : 'npm run test:all tries it');
const box = later === false ? await imageHere({ clients: true }) : { image: '', skip: later };
const skipped = { bubblewrap: skip, podman: box.skip };

const KEY = 'acceptance-S3cret/Value+0123456789';
const dir = mkdtempSync(join(tmpdir(), 'ruche-outgoing-'));
let model: ModelServer;
let one: Site;
let two: Site;
let home: Home;

before(async () => {
  if (skip) return;
  execFileSync('git', ['init', '-q', '-b', 'main', join(dir, 'src')]);
  writeFileSync(join(dir, 'src', 'hello.txt'), 'hello from Git\n');
  const git = ['-C', join(dir, 'src'), '-c', 'user.name=Ann', '-c', 'user.email=ann@example.org'];
  execFileSync('git', [...git, 'add', '-A']);
  execFileSync('git', [...git, 'commit', '-q', '-m', 'start']);
  execFileSync('git', ['clone', '-q', '--bare', join(dir, 'src'), join(dir, 'demo.git')]);
  model = await obedientModel();
  one = await companySite('one');
  two = await companySite('two');
  const agent = (site: Site, more = ''): string =>
    AGENT.replace('---\n', `---\nnetwork: ["localhost:${site.port}"]\n${more}`);
  const boxed = `sandbox: container\nimage: ${box.image}\n`;
  home = new Home({
    beside: [model, one, two],
    env: { WIRE_KEY: 'a-key-0123456789' },
    files: {
      'ruche.yaml': modelsYaml(
        model.baseUrl,
        `network: ["localhost:${one.port}", "localhost:${two.port}"]
secrets:
  forge: { for: [one${box.skip === false ? ', one-box' : ''}], host: localhost, ports: [${one.port}], path: /bound/, header: Authorization, format: 'Bearer {}' }
`,
      ),
      'agents/one/AGENT.md': agent(one),
      'agents/two/AGENT.md': agent(two),
      ...(box.skip === false && {
        'agents/one-box/AGENT.md': agent(one, boxed),
        'agents/two-box/AGENT.md': agent(two, boxed),
      }),
      'agents/none/AGENT.md': AGENT,
      'site.pem': made?.cert ?? '',
    },
  });
  mkdirSync(home.home, { mode: 0o700, recursive: true });
  writeFileSync(join(home.home, 'ca.pem'), made?.cert ?? '');
  assert.equal((await home.cliWith(KEY, 'secrets', 'set', 'forge')).code, 0);
  await home.start();
});
after(async () => {
  await home?.close();
  rmSync(dir, { recursive: true, force: true });
});

const done = async (agent: string, tool: string, args: unknown): Promise<string> => {
  const { text, status } = await home.ask(orders(order(tool, args)), undefined, agent);
  assert.equal(status, 'done', `${agent}: ${text}`);
  return text;
};
const at = ({ port }: Site, path: string): string => `https://localhost:${port}${path}`;
/** Where TLS ends at the proxy, the command has been told whom to trust. */
const CA =
  '[ -n "$CURL_CA_BUNDLE" ] || export CURL_CA_BUNDLE=$PWD/site.pem GIT_SSL_CAINFO=$PWD/site.pem npm_config_cafile=$PWD/site.pem;';

/** Each way out that agents have, to a site. What it prints when it got there. */
const WAYS: Record<string, { reach: (agent: string, site: Site) => Promise<string>; there: RegExp }> = {
  fetch: { reach: (agent, site) => done(agent, 'fetch', { url: at(site, '/page') }), there: /page of (?:one|two)/ },
  curl: {
    reach: (agent, site) => done(agent, 'shell', { command: `${CA} curl -sS -m 10 ${at(site, '/page')}` }),
    there: /page of (?:one|two)/,
  },
  'git clone': {
    reach: (agent, site) =>
      done(agent, 'shell', {
        command: `${CA} d=$(mktemp -d) && env -u GIT_DIR -u GIT_WORK_TREE git clone -q ${at(site, '/git/demo.git')} $d/c && cat $d/c/hello.txt`,
      }),
    there: /hello from Git/,
  },
  'npm view': {
    reach: (agent, site) =>
      done(agent, 'shell', {
        command: `${CA} npm view some-package version --registry ${at(site, '/npm/')} --fetch-retries 0 --cache $(mktemp -d) 2>&1`,
      }),
    there: /1\.2\.3/,
  },
};

for (const [sandbox, [first, second]] of Object.entries(SANDBOXES)) {
  const skip = skipped[sandbox as keyof typeof SANDBOXES];

  for (const [way, { reach, there }] of Object.entries(WAYS))
    test(`${sandbox}, ${way}: each agent reaches its own server and no other`, { skip }, async () => {
      for (const [agent, own, other] of [
        [first, one, two],
        [second, two, one],
      ] as const) {
        assert.match(await reach(agent, own), there);
        const before = other.hits.length;
        const refused = await reach(agent, other);
        assert.doesNotMatch(refused, there);
        assert.equal(other.hits.length, before, `${agent} has reached the other: ${refused}`);
      }
    });

  test(`${sandbox}: a credential arrives where it is bound, and its agent sees the placeholder`, { skip }, async () => {
    const fetched = await done(first, 'fetch', { url: at(one, '/bound/x') });
    assert.equal(one.hits.at(-1)?.credential, `Bearer ${KEY}`);
    const command = `curl -sS -m 10 ${at(one, '/bound/y')}; env | grep RUCHE_SECRET`;
    const shown = await done(first, 'shell', { command });
    assert.deepEqual(one.hits.at(-1), { url: '/bound/y', credential: `Bearer ${KEY}` });
    for (const text of [fetched, shown]) {
      assert.match(text, /ruche-secret\.forge\./);
      assert.ok(!text.includes(KEY));
    }
    await done(first, 'fetch', { url: at(one, '/unbound') });
    assert.equal(one.hits.at(-1)?.credential, undefined);
    await done(second, 'fetch', { url: at(two, '/bound/z') });
    assert.equal(two.hits.at(-1)?.credential, undefined);
  });

  test(`${sandbox}: the runtime dies, and the command has no network until it is adopted`, { skip }, async () => {
    const curl = (page: string): string => `curl -sS -m 5 ${at(one, `/${sandbox}-${page}`)}`;
    const loop = `while :; do if ${curl('again')}; then [ -z "$lost" ] || break; else lost=1; echo lost; fi; sleep 0.1; done`;
    const command = `${curl('first')}; lost=; ${loop}`;
    const task = await home.say(orders(order('shell', { command })), undefined, first);
    const firsts = (): number => one.hits.filter(({ url }) => url === `/${sandbox}-first`).length;
    await until(() => firsts() > 0, 'the command begins');
    await home.end('SIGKILL');
    const outputs = (): string[] =>
      globSync(join(home.home, 'shells', '*', 'out.*')).map((path) => readFileSync(path, 'utf8'));
    await until(() => outputs().some((text) => text.includes('lost')), 'the command loses its network');
    await home.start();
    const { text, status } = await home.settled(task);
    assert.equal(status, 'done', text);
    assert.match(text, /lost[^]*page of one/);
    assert.equal(firsts(), 1, 'it began once');
  });
}

test('an agent without a list has no network in its commands', { skip }, async () => {
  const before = one.hits.length;
  assert.match(await done('none', 'shell', { command: `curl -sS -m 5 -k ${at(one, '/page')}` }), /exit (?:6|7|28)/);
  assert.equal(one.hits.length, before);
});

test('ruche net lists what left, by agent, and no path or value', { skip }, async () => {
  await until(async () => (await home.cli('net', '--agent', 'two')).out.includes(String(two.port)), 'ruche net');
  const listed = await home.cli('net', '--json');
  assert.equal(listed.code, 0, listed.err);
  assert.ok(!listed.out.includes(KEY) && !listed.out.includes('/bound/'));
});
