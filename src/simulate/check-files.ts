import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isOf } from './causes.ts';
import type { Report } from './invariants.ts';
import { AGENTS } from './orders.ts';
import { linesLeftBy, stagedBy } from './person.ts';
import { entriesOf, eventsOf, type Played } from './record.ts';

export function checkFiles(played: Played, report: Report): void {
  checkLines(played, report);
  checkHands(played, report);
  checkReceipts(played, report);
  checkOrphans(played, report);
}

const countOf = (lines: readonly string[], line: string): number => lines.filter((each) => each === line).length;

/** Nobody in the play removes a line, so each one that was ever added is there, once. */
function checkLines(played: Played, report: Report): void {
  const { commits, file, tasks, orderOf, plan, git } = played;
  const files = new Map<string, string[]>();
  const linesIn = (path: string): string[] => {
    const known = files.get(path) ?? file(path).split('\n');
    files.set(path, known);
    return known;
  };
  const names = (): string[] => git('ls-tree', '-r', '--name-only', 'main').split('\n');
  const say = (about: string, expected: string, found: string, look = `log --task ${about}`): void =>
    report({ invariant: 'line-kept', about, expected, found, look });
  for (const { commit, run, added } of commits)
    for (const { path, text } of added) {
      const count = countOf(linesIn(path), `- ${text}`);
      const look = run === null ? 'log' : `log --run ${run}`;
      if (count !== 1) say(run ?? commit, `"- ${text}" of ${commit} once in ${path}`, `${count} times`, look);
    }
  const done = Map.groupBy(
    tasks.filter(({ status }) => status === 'done'),
    ({ id }) => orderOf(id) ?? '',
  );
  for (const [order, list] of done)
    for (const { path, text } of plan.orders[order]?.lines ?? []) {
      if (path.includes('#')) {
        const count = names().filter((name) => isOf(path.replace('#', '*'), name)).length;
        const byHand = plan.acts.filter((act) => act.do === 'commit' && isOf(path.replace('#', '*'), act.path)).length;
        if (count - byHand !== list.length) say(order, `${list.length} files ${path}`, `${count - byHand}`);
        continue;
      }
      const lines = linesIn(path);
      const prefix = `- ${text.replace(/#$/, '')}`;
      const count = text.endsWith('#')
        ? lines.filter((line) => line.startsWith(prefix)).length
        : countOf(lines, `- ${text}`);
      const expected = text.endsWith('#') ? list.length : 1;
      if (count !== expected) say(list[0]?.id ?? order, `"${prefix}" ${expected} times in ${path}`, `${count} times`);
    }
  for (const act of plan.acts)
    if ((act.do === 'edit' || act.do === 'commit') && countOf(linesIn(act.path), `- ${act.text}`) !== 1)
      say(act.id, `the person's line "- ${act.text}" in ${act.path}`, 'not there, or twice', 'log');
  const status = git('status', '--porcelain').trim();
  if (status !== '') say('workspace', 'the files are main', status, 'log');
}

/** What a person does with Git: their files are as they left them, and so was their index. */
function checkHands(played: Played, report: Report): void {
  const { plan, file } = played;
  const indexes = new Map(entriesOf(played, 'staged').map(({ act, index }) => [act, index]));
  for (const act of plan.acts) {
    if (act.do !== 'stage' && act.do !== 'rebase') continue;
    for (const [path, lines] of Object.entries(linesLeftBy(act))) {
      const expected = (lines ?? []).map((line) => `- ${line}`).join('\n');
      const found = file(path).trim();
      if (found !== expected)
        report({
          invariant: 'line-kept',
          about: act.id,
          expected: `${path}: ${expected || 'gone'}`,
          found,
          look: 'log',
        });
    }
    if (act.do !== 'stage') continue;
    const [expected, found] = [stagedBy(act), indexes.get(act.id) ?? 'nothing on record'];
    const sorted = (text: string): string => text.split('\n').sort().join('\n');
    if (sorted(found) !== sorted(expected))
      report({ invariant: 'index-kept', about: act.id, expected, found, look: 'log --type person.committed' });
  }
}

function checkReceipts(played: Played, report: Report): void {
  const commits = Map.groupBy(
    played.commits.filter(({ run }) => run !== null),
    ({ run }) => run ?? '',
  );
  const landed = eventsOf(played, 'landing.finished').filter(({ data }) => data.commit !== null);
  const receipts = Map.groupBy(landed, ({ stream }) => stream.slice('run:'.length));
  const tasks = new Map(eventsOf(played, 'run.started').map(({ data }) => [data.run, data.task]));
  const say = (run: string, expected: string, found: string): void =>
    report({ invariant: 'receipts', about: run, expected, found, look: `log --run ${run}` });
  for (const run of new Set([...commits.keys(), ...receipts.keys()])) {
    const made = (commits.get(run) ?? []).map(({ commit }) => commit).join(', ');
    const told = (receipts.get(run) ?? []).map(({ data }) => data.commit).join(', ');
    if (made !== told) say(run, `receipts for ${made || 'nothing'}`, told || 'none');
    // What is handed over lands by itself, before the rest does.
    const order = played.plan.orders[played.orderOf(tasks.get(run) ?? '') ?? ''];
    const most = order?.steps.some(({ calls }) => calls.some(({ args }) => 'artefacts' in args)) ? 2 : 1;
    if ((commits.get(run)?.length ?? 0) > most) say(run, `${most} commits at most`, made);
  }
}

/** Files in which a checkout says who holds it. */
const STATE = 'state.json';

function checkOrphans(played: Played, report: Report): void {
  const { home, workspace, git, blobs } = played;
  const say = (about: string, expected: string, found: string): void =>
    report({ invariant: 'orphans', about, expected, found, look: 'doctor' });
  const failed = new Set(
    eventsOf(played, 'run.finished').flatMap(({ data }) => (data.status === 'done' ? [] : [data.run])),
  );
  const ended = new Set(eventsOf(played, 'run.finished').map(({ data }) => data.run));
  for (const ref of git('for-each-ref', '--format=%(refname)', 'refs/ruche').split('\n')) {
    const [, kind, run = ''] = /^refs\/ruche\/(unlanded|runs)\/(.*)$/.exec(ref) ?? [];
    if (kind === 'unlanded' && !failed.has(run)) say(ref, 'a run that failed', 'none of that name');
    if (kind === 'runs' && ended.has(run)) say(ref, 'a run that goes on', 'one that has ended');
  }
  if (git('worktree', 'list').trim().split('\n').length !== 1) say('worktrees', 'one', git('worktree', 'list'));
  const lock = join(workspace, '.git', 'index.lock');
  if (existsSync(lock)) say(lock, 'no lock', 'it is there');
  const checkouts = join(home, 'checkouts');
  for (const name of existsSync(checkouts) ? readdirSync(checkouts) : []) {
    const state = join(checkouts, name, STATE);
    if (existsSync(state) && (JSON.parse(readFileSync(state, 'utf8')) as { key: string | null }).key !== null)
      say(join(checkouts, name), 'nobody who holds it', readFileSync(state, 'utf8'));
  }
  const bad = new Set(
    played.plan.acts.flatMap((act) => (act.do === 'bad' ? [act.file, `${act.file}.reason.txt`] : [])),
  );
  for (const agent of AGENTS)
    for (const folder of ['inbox', 'rejected']) {
      const path = join(workspace, 'tasks', agent, folder);
      const there = existsSync(path) ? readdirSync(path) : [];
      const left = folder === 'inbox' ? there : there.filter((name) => !bad.has(name));
      if (left.length > 0) say(path, 'nothing in it', left.join(', '));
    }
  for (const problem of blobs.broken) say('blob', 'whole', problem);
}
