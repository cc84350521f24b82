import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { VirtualClock } from './clock.ts';
import { tagOf } from './orders.ts';
import type { Act, PersonAct } from './plan.ts';
import type { World } from './world.ts';

/** Where the files of these acts are: no trigger and no agent names them. */
const OWN = 'shared/person';
/** Levels of a file that nests too deeply. */
const DEEP = 3_000;
/** How often a person tries again, and after how many milliseconds. */
const TRIES = 10;
const AGAIN = 3_000;
const REBASE = { GIT_SEQUENCE_EDITOR: 'sed -i.bak 1s/^pick/edit/', GIT_EDITOR: 'true' };

type Of<D extends Act['do']> = Extract<Act, { do: D }>;

/** Files of one act, and the lines that are on `main` in the end; null: the file is gone. */
export function linesLeftBy(act: Of<'stage' | 'rebase'>): Record<string, readonly string[] | null> {
  const at = (name: string): string => `${OWN}/${act.id}-${name}.md`;
  if (act.do === 'rebase') return { [at('a')]: [`${act.id} rewritten`], [at('b')]: [`${act.id} second`] };
  const lines = [`${act.id} staged`, `${act.id} not staged`];
  return { [at('half')]: lines, [at('new')]: [`${act.id} new`], [at('old')]: null };
}

/** What is staged while a person works on, in the words of `git diff`. */
export const stagedBy = ({ id }: Of<'stage'>): string => [`+- ${id} staged`, `+- ${id} new`].join('\n');

/** A person works in the workspace's folder, with an editor and Git, and puts files into inboxes. */
export class Person {
  readonly #workspace: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #clock: VirtualClock;
  readonly #world: World;

  constructor({ dir, path, clock, world }: { dir: string; path: string; clock: VirtualClock; world: World }) {
    this.#workspace = join(dir, 'workspace');
    this.#env = { PATH: path, HOME: dir };
    this.#clock = clock;
    this.#world = world;
  }

  async act(act: PersonAct): Promise<void> {
    switch (act.do) {
      case 'edit': {
        const text = readFileSync(this.#at(act.path), 'utf8');
        if (!text.includes(`- ${act.text}\n`))
          this.#write(act.path, text.replace(act.anchor, `- ${act.text}\n${act.anchor}`));
        return this.#fault('person: edits the same lines', act);
      }
      case 'commit':
        this.#write(act.path, `- ${act.text}\n`);
        return this.#commit(act.path);
      case 'drop':
        return this.#drop(act);
      case 'bad':
        return this.#dropBad(act);
      case 'stage':
        return this.#stage(act);
      case 'rebase':
        return this.#rebase(act);
    }
  }

  #at(path: string): string {
    return join(this.#workspace, path);
  }

  #write(path: string, text: string): void {
    mkdirSync(dirname(this.#at(path)), { recursive: true });
    writeFileSync(this.#at(path), text);
  }

  #git(args: readonly string[], more: Readonly<Record<string, string>> = {}): string {
    const who = ['-c', 'user.name=Person', '-c', 'user.email=person@simulated.invalid'];
    const env = { ...this.#env, ...more };
    return execFileSync('git', [...who, ...args], { cwd: this.#workspace, env, encoding: 'utf8', stdio: 'pipe' });
  }

  #commit(...paths: string[]): void {
    if (this.#git(['status', '--porcelain', '--', ...paths]) === '') return;
    this.#git(['add', '-A', '--', ...paths]);
    this.#git(['commit', '-qm', 'By hand', '--', ...paths]);
  }

  /** Git refuses a rebase while a landing is on its way, or an edit waits to be committed: a person tries again. */
  async #isClean(): Promise<boolean> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      if (this.#git(['status', '--porcelain', '--untracked-files=no']) === '') return true;
      await this.#clock.until(this.#clock.time + AGAIN);
    }
    return false;
  }

  #fault(fault: string, { id }: { id: string }): void {
    this.#world.note({ kind: 'fault', fault, id });
  }

  /** Takes the place of a file of that name, read or not. */
  #drop(act: Of<'drop'>): void {
    const { queue, file, order, key } = act;
    const folder = `tasks/${queue}/inbox`;
    const task = { text: `Please. ${tagOf(order)}`, ...(key === undefined ? {} : { key }) };
    this.#write(`${folder}/.${file}`, JSON.stringify(task));
    renameSync(this.#at(`${folder}/.${file}`), this.#at(`${folder}/${file}`));
    if (act.replaces !== undefined) this.#fault('inbox: replaced', act);
    if (key !== undefined) this.#fault('inbox: keyed', act);
  }

  #dropBad(act: Of<'bad'>): void {
    const path = `tasks/${act.queue}/inbox/${act.file}`;
    if (act.as === 'deep') this.#write(path, `{"text":"deep","input":${'['.repeat(DEEP)}${']'.repeat(DEEP)}}`);
    else {
      mkdirSync(dirname(this.#at(path)), { recursive: true });
      symlinkSync('nowhere', this.#at(path));
    }
    this.#fault(`inbox: ${act.as}`, act);
  }

  /** Half of a file is staged, a new one is, and an old one is removed without Git; it stands so for a while. */
  async #stage(act: Of<'stage'>): Promise<void> {
    const [half = '', fresh = '', old = ''] = Object.keys(linesLeftBy(act));
    this.#write(old, `Once ${act.id}.\n`);
    this.#commit(old);
    this.#write(half, `- ${act.id} staged\n`);
    this.#write(fresh, `- ${act.id} new\n`);
    this.#git(['add', '--', half, fresh]);
    this.#write(half, `- ${act.id} staged\n- ${act.id} not staged\n`);
    rmSync(this.#at(old));
    this.#fault('person: stages and removes', act);
    await this.#clock.until(this.#clock.time + act.ms);
    const staged = this.#git(['diff', '--cached', '-U0', '--', half, fresh]).match(/^\+- .*$/gm) ?? [];
    this.#world.note({ kind: 'staged', act: act.id, index: staged.join('\n') });
    this.#commit(OWN);
  }

  /** Two own commits, of which the first is rewritten; a rebase stands open meanwhile. */
  async #rebase(act: Of<'rebase'>): Promise<void> {
    const [first = '', second = ''] = Object.keys(linesLeftBy(act));
    const clean = await this.#isClean();
    const before = this.#git(['rev-parse', 'HEAD']).trim();
    this.#write(first, `- ${act.id} first\n`);
    this.#commit(first);
    this.#write(second, `- ${act.id} second\n`);
    this.#commit(second);
    // Nobody rewrites what agents have landed in between.
    const isOwn = clean && this.#git(['rev-parse', 'HEAD~2']).trim() === before;
    if (isOwn) {
      this.#git(['rebase', '-q', '-i', 'HEAD~2'], REBASE);
      this.#fault('person: rebases', act);
      await this.#clock.until(this.#clock.time + act.ms);
    }
    this.#write(first, `- ${act.id} rewritten\n`);
    if (!isOwn) return this.#commit(first);
    this.#git(['commit', '-q', '--amend', '--no-edit', '--', first]);
    this.#git(['rebase', '--continue'], REBASE);
  }
}
