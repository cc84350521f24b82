import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { AGENT, Home } from '../fakes/home.ts';
import { obedientHome, order, orders } from '../fakes/obedient-model.ts';

const bwrap = spawnSync('bwrap', ['--version']).status === 0;
const python = spawnSync('python3', ['--version']).status === 0;
const skip = bwrap ? false : 'there is no bubblewrap on this machine';

let home: Home;
before(async () => {
  home = await obedientHome({ 'agents/other/AGENT.md': AGENT, 'shared/deep/in.md': 'inside\n', 'notes.md': 'one\n' });
  await home.start();
});
after(() => home.close());

/** What a command of the agent said, in a conversation of its own. */
const run = async (command: string, agent = 'assistant'): Promise<string> => {
  const outcome = await home.ask(orders(order('shell', { command })), undefined, agent);
  assert.equal(outcome.status, 'done', outcome.text);
  return outcome.text;
};

/** The listing another agent's command gets: types, rights, links, names. */
const look = (): Promise<string> =>
  run(`find . -path ./.git -prune -o -printf '%y %m %l %p\\n' | sort; cat .git/config notes.md`, 'other');

test('A29 A31 no command leaves another agent’s anything but what landed, and none stops it', { skip }, async () => {
  const clean = await look();
  assert.match(clean, /f 644 {2}\.\/notes\.md/);
  const fsmonitor = `git config core.fsmonitor 'echo "planted by one, run by another" >/workspace/planted.md; false'`;
  const attacks = [
    `cd shared && git init -q . && ${fsmonitor}`,
    `mkdir -p shared/deep/.git; echo x >shared/deep/.git/HEAD`,
    `printf 'gitdir: /workspace/elsewhere\\n' >agents/.git`,
    `git init -q --bare cache.git; cd cache.git; ${fsmonitor}; cd ..; echo 'cache.git/' >>.git/info/exclude`,
    `${fsmonitor}; git config alias.status '!touch /workspace/planted.md'; mkdir -p .git/hooks`,
    `chmod 555 shared; chmod 000 shared/deep agents; chmod 4777 notes.md`,
    `ln -s /etc x; ln notes.md y; mkfifo z; rm -r shared; ln -s agents shared; exit 1`,
    `rm -rf shared notes.md .git; true`,
    ...(python ? [`python3 -c "import os\nfor i in range(100): os.mkdir('d'*200); os.chdir('d'*200)"`] : []),
  ];
  for (const attack of attacks) {
    const head = home.git('rev-parse', 'main');
    // Whatever of it would land is taken back by the person.
    await run(attack);
    assert.equal((await home.fetch('/healthz')).status, 200);
    home.git('reset', '-q', '--hard', head.trim());
    assert.equal(await look(), clean, attack);
    const said = await run(
      'for d in . shared agents shared/deep; do (cd $d; git status --short); done; echo ok',
      'other',
    );
    assert.match(said, /^ok\nexit 0$/, attack);
  }
});

test('A29 a command sees what main reaches, not what the person keeps aside', { skip }, async () => {
  home.write('notes.md', 'SECRET of a stash\n');
  home.git('stash');
  home.git('branch', 'aside');
  const text = await run(
    `git cat-file --batch-all-objects --batch; ls -R /run/objects; git log --all --oneline; git fsck`,
  );
  assert.doesNotMatch(text, /SECRET/);
  assert.match(text, /inside/);
});
