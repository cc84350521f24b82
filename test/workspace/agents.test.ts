import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reaches } from '../../src/core/net/reach.ts';
import type { Problem } from '../../src/core/agent.ts';
import { parseAgent } from '../../src/config/agent.ts';
import { KNOWN } from '../fakes/known.ts';

const FILE = 'agents/email/AGENT.md';
const known: Parameters<typeof parseAgent>[3] = {
  ...KNOWN,
  providers: ['demo', 'local'],
  chains: ['owner', 'night'],
};
const parse = (text: string | Uint8Array, name = 'email') => parseAgent(text, FILE, name, known);
const lines = (problems: readonly Problem[]): string[] =>
  problems.map((p) => `${p.severity} ${p.line} ${p.key} ${p.message}`);

function refused(text: string | Uint8Array, ...expected: RegExp[]): void {
  const { agent, problems } = parse(text);
  assert.equal(agent, null);
  const said = lines(problems.filter((p) => p.severity === 'error'));
  assert.equal(said.length, expected.length, said.join('\n'));
  expected.forEach((pattern, at) => assert.match(said[at] ?? '', pattern));
}

test('front matter and prose become an agent, with defaults for what is not said', () => {
  const { agent, problems } = parse('---\n---\n\nYou are the mail agent.\n\n---\nStill prose.\n');
  assert.deepEqual(problems, []);
  assert.deepEqual(agent, {
    name: 'email',
    description: '',
    model: 'standard',
    tools: [
      'read',
      'write',
      'edit',
      'list',
      'search',
      'shell',
      'fetch',
      'ask',
      'task',
      'hand_over',
      'escalate',
      'schedule',
      'tell',
    ],
    rules: [],
    network: null,
    schedules: [],
    instructions: 'You are the mail agent.\n\n---\nStill prose.',
  });
});

test('the example of the design reads, with a warning for each key that comes later', () => {
  const { agent, problems } = parse(`---
description: Reads incoming mail, sorts it, writes the digest.
model: light                         # a tier
tools: [read, write, edit, list, search, memory, task, ask]
skills: [triage]
rules:                               # may only narrow
  - { id: no-delete, deny: { effect: send, path: "archive/**" }, reason: "The archive is read-only." }
network: [mail.example.org:993]
budget: { usd: { day: 2, month: 30 }, onExceed: light }
schedules:
  - { name: digest, cron: "15 8 * * 1-5", timezone: Europe/Paris, missed: once, task: "Write today's digest." }
triggers:
  - { name: deadline, on: file.landed, path: "shared/deadlines/*.md", task: "Prepare the mail for {{path}}." }
escalation: owner
---
You are the mail agent of this company.
`);
  assert.deepEqual(agent?.tools, ['read', 'write', 'edit', 'list', 'search', 'task', 'ask']);
  assert.deepEqual(agent?.network, reaches('mail.example.org:993'));
  assert.deepEqual(agent?.rules[0]?.match, { effect: 'send', path: 'archive/**' });
  assert.equal(problems.filter((p) => p.severity === 'warning').length, problems.length);
  assert.deepEqual(problems.map((p) => p.key).sort(), ['tools.5']);
  assert.deepEqual(agent?.budget, { limits: { usd: { day: 2, month: 30 } }, onExceed: 'light' });
  assert.equal(agent?.escalation, 'owner');
});

test('a network list reads texts and maps', () => {
  const { agent, problems } = parse(
    '---\nnetwork:\n  - "*.x.org"\n  - { host: API.y.org, ports: [443], methods: [get], paths: [/repos/], ask: true }\n---\n',
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(agent?.network, [
    { host: '*.x.org', ports: null, methods: null, paths: null, verdict: 'allow' },
    { host: 'api.y.org', ports: [443], methods: ['GET'], paths: ['/repos/'], verdict: 'ask' },
  ]);
  assert.deepEqual(parse('---\nnetwork: []\n---\n').agent?.network, []);
});

test('an agent names a chain that ruche.yaml has', () => {
  assert.equal(parse('---\nescalation: night\n---\n').agent?.escalation, 'night');
  refused('---\nescalation: nigt\n---\n', /^error 2 escalation names the chain "nigt".* Known: .*Did you mean "night"/);
  refused('---\nescalation: [owner]\n---\n', /^error 2 escalation must be/);
});

test('byte order mark, carriage returns and blanks behind the fence are no problem', () => {
  const { agent, problems } = parse('\ufeff---  \r\nmodel: local/qwen3\r\n---\t\r\nOne\r\nTwo\r\n');
  assert.deepEqual(problems, []);
  assert.deepEqual([agent?.model, agent?.instructions], ['local/qwen3', 'One\nTwo']);
});

test('what is wrong names line, key and remedy', () => {
  refused('You help.\n', /1 {2}must begin with a line `---`/);
  refused('---\nmodel: light\nYou help.\n', /1 {2}the front matter that begins here has no closing line/);
  refused('---\nmodel: light\nmodel: strong\n---\n', /3 model the key "model" stands here a second time/);
  refused('---\nmodel: lite\n---\n', /2 model must be light, standard, strong or provider\/model/);
  refused(
    '---\n\nmodel: locl/x\n---\n',
    /3 model names the provider "locl".*Known: demo, local, and the tiers.*Did you mean "local"/,
  );
  refused('---\ntools: [read, shel]\n---\n', /2 tools.1 there is no tool "shel". Did you mean "shell"/);
  refused('---\ntool: [read]\n---\n', /2 tool is not a known key. Did you mean "tools"/);
  refused('---\ntools: read\n---\n', /2 tools must be a list, not text/);
  refused('---\nnetwork: ["https://x.org/"]\n---\n', /2 network.0 must be host, \*\.host or host:port.*no URL/);
  const entry = (map: string, said: RegExp): void => refused(`---\nnetwork:\n  - x.org\n  - ${map}\n---\n`, said);
  entry('{ host: "x.org:443" }', /4 network.1.host must be a host; put its port under ports/);
  entry('{ host: x.org, method: [GET] }', /4 network.1.method is not a known key. Did you mean "methods"/);
  entry('{ host: x.org, methods: [GTE] }', /4 network.1.methods.0 must be a method such as GET or POST, not "GTE"/);
  entry('{ host: x.org, methods: [] }', /4 network.1.methods must not be empty/);
  entry('{ host: x.org, paths: [repos] }', /4 network.1.paths.0 must begin with \//);
  entry('{ host: x.org, paths: [/a/../b] }', /4 network.1.paths.0 must be a plain path/);
  entry('{ host: x.org, ports: [70000] }', /4 network.1.ports.0 must be at most 65535/);
  entry('{ host: x.org, ask: maybe }', /4 network.1.ask must be true or false, not text/);
  entry('{ ports: [443] }', /4 network.1.host is missing; it must be text/);
  entry('7', /4 network.1 must be a host such as example.org, or a map/);
  refused('---\nrules:\n  - { id: a, ask: { path: "a/../b" }, reason: r }\n---\n', /3 rules.0.ask cannot match: path/);
  refused('---\nmodel:\tlight\n\tx: 1\n---\n', /3 .*tab/);
  refused(Buffer.from('---\n---\nok\n\xe9\n', 'latin1'), /4 {2}the file is not valid UTF-8/);
  refused(`---\n${'# x\n'.repeat(20_000)}---\n`, /front matter has \d+ characters; 65536 are allowed/);
  refused(`---\n---\n${'x'.repeat(1024 * 1024)}`, /bytes; 1048576 are allowed/);
  refused('---\na: &a [x]\nb: [*a, *a]\n---\n', /2 .*anchor/, /3 .*alias/, /3 .*alias/);
});

test("an agent's rule that allows is an error that says why", () => {
  refused(
    '---\nrules:\n  - { id: a, deny: { tool: shell }, reason: r }\n  - { id: b, allow: { tool: shell }, deny: { tool: fetch }, reason: r }\n---\n',
    /4 rules.1.allow is not possible here: the rules of an agent may only narrow \(ask, deny\); put what is allowed in ruche.yaml/,
  );
});

test('a name that could not be a folder, queue and author is refused', () => {
  for (const name of ['Email', '9mail', 'a_b', 'é', '', '..', 'a'.repeat(64)]) {
    const { agent, problems } = parse('---\n---\n', name);
    assert.equal(agent, null);
    assert.match(problems[0]?.message ?? '', /cannot be the name of an agent/);
  }
});

const IMAGE = `docker.io/library/node:26@sha256:${'0a'.repeat(32)}`;

test('the sandbox of an agent is picked by name, or by the image of its container', () => {
  const picked = (front: string) => {
    const { agent, problems } = parse(`---\n${front}---\n`);
    assert.deepEqual(problems, []);
    return agent?.sandbox;
  };
  assert.equal(picked(''), undefined);
  assert.deepEqual(picked('sandbox: bwrap\n'), { kind: 'bwrap' });
  assert.deepEqual(picked('sandbox: none\n'), { kind: 'none' });
  assert.deepEqual(picked(`sandbox: container\nimage: ${IMAGE}\n`), { kind: 'container', image: IMAGE });
  assert.deepEqual(picked(`sandbox: { image: '${IMAGE}' }\n`), { kind: 'container', image: IMAGE });
  assert.deepEqual(picked(`sandbox: { kind: container, image: '${IMAGE}' }\n`), { kind: 'container', image: IMAGE });
});

test('an image without a digest is refused, and said how to get one', () => {
  const how = /must be name@sha256:… with 64 digits.*podman image inspect --format/;
  for (const image of ['node:26', 'node@sha256:12', `node@sha512:${'a'.repeat(64)}`, `-v@sha256:${'a'.repeat(64)}`]) {
    refused(`---\nsandbox: container\nimage: ${image}\n---\n`, how);
    refused(`---\nsandbox: { image: '${image}' }\n---\n`, how);
  }
  refused('---\nsandbox: container\n---\n', /2 sandbox needs to know its image/);
  refused('---\nsandbox: podman\n---\n', /2 sandbox there is no sandbox "podman".*Did you mean "container"/);
  refused(`---\nsandbox: bwrap\nimage: ${IMAGE}\n---\n`, /3 image counts only beside `sandbox: container`/);
  refused(`---\nimage: ${IMAGE}\n---\n`, /2 image counts only beside/);
  refused('---\nsandbox: chroot\n---\n', /2 sandbox /);
});

test('an agent only narrows the sandbox that ruche.yaml has picked for all', () => {
  const all = { kind: 'container', image: IMAGE } as const;
  const narrowed = (front: string, sandbox: typeof known.sandbox) =>
    parseAgent(`---\n${front}---\n`, FILE, 'email', { ...known, sandbox });
  assert.deepEqual(narrowed('', all).agent?.sandbox, all);
  assert.deepEqual(narrowed(`sandbox: { image: '${IMAGE}' }\n`, { kind: 'bwrap' }).agent?.sandbox, all);
  assert.deepEqual(narrowed('sandbox: bwrap\n', { kind: 'none' }).agent?.sandbox, { kind: 'bwrap' });
  for (const [front, sandbox] of [
    ['sandbox: bwrap\n', all],
    ['sandbox: none\n', all],
    ['sandbox: none\n', { kind: 'bwrap' }],
    [`sandbox: { image: 'other@sha256:${'b'.repeat(64)}' }\n`, all],
  ] as const) {
    const { agent, problems } = narrowed(front, sandbox);
    assert.equal(agent, null, front);
    assert.match(lines(problems).join(), /2 sandbox is not possible here: ruche.yaml has picked/);
  }
});
