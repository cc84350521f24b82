import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson } from '../../src/core/text/json.ts';
import type { Difference } from '../../src/core/ports/governance.ts';
import { changesOf, type Edits, makeWorkspace, type TestWorkspace } from './govern-kit.ts';
import { effort, tries } from '../fakes/effort.ts';

const MAIL = `---
description: Mail.
model: light
tools: [read, write]
rules:
  - { id: a, deny: { tool: shell }, reason: No. }
---
You sort mail.
`;

let kit: TestWorkspace;
let base: string;
before(async () => {
  kit = await makeWorkspace({
    'ruche.yaml': 'concurrency: 2\n# end\n',
    'agents/mail/AGENT.md': MAIL,
    'agents/plain/AGENT.md': '---\ndescription: Plain.\n---\nYou help.\n',
    'notes.md': 'notes\n',
  });
  base = await kit.workspace.head();
});
after(() => kit.remove());

const differenceOf = async (edits: Edits): Promise<Difference | null> =>
  kit.reader.protectedChanges(base, await changesOf(kit.workspace, edits));

const protectedIn = async (edits: Edits): Promise<string | null> => (await differenceOf(edits))?.text ?? null;

test('description, order, comments, memory and other files are free', async () => {
  const free: Edits[] = [
    { 'agents/mail/AGENT.md': MAIL.replace('Mail.', 'All mail.') },
    {
      'agents/mail/AGENT.md': MAIL.replace(
        'model: light\ntools: [read, write]',
        'tools: # both\n  - read\n  - "write"\nmodel: "light"',
      ),
    },
    { 'agents/mail/AGENT.md': MAIL.replaceAll('\n', '\r\n') },
    { 'agents/mail/MEMORY.md': 'x\n', 'agents/mail/memory/2026.md': 'x\n', 'agents/README.md': 'x\n' },
    { 'agents/mail/notes/SOUL.md': 'x\n', 'shared/USER.md': 'x\n', 'docs/gitignore': 'x\n', 'shared/code.md': 'x\n' },
    { 'notes.md': 'ruche.yaml\n', 'docs/ruche.yaml': 'concurrency: 9\n', 'templates/agents/x/AGENT.md': MAIL },
    { 'ruche.yaml': 'concurrency: 2\n# end\n' },
  ];
  for (const edits of free) assert.equal(await protectedIn(edits), null, JSON.stringify(edits));
});

test('a schedule whose only moment has passed is named: approved now, it would never fire', async () => {
  const year = new Date(kit.clock.now()).getUTCFullYear();
  const made = (at: string): Edits => ({
    'agents/mail/AGENT.md': MAIL.replace(
      'model: light',
      `schedules: [{ name: launch, at: ${at}, task: x }]\nmodel: light`,
    ),
  });
  assert.deepEqual((await differenceOf(made(`${year - 1}-01-01T08:00`)))?.over, ['launch']);
  assert.equal((await differenceOf(made(`${year + 1}-01-01T08:00`)))?.over, undefined);
});

test('ruche.yaml as a whole and the protected keys need approval, which shows the difference', async () => {
  const settings = await protectedIn({ 'ruche.yaml': 'concurrency: 3\n# end\n' });
  assert.match(settings ?? '', /^ruche.yaml\n@@[^]*\n-concurrency: 2\n\+concurrency: 3\n # end$/);
  assert.match((await protectedIn({ 'ruche.yaml': 'concurrency: 2\n# end \n' })) ?? '', /^\+# end $/m);
  assert.match((await protectedIn({ 'ruche.yaml': null })) ?? '', /^-concurrency: 2$/m);
  const keys: [string, RegExp][] = [
    [MAIL.replace('model: light', 'model: strong'), /^- model: "light"\n\+ model: "strong"$/m],
    [MAIL.replace('tools: [read, write]\n', ''), /^- tools: \["read","write"\]$/m],
    [MAIL.replace('[read, write]', '[read, write, shell]'), /^\+ tools: \["read","write","shell"\]$/m],
    [MAIL.replace('tool: shell', 'tool: fetch'), /^\+ rules:\n\+ {3}- id: [^]*\n\+ {7}tool: fetch$/m],
    [MAIL.replace('---\nYou', 'network: [evil.org]\n---\nYou'), /^\+ network: \["evil.org"\]$/m],
    [MAIL.replace('---\nYou', 'schedules: []\n---\nYou'), /^\+ schedules: \[\]$/m],
    [MAIL.replace('---\nYou', 'somethingNew: 1\n---\nYou'), /^\+ somethingNew: 1$/m],
    [MAIL.replace('model: light', 'model: light\nmodel: strong'), /cannot be read/],
  ];
  for (const [text, expected] of keys) {
    const shown = await protectedIn({ 'agents/mail/AGENT.md': text });
    assert.match(shown ?? 'null', /^agents\/mail\/AGENT.md\n/);
    assert.match(shown ?? 'null', expected);
  }
});

test('making, removing and renaming an agent needs approval, whatever its keys: it has tools without any', async () => {
  assert.match((await protectedIn({ 'agents/plain/AGENT.md': null })) ?? '', /\(the agent is removed\)/);
  const fresh = await protectedIn({ 'agents/fresh/AGENT.md': '---\ndescription: New.\n---\nYou help.\n' });
  assert.match(fresh ?? '', /^agents\/fresh\/AGENT.md \(a new agent\)$/m);
  assert.match((await protectedIn({ 'agents/new/AGENT.md': MAIL })) ?? '', /^agents\/new\/AGENT.md \(a new agent\)$/m);
  assert.match((await protectedIn({ 'agents/mail/AGENT.md': null })) ?? '', /\(the agent is removed\)/);
  const renamed = await protectedIn({ 'agents/mail/AGENT.md': null, 'agents/post/AGENT.md': MAIL });
  assert.match(renamed ?? '', /mail\/AGENT.md \(the agent is removed\)[^]*post\/AGENT.md \(a new agent\)/);
});

test('case, Unicode, dot and link tricks need approval, whatever they hold', async () => {
  const free = '---\ndescription: x\n---\nHi\n';
  const tricks = [
    'Ruche.yaml',
    'RUCHE.YAML',
    'ruche.yaml.',
    'ruche\u200b.yaml',
    'ruche.y\uff41ml',
    'Agents/mail/AGENT.md',
    'agents/mail/agent.md',
    'agents/Mail/AGENT.md',
    'agents/mail /AGENT.md',
    'agents/mail/AGENT.md.',
    'agents',
  ];
  for (const path of tricks) assert.match((await protectedIn({ [path]: free })) ?? 'null', /named like one/, path);
  const links: Edits[] = [
    { 'ruche.yaml': { mode: '120000', text: '/etc/passwd' } },
    { 'agents/mail': { mode: '120000', text: '../elsewhere' } },
    { 'agents/mail/AGENT.md': { mode: '120000', text: '../plain/AGENT.md' } },
  ];
  for (const edits of links)
    assert.match((await protectedIn(edits)) ?? 'null', /a symbolic link/, JSON.stringify(edits));
});

test('H6 what becomes a system prompt needs approval, from every agent, and the difference is shown', async () => {
  const prose = await protectedIn({ 'agents/mail/AGENT.md': MAIL.replace('You sort mail.', 'You send mail.') });
  assert.match(prose ?? 'null', /^agents\/mail\/AGENT.md\n[^]*^-You sort mail\.\n\+You send mail\.$/m);
  for (const name of ['SOUL.md', 'IDENTITY.md', 'USER.md'])
    assert.equal(
      await protectedIn({ [`agents/plain/${name}`]: 'Obey.\n' }),
      `agents/plain/${name} (part of the agent's instructions)\n+Obey.`,
    );
  const both = MAIL.replace('You sort mail.', 'Other.').replace('light', 'strong');
  assert.match((await protectedIn({ 'agents/mail/AGENT.md': both })) ?? '', /^\+ model: "strong"$[^]*^\+Other\.$/m);
  for (const path of ['agents/mail/soul.md', 'agents/mail/Identity.md', 'agents/mail/user.md.', 'agents/Mail/USER.md'])
    assert.match((await protectedIn({ [path]: 'x\n' })) ?? 'null', /named like one/, path);
  const link = await protectedIn({ 'agents/mail/SOUL.md': { mode: '120000', text: '../../shared/x.md' } });
  assert.match(link ?? 'null', /a symbolic link/);
});

test('H7 what runs outside the sandbox or hides changes needs approval, at any depth and in any letter case', async () => {
  const names = [
    '.github/workflows/ci.yml .gitlab-ci.yml .gitlab-ci.d.yml .circleci/config.yml azure-pipelines.yml Jenkinsfile',
    'Jenkinsfile.release .gitea/workflows/x.yml .forgejo/workflows/x.yml .woodpecker.yml .drone.yml .travis.yml',
    '.vscode/tasks.json .idea/workspace.xml .zed/tasks.json work.code-workspace .cursor/mcp.json .claude/settings.json',
    '.devcontainer/devcontainer.json .exrc .dir-locals.el .mcp.json CLAUDE.md AGENTS.md .cursorrules',
    '.envrc .mise.toml mise.toml mise.local.toml .config/mise.toml .tool-versions .npmrc .yarnrc.yml .cargo/config.toml',
    '.husky/pre-commit .pre-commit-config.yaml lefthook.yml .lefthook.yaml .githooks/pre-commit .lintstagedrc.json',
    '.gitmodules .gitattributes .gitignore .mailmap .lfsconfig .git-blame-ignore-revs CODEOWNERS .ignore',
  ].flatMap((line) => line.split(' '));
  assert.equal(names.length, 48);
  for (const name of names)
    for (const path of [name, `shared/deep/er/${name}`, name.toUpperCase(), `sub/${name.toUpperCase()} .`]) {
      const shown = await protectedIn({ [path]: 'evil\n' });
      assert.match(shown ?? 'null', /^.+ \(.+\)\n\+evil$/, path);
    }
  for (const path of ['.github', 'shared/.vscode', '.hu\u200dsky'])
    assert.match(
      (await protectedIn({ [path]: { mode: '120000', text: '../x' } })) ?? 'null',
      /a symbolic link; /,
      path,
    );
  const free = ['github/workflows/ci.yml', 'vscode.md', 'shared/husky.md', 'notes/jenkins.md', 'a.gitignore', 'envrc'];
  for (const path of free) assert.equal(await protectedIn({ [path]: 'x\n' }), null, path);
});

test('H7 a pull that brings such files changes nothing that governs, and prose does', async () => {
  const start = await kit.workspace.head();
  const outside = await kit.commit({ '.github/workflows/ci.yml': 'on: push\n', '.gitattributes': '* -diff\n' });
  assert.equal(await kit.reader.protectedDiff(start, outside), null);
  const removed = await kit.reader.protectedChanges(outside, [
    { path: '.gitattributes', mode: '100644', oid: null, was: null },
  ]);
  assert.match(removed?.text ?? 'null', /^-\* -diff$/m);
  const prose = await kit.commit({ 'agents/mail/SOUL.md': 'Calm.\n' });
  assert.match((await kit.reader.protectedDiff(outside, prose))?.text ?? 'null', /^\+Calm\.$/m);
  await kit.commit({ '.github/workflows/ci.yml': null, '.gitattributes': null, 'agents/mail/SOUL.md': null });
});

test('nothing in the difference can hide', async () => {
  const shown = await protectedIn({ 'ruche.yaml': 'concurrency: 2 # \u202etset\u001b[2K\u200b\n' });
  assert.match(shown ?? '', /\\u\{202e\}tset\\u\{1b\}\[2K\\u\{200b\}/);
  const long = (end: string): string => `concurrency: 2\n# ${'x'.repeat(400_000)}${end}\n`;
  const one = await differenceOf({ 'ruche.yaml': long('a') });
  const other = await differenceOf({ 'ruche.yaml': long('b') });
  assert.ok((one?.text.length ?? 0) < 270_000);
  assert.notEqual(one?.text, other?.text, 'two texts that differ at the end do not look the same');
});

test('M4 A20 what cannot be shown whole says so', async () => {
  const lines = '# a comment\n'.repeat(30_000);
  const settings = await differenceOf({ 'ruche.yaml': `${lines}policy: { rules: [] }\n` });
  assert.match(settings?.hidden ?? 'null', /^the difference has \d+ characters; 262144 can be shown$/);
  const huge = await differenceOf({ 'agents/mail/SOUL.md': 'x'.repeat(2_000_000) });
  assert.match(huge?.hidden ?? 'null', /^agents\/mail\/SOUL.md is not text, or is too large to be read$/);
  assert.match((await differenceOf({ '.husky/pre-commit': 'a\0b' }))?.hidden ?? 'null', /is not text/);
  const whole = await differenceOf({ 'ruche.yaml': `${'# a comment\n'.repeat(20_000)}concurrency: 4\n` });
  assert.equal(whole?.hidden, null);
  assert.match(whole?.text ?? '', /\+concurrency: 4$/);
});

test('a schedule that may stand in a file is shown to its end', async () => {
  const words = 'Look at the mail. '.repeat(1_100);
  const text = JSON.stringify(`${words}Then delete it.`);
  const edited = MAIL.replace('tools:', `schedules:\n  - { name: look, every: 1h, task: ${text} }\ntools:`);
  assert.match((await protectedIn({ 'agents/mail/AGENT.md': edited })) ?? '', /Look at the mail\. Then delete it\./);
});

test('between commits the same is said, and nothing for a commit and itself', async () => {
  const to = await kit.commit({ 'agents/mail/AGENT.md': MAIL.replace('light', 'strong'), 'notes.md': 'more\n' });
  const expected = await protectedIn({ 'agents/mail/AGENT.md': MAIL.replace('light', 'strong'), 'notes.md': 'more\n' });
  assert.equal((await kit.reader.protectedDiff(base, to))?.text, expected);
  assert.match((await kit.reader.protectedDiff(to, base))?.text ?? '', /^\+ model: "light"$/m);
  assert.equal(await kit.reader.protectedDiff(to, to), null);
  const free = await kit.commit({
    'agents/mail/AGENT.md': MAIL.replace('light', 'strong').replace('Mail.', 'Post.'),
    'notes.md': null,
  });
  assert.equal(await kit.reader.protectedDiff(to, free), null);
});

test('what governs differs only where the difference says so', async () => {
  const agent = fc.record(
    {
      description: fc.constantFrom('a', 'b'),
      model: fc.constantFrom('light', 'strong'),
      tools: fc.subarray(['read', 'write', 'shell']),
      network: fc.constantFrom([], ['x.org']),
    },
    { requiredKeys: [] },
  );
  const prose = fc.constantFrom('One.\n', 'Two.\n');
  const file = fc.tuple(agent, prose).map(([front, text]) => `---\n${JSON.stringify(front)}\n---\n${text}`);
  const world = fc.record({
    settings: fc.constantFrom('', 'concurrency: 3\n', 'concurrency: 4\n'),
    one: fc.option(file),
    two: fc.option(file),
  });
  const rules = async (commit: string): Promise<string> => {
    const loaded = await kit.reader.load(commit);
    assert.ok(loaded.ok);
    const { settings, agents } = loaded.governance;
    const bare = [...agents.values()].map(({ name, model, tools, rules: own, network }) => ({
      name,
      model,
      tools,
      own,
      network,
    }));
    return JSON.stringify({ settings, agents: bare.toSorted((a, b) => (a.name < b.name ? -1 : 1)) });
  };
  const commitOf = async (state: { settings: string; one: string | null; two: string | null }): Promise<string> => {
    const { objects, trees } = kit.workspace;
    const edits = new Map<string, { mode: string; oid: string } | null>();
    const writes: Promise<void>[] = [];
    const put = (path: string, text: string | null): void => {
      const blob = text === null ? null : objects.put('blob', Buffer.from(text));
      if (blob) writes.push(blob.stored);
      edits.set(path, blob && { mode: '100644', oid: blob.oid });
    };
    put('ruche.yaml', state.settings);
    put('agents/one/AGENT.md', state.one);
    put('agents/two/AGENT.md', state.two);
    const tree = await trees.edit(null, edits);
    assert.ok(tree.ok);
    await Promise.all([...writes, tree.stored]);
    return kit.git('commit-tree', '-m', 'x', tree.oid);
  };
  let free = 0;
  let guarded = 0;
  await fc.assert(
    fc.asyncProperty(world, world, fc.boolean(), async (from, other, harmless) => {
      const reword = (text: string | null): string | null =>
        text === null ? null : text.replace('"description":"a"', '"description":"c"');
      const to = harmless ? { ...from, one: reword(from.one), two: reword(from.two) } : other;
      const [a, b] = [await commitOf(from), await commitOf(to)];
      const difference = await kit.reader.protectedDiff(a, b);
      if (difference === null) free += 1;
      else guarded += 1;
      // All of an agent but its description: that it is there, its keys and its prose.
      const held = (state: typeof from): unknown[] =>
        [state.one, state.two].map((text) => {
          if (text === null) return null;
          const [, front = '{}', , ...prose] = text.split('\n');
          const { description: _, ...keys } = JSON.parse(front) as Record<string, unknown>;
          return [keys, prose];
        });
      const canonical = (state: typeof from): string =>
        JSON.stringify([state.settings, ...held(state).map((each) => canonicalJson(each))]);
      assert.equal(difference === null, canonical(from) === canonical(to));
      if (difference === null) assert.equal(await rules(a), await rules(b));
    }),
    tries(9, 36),
  );
  assert.ok(free > effort(1, 5) && guarded > effort(1, 5), `${free} free, ${guarded} guarded`);
});
