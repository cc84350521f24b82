import { type Governance, type Problem, SETTINGS_FILE } from '../core/agent.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { BlobRef } from '../core/blob.ts';
import type { ApprovalVerdict } from '../core/agreed.ts';
import type { Body, NewEvent } from '../core/event.ts';
import type { Ids } from '../core/ids.ts';
import { canonicalJson } from '../core/text/json.ts';
import type { Difference, GovernanceReader, SavedFile, WorkspaceWatch } from '../core/ports/governance.ts';
import type { Log } from '../core/ports/log.ts';
import type { Store } from '../core/ports/store.ts';
import type { Workspace } from '../core/ports/workspace.ts';
import type { AnswerResult } from '../core/api/runtime.ts';
import { Signal } from '../core/signal.ts';
import { STREAM, readPast, type Past } from './past.ts';
import { askedKey, answeredKey } from '../core/records/matter.ts';
import { putJson } from '../core/records/json-blob.ts';
import { errorText } from '../core/text/sentence.ts';
import { unknownText } from '../core/text/unknown.ts';
import { Mutex } from '../core/time/mutex.ts';

/** Milliseconds a landing that changes what governs may wait for `applyLanded` before it is held like a stranger's. */
const LANDING_GRACE = 2000;
const MAIN = 'main';

export interface TrustOptions {
  store: Store;
  reader: GovernanceReader;
  workspace: Pick<Workspace, 'head' | 'commitPerson'>;
  watch: WorkspaceWatch;
  clock: Clock;
  ids: Ids;
  log: Log;
  /** Who edits the files on this machine: `person:owner` unless given. */
  person?: string;
  /** Takes known secrets out of a text: people write them into files, and differences are shown and kept. */
  redact: (text: string) => string;
}

/** Keeps what governs the network, and lets only the local person, or an approval, change it. */
export interface Trust {
  current(): Governance;
  /** What is wrong with what was saved, or stands on `main`, and therefore does not govern. */
  refused(): readonly Problem[];
  /** A person's verdict on a change that came from outside. */
  answerHeld(approval: string, verdict: ApprovalVerdict, by: string): Promise<AnswerResult>;
  /** A landing whose protected change was approved: it applies. */
  applyLanded(commit: string): Promise<void>;
  /** Calls back each time something else governs; returns how to stop that. */
  onChange(listener: () => void): () => void;
  /** Calls back each time `main` is, or may be, somewhere else; returns how to stop that. */
  onMoved(listener: () => void): () => void;
  /** Looks where `main` is now, before the watch does. */
  look(): Promise<void>;
  /** Resolves when everything that has happened so far has been taken in. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** Nothing governs: there is no valid configuration, now or before. */
export class NoGovernance extends Error {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    const [first] = problems;
    super(first ? problemLine(first) : 'the workspace has no valid ruche.yaml');
    this.name = 'NoGovernance';
    this.problems = problems;
  }
}

const problemLine = ({ file, line, key, message }: Problem): string =>
  `${file}${line === null ? '' : `:${line}`}: ${key === '' ? '' : `${key} `}${message}`;

/**
 * Finds out what governs and keeps it up to date. Rejects with NoGovernance if nothing ever governed this home and what
 * stands on `main` is not valid.
 */
export async function startTrust(options: TrustOptions): Promise<Trust> {
  const past = await readPast(options.store);
  const keeper = new Keeper(options, past);
  await keeper.begin();
  const saved = (files: readonly SavedFile[]): Promise<void> => keeper.turns.run(() => keeper.saved(files));
  // A rule that was saved while the process was stopped holds for the runs that it left, and for what channels bring in.
  await options.watch.begin(saved);
  const moved = new Signal();
  const stop = new AbortController();
  const watching = options.watch.run(
    {
      saved,
      async moved() {
        await keeper.turns.run(() => keeper.look());
        moved.tell();
      },
    },
    stop.signal,
  );
  return {
    current: () => keeper.current(),
    refused: () => keeper.refused(),
    answerHeld: (approval, verdict, by) => keeper.turns.run(() => keeper.answer(approval, verdict, by)),
    applyLanded: (commit) => keeper.turns.run(() => keeper.landed(commit)),
    onChange: keeper.changed.on,
    onMoved: moved.on,
    look: () =>
      keeper.turns
        .run(() => keeper.look())
        .catch((error: unknown) =>
          // The watch looks again a moment later, and until then what governed before does.
          options.log.warn({ error: errorText(error) }, 'main could not be looked at'),
        ),
    settled: () => keeper.turns.settled(),
    async close() {
      stop.abort();
      await watching;
      await keeper.settle();
    },
  };
}

class Keeper {
  readonly changed = new Signal();
  readonly #options: TrustOptions;
  readonly #past: Past;
  /** Landings that passed an approval of their own. */
  readonly #landed = new Set<string>();
  /** Landings that change what governs and have not told of themselves yet, and how long they may take. */
  readonly #grace = new Map<string, number>();
  /** Saved files that were refused, to be tried again when the settings beside them change. */
  readonly #waiting = new Map<string, SavedFile>();
  /** What is wrong with them, by path; `main` for what was committed. */
  readonly #problems = new Map<string, readonly Problem[]>();
  readonly #stop = new AbortController();
  #governance: Governance | null = null;
  /** Up to here every step of `main` has been accepted; the next ones are judged from here. */
  #accepted = '';
  readonly turns = new Mutex();

  constructor(options: TrustOptions, past: Past) {
    this.#options = options;
    this.#past = past;
  }

  current(): Governance {
    if (!this.#governance) throw new Error('no settings apply yet');
    return this.#governance;
  }

  refused(): readonly Problem[] {
    return [...this.#problems.values()].flat();
  }

  async settle(): Promise<void> {
    this.#stop.abort();
    await this.turns.settled();
  }

  async begin(): Promise<void> {
    const { reader, workspace, log } = this.#options;
    const { applied } = this.#past;
    const known = applied !== null && (await reader.exists(applied));
    const before = known ? await reader.load(applied) : null;
    if (known) this.#accepted = applied;
    if (before?.ok) {
      this.#governance = before.governance;
      if (this.#past.approved) await this.#applyHeld();
      return this.look();
    }
    if (applied !== null && !known)
      log.warn({ applied }, 'the commit that governed is gone; what is on main governs now');
    // What governed cannot be read by this version: the person's own mending counts, a stranger's does not.
    if (before && (await this.#judge(await workspace.head())) !== 'trusted') throw new NoGovernance(before.problems);
    let loaded = await reader.load(await workspace.head());
    if (!loaded.ok && (await workspace.commitPerson([SETTINGS_FILE])))
      loaded = await reader.load(await workspace.head());
    if (!loaded.ok) throw new NoGovernance(loaded.problems);
    return this.#apply(loaded.governance);
  }

  /** Looks where `main` is and what that means. */
  async look(): Promise<void> {
    const { reader, workspace } = this.#options;
    const head = await workspace.head();
    if (head === this.#accepted) return;
    const difference = await reader.protectedDiff(this.current().commit, head);
    const verdict = difference === null ? 'trusted' : await this.#judge(head);
    if (verdict === 'trusted') await this.#adopt(head);
    if (verdict === 'foreign' && difference !== null) await this.#hold(head, difference);
  }

  /** Whether every step since what was last accepted is the person's own, or leaves alone what is protected. */
  async #judge(head: string): Promise<'trusted' | 'foreign' | 'wait'> {
    const { watch, reader } = this.#options;
    const moves = await watch.moves(this.#accepted);
    // It moved on meanwhile: the next look sees it.
    if ((moves.at(-1)?.to ?? this.#accepted) !== head) return 'wait';
    let verdict: 'trusted' | 'wait' = 'trusted';
    for (const { from, to, by } of moves) {
      if (by === 'person' || this.#landed.has(to) || (await reader.protectedDiff(from, to)) === null) continue;
      if (by === 'foreign' || !this.#mayStillTell(to)) return 'foreign';
      verdict = 'wait';
    }
    return verdict;
  }

  /** A landing tells of itself a moment after it moved `main`; until then nobody need be asked. */
  #mayStillTell(landing: string): boolean {
    const { clock, log } = this.#options;
    const until = this.#grace.get(landing);
    if (until !== undefined) return clock.now() < until;
    this.#grace.set(landing, clock.now() + LANDING_GRACE);
    clock
      .sleep(LANDING_GRACE, this.#stop.signal)
      .then(() => this.turns.run(() => this.look()))
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted) log.error({ error: String(error) }, 'a landing could not be looked at again');
      });
    return true;
  }

  /** `head` may govern. What is not valid is refused, and the old stays. */
  async #adopt(head: string): Promise<void> {
    const loaded = await this.#options.reader.load(head);
    if (!loaded.ok) return this.#refuse(MAIN, head, loaded.problems);
    this.#accepted = head;
    this.#problems.delete(MAIN);
    if (sameRules(loaded.governance, this.current())) {
      if (this.#past.held) await this.#commit([this.#dropHeld()]);
      this.#past.held = null;
      return undefined;
    }
    return this.#apply(loaded.governance);
  }

  async #apply(governance: Governance): Promise<void> {
    const { reader, log } = this.#options;
    const { commit } = governance;
    await reader.keep(commit);
    const dropped = this.#past.held ? [this.#dropHeld()] : [];
    await this.#commit([...dropped, this.#event({ type: 'config.applied', data: { commit } })]);
    this.#past.held = null;
    this.#past.denied.clear();
    this.#past.refused.clear();
    this.#landed.clear();
    this.#grace.clear();
    this.#problems.delete(MAIN);
    this.#governance = governance;
    this.#accepted = commit;
    log.info({ commit, agents: [...governance.agents.keys()] }, 'the settings of the workspace apply');
    for (const found of governance.problems) log.warn({ severity: found.severity }, problemLine(found));
    this.changed.tell();
    await this.#again();
  }

  async #refuse(what: string, commit: string | null, problems: readonly Problem[]): Promise<void> {
    const errors = problems.filter((found) => found.severity === 'error');
    this.#problems.set(what, errors);
    const detail = this.#put({ what, text: problems.map(problemLine).join('\n'), problems });
    if (this.#past.refused.get(what) === detail.hash) return;
    this.#past.refused.set(what, detail.hash);
    await this.#commit([this.#event({ type: 'config.refused', data: { commit, problems: errors.length, detail } })]);
    for (const found of errors)
      this.#options.log.warn({}, `${problemLine(found)} (the settings before it stay in force)`);
  }

  async #hold(head: string, difference: Difference): Promise<void> {
    const { ids, log, reader } = this.#options;
    const { text, hidden } = difference;
    const shown = this.#put(hidden === null ? { text } : { text, hidden });
    const { held, denied } = this.#past;
    if (denied.has(shown.hash) || held?.shown === shown.hash) return;
    const loaded = await reader.load(head);
    if (!loaded.ok) return this.#refuse(MAIN, head, loaded.problems);
    const approval = ids.next('apr');
    const dropped = held ? [this.#dropHeld()] : [];
    const event = this.#event({ type: 'config.held', data: { commit: head, approval, shown } }, askedKey(approval));
    await this.#commit([...dropped, event]);
    this.#past.held = { approval, commit: head, shown: shown.hash };
    log.warn({ commit: head, approval }, `settings from outside wait for approval: ruche approve ${approval}`);
  }

  /** Ends an approval that nobody need give any more. */
  #dropHeld(): NewEvent {
    const approval = this.#past.held?.approval ?? '';
    const reason = this.#put({ text: 'A later change replaced it.' });
    const data = { approval, verdict: 'deny' as const, by: 'runtime', reason };
    return this.#event({ type: 'approval.answered', data }, answeredKey(approval));
  }

  async answer(approval: string, verdict: ApprovalVerdict, by: string): Promise<AnswerResult> {
    const { store } = this.#options;
    const held = this.#past.held;
    if (held?.approval !== approval) {
      const before = await store.byKey(answeredKey(approval));
      if (before?.type !== 'approval.answered')
        return { ok: false, why: 'unknown', message: unknownText('approval', approval, { list: 'ruche approvals' }) };
      const message = `${approval} was already answered.`;
      return { ok: false, why: 'answered', message, task: null, verdict: before.data.verdict };
    }
    const data = { approval, verdict, by, reason: null };
    await this.#commit([this.#event({ type: 'approval.answered', data }, answeredKey(approval), by)]);
    if (verdict === 'approve') {
      await this.#applyHeld();
    } else {
      this.#past.denied.add(held.shown);
      this.#past.held = null;
    }
    return { ok: true, task: null };
  }

  /** An approval is for the difference that was shown: what has come since is looked at anew. */
  async #applyHeld(): Promise<void> {
    const held = this.#past.held;
    this.#past.held = null;
    if (!held) return;
    const loaded = await this.#options.reader.load(held.commit);
    if (!loaded.ok) return this.#refuse(MAIN, held.commit, loaded.problems);
    await this.#apply(loaded.governance);
    await this.look();
  }

  async landed(commit: string): Promise<void> {
    this.#landed.add(commit);
    await this.look();
  }

  /** Files a person saved: valid ones are committed under the person's name and apply, others are told of. */
  async saved(files: readonly SavedFile[]): Promise<void> {
    const settings = files.filter((file) => file.path === SETTINGS_FILE);
    const others = files.filter((file) => file.path !== SETTINGS_FILE);
    // The settings first: an agent may name a provider that was written in the same moment.
    for (const group of [settings, others])
      if (!(await this.#take(group))) throw new Error('saved settings could not be committed now, Git is busy');
  }

  /** False if valid files could not be committed. */
  async #take(files: readonly SavedFile[]): Promise<boolean> {
    const { reader, workspace, person } = this.#options;
    const valid: string[] = [];
    for (const file of files) {
      this.#waiting.delete(file.path);
      this.#problems.delete(file.path);
      if (file.clean) {
        this.#past.refused.delete(file.path);
        continue;
      }
      const problems = reader.check(file.path, file.bytes, this.current().settings);
      if (problems.some((found) => found.severity === 'error')) {
        this.#waiting.set(file.path, file);
        await this.#refuse(file.path, null, problems);
      } else {
        this.#past.refused.delete(file.path);
        valid.push(file.path);
      }
    }
    if (valid.length === 0) return true;
    const committed = await workspace.commitPerson(valid);
    if (committed) {
      const { commit, author, paths } = committed;
      const data = { commit, author, paths: paths.length };
      await this.#commit([this.#event({ type: 'person.committed', data }, undefined, person ?? 'person:owner')]);
    }
    await this.look();
    return committed !== null;
  }

  /** Refused files may be right beside the new settings. */
  async #again(): Promise<void> {
    const waiting = [...this.#waiting.values()].filter((file) => file.path !== SETTINGS_FILE);
    const right = waiting.filter((file) =>
      this.#options.reader
        .check(file.path, file.bytes, this.current().settings)
        .every((found) => found.severity !== 'error'),
    );
    if (right.length > 0) await this.#take(right);
  }

  #event(body: Body, key?: string, actor = 'runtime'): NewEvent {
    const event: NewEvent = { ...body, stream: STREAM, actor, cause: null, labels: [] };
    if (key !== undefined) event.key = key;
    return event;
  }

  #put(value: unknown): BlobRef {
    const { store, redact } = this.#options;
    return putJson(store, value, STREAM, redact);
  }

  async #commit(events: readonly NewEvent[]): Promise<void> {
    const result = await this.#options.store.commit({ events, sync: true });
    if (!result.ok) throw new Error(`what governs could not be recorded: ${JSON.stringify(result)}`);
  }
}

/** Whether two states differ in nothing but the commit they were read at. */
function sameRules(a: Governance, b: Governance): boolean {
  const text = ({ settings, agents, skills, scripts, problems }: Governance): string =>
    canonicalJson({ settings, agents: [...agents], skills, scripts: scripts.hash, problems });
  return text(a) === text(b);
}
