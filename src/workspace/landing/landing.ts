import { setImmediate as turn } from 'node:timers/promises';
import type { Boundary } from '../../core/ports/boundary.ts';
import { type Change, MAX_PATHS } from '../../core/files.ts';
import { isAgentName, isSafeName } from '../../core/ids.ts';
import { type LandingRequest, type LandingResult, WorkspaceUnavailable } from '../../core/ports/workspace.ts';
import { agentSignature, landingMessage, putCommit, mainCommit } from '../../git/commit.ts';
import { obstacles } from '../overlay/obstacles.ts';
import { badPath, isFile } from '../overlay/path.ts';
import type { PathChange } from '../../git/changed.ts';
import type { Git } from '../../git/git.ts';
import { mergeChanges, type Conflict, type Merged } from './merge.ts';
import type { Mover } from './move.ts';
import type { Mutex } from '../../core/time/mutex.ts';
import type { Objects } from '../../git/objects.ts';
import type { Person } from './person.ts';
import type { Trees } from '../../git/trees.ts';

export interface LandingParts {
  git: Git;
  objects: Objects;
  trees: Trees;
  mover: Mover;
  person: Person;
  mutex: Mutex;
  boundary: Boundary;
  /** Bytes of a file that Git is given. */
  maxFile: number;
  /** A fault of disk or Git as a WorkspaceUnavailable, once what Ruche can mend is mended; other errors as they are. */
  inWords(error: unknown): Promise<unknown>;
}

interface Waiting {
  request: LandingRequest;
  resolve: (result: LandingResult) => void;
  reject: (error: unknown) => void;
}

/** Landings prepared one upon the other, to be moved to at once. */
interface Plan {
  results: LandingResult[];
  tip: string;
  /** Tree of the tip, which is not written yet. */
  tree: string;
  paths: Map<string, PathChange>;
  stored: Promise<void>[];
}

/** Landings that share one move of the working tree. */
const BATCH = 50;
const ATTEMPTS = 5;
/** Paths after which others get their turn. */
const BREATH = 500;
/** Files in the way that are named. */
const MAX_NAMED = 5;
const NO_MAIN = 'the workspace has no branch main any more; make it again with: git branch main COMMIT';

const refused = (why: string): LandingResult => ({ state: 'refused', why });

/** Puts runs' changes on `main`, one commit each. Those that wait at the same time share one move of the files. */
export class Landings {
  readonly #parts: LandingParts;
  #waiting: Waiting[] = [];
  #working = false;

  constructor(parts: LandingParts) {
    this.#parts = parts;
  }

  land(request: LandingRequest): Promise<LandingResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
      if (!this.#working) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#working = true;
    // What the same turn of the event loop brings goes into one batch.
    await turn();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH);
      try {
        const results = await this.#parts.mutex.run(() => this.#batch(batch.map((one) => one.request)));
        batch.forEach((one, at) => one.resolve(results[at] ?? refused('lost')));
      } catch (error) {
        const failure = await this.#parts.inWords(error);
        for (const one of batch)
          if (failure instanceof WorkspaceUnavailable) one.resolve({ state: 'blocked', why: failure.message });
          else one.reject(error);
      }
    }
    this.#working = false;
  }

  async #batch(requests: readonly LandingRequest[]): Promise<LandingResult[]> {
    const { mover, person, git } = this.#parts;
    const blockAll = (why: string): LandingResult[] => requests.map(() => ({ state: 'blocked', why }));
    let why = '';
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const state = await mover.state();
      if (state.busy !== null) return blockAll(state.busy);
      const head = await mainCommit(git);
      if (head === null) return blockAll(NO_MAIN);
      await mover.follow(head);
      const plan = await this.#prepare(requests, head);
      if (plan.tip === head) return plan.results;
      const note = `ruche: ${plan.results.filter((one) => one.state === 'landed').length} landed`;
      const paths = [...plan.paths.values()].filter(
        ({ old, new: next }) => old?.oid !== next?.oid || old?.mode !== next?.mode,
      );
      const moved = state.onMain
        ? await mover.land(head, plan.tip, paths, { note, refresh: attempt > 0 })
        : await mover.moveRef(head, plan.tip, note);
      // A checkout of main that was at its end has taken the files from what main was.
      if (moved.ok && !state.onMain) await mover.follow(plan.tip);
      if (moved.ok) return plan.results;
      why = moved.message;
      if (moved.why === 'blocked') return blockAll(why);
      // A person's edits go first, under the person's name; then the merge is worked out anew.
      if (moved.why === 'dirty') await person.commitLocked(paths.map((change) => change.path));
    }
    if (requests.length === 1) return blockAll(await this.#inTheWay(requests, why));
    const results: LandingResult[] = [];
    for (const request of requests) results.push(...(await this.#batch([request])));
    return results;
  }

  /** Which files of a person's are in the way, and why they are not committed; `said`: by Git, where that is not known. */
  async #inTheWay(requests: readonly LandingRequest[], said: string): Promise<string> {
    const paths = requests
      .flatMap(({ changes }) => changes.map(({ path }) => path))
      .filter((path) => badPath(path) === null);
    const reasons = await this.#parts.person.explain(paths);
    const named = [...reasons].slice(0, MAX_NAMED).map(([path, why]) => `${path}: ${why}`);
    return `files of yours are in the way of this landing: ${named.join('; ') || said}`;
  }

  async #prepare(requests: readonly LandingRequest[], head: string): Promise<Plan> {
    const { boundary } = this.#parts;
    boundary('landing.commit.before');
    const tree = await this.#parts.trees.of(head);
    const plan: Plan = { results: [], tip: head, tree, paths: new Map(), stored: [] };
    const wanted = requests
      .flatMap(({ changes }) => changes)
      .filter(({ oid, path }) => oid !== null && badPath(path) === null);
    const forbidden = await obstacles(this.#parts, tree, [...new Set(wanted.map(({ path }) => path))]);
    for (const request of requests) plan.results.push(await this.#one(request, plan, forbidden));
    await Promise.all(plan.stored);
    boundary('landing.commit.after');
    return plan;
  }

  async #one(request: LandingRequest, plan: Plan, forbidden: Map<string, string>): Promise<LandingResult> {
    const { trees, objects } = this.#parts;
    const { agent, run } = request.provenance;
    if (!isAgentName(agent) || !isSafeName(run)) return refused(`"${agent}" or "${run}" is not a valid name`);
    const count = request.changes.length;
    if (count > MAX_PATHS) return refused(`it changes ${count} files, more than the limit of ${MAX_PATHS}`);
    const never = request.changes.flatMap(({ path }) => {
      const why = badPath(path) ?? forbidden.get(path);
      return why === undefined ? [] : [{ path, why: `${path} cannot be committed: ${why}` }];
    });
    if (never.length > 0) return { state: 'refused', why: never.map(({ why }) => why).join('\n'), paths: never };
    const mainTree = plan.tree;
    const baseTree = await trees.of(request.base);
    const merged = await mergeChanges(this.#parts, baseTree, mainTree, request.changes);
    const clash = await this.#dropClashes(merged, mainTree, baseTree, request);
    if (clash !== null) return refused(clash);
    if (merged.conflicts.length > 0) return conflict(plan.tip, merged);
    if (merged.edits.size === 0) return { state: 'empty' };
    tellMerged(request, merged.changes);
    const tree = await trees.edit(mainTree, merged.edits);
    if (!tree.ok) throw new Error(`clash at ${tree.clash} was not seen`);
    if (tree.oid === mainTree) return { state: 'empty' };
    const message = landingMessage(request.subject, request.provenance);
    const author = agentSignature(agent);
    const commit = putCommit(objects, { tree: tree.oid, parents: [plan.tip], author, at: request.at, message });
    plan.stored.push(tree.stored, commit.stored);
    await this.#note(plan, merged, mainTree);
    plan.tip = commit.oid;
    plan.tree = tree.oid;
    return { state: 'landed', commit: commit.oid };
  }

  async #note(plan: Plan, merged: Merged, mainTree: string): Promise<void> {
    let count = 0;
    for (const [path, entry] of merged.edits) {
      count += 1;
      if (count % BREATH === 0) await turn();
      const there = await this.#parts.trees.at(mainTree, path);
      const old = plan.paths.get(path)?.old ?? (plan.paths.has(path) ? null : isFile(there) ? there : null);
      plan.paths.set(path, { path, old, new: entry });
    }
  }

  /** A file where main has a folder, or below a file: a conflict if main made it so, else the run's own mistake. */
  async #dropClashes(merged: Merged, main: string, base: string, request: LandingRequest): Promise<string | null> {
    for (;;) {
      const tried = await this.#parts.trees.edit(main, merged.edits);
      if (tried.ok) return null;
      const wanted = request.changes.map(({ path, oid, mode }) => [path, oid === null ? null : { oid, mode }] as const);
      const alone = await this.#parts.trees.edit(base, new Map(wanted));
      if (!alone.ok) return `${alone.clash} would be a file and a folder at once`;
      const clashing = [...merged.edits.keys()].filter(
        (path) => path === tried.clash || path.startsWith(`${tried.clash}/`) || tried.clash.startsWith(`${path}/`),
      );
      if (clashing.length === 0) return `${tried.clash} is a file on one side and a folder on the other`;
      for (const path of clashing) {
        merged.edits.delete(path);
        merged.changes = merged.changes.filter((change) => change.path !== path);
        merged.conflicts.push({
          path,
          text: `${path}: on main ${tried.clash} is a file or a folder where you have the other.`,
        });
      }
    }
  }
}

function tellMerged({ changes, merged }: LandingRequest, landing: readonly Change[]): void {
  if (merged === undefined) return;
  const own = new Map(changes.map(({ path, oid }) => [path, oid]));
  const joined = landing.flatMap(({ path, oid, was }) =>
    oid === null || was === null || oid === own.get(path) ? [] : [{ path, oid, theirs: was }],
  );
  if (joined.length > 0) merged(joined);
}

function conflict(onto: string, { changes, conflicts }: Merged): LandingResult {
  const texts = conflicts.map((one: Conflict) => one.text).join('\n\n');
  const text =
    'Your changes cannot land: main has changed in the meantime. You now see main as it is, with your changes that fit; ' +
    `read the paths below again and bring your part in anew, or leave main as it is.\n\n${texts}`;
  return { state: 'conflict', onto, paths: conflicts.map((one) => one.path), changes, text };
}
