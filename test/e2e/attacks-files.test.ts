import assert from 'node:assert/strict';
import { existsSync, linkSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Home } from '../fakes/home.ts';
import { obedientHome, order, orders } from '../fakes/obedient-model.ts';

const SECRET = 'the secret outside of the workspace';

let home: Home;
let outside: string;
before(async () => {
  home = await obedientHome({ 'in.md': 'inside\n', 'dir/in.md': 'inside\n' });
  outside = join(home.dir, 'outside');
  mkdirSync(join(outside, 'deep'), { recursive: true });
  for (const path of ['secret.md', 'deep/secret.md']) writeFileSync(join(outside, path), SECRET);
  await home.start();
});
after(() => home.close());

const shell = (command: string): ReturnType<typeof order> => order('shell', { command });
/** What the tools said, one text a call. */
const results = async (...calls: ReturnType<typeof order>[]): Promise<string[]> => {
  const outcome = await home.ask(orders(...calls));
  assert.equal(outcome.status, 'done', outcome.text);
  return outcome.text.split('\n---\n');
};
/** Nothing outside was changed or made. */
function checkOutside(): void {
  for (const path of ['secret.md', 'deep/secret.md']) assert.equal(readFileSync(join(outside, path), 'utf8'), SECRET);
  for (const path of ['evil.md', 'deep/evil.md']) assert.ok(!existsSync(join(outside, path)));
  assert.ok(!existsSync(join(home.dir, 'evil.md')) && !existsSync(join(home.home, 'evil.md')));
}

test('A28 foreign protocols, sub-modules and names that look like options start nothing', async () => {
  const marker = join(home.dir, 'evil-was-here');
  const commit = home.git('rev-parse', 'main').trim();
  home.write('.gitmodules', `[submodule "evil"]\n\tpath = evil\n\turl = ext::sh -c touch% ${marker}\n`);
  home.git('add', '.gitmodules');
  home.git('update-index', '--add', '--cacheinfo', `160000,${commit},evil`);
  home.commit('a sub-module');
  mkdirSync(home.path('evil'), { recursive: true });
  const said = await results(
    order('list', {}),
    order('search', { pattern: 'inside' }),
    shell(
      `git submodule update --init; git clone 'ext::sh -c "touch ${marker}"' x; git clone --upload-pack='touch ${marker}' . y; git fetch 'ext::sh -c touch% ${marker}'; git status --short; true`,
    ),
    order('write', { path: '--upload-pack=touch evil', content: 'a name' }),
    order('write', { path: '-rf', content: 'a name' }),
    order('read', { path: '-rf' }),
  );
  assert.equal(said.at(-1), 'a name');
  assert.ok(!existsSync(marker), JSON.stringify(said));
  assert.equal(home.read('--upload-pack=touch evil'), 'a name');
  assert.match(home.git('ls-tree', 'main', 'evil'), /^160000 commit/, 'the person’s sub-module stands');
  const odd = await home.fetch('/api/messages', {
    method: 'POST',
    body: JSON.stringify({ agent: '--help', text: 'x', session: '--upload-pack=x' }),
  });
  assert.ok(odd.status === 404 || odd.status === 400, String(odd.status));
  assert.equal(home.git('status', '--porcelain').trim(), '');
});

test('A29 a link an agent commits is plain text wherever it is read, and .git is out of reach', async () => {
  const config = home.read('.git/config');
  const said = await results(
    shell(
      `ln -s /etc/passwd leak.md; ln -s ../outside up; ln -s ${outside}/secret.md abs.md; git config core.fsmonitor ./x; echo evil > .git/hooks/post-commit; true`,
    ),
    order('read', { path: 'leak.md' }),
    order('read', { path: 'up/secret.md' }),
    order('read', { path: 'abs.md' }),
    order('search', { pattern: 'root:|secret outside' }),
    order('write', { path: 'up/evil.md', content: 'evil' }),
    order('write', { path: 'leak.md', content: 'evil' }),
  );
  assert.ok(!said.some((text) => /root:.*:0:0|secret outside/.test(text)), JSON.stringify(said));
  for (const [path, text] of [
    ['leak.md', 'evil'],
    ['up', '../outside'],
    ['abs.md', `${outside}/secret.md`],
  ] as const) {
    assert.ok(lstatSync(home.path(path)).isFile(), `${path} is a file, not a link`);
    assert.equal(home.read(path), text);
    assert.match(home.git('ls-tree', 'main', path), /^100644 /);
  }
  const git = await results(
    ...[
      '.git/config',
      '.GIT/config',
      '.git/hooks/post-commit',
      './.git/x',
      'dir/../.git/x',
      'sub/.git/config',
      '.git. /x',
      '.g\u200cit/config',
    ].flatMap((path) => [order('write', { path, content: '[core]\n\tfsmonitor = ./x\n' }), order('read', { path })]),
  );
  for (const text of git) assert.match(text, /\.git belongs to the runtime|Denied|no file/i, text);
  assert.equal(home.read('.git/config'), config);
  assert.ok(!existsSync(home.path('.git/hooks/post-commit')));
  checkOutside();
});

test('A30 paths out of the workspace are refused by every tool, however they are spelled', async () => {
  const spellings = [
    ...'../outside/secret.md dir/../../outside/secret.md ./../outside/secret.md dir/./.././../outside/secret.md'.split(
      ' ',
    ),
    ...'//etc/passwd /etc/passwd /workspace/../etc/passwd ~/x ~ /proc/self/environ /dev/stdin ../home/token'.split(' '),
    ...'..%2foutside%2fsecret.md %2e%2e/outside/secret.md ..\\outside\\secret.md C:\\x \\\\host\\x'.split(' '),
    'in.md\0/../../x',
    join(outside, 'secret.md'),
    join(home.home, 'token'),
  ];
  const calls = spellings.flatMap((path) => [
    order('read', { path }),
    order('write', { path, content: 'evil' }),
    order('edit', { path, old: 'the', new: 'evil' }),
    order('list', { path }),
    order('search', { pattern: 'secret', path }),
  ]);
  let refused = 0;
  for (let at = 0; at < calls.length; at += 40) {
    for (const text of await results(...calls.slice(at, at + 40))) {
      assert.ok(!text.includes(SECRET) && !text.includes(home.token), text);
      if (/Denied|outside|leaves|NUL|percent|no file|no folder|no such|unknown argument|do not fit/i.test(text))
        refused += 1;
      else assert.fail(text);
    }
  }
  assert.equal(refused, calls.length);
  checkOutside();
  assert.equal(home.git('status', '--porcelain').trim(), '');
});

test('A31 links and hard links of the workspace lead nowhere, for tools and commands', async () => {
  symlinkSync(join(outside, 'secret.md'), home.path('to-file.md'));
  symlinkSync(outside, home.path('to-dir'));
  symlinkSync(join(outside, 'evil.md'), home.path('to-nothing.md'));
  symlinkSync('../../outside/deep', home.path('dir/relative'));
  linkSync(join(outside, 'secret.md'), home.path('hard.md'));
  home.git('add', '-A');
  home.commit('links');
  const paths = [
    'to-file.md',
    'to-dir/secret.md',
    'to-dir/evil.md',
    'to-nothing.md',
    'dir/relative/secret.md',
    'dir/relative/evil.md',
  ];
  const said = await results(
    ...paths.flatMap((path) => [
      order('read', { path }),
      order('write', { path, content: 'evil' }),
      order('edit', { path, old: 'the', new: 'evil' }),
    ]),
    shell(
      'cat to-file.md to-dir/secret.md dir/relative/secret.md; echo evil > to-nothing.md; echo evil > to-file.md; echo evil > to-dir/evil.md; true',
    ),
  );
  assert.equal(said.length, 19);
  assert.ok(!said.some((text) => text.includes(SECRET)), JSON.stringify(said));
  checkOutside();
  // A hard link is a file of the workspace like any other; writing to it must not write to its other name.
  await results(order('read', { path: 'hard.md' }), order('write', { path: 'hard.md', content: 'evil' }));
  checkOutside();
  assert.equal(home.git('show', 'main:hard.md'), 'evil');
  // A folder that becomes a link between a run's read and its landing.
  const parked = await home.ask(
    orders(
      order('read', { path: 'dir/in.md' }),
      order('write', { path: 'dir/evil.md', content: 'evil' }),
      order('ask', { question: 'go on?' }),
    ),
  );
  home.git('rm', '-q', '-r', 'dir');
  symlinkSync(outside, home.path('dir'));
  await home.api(`/api/questions/${parked.waits[0]?.id}`, { text: 'yes' });
  await home.settled(parked.task);
  checkOutside();
});

test('A32 ids are made here or are plain names: nothing that is a path names a session, task, approval or file', async () => {
  const evil = ['../../evil.md', '..', '.', 'a/b', 'a\\b', '%2e%2e%2fevil.md', 'x\0', 'a'.repeat(129), 'é', ''];
  for (const id of evil) {
    const message = await home.fetch('/api/messages', {
      method: 'POST',
      body: JSON.stringify({ agent: 'assistant', text: 'hello', session: id || ' ', id }),
    });
    assert.equal(message.status, 400, JSON.stringify(id));
    for (const path of [
      `/api/tasks/${encodeURIComponent(id)}x%2f..`,
      `/api/approvals/${encodeURIComponent(id)}..%2fx`,
    ]) {
      const response = await home.fetch(
        path,
        path.includes('approvals') ? { method: 'POST', body: '{"verdict":"deny"}' } : {},
      );
      assert.ok(response.status === 404 || response.status === 400, `${path}: ${response.status}`);
    }
  }
  const user = await home.api<object>('/v1/chat/completions', {
    model: 'assistant',
    user: '../../evil.md',
    messages: [{ role: 'user', content: 'hello' }],
  });
  assert.ok(user);
  assert.equal((await home.cli('ask', 'assistant', 'hello', '--session', '../../evil.md')).code, 1);
  for (const path of ['/../../etc/passwd', '/api/../../../etc/passwd', '/api/tasks/..%2f..%2f..%2fetc%2fpasswd']) {
    const response = await home.fetch(path);
    // Clients shorten the first two to a place of the web page, which is the same page everywhere.
    const page = response.status === 200 && response.headers.get('content-type')?.startsWith('text/html');
    assert.ok(page || [400, 404].includes(response.status), `${path}: ${response.status}`);
    assert.doesNotMatch(await response.text(), /root:/);
  }
  checkOutside();
  const { findings } = await home.verify();
  assert.deepEqual(findings, []);
});
