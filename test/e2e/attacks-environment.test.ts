import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AGENT, Home } from '../fakes/home.ts';
import type { ModelServer } from '../fakes/model-server.ts';
import { obedientModel, order, orders } from '../fakes/obedient-model.ts';

const CANARY = 'canary-in-the-environment';
/** Names that would change the test's own process, or end it, before Ruche has begun. */
const OURS = /^(NODE_|LD_|DYLD_|PATH$|HOME$|GLIBC_|GCONV_|OPENSSL|SSL|TZ|LC_|LANG|TMP|MALLOC|RUCHE_|OPENAI_)/;

const policy = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', 'sandbox', 'fixtures', 'host-env-policy.json'), 'utf8'),
) as { keys: string[]; prefixes: string[] };
const names = [...policy.keys, ...policy.prefixes.map((prefix) => `${prefix}EVIL`)].filter((name) => !OURS.test(name));

let server: ModelServer;
let home: Home;
let marker: string;

/** Code and settings that a workspace may hold; each leaves the marker if anything runs it. */
function evilFiles(): Record<string, string> {
  const js = `require('node:fs').writeFileSync(${JSON.stringify(marker)}, __filename)\n`;
  const esm = `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(marker)}, import.meta.url);\n`;
  const sh = `touch ${marker}\n`;
  const names = [
    'setup-api.js',
    'plugin/setup-api.js',
    'ruche.config.js',
    '.ruche/plugin.js',
    'index.js',
    'agents/assistant/tool.js',
  ];
  const modules = [
    'ruche.config.mjs',
    'ruche.config.ts',
    'skills/evil/tool.ts',
    'tools/evil.ts',
    'dist/ruche.js',
    'src/cli/main.ts',
  ];
  const dotenv = [
    'PATH=/evil',
    'OPENAI_API_KEY=sk-evil-0123456789',
    'OPENAI_MODEL=evil',
    'OPENAI_BASE_URL=http://127.0.0.1:1/v1',
    'RUCHE_TOKEN=evil-token-evil-token-evil',
    'HTTPS_PROXY=http://127.0.0.1:1',
    'npm_execpath=/evil',
    'CLOUDSDK_PYTHON=/evil',
    'AWS_ENDPOINT_URL=http://127.0.0.1:1',
  ].join('\n');
  return {
    ...Object.fromEntries(names.map((name) => [name, js])),
    ...Object.fromEntries(modules.map((name) => [name, esm])),
    'node_modules/ruche/package.json': '{"name":"ruche","main":"index.js"}',
    'node_modules/ruche/index.js': js,
    'node_modules/hono/index.js': js,
    'package.json': '{"name":"ruche","main":"index.js","type":"commonjs","ruche":{"plugins":["./setup-api.js"]}}',
    '.env': dotenv,
    '.env.local': dotenv,
    '.bashrc': sh,
    '.bash_profile': sh,
    '.profile': sh,
    '.npmrc': 'node-options=--require ./setup-api.js\n',
    'sitecustomize.py': `open(${JSON.stringify(marker)}, 'w')\n`,
  };
}

before(async () => {
  server = await obedientModel();
  const models = `models:
  providers: { wire: { type: openai-compatible, baseUrl: "${server.baseUrl}", apiKey: env:WIRE_KEY } }
  standard: [demo/demo]
`;
  const wired = AGENT.replace('helps', 'helps\nmodel: wire/obedient');
  home = new Home({
    beside: [server],
    env: { WIRE_KEY: 'a-key-0123456789', ...Object.fromEntries(names.map((name) => [name, CANARY])) },
    files: {
      'ruche.yaml': models,
      'agents/assistant/AGENT.md': AGENT,
      'agents/wired/AGENT.md': wired,
      'a.md': 'one\n',
    },
  });
  marker = join(home.dir, 'evil-was-here');
  for (const [path, text] of Object.entries(evilFiles())) home.write(path, text);
  home.git('add', '-A', '-f');
  home.commit('everything a workspace may hold');
  home.cwd = home.workspace;
  await home.start();
});
after(() => home.close());

test('A24 no variable of the runtime reaches a command, and a call brings none of its own', async () => {
  assert.ok(names.length > 200, `${names.length} names`);
  const outcome = await home.ask('run: env; cat /proc/self/environ | tr "\\0" "\\n"; cat /proc/1/environ');
  assert.equal(outcome.status, 'done', outcome.text);
  assert.ok(!outcome.text.includes(CANARY), outcome.text);
  const given = new Set([...outcome.text.matchAll(/^([A-Za-z_]+)=/gm)].map(([, name]) => name));
  const allowed = 'EMAIL HOME LANG LOGNAME OLDPWD PATH PWD RUCHE_STATUS SHLVL TERM USER _'.split(' ');
  assert.deepEqual(
    [...given].filter((name) => !allowed.includes(name ?? '')),
    [],
  );
  assert.ok(given.has('PATH'));
  for (const more of [
    { env: { NODE_OPTIONS: '--require ./x' } },
    { environment: {} },
    { LD_PRELOAD: './x.so' },
    { cwd: '/' },
  ]) {
    const refused = await home.ask(orders(order('shell', { command: 'env', ...more })), undefined, 'wired');
    assert.match(refused.text, /unknown argument/, JSON.stringify(more));
  }
});

test('A25 what stands in files of the workspace sets nothing: no key, model, proxy, token or path', async () => {
  const status = await home.status();
  assert.deepEqual([status.model, status.demo, status.problems], ['demo/demo', true, []]);
  assert.notEqual(home.token, 'evil-token-evil-token-evil');
  const denied = await home.fetch('/api/status', { headers: { authorization: 'Bearer evil-token-evil-token-evil' } });
  assert.equal(denied.status, 401);
  const { text } = await home.ask('run: echo "[$OPENAI_API_KEY$npm_execpath$AWS_ENDPOINT_URL]"; echo $PATH');
  assert.match(text, /^\[\]$/m);
  assert.ok(!text.includes('/evil'), text);
  assert.equal((await home.ask(orders(order('list', {})), undefined, 'wired')).status, 'done', 'no proxy in between');
});

test('A26 nothing of the workspace is loaded as code, wherever commands are given', async () => {
  for (const args of [
    ['doctor'],
    ['status'],
    ['log'],
    ['verify'],
    ['ask', 'assistant', 'read package.json'],
    ['--version'],
  ])
    assert.equal((await home.cli(...args)).code, 0, args.join(' '));
  assert.equal((await home.ask('run: python3 -c 1; bash -lc true; true')).status, 'done');
  assert.ok(!existsSync(marker), existsSync(marker) ? readFileSync(marker, 'utf8') : '');
});

const HOOKS =
  'applypatch-msg pre-commit prepare-commit-msg commit-msg post-commit pre-merge-commit post-merge pre-rebase post-checkout post-rewrite reference-transaction post-index-change pre-auto-gc pre-push'.split(
    ' ',
  );

test('A27 hooks, filters, drivers, monitors and programs of the repository and of the person never run', async () => {
  const script = join(home.dir, 'evil.sh');
  writeFileSync(script, `#!/bin/sh\necho "$0 $*" >> ${marker}\ncat 2>/dev/null\n`, { mode: 0o755 });
  mkdirSync(home.path('.git/hooks'), { recursive: true });
  for (const hook of HOOKS)
    writeFileSync(home.path(`.git/hooks/${hook}`), `#!/bin/sh\ntouch ${marker}\n`, { mode: 0o755 });
  // Files with a filter that is configured are left to the person's own Git; all others are worked on.
  home.write('.gitattributes', '*.bin filter=evil\n* diff=evil merge=evil\n');
  home.git('-c', 'core.hooksPath=/dev/null', 'add', '-f', '.gitattributes');
  home.git(
    '-c',
    'core.hooksPath=/dev/null',
    '-c',
    'user.name=Ann',
    '-c',
    'user.email=a@x',
    'commit',
    '-q',
    '-m',
    'attributes',
  );
  const config = `
[core]
\tfsmonitor = ${script}
\tsshCommand = ${script}
\teditor = ${script}
\tpager = ${script}
\taskPass = ${script}
[filter "evil"]
\tclean = ${script}
\tsmudge = ${script}
\tprocess = ${script}
\trequired = true
[diff]
\texternal = ${script}
[diff "evil"]
\tcommand = ${script}
\ttextconv = ${script}
[merge "evil"]
\tdriver = ${script} %A
[alias]
\tstatus = !${script}
\tcommit = !${script}
[gpg]
\tprogram = ${script}
[commit]
\tgpgsign = true
[credential]
\thelper = !${script}
[gc]
\tauto = 1
`;
  writeFileSync(home.path('.git/config'), readFileSync(home.path('.git/config'), 'utf8') + config);
  writeFileSync(join(home.dir, 'person', '.gitconfig'), `${config}[user]\n\tname = Ann\n\temail = ann@x\n`);
  await home.end('SIGTERM');
  await home.start();
  home.write('a.md', 'one, by Ann\n');
  home.write('big.bin', 'by Ann\n');
  assert.match(
    (await home.ask('read a.md, then append a.md: two, then run: git status; git log -1; cat a.md')).text,
    /by Ann/,
  );
  const parked = await home.ask('append a.md: three;, then ask me: go on?', 'conflict');
  assert.equal((await home.ask('append a.md: four;')).status, 'done');
  await home.api(`/api/questions/${parked.waits[0]?.id}`, { text: 'yes' });
  assert.equal((await home.settled(parked.task)).status, 'done');
  assert.equal(home.read('a.md'), 'one, by Ann\ntwofour;three;');
  const { findings } = await home.verify();
  assert.deepEqual(findings, []);
  assert.equal((await home.cli('doctor')).code, 0);
  assert.ok(!existsSync(marker), existsSync(marker) ? readFileSync(marker, 'utf8') : '');
});
