import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AGENT, Home } from '../fakes/home.ts';
import { obedientHome, order, orders } from '../fakes/obedient-model.ts';

// An agent whose commands nothing confines, and rules that vouch for some: what is more than those asks a person, and nothing runs.

const VOUCHED = 'echo ls cat env nice timeout xargs busybox find bash sh node sort powershell pwsh git'.split(' ');
const RULES = `policy:
  rules:
${VOUCHED.map((name) => `    - { id: ${name}, allow: { tool: shell, command: "${name} *" }, reason: "Vouched for." }`).join('\n')}
`;

let home: Home;
let marker: string;
before(async () => {
  home = await obedientHome(
    { 'agents/assistant/AGENT.md': AGENT.replace('---\n', '---\nsandbox: none\n'), ls: 'touch marker\n', a: 'b\na\n' },
    RULES,
  );
  marker = join(home.dir, 'evil-was-here');
  await home.start();
});
after(() => home.close());

async function asked(...lines: string[]): Promise<void> {
  await Promise.all(
    lines.map(async (command) => {
      const outcome = await home.ask(orders(order('shell', { command })));
      assert.equal(outcome.status, 'waiting', `${command}: ${outcome.text}`);
      for (const line of command.split('\n')) assert.ok(outcome.waits[0]?.text.includes(line), outcome.text);
      await home.answer(outcome.waits[0]?.id ?? '', 'deny');
      await home.settled(outcome.task);
    }),
  );
  assert.ok(!existsSync(marker), 'nothing ran');
}

async function runs(command: string, said: RegExp): Promise<void> {
  const outcome = await home.ask(orders(order('shell', { command })));
  assert.equal(outcome.status, 'done', `${command}: ${outcome.text}`);
  assert.match(outcome.text, said);
}

test('A11 every segment of a line is looked at: one that no rule vouches for asks', async () => {
  await runs('echo one && cat a', /one\nb\na/);
  const touch = `touch ${marker}`;
  await asked(
    `echo x | ${touch}`,
    `ls && ${touch}`,
    `ls; ${touch}`,
    `ls\n${touch}`,
    `ls || ${touch}`,
    `(${touch})`,
    `{ ${touch}; }`,
    `echo x &>/dev/null ${touch}`,
    `echo 'require("fs").writeFileSync("${marker}","")' | node`,
    `echo "${touch}" | sh`,
  );
});

test('A12 substitution and expansion ask, in or out of double quotes; in single quotes they are text', async () => {
  await runs("echo '$(id) `id` ${X}'", /^\$\(id\) `id` \$\{X\}$/m);
  await asked(
    `echo $(touch ${marker})`,
    `echo "$(touch ${marker})"`,
    `echo \`touch ${marker}\``,
    `echo "\`touch ${marker}\`"`,
    `echo <(touch ${marker})`,
    'echo ${HOME}',
    'echo "${HOME}"',
    'echo $HOME',
    `echo x > ${marker}`,
    `X=1 echo a`,
  );
});

test('A13 a backslash and newline inside a substitution hide nothing', async () => {
  await asked(`echo $\\\n(touch ${marker})`, `echo "$\\\n(touch ${marker})"`, `echo $\\\n\\\n{HOME}`);
});

test('A14 programs that run others are not vouched for by their own name', async () => {
  const touch = `touch ${marker}`;
  await asked(
    `env bash -c '${touch}'`,
    `nice ${touch}`,
    `timeout 5 ${touch}`,
    `xargs ${touch}`,
    `busybox sh -c '${touch}'`,
    `find . -exec ${touch} +`,
    `find . -fprintf ${marker} x`,
  );
});

test('A15 a shell with code in its line asks, however its options are written', async () => {
  await asked(
    `bash -c 'touch ${marker}'`,
    `bash -lc 'touch ${marker}'`,
    `sh -xec 'touch ${marker}'`,
    `sh -c '"$0" ${marker}' touch`,
    `sh +x -c 'touch ${marker}'`,
    `node -pe 1`,
    `node --eval=1`,
  );
});

test('A16 options that run a program or write elsewhere ask, short, joined and abbreviated', async () => {
  await runs('sort -r a', /^b\na$/m);
  await asked(
    'sort --compress-program=sh a',
    'sort --compress-prog sh a',
    'sort --co=sh a',
    `sort -o ${marker} a`,
    `sort -ro ${marker} a`,
    `sort --out=${marker} a`,
    'sort --files0-from=a',
    `git -c core.pager='touch ${marker}' log`,
    `git log --output=${marker}`,
  );
});

test('A17 encoded commands of PowerShell ask', async () => {
  await asked(
    'powershell -enc AAAA',
    'powershell -e AAAA',
    'powershell /EncodedCommand AAAA',
    'pwsh -EncodedCommand AAAA',
  );
});

test('A18 a file of the workspace with a vouched name is another program', async () => {
  await asked('./ls', `${home.workspace}/ls`, 'PATH=. ls', 'PATH=.:/bin ls x', '../workspace/ls');
  await runs('ls a', /^a$/m);
  assert.ok(!home.exists('marker'), 'the one of the workspace did not run');
});

test('A35 no setting opens the host to a sandbox: mounts, sockets, host network and capabilities are refused by name', async () => {
  const digest = `localhost/x@sha256:${'0'.repeat(64)}`;
  const asked = [
    'binds: [/:/host]',
    'volumes: [/var/run/docker.sock:/var/run/docker.sock]',
    'network: host',
    'privileged: true',
    'capAdd: [SYS_ADMIN]',
    'options: [--pid=host]',
  ];
  const before = home.read('ruche.yaml');
  for (const more of asked) {
    home.write('ruche.yaml', `${before}sandbox: { kind: container, image: "${digest}", ${more} }\n`);
    const { out, code } = await home.cli('doctor');
    assert.equal(code, 1, more);
    assert.match(out, new RegExp(`ruche\\.yaml.*${more.split(':')[0]}`), out);
  }
  home.write('ruche.yaml', before);
  home.write('agents/assistant/AGENT.md', AGENT.replace('---\n', `---\nsandbox: { kind: bwrap, binds: ["/"] }\n`));
  assert.match((await home.cli('doctor')).out, /agents\/assistant\/AGENT\.md.*binds/);
});
