import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { PinnedScripts } from '../../src/core/skill.ts';
import { changesOf, type Edits, makeWorkspace, type TestWorkspace } from './govern-kit.ts';

const SYSTEM = `---
tools: [read, write, shell]
schedules:
  - { name: machine, every: 10m, run: scripts/probes/run.sh cpu }
  - { name: job, every: 1h, run: sh jobs/python/main.py lib/extra.rb data/list.csv }
  - { name: report, cron: '15 8 * * *', task: 'Run ./reports/day.sh, then read notes.md.' }
triggers:
  - { name: seen, on: file.landed, path: 'inbox/**', run: top.sh }
---
You look after the machine.
`;

let kit: TestWorkspace;
let base: string;
before(async () => {
  kit = await makeWorkspace({
    'ruche.yaml': '',
    'agents/system/AGENT.md': SYSTEM,
    'agents/writing/AGENT.md': '---\ndescription: Writes.\n---\nYou write.\n',
    'scripts/probes/run.sh': '. ./level\n',
    'scripts/probes/cpu.sh': 'echo cpu\n',
    'scripts/probes/level': 'level=0\n',
    'scripts/probes/README.md': 'Probes.\n',
    'scripts/free.sh': 'echo free\n',
    'jobs/python/main.py': 'import helper\n',
    'jobs/python/helper.py': 'x = 1\n',
    'lib/extra.rb': 'puts 1\n',
    'data/list.csv': 'a,b\n',
    'reports/day.sh': 'date\n',
    'top.sh': 'exit 0\n',
    'other.sh': 'exit 0\n',
    'notes.md': 'notes\n',
  });
  await kit.git('update-index', '--chmod=+x', 'reports/day.sh', 'scripts/probes/run.sh', 'top.sh');
  await kit.git('checkout-index', '-f', '-a');
  await kit.git('commit', '-q', '-m', 'Programs');
  base = await kit.workspace.head();
});
after(() => kit.remove());

const askedFor = async (edits: Edits): Promise<string | null> =>
  (await kit.reader.protectedChanges(base, await changesOf(kit.workspace, edits)))?.text ?? null;

const scriptsAt = async (commit: string): Promise<PinnedScripts> => {
  const loaded = await kit.reader.load(commit);
  assert.ok(loaded.ok);
  assert.deepEqual(loaded.governance.problems, []);
  return loaded.governance.scripts;
};

test('M1 A53 what schedules and triggers run, and the programs beside it, waits for approval with the difference', async () => {
  const edit = await askedFor({ 'scripts/probes/run.sh': { mode: '100755', text: 'id; touch evil\n' } });
  assert.equal(
    edit,
    'scripts/probes/run.sh (a schedule or trigger runs it, or what it stands beside)\n@@ -1 +1 @@\n-. ./level\n+id; touch evil',
  );
  const guarded: Edits[] = [
    { 'scripts/probes/run.sh': null },
    { 'scripts/probes/cpu.sh': 'evil\n' },
    { 'scripts/probes/level': 'evil\n' },
    { 'scripts/probes/new/deep.pl': 'evil\n' },
    { 'scripts/probes/notes.md': { mode: '100755', text: 'evil\n' } },
    { 'scripts/probes/x.md': { mode: '120000', text: '../../shared/x' } },
    { 'Scripts/Probes/RUN.sh': 'evil\n' },
    { 'scripts/probes/run.sh.': 'evil\n' },
    { scripts: { mode: '120000', text: 'shared' } },
    { 'scripts/probes': { mode: '120000', text: '../shared' } },
    { 'jobs/python/main.py': 'evil\n' },
    { 'jobs/python/json.py': 'evil\n' },
    { 'lib/extra.rb': 'evil\n' },
    { 'reports/day.sh': 'evil\n' },
    { 'top.sh': 'evil\n' },
    { 'planted.sh': 'evil\n' },
  ];
  for (const edits of guarded)
    assert.match((await askedFor(edits)) ?? 'null', /a schedule or trigger runs it/, JSON.stringify(edits));
  const free: Edits[] = [
    { 'scripts/free.sh': 'x\n' },
    { 'scripts/probes/README.md': 'x\n' },
    { 'data/list.csv': 'x\n', 'notes.md': 'x\n', 'shared/evil.sh': 'x\n' },
    { 'agents/writing/MEMORY.md': 'x\n' },
  ];
  for (const edits of free) assert.equal(await askedFor(edits), null, JSON.stringify(edits));
});

test('M1 a schedule that begins to run a script shows the script whole, changed or not', async () => {
  const schedule = SYSTEM.replace('triggers:', '  - { name: more, every: 1h, run: scripts/free.sh }\ntriggers:');
  const shown = await askedFor({ 'agents/system/AGENT.md': schedule });
  assert.match(shown ?? 'null', /^\+ {3}- name: more$/m);
  assert.match(shown ?? 'null', /^scripts\/free\.sh \(.*\)\n\+echo free$/m);
  const both = await askedFor({ 'agents/system/AGENT.md': schedule, 'scripts/free.sh': 'echo other\n' });
  assert.match(both ?? 'null', /^\+echo other$/m);
});

test('M1 a run sees scripts as they were approved, whatever its base holds, and no others beside them', async () => {
  const pinned = await scriptsAt(base);
  assert.deepEqual(await kit.reader.pinned(base, [], pinned), []);
  const later = await kit.commit({
    'scripts/probes/run.sh': 'evil\n',
    'scripts/probes/dirname': 'evil\n',
    'scripts/probes/level': null,
    'notes.md': 'later\n',
  });
  assert.match((await kit.reader.protectedDiff(base, later))?.text ?? 'null', /^\+evil$/m);
  assert.notEqual((await scriptsAt(later)).hash, pinned.hash);
  const files = kit.workspace.files(later, await kit.reader.pinned(later, [], pinned));
  const text = async (path: string): Promise<string | null> => {
    const found = await files.read(path);
    return found && Buffer.from(found.bytes).toString();
  };
  assert.equal(await text('scripts/probes/run.sh'), '. ./level\n');
  assert.equal(await text('scripts/probes/level'), 'level=0\n');
  assert.equal(await text('scripts/probes/dirname'), null);
  assert.equal(await text('notes.md'), 'later\n');
  await kit.git('rm', '-q', '-r', 'scripts');
  const gone = await kit.commit({ scripts: 'a file\n' });
  const view = kit.workspace.files(gone, await kit.reader.pinned(gone, [], pinned));
  assert.equal(Buffer.from((await view.read('scripts/probes/run.sh'))?.bytes ?? []).toString(), '. ./level\n');
});
