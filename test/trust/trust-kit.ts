import type { Problem, Settings } from '../../src/core/agent.ts';
import type { Event } from '../../src/core/event.ts';
import type {
  Difference,
  GovernanceReader,
  MainMove,
  SavedFile,
  WorkspaceWatch,
} from '../../src/core/ports/governance.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { startTrust, type Trust, type TrustOptions } from '../../src/trust/trust.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { collect, random } from '../store/kit.ts';
import { anAgent, governing, SETTINGS } from '../fakes/governance.ts';
import { HandClock, calm, recorder, type Told } from '../scheduler/worker-kit.ts';

/** A commit as far as trust cares: what governs at it, in a word, and what is wrong with that. */
export interface Step {
  commit: string;
  by: MainMove['by'];
  rules: string;
  problems?: readonly Problem[];
}

export const problem = (message: string, more: Partial<Problem> = {}): Problem => ({
  file: 'ruche.yaml',
  line: 3,
  key: 'models',
  message,
  severity: 'error',
  ...more,
});

/** Settings that say nothing but the word, and the word of them. */
const settingsAt = (word: string): Settings => ({
  ...SETTINGS,
  rules: [{ id: word, verdict: 'deny', match: {}, reason: word }],
});
const wordOf = ({ rules }: Settings): string => rules[0]?.id ?? '';

const isBroken = (problems: readonly Problem[] = []): boolean => problems.some((found) => found.severity === 'error');

/** A workspace that is a list of commits, behind the real ports, so that a case takes no Git and no time. */
export class World {
  readonly clock = new HandClock();
  readonly store: Store = openMemoryStore({ clock: this.clock, random });
  readonly told: Told[];
  readonly main: Step[];
  readonly kept: string[] = [];
  /** What has come to govern since the start, while somebody listened. */
  readonly changes: string[] = [];
  /** Commits that are there no more. */
  readonly gone = new Set<string>();
  /** What is wrong with a file that was saved, by its text and the rules beside it. */
  check: (text: string, rules: string) => Problem[] = () => [];
  /** Why a part of a difference cannot be shown; null: all of it is. */
  hidden: string | null = null;
  /** What commits saved files; null when Git is busy. */
  person: ((paths: readonly string[]) => Step | null) | null = null;
  committed: (readonly string[])[] = [];
  /** What was saved while nobody watched. */
  standing: WorkspaceWatch['begin'] = () => Promise.resolve();
  trust!: Trust;
  stopListening: () => void = () => undefined;
  readonly #log: TrustOptions['log'];
  #made = 0;
  #on: Parameters<WorkspaceWatch['run']>[0] | null = null;

  constructor(...main: Step[]) {
    const { log, told } = recorder();
    this.#log = log;
    this.told = told;
    this.main = main.map((step) => ({ ...step }));
  }

  get head(): Step {
    return this.main.at(-1) as Step;
  }

  async start(more: Partial<TrustOptions> = {}): Promise<this> {
    this.trust = await startTrust({
      store: this.store,
      reader: this.#reader(),
      workspace: {
        head: () => Promise.resolve(this.head.commit),
        commitPerson: async (paths) => {
          this.committed.push(paths ?? []);
          const step = this.person?.(paths ?? []) ?? null;
          if (step === null) return null;
          this.main.push(step);
          return { commit: step.commit, author: 'Ada', paths: [...(paths ?? [])] };
        },
      },
      watch: this.#watch(),
      clock: this.clock,
      ids: { next: (kind) => `${kind}_${(this.#made += 1)}` },
      log: this.#log,
      redact: (text) => text.replaceAll('hunter2', '***'),
      ...more,
    });
    this.stopListening = this.trust.onChange(() => void this.changes.push(this.trust.current().commit));
    return this;
  }

  /** `main` moves, and trust is told. */
  async move(commit: string, by: MainMove['by'], rules: string, problems: readonly Problem[] = []): Promise<void> {
    this.main.push({ commit, by, rules, problems });
    await this.look();
  }

  async look(): Promise<void> {
    await this.#on?.moved();
  }

  async save(...files: (Partial<SavedFile> & { path: string; text?: string | null })[]): Promise<void> {
    await this.#on?.saved(
      files.map(({ path, text = path, clean = false }) => ({
        path,
        bytes: text === null ? null : Buffer.from(text),
        clean,
      })),
    );
  }

  events(): Promise<Event[]> {
    return collect(this.store.read({ stream: 'workspace' }));
  }

  async types(): Promise<string[]> {
    return (await this.events()).map(({ type }) => type);
  }

  async last(): Promise<Event> {
    return (await this.events()).at(-1) as Event;
  }

  async blob(hash: string): Promise<unknown> {
    return JSON.parse(Buffer.from((await this.store.getBlob({ hash })) ?? []).toString('utf8')) as unknown;
  }

  #at(commit: string): Step {
    return this.main.find((step) => step.commit === commit) as Step;
  }

  #reader(): GovernanceReader {
    const difference = (from: string, to: string): Difference | null =>
      this.#at(from).rules === this.#at(to).rules
        ? null
        : { text: `-${this.#at(from).rules} +${this.#at(to).rules}`, hidden: this.hidden };
    return {
      load: async (commit) => {
        const { rules, problems = [] } = this.#at(commit);
        if (isBroken(problems)) return { ok: false, problems: [...problems] };
        const settings = settingsAt(rules);
        return { ok: true, governance: governing([anAgent({ name: 'assistant' })], { commit, settings, problems }) };
      },
      protectedDiff: (from, to) => Promise.resolve(difference(from, to)),
      protectedChanges: () => Promise.reject(new Error('not in this test')),
      pinned: () => Promise.resolve([]),
      check: (path, bytes, beside) =>
        this.check(bytes === null ? `no ${path}` : Buffer.from(bytes).toString(), wordOf(beside)),
      exists: (commit) => Promise.resolve(!this.gone.has(commit) && this.main.some((step) => step.commit === commit)),
      keep: async (commit) => void this.kept.push(commit),
    };
  }

  #watch(): WorkspaceWatch {
    return {
      begin: (saved) => this.standing(saved),
      run: (on, signal) => {
        this.#on = on;
        return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
      },
      moves: async (since) => {
        const at = this.main.findIndex((step) => step.commit === since);
        return this.main.slice(at + 1).map(({ commit, by }, index) => ({
          from: this.main[at + index]?.commit ?? '',
          to: commit,
          by,
        }));
      },
    };
  }

  async close(): Promise<void> {
    await this.trust.close();
    await calm();
  }
}
