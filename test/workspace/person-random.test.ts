import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { appendFile, chmod, mkdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Files } from '../../src/core/files.ts';
import type { LandingRequest } from '../../src/core/ports/workspace.ts';
import { effort } from '../fakes/effort.ts';
import { type Lab, makeLab, personEnv } from './lab.ts';

// A person uses Git as they like while runs begin and land. Every line anybody writes is a token of its own: `p7` of the
// person, `r7` of a run. What the person throws away by their own command may go. Nothing else may.

/** In parts, so that a slow machine is seen to get on. */
const PARTS = effort(1, 8);
const CASES = effort(8, 25);
const PATHS = ['a.md', 'b.md', 'sub/c.md'];
const TOKEN = /\b[pr]\d+\b/g;

interface Step {
  act: string;
  path: string;
  at: number;
}

type Act = (world: World, step: Step) => unknown;

/** A run that has not landed. */
interface Open {
  name: string;
  token: string;
  path: string;
  files: Files;
}

class World {
  readonly lab: Lab;
  #next = 0;
  /** What the person has written and not thrown away. */
  readonly mine = new Set<string>();
  /** What runs have landed. */
  readonly landed = new Set<string>();
  readonly open: Open[] = [];
  readonly done: string[] = [];
  /** What a landing that was blocked has said last. */
  why = '';
  readonly counts = { landed: 0, conflicts: 0, blocked: 0, commands: 0, failed: 0 };

  constructor(lab: Lab) {
    this.lab = lab;
  }

  token(of: 'p' | 'r'): string {
    this.#next += 1;
    return `${of}${this.#next}`;
  }

  /** Git as the person runs it. Many commands fail in the state they meet, as they do for people. */
  git(args: readonly string[], input = ''): boolean {
    this.counts.commands += 1;
    try {
      execFileSync('git', args, { cwd: this.lab.dir, env: this.lab.env, input, stdio: ['pipe', 'ignore', 'ignore'] });
      return true;
    } catch {
      this.counts.failed += 1;
      return false;
    }
  }

  #out(args: readonly string[]): string {
    try {
      return execFileSync('git', args, {
        cwd: this.lab.dir,
        env: this.lab.env,
        stdio: ['ignore', 'pipe', 'ignore'],
      }).toString();
    } catch {
      return '';
    }
  }

  tokensOnDisk(): Set<string> {
    const all = readdirSync(this.lab.dir, { recursive: true, encoding: 'utf8' });
    const files = all.filter((path) => path !== '.git' && !path.startsWith('.git/'));
    const texts = files.map((path) => join(this.lab.dir, path)).filter((path) => statSync(path).isFile());
    return tokensIn(texts.map((path) => readFileSync(path, 'utf8')).join('\n'));
  }

  /** What the person has put into the index, and no commit has. */
  tokensStaged = (): Set<string> =>
    tokensIn(this.#out(['diff', '--cached', '-U0']).replaceAll(/^(?!\+(?!\+\+)).*$/gm, ''));

  /** Of every commit that a branch, a stash or a reflog leads to. */
  tokensInHistory = (): Set<string> => tokensIn(this.#out(['log', '--all', '--reflog', '-m', '-p', '--format=']));
}

const tokensIn = (text: string): Set<string> => new Set(text.match(TOKEN) ?? []);

async function edit({ lab, mine }: World, path: string, at: number, token: string): Promise<void> {
  const full = join(lab.dir, path);
  await mkdir(dirname(full), { recursive: true });
  const lines = (await readFile(full, 'utf8').catch(() => '')).split('\n');
  lines.splice(at % lines.length, 0, token);
  await writeFile(full, lines.join('\n'));
  mine.add(token);
}

/** A rebase that stops at its first commit, as `git rebase -i` with an `edit` does. */
const REBASE = ['-c', 'sequence.editor=sed -i 1s/^pick/edit/', 'rebase', '-q', '-i', 'HEAD~1'];

const PERSON: Record<string, Act> = {
  edit: (world, { path, at }) => edit(world, path, at, world.token('p')),
  append: async (world, { path }) => {
    const token = world.token('p');
    await mkdir(join(world.lab.dir, 'sub'), { recursive: true });
    await appendFile(join(world.lab.dir, path), `${token}\n`);
    world.mine.add(token);
  },
  'new file': (world, { at }) => edit(world, `new-${at}.md`, 0, world.token('p')),
  'plain rm': ({ lab }, { path }) => rm(join(lab.dir, path), { force: true }),
  'plain mv': ({ lab }, { path, at }) =>
    rename(join(lab.dir, path), join(lab.dir, `moved-${at}.md`)).catch(() => undefined),
  touch: ({ lab }, { path }) => utimes(join(lab.dir, path), new Date(), new Date()).catch(() => undefined),
  chmod: ({ lab }, { path, at }) => chmod(join(lab.dir, path), at % 2 === 0 ? 0o755 : 0o644).catch(() => undefined),
  rm: (world, { path }) => world.git(['rm', '-q', path]),
  mv: (world, { path, at }) => world.git(['mv', path, `moved-${at}.md`]),
  add: (world, { path }) => world.git(['add', path]),
  'add all': (world) => world.git(['add', '-A']),
  'add -N': (world) => world.git(['add', '-N', '.']),
  'add -p': (world, { at }) => world.git(['add', '-p'], at % 2 === 0 ? 'y\nn\nn\nn\n' : 's\nn\ny\nn\n'),
  commit: (world) => world.git(['commit', '-qm', 'what is staged']),
  'commit -a': (world) => world.git(['commit', '-qam', 'all of it']),
  amend: (world) => world.git(['commit', '-q', '--amend', '--no-edit']),
  stash: (world, { at }) => world.git(at % 2 === 0 ? ['stash', '-q'] : ['stash', '-q', '-u']),
  'stash pop': (world, { at }) => world.git(at % 2 === 0 ? ['stash', 'pop', '-q'] : ['stash', 'pop', '-q', '--index']),
  'checkout a file': (world, { path }) => world.git(['checkout', '-q', '--', path]),
  unstage: (world, { path }) => world.git(['restore', '--staged', path]),
  'reset soft': (world) => world.git(['reset', '-q', '--soft', 'HEAD~1']),
  'reset mixed': (world) => world.git(['reset', '-q', 'HEAD~1']),
  'reset hard': (world) => world.git(['reset', '-q', '--hard', 'HEAD~1']),
  'go to side': (world) => world.git(['checkout', '-q', '-B', 'side']),
  'go to main': (world) => world.git(['checkout', '-q', 'main']),
  'merge side': (world) => world.git(['merge', '-q', '--no-edit', 'side']),
  'pick from side': (world) => world.git(['cherry-pick', 'side']),
  rebase: (world) => world.git(REBASE),
  'go on': (world) =>
    ['rebase', 'merge', 'cherry-pick'].some((what) => world.git(['-c', 'core.editor=true', what, '--continue'])),
  'give up': (world) => ['rebase', 'merge', 'cherry-pick'].some((what) => world.git([what, '--abort'])),
  gc: (world) => world.git(['gc', '-q']),
  'gc --prune=now': (world) => world.git(['gc', '-q', '--prune=now']),
};

const RUNS: Record<string, Act> = {
  begin: async (world, { path, at }) => {
    const { ws } = world.lab;
    const files = ws.files(await ws.head(), []);
    const token = world.token('r');
    await put(files, path, at, token);
    const run = { name: `run_${token}`, token, path, files };
    world.open.push(run);
    await hold(world, run);
  },
  land: async (world, { at }) => {
    const run = world.open[at % Math.max(1, world.open.length)];
    if (run === undefined) return;
    const result = await world.lab.ws.land(asked(world, run));
    if (result.state === 'landed') {
      world.open.splice(world.open.indexOf(run), 1);
      await world.lab.ws.release(run.name);
      world.landed.add(run.token);
      world.counts.landed += 1;
    } else if (result.state === 'conflict') {
      world.counts.conflicts += 1;
      run.files = world.lab.ws.files(result.onto, result.changes);
      await put(run.files, run.path, at, run.token);
      await hold(world, run);
    } else {
      // Whatever the person has done, they can read what to do about it.
      assert.ok(result.state === 'blocked', JSON.stringify(result));
      assert.ok(result.why.length > 10, result.why);
      world.counts.blocked += 1;
      world.why = result.why;
    }
  },
  look: ({ lab }) => lab.ws.commitPerson(null),
  'look at some': ({ lab }, { path }) => lab.ws.commitPerson([path]),
};

const asked = ({ lab }: World, { name, files }: Open): LandingRequest => lab.request(name, files.base, files.changes());

/** As a run does at the end of each step: `git gc --prune=now` takes what no ref leads to. */
const hold = (world: World, run: Open): Promise<void> => world.lab.ws.hold(asked(world, run));

async function put(files: Files, path: string, at: number, token: string): Promise<void> {
  const found = await files.read(path);
  const lines = found === null ? [] : Buffer.from(found.bytes).toString('utf8').split('\n');
  if (lines.includes(token)) return;
  lines.splice(at % (lines.length + 1), 0, token);
  await files.write(path, Buffer.from(lines.join('\n')));
}

/** What people do one after the other: by chance alone most commands would find nothing to do. */
const HABITS: readonly (readonly string[])[] = [
  ['edit', 'add', 'edit', 'look', 'land'],
  ['edit', 'append', 'add -p', 'land', 'commit'],
  ['new file', 'add -N', 'look', 'land'],
  ['new file', 'add all', 'look', 'unstage'],
  ['edit', 'stash', 'land', 'stash pop'],
  ['edit', 'commit -a', 'rebase', 'land', 'edit', 'amend', 'go on', 'land'],
  ['edit', 'commit -a', 'rebase', 'land', 'give up', 'land'],
  ['go to side', 'edit', 'commit -a', 'land', 'go to main', 'pick from side', 'land'],
  ['go to side', 'append', 'commit -a', 'go to main', 'append', 'commit -a', 'merge side', 'land', 'give up'],
  ['begin', 'plain rm', 'land', 'look'],
  ['begin', 'plain mv', 'land', 'add all', 'commit'],
  ['begin', 'rm', 'land', 'commit'],
  ['begin', 'edit', 'reset hard', 'land'],
  ['begin', 'land', 'reset mixed', 'look', 'land'],
  ['begin', 'land', 'reset soft', 'edit', 'commit -a'],
  ['begin', 'edit', 'gc', 'land', 'amend'],
  ['begin', 'gc --prune=now', 'begin', 'edit', 'gc --prune=now', 'land', 'land'],
  ['touch', 'chmod', 'look', 'checkout a file'],
];
const place = { path: fc.constantFrom(...PATHS), at: fc.nat(5) };
const any = fc.record({ act: fc.constantFrom(...Object.keys(PERSON), ...Object.keys(RUNS)), ...place });
const habit = fc
  .record({ acts: fc.constantFrom(...HABITS), ...place })
  .map(({ acts, path, at }) => acts.map((act): Step => ({ act, path, at })));
const steps = fc
  .array(fc.oneof({ weight: 2, arbitrary: habit }, { weight: 1, arbitrary: fc.tuple(any, any) }), {
    minLength: 2,
    maxLength: 4,
  })
  .map((lists) => lists.flat());

/** What was there before is there after: a step of the runtime takes no line from the disk, the index or the history. */
async function watched(world: World, act: () => unknown): Promise<void> {
  const before = [world.tokensOnDisk(), world.tokensStaged()] as const;
  await act();
  const [disk, staged, history] = [world.tokensOnDisk(), world.tokensStaged(), world.tokensInHistory()];
  for (const token of before[0]) assert.ok(disk.has(token), `${token} has gone from the disk`);
  for (const token of before[1]) assert.ok(staged.has(token) || history.has(token), `${token} has gone from the index`);
  for (const token of world.landed) assert.ok(history.has(token), `${token} landed and has gone`);
  for (const token of world.mine)
    assert.ok(disk.has(token) || staged.has(token) || history.has(token), `${token} of the person has gone`);
}

async function take(world: World, one: Step): Promise<void> {
  world.done.push(`${one.act} ${one.path} ${one.at}`);
  const run = RUNS[one.act];
  await (run === undefined
    ? byPerson(world, () => PERSON[one.act]?.(world, one))
    : watched(world, () => run(world, one)));
}

/** What they throw away themselves may go; what has landed stays in the history even so. */
async function byPerson(world: World, act: () => unknown): Promise<void> {
  await act();
  const kept = [world.tokensOnDisk(), world.tokensStaged(), world.tokensInHistory()];
  for (const token of world.mine) if (!kept.some((tokens) => tokens.has(token))) world.mine.delete(token);
  for (const token of world.landed) assert.ok(kept[2]?.has(token), `${token} landed and has gone by a command`);
}

/** The person tidies up; then everything that waits gets in. */
async function end(world: World): Promise<void> {
  const { lab } = world;
  await byPerson(world, () => {
    PERSON['give up']?.(world, { act: '', path: '', at: 0 });
    world.git(['add', '-A']);
    world.git(['commit', '-qm', 'the rest']);
    world.git(['checkout', '-q', 'main']);
  });
  for (let at = 0; at < 40 && world.open.length > 0; at += 1) {
    world.why = '';
    await watched(world, () => RUNS['land']?.(world, { act: '', path: '', at }));
    // Only the person's Git can tell whether a file that a filter converts has changed: they do what they are told.
    const [, path] = /which Ruche never runs; .* git -C \S+ commit -- (\S+)$/.exec(world.why) ?? [];
    if (path === undefined) continue;
    await byPerson(world, () => world.git(['commit', '-qm', 'as told', '--', path]));
    // Of one without a change there is nothing to commit, and a look of Git's puts it down as such.
    await byPerson(world, () => world.git(['status', '-s']));
  }
  assert.deepEqual(
    world.open.map(({ name }) => name),
    [],
    `every run lands in the end: ${world.why}`,
  );
  lab.git('fsck', '--strict');
  lab.git('gc', '-q', '--prune=now');
  await watched(world, () => lab.ws.commitPerson(null));
}

const FILES = Object.fromEntries(PATHS.map((path) => [path, 'one\ntwo\nthree\nfour\nfive\n']));

/** What the person works in: Git converts and filters their files, or has only a part of the history. */
const CLONES: Record<string, (dir: string, root: string) => Promise<void>> = {
  plain: () => Promise.resolve(),
  CRLF: async (dir, root) => {
    await appendFile(join(root, 'gitconfig'), '[core]\n\tautocrlf = true\n');
    again(dir, root, []);
  },
  // As LFS does: a program of the person's own stands between what is committed and what is in the folder.
  filter: async (dir, root) => {
    await appendFile(join(root, 'gitconfig'), '[filter "up"]\n\tclean = sed s/^/:/\n\tsmudge = sed s/^://\n');
    await writeFile(join(dir, '.gitattributes'), 'b.md filter=up\n');
    const run = (...args: string[]) => execFileSync('git', args, { cwd: dir, env: personEnv(root), stdio: 'ignore' });
    run('add', '--renormalize', '.');
    run('add', '.gitattributes');
    run('commit', '-qm', 'filtered');
  },
  shallow: async (dir, root) => {
    again(dir, root, ['--depth=1']);
    assert.ok(existsSync(join(dir, '.git', 'shallow')));
    await Promise.resolve();
  },
};

/** In the place of the repository, a clone of it. */
function again(dir: string, root: string, args: readonly string[]): void {
  const run = (...words: string[]) => execFileSync('git', words, { cwd: root, env: personEnv(root), stdio: 'ignore' });
  run('-C', dir, 'commit', '-q', '--allow-empty', '-m', 'one more');
  renameSync(dir, `${dir}.origin`);
  run('clone', '-q', ...args, `file://${dir}.origin`, dir);
}

for (let part = 1; part <= PARTS; part += 1)
  test(`whatever a person does with Git beside runs, no line of either is lost (${part} of ${PARTS})`, async () => {
    const kinds = Object.keys(CLONES);
    let cases = 0;
    const met = Object.fromEntries(kinds.map((kind) => [kind, 0]));
    const total = { cases: 0, landed: 0, conflicts: 0, blocked: 0, commands: 0, failed: 0 };
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        // Each in its turn, so that every one of them is met.
        const clone = kinds[cases++ % kinds.length] ?? 'plain';
        const lab = await makeLab({ files: FILES, prepare: (dir, root) => CLONES[clone]?.(dir, root) });
        const world = new World(lab);
        try {
          // History to go back in.
          for (const path of PATHS.slice(0, 2)) {
            await edit(world, path, 2, world.token('p'));
            lab.git('commit', '-qam', `first of ${path}`);
          }
          for (const one of list) await take(world, one);
          await end(world);
        } catch (error) {
          throw new Error(
            `${String(error)}\nin a ${clone} clone, after: ${world.done.join('; ')}\n${lab.git('status')}`,
            { cause: error },
          );
        } finally {
          await lab.dispose();
        }
        total.cases += 1;
        met[clone] = (met[clone] ?? 0) + 1;
        for (const key of ['landed', 'conflicts', 'blocked', 'commands', 'failed'] as const)
          total[key] += world.counts[key];
      }),
      // The same cases each time, as long as nobody asks for others: what is found here takes longer to mend than a landing may wait.
      { numRuns: CASES, seed: Number(process.env['PERSON_SEED'] ?? 4747) + part - 1 },
    );
    console.log(JSON.stringify({ ...total, clones: met }));
    for (const kind of kinds) assert.ok((met[kind] ?? 0) > 0, kind);
    assert.equal(total.cases, CASES);
    assert.ok(total.landed >= CASES / 2 && total.commands > CASES * 4, JSON.stringify(total));
  });
