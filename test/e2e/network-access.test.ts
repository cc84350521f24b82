// What agents reach by their lists, and that it is on record: over a real gateway, with real servers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { NetEntry, NetPage, RunsPage } from '../../src/core/api/views.ts';
import { Home } from '../fakes/home.ts';
import type { ModelServer } from '../fakes/model-server.ts';
import { modelsYaml, obedientModel, order, orders } from '../fakes/obedient-model.ts';
import { openSite, type Site } from '../fakes/site.ts';
import { bwrapHere } from '../fakes/sandbox-home.ts';
import { until } from '../fakes/until.ts';

/** It sends on from a path that the list has to one that it does not have. */
const site = (): Promise<Site> =>
  openSite((request, response) => {
    if (request.url === '/open/away') response.writeHead(302, { location: '/closed' }).end();
    else response.end('here it is');
  }, null);
const urls = (of: Site | undefined): string[] => (of?.hits ?? []).map(({ url }) => url);

let [one, two]: Site[] = [];
let model: ModelServer;
let home: Home;
const at = (where: Site | undefined, path: string): string => `http://127.0.0.1:${where?.port}${path}`;
const fetching = async (agent: string, url: string): Promise<string> =>
  (await home.ask(orders(order('fetch', { url })), undefined, agent)).text;

before(async () => {
  [model, one, two] = await Promise.all([obedientModel(), site(), site()]);
  const agent = (list: string): string => `---\ndescription: helps\n${list}---\nYou help.\n`;
  const [first, second] = [`127.0.0.1:${one.port}`, `127.0.0.1:${two.port}`];
  home = await Home.up({
    beside: [model, one, two],
    env: { WIRE_KEY: 'a-key-0123456789' },
    files: {
      'ruche.yaml': modelsYaml(model.baseUrl, `network: ["${first}", "${second}", example.org]\n`),
      'agents/ada/AGENT.md': agent(
        `network:\n  - { host: 127.0.0.1, ports: [${one.port}], methods: [GET], paths: [/open/] }\n`,
      ),
      'agents/bob/AGENT.md': agent(
        `network:\n  - "${second}"\n  - { host: 127.0.0.1, ports: [${one.port}], ask: true }\n  - other.example\n`,
      ),
      'agents/eve/AGENT.md': agent(''),
    },
  });
});
after(() => home.close());

test('each agent fetches what its own list names, without a question, and nothing else', async () => {
  assert.match(await fetching('ada', at(one, '/open/page')), /here it is/);
  assert.match(await fetching('ada', at(one, '/closed')), /Denied by rule builtin:agent-network/);
  assert.match(await fetching('ada', at(one, '/open/%2e%2e%2fclosed')), /Denied by rule builtin:agent-network/);
  assert.match(await fetching('ada', at(one, '/open/away')), /Nothing was fetched/);
  assert.match(await fetching('ada', at(two, '/open/page')), /Denied by rule builtin:agent-network/);
  assert.match(await fetching('bob', at(two, '/any')), /here it is/);
  // Not in the list of ruche.yaml, which bounds every other one.
  assert.match(await fetching('bob', 'https://other.example/'), /Denied by rule builtin:agent-network/);
  assert.deepEqual([urls(one), urls(two)], [['/open/page', '/open/away'], ['/any']]);
});

test('an entry that asks, and an agent without a list of its own, ask the owner', async () => {
  for (const agent of ['bob', 'eve']) {
    const task = await home.say(orders(order('fetch', { url: at(one, '/asked') })), undefined, agent);
    const [asked] = await until(async () => {
      const pending = await home.pending();
      return pending.length > 0 ? pending : null;
    });
    assert.ok(asked?.kind === 'approval');
    await home.api(`/api/approvals/${asked.id}`, { verdict: 'approve' });
    assert.match((await home.settled(task)).text, /here it is/);
  }
  assert.match(await fetching('eve', 'https://other.example/'), /Denied by rule builtin:agent-network/);
});

test('work that an agent gives reaches no more than the giver does', async () => {
  const before = two?.hits.length;
  const work = orders(order('fetch', { url: at(two, '/for-ada') }));
  await home.ask(orders(order('task', { action: 'create', agent: 'bob', text: work })), undefined, 'ada');
  const [made] = await until(async () => {
    const { runs } = await home.api<RunsPage>('/api/runs?agent=bob&from=agent');
    return runs.length > 0 && runs.every(({ status }) => status === 'done') ? runs : null;
  });
  assert.match((await home.settled(made?.task ?? '')).text, /Denied by rule builtin:agent-network/);
  assert.equal(two?.hits.length, before);
});

test('what left is told by API, command and metrics: for whom, where to and how much, and nothing said', async () => {
  await fetching('ada', at(one, '/open/page?token=verysecret'));
  const tools = (sent: NetEntry[]): NetEntry[] => sent.filter(({ who }) => who === 'tool:fetch');
  const { sent } = await until(async () => {
    const page = await home.api<NetPage>('/api/net?agent=ada&limit=1000');
    return tools(page.sent).length >= 3 ? page : null;
  });
  const [last] = tools(sent);
  assert.deepEqual(
    [last?.agent, last?.host, last?.port, last?.kind, last?.method, last?.outcome],
    ['ada', '127.0.0.1', one?.port, 'request', 'GET', 'ok'],
  );
  assert.match(last?.run ?? '', /^run_/);
  assert.ok((last?.bytesOut ?? 0) > 50 && (last?.bytesIn ?? 0) > 50);
  const models = sent.filter(({ who }) => who === 'model:wire');
  assert.ok(
    models.length > 0 && models.every(({ agent, method }) => agent === 'ada' && method === 'POST'),
    'its models',
  );
  assert.doesNotMatch(JSON.stringify(sent), /verysecret|\/open/);
  const { sent: newest, next } = await home.api<NetPage>('/api/net?limit=2');
  assert.equal(newest.length, 2);
  const older = await home.api<NetPage>(`/api/net?limit=1&before=${next}`);
  assert.ok(Number(older.sent[0]?.id.slice(4)) < Number(newest[1]?.id.slice(4)));
  const listed = await home.cli('net', '--agent', 'bob', '--since', '1h');
  assert.equal(listed.code, 0, listed.err);
  assert.match(listed.out, new RegExp(`bob +tool:fetch +GET 127\\.0\\.0\\.1:${two?.port} .* ok *$`, 'm'));
  assert.match(listed.out, /\d+ calls, \d+ refused or failed: /);
  assert.doesNotMatch(listed.out, / ada /);
  const json = JSON.parse((await home.cli('net', '--json')).out) as NetPage;
  assert.ok(json.sent.length > 3);
  assert.match((await home.cli('net', '--agent', 'bbo')).err, /Unknown agent "bbo"\. Known: /);
  assert.match((await home.cli('net', '--since', '2100-01-01')).out, /^Nothing left over the network since then\.$/m);
  assert.match((await home.cli('net', '--since', 'soon')).err, /Invalid --since/);
  const metrics = await (
    await fetch(`${home.url}/metrics`, { headers: { authorization: `Bearer ${home.token}` } })
  ).text();
  assert.match(metrics, /^ruche_net_calls_total\{who="tool:fetch",agent="ada"\} [1-9]/m);
  assert.match(metrics, /^ruche_net_sent_bytes_total\{who="model:wire",agent="bob"\} [1-9]\d{2,}$/m);
});

test('a refused address is on record, and the record holds after a kill', async () => {
  const { sent } = await home.api<NetPage>('/api/net?limit=1000');
  const redirected = sent.filter(({ outcome }) => outcome === 'redirect' || outcome === 'blocked');
  assert.ok(redirected.length > 0, 'the redirect past the list');
  await home.end('SIGKILL');
  await home.start();
  const again = await home.api<NetPage>('/api/net?limit=1000');
  const ids = new Set(again.sent.map(({ id }) => id));
  assert.ok(sent.every(({ id }) => ids.has(id)));
  assert.deepEqual((await home.verify()).findings, []);
});

const { skip: noSandbox } = await bwrapHere();
const running = async (agent: string, command: string): Promise<string> =>
  (await home.ask(orders(order('shell', { command })), undefined, agent)).text;

test(
  'a command reaches what the list of its agent allows, is told what it does not reach, and all of it is on record',
  { skip: noSandbox },
  async () => {
    const hits = (one?.hits.length ?? 0) + (two?.hits.length ?? 0);
    const ask = (url: string, more = ''): string => `curl -s ${more} -w '%{http_code} ' ${url}`;
    const bob = await running(
      'bob',
      `${ask(at(two, '/by-command'))}; ${ask(at(one, '/x'), '-o /dev/null')}; ${ask('http://nowhere.example/', '-o /dev/null')}`,
    );
    assert.match(bob, /here it is200 403 403/);
    assert.match(
      bob,
      new RegExp(
        `not reached: 127\\.0\\.0\\.1:${one?.port}: a person is asked for it each time[^\\n]*; nowhere\\.example:80: it is not among the hosts that bob may reach`,
      ),
    );
    const ada = await running(
      'ada',
      `${ask(at(one, '/open/page'))}; ${ask(at(one, '/closed'), '-o /dev/null')}; ${ask(at(one, '/open/x'), '-o /dev/null -X POST')}; ${ask(at(two, '/any'), '-o /dev/null')}`,
    );
    assert.match(ada, /here it is200 403 403 403/);
    const eve = await running('eve', `${ask(at(one, '/open/page'))} || echo none; env | grep -ci proxy`);
    assert.match(eve, /none\n0\n/);
    assert.equal((one?.hits.length ?? 0) + (two?.hits.length ?? 0), hits + 2);
    const proxied = await until(async () => {
      const { sent } = await home.api<NetPage>('/api/net?limit=1000');
      const lines = sent.filter(({ kind }) => kind === 'proxy');
      return lines.length >= 6 ? lines : null;
    });
    assert.deepEqual(proxied.map(({ agent, who, host, outcome }) => `${agent} ${who} ${host} ${outcome}`).toSorted(), [
      'ada tool:shell 127.0.0.1 blocked',
      'ada tool:shell 127.0.0.1 blocked',
      'ada tool:shell 127.0.0.1 blocked',
      'ada tool:shell 127.0.0.1 ok',
      'bob tool:shell 127.0.0.1 ok',
      'bob tool:shell nowhere.example blocked',
    ]);
  },
);

test(
  'a command asks its own servers without the proxy, except by a name that its list has',
  { skip: noSandbox },
  async () => {
    // Nothing listens there: 7 is a connection that was tried and refused, and the proxy would have answered.
    const names = ['localhost', '0.0.0.0', '[::1]', '127.0.0.1'];
    const told = await running(
      'bob',
      names.map((name) => `curl -gs -o /dev/null http://${name}:9/; echo "$?"`).join('; '),
    );
    assert.match(told, /^7\n7\n7\n0\n/m);
    assert.match(told, /not reached: 127\.0\.0\.1:9: it is not among the hosts that bob may reach;[^;]*$/);
  },
);
