import type { Change } from '../../core/files.ts';
import { isSafeName } from '../../core/ids.ts';
import type { LandingRequest } from '../../core/ports/workspace.ts';
import { changedPaths } from '../../git/changed.ts';
import { MAIN, agentSignature, landingMessage, putCommit } from '../../git/commit.ts';
import type { Git } from '../../git/git.ts';
import type { Objects } from '../../git/objects.ts';
import { GitError } from '../../git/process.ts';
import { refsBelow, removeRef, writeRef } from '../../git/refs.ts';
import type { Trees } from '../../git/trees.ts';
import { overlayTree } from '../overlay/files.ts';
import { fileMode } from '../overlay/path.ts';

/** Work of runs that go on or wait. */
const RUNS = 'refs/ruche/runs';
/** Work of runs that failed. */
const UNLANDED = 'refs/ruche/unlanded';

export interface OpenWorkParts {
  git: Git;
  objects: Objects;
  trees: Trees;
}

/** What the commit of a ref says. */
interface Work {
  base: string;
  author: string;
  at: number;
  message: string;
}

interface Held {
  /** Base and changes that the ref holds, or soon will; null: what an earlier process has left there. */
  what: string | null;
  done: Promise<void>;
}

/**
 * Holds what runs have changed and not landed. It lies in the repository as blobs that no commit names, which is what
 * `git gc` removes; so each run has a ref until it ends, and one that failed keeps a ref. A ref whose objects are gone is
 * never left: with it the person's `git gc`, `git push --mirror` and `git bundle --all` would fail.
 */
export class OpenWork {
  readonly #parts: OpenWorkParts;
  readonly #held = new Map<string, Held>();

  constructor(parts: OpenWorkParts) {
    this.#parts = parts;
  }

  /** Finds the refs of an earlier process, and mends those whose objects are gone; resolves with what was mended. */
  async recover(): Promise<string[]> {
    const { git } = this.#parts;
    const mended: string[] = [];
    for (const ref of await this.broken()) mended.push(await this.#mend(ref));
    for (const run of await refsBelow(git, RUNS)) this.#held.set(run, { what: null, done: Promise.resolve() });
    return mended;
  }

  /** Runs whose work is held. */
  runs(): string[] {
    return [...this.#held.keys()];
  }

  /** Holds a run's changes as they are now, and no longer what it had before. Costs nothing for a run without changes. */
  hold(request: LandingRequest): Promise<void> {
    const { run } = request.provenance;
    if (request.changes.length === 0) return this.release(run);
    const before = this.#held.get(run);
    const what = JSON.stringify([request.base, request.changes]);
    if (before?.what === what) return before.done;
    return this.#then(run, what, async () => {
      const { commit } = await this.#commit(request);
      const ref = `${RUNS}/${run}`;
      if (commit === null) await removeRef(this.#parts.git, ref);
      else await writeRef(this.#parts.git, ref, commit);
    });
  }

  /** Nothing of the run is held any more. */
  release(run: string): Promise<void> {
    if (!this.#held.has(run)) return Promise.resolve();
    return this.#then(run, '', async () => {
      await removeRef(this.#parts.git, `${RUNS}/${run}`);
      if (this.#held.get(run)?.what === '') this.#held.delete(run);
    });
  }

  /** Paths whose content the repository has lost. One that has not even their base is away as a whole, and may come back. */
  async lost(base: string, changes: readonly Change[]): Promise<string[]> {
    const { lost } = await this.#present(changes);
    return lost.length === 0 || !(await this.#isThere(base)) ? [] : lost;
  }

  /** Keeps the work of a run that failed; resolves with the paths whose content the repository has lost. */
  async keep(request: LandingRequest): Promise<string[]> {
    const { commit, lost } = await this.#commit(request);
    if (commit === null) throw new Error(`the repository has lost the content of ${lost.join(', ')}`);
    await writeRef(this.#parts.git, `${UNLANDED}/${request.provenance.run}`, commit);
    return lost;
  }

  /** Refs of runs' work that name objects which are gone. */
  async broken(): Promise<string[]> {
    const { git } = this.#parts;
    const found = await Promise.all(
      [RUNS, UNLANDED].map(async (folder) => (await refsBelow(git, folder)).map((name) => `${folder}/${name}`)),
    );
    const refs = found.flat();
    if (refs.length === 0 || (await this.#areWhole(refs))) return [];
    const broken: string[] = [];
    for (const ref of refs) if (await this.#isBroken(ref)) broken.push(ref);
    return broken;
  }

  /** Resolves once nothing is being written. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#held.values()].map(({ done }) => done));
  }

  /** One thing after the other for each run: what it holds last is what stays. */
  #then(run: string, what: string, job: () => Promise<void>): Promise<void> {
    const before = this.#held.get(run)?.done ?? Promise.resolve();
    const done = before.catch(() => undefined).then(job);
    this.#held.set(run, { what, done });
    // It is tried again with the next change, and the caller that awaits it hears of it.
    done.catch(() => {
      const held = this.#held.get(run);
      if (held?.done === done) held.what = null;
    });
    return done;
  }

  /** A commit of the changes over their base, without those whose content is gone. Null if there is nothing to hold. */
  async #commit(request: LandingRequest): Promise<{ commit: string | null; lost: string[] }> {
    const { git, objects, trees } = this.#parts;
    const { run, agent } = request.provenance;
    if (!isSafeName(run)) throw new Error(`"${run}" cannot be part of a ref`);
    const { there, lost } = await this.#present(request.changes);
    if ((await git.info(request.base)) === null) throw new Error(`the repository has no commit ${request.base}`);
    if (lost.length > 0 && !(await this.#isThere(request.base)))
      throw new Error(`a part of commit ${request.base} is away`);
    if (there.length === 0 && lost.length > 0) return { commit: null, lost };
    const { tree, stored, left } = await overlayTree(trees, request.base, there);
    const without = [...lost, ...left];
    const subject = without.length === 0 ? request.subject : `${request.subject} (without ${without.join(', ')})`;
    const author = agentSignature(agent);
    const message = landingMessage(subject, request.provenance);
    const commit = putCommit(objects, { tree, parents: [request.base], author, at: request.at, message });
    await Promise.all([stored, commit.stored]);
    return { commit: commit.oid, lost };
  }

  async #present(changes: readonly Change[]): Promise<{ there: Change[]; lost: string[] }> {
    const there: Change[] = [];
    const lost: string[] = [];
    for (const change of changes)
      if (change.oid === null || (await this.#parts.git.info(change.oid)) !== null) there.push(change);
      else lost.push(change.path);
    return { there, lost };
  }

  /** Git's own check, as after a fetch: nothing is missing of what these name beyond main. One process for all of them. */
  async #areWhole(refs: readonly string[]): Promise<boolean> {
    const { git } = this.#parts;
    const main = await git.resolve(MAIN);
    const input = [...refs, ...(main === null ? [] : [`^${main}`]), ''].join('\n');
    const args = ['rev-list', '--objects', '--quiet', '--stdin'];
    return (await git.run(args, { input, accept: [0, 128] })).code === 0;
  }

  /** Whether something is gone that only this ref holds: what else is damaged is not mended by taking the work away. */
  async #isBroken(ref: string): Promise<boolean> {
    const { git } = this.#parts;
    const base = (await this.#read(ref))?.base ?? (await git.resolve(MAIN));
    // Without its base the work may be whole, on a disk that is away for now: a clone may borrow the objects of another one.
    if (base === null || !(await this.#isThere(base))) return false;
    const changes = await this.#changes(ref, base);
    return changes === null || (await this.#present(changes)).lost.length > 0;
  }

  /** Whether a commit can be read with all its files. */
  async #isThere(commit: string): Promise<boolean> {
    const args = ['rev-list', '--objects', '--no-walk', '--quiet', commit];
    return (await this.#parts.git.run(args, { accept: [0, 128] })).code === 0;
  }

  /** Makes the ref anew of what is still there, or removes it; says which. Only of one whose base is there. */
  async #mend(ref: string): Promise<string> {
    const { git, objects, trees } = this.#parts;
    const work = await this.#read(ref);
    const { there, lost } = await this.#present((work && (await this.#changes(ref, work.base))) ?? []);
    if (work === null || there.length === 0) {
      await removeRef(git, ref);
      return `removed ${ref}: the repository has lost the work it named`;
    }
    const { base, author, at, message } = work;
    const { tree, stored } = await overlayTree(trees, base, there);
    const commit = putCommit(objects, { tree, parents: [base], author: agentSignature(author), at, message });
    await Promise.all([stored, commit.stored]);
    await writeRef(git, ref, commit.oid);
    return `made ${ref} anew without ${lost.join(', ')}, whose content the repository has lost`;
  }

  /** What the commit of a ref says; null if it is gone. */
  async #read(ref: string): Promise<Work | null> {
    const found = await this.#parts.git.object(ref);
    const text = found?.type === 'commit' ? found.bytes.toString('utf8') : '';
    const [, base, author = '', seconds = '', message = ''] =
      /^tree [0-9a-f]+\nparent ([0-9a-f]+)\nauthor (.*?) <.*> (\d+) [^]*?\n\n([^]*)$/.exec(text) ?? [];
    return base === undefined ? null : { base, author, at: Number(seconds) * 1000, message };
  }

  /** What a ref holds; null if its commit or a folder of it is gone. */
  async #changes(ref: string, base: string): Promise<Change[] | null> {
    const { git } = this.#parts;
    const found = await git.object(ref);
    if (found === null) return null;
    try {
      return (await changedPaths(git, base, found.oid)).map(({ path, old, new: now }): Change => {
        const mode = fileMode((now ?? old)?.mode ?? '');
        return { path, mode, oid: now?.oid ?? null, was: old?.oid ?? null };
      });
    } catch (error) {
      if (error instanceof GitError && error.why === 'exit') return null;
      throw error;
    }
  }
}
