import type { Event, EventOf, NewEvent } from '../core/event.ts';
import type { Ids } from '../core/ids.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Store } from '../core/ports/store.ts';
import type { Workspace } from '../core/ports/workspace.ts';
import { putJson, readJson } from '../core/records/json-blob.ts';
import {
  type EndorsedKind,
  type EndorsedValue,
  type EndorsementView,
  type EndorseResult,
  type FileVouch,
  endorsementStream,
  type GrantView,
  grantStream,
  type Revoked,
  revokedKey,
  type StandingDesk,
} from '../core/standing.ts';
import { workspacePath } from '../core/text/paths.ts';
import { Mutex } from '../core/time/mutex.ts';
import {
  type AskingCall,
  emptyBook,
  evolveBook,
  fileVouched,
  grantFor,
  type GrantUse,
  kindOfValue,
  STANDING_TYPES,
  stateOfGrant,
  userOf,
  vouchedBy,
} from '../policy/standing.ts';

/** Whose key what people endorse is kept under: their own words, which outlive a conversation. */
export const ENDORSEMENTS = 'endorsements';
const CHANGING: ReadonlySet<Event['type']> = new Set(STANDING_TYPES);
/** Characters of a value, and of a note about it. */
const MAX_VALUE = 2_000;

export interface StandingDeps {
  store: Store;
  workspace: Pick<Workspace, 'head' | 'files'>;
  clock: Clock;
  ids: Ids;
  log: Log;
  redact(text: string): string;
  /** Calls `listener` with the events of each commit. */
  onCommitted(listener: (events: readonly Event[]) => void): () => void;
  onRunEnded(listener: (run: string) => void): () => void;
}

/**
 * The book of grants and endorsements as runs ask it, at once and without a look at the store: read when it is opened, and on
 * from there after each commit that adds to it.
 */
export class Standing implements StandingDesk {
  readonly #deps: StandingDeps;
  readonly #book = emptyBook();
  /** Uses that are decided and not on record: they count. */
  readonly #held = new Map<string, Map<string, number | null>>();
  readonly #reading = new Mutex();
  #seq = 0;
  #stops: (() => void)[] = [];

  private constructor(deps: StandingDeps) {
    this.#deps = deps;
  }

  static async open(deps: StandingDeps): Promise<Standing> {
    const standing = new Standing(deps);
    await standing.refresh();
    const safely = (done: Promise<void>): void =>
      void done.catch((error: unknown) => deps.log.error({ error: String(error) }, 'the grants could not be read'));
    standing.#stops = [
      deps.onCommitted((events) => {
        if (events.some(({ type }) => CHANGING.has(type))) safely(standing.refresh());
      }),
      deps.onRunEnded((run) => {
        // Hardly a run uses a grant, so hardly one pays for a look.
        if (standing.#heldBy(run)) safely(standing.refresh().then(() => standing.#letGo(run)));
      }),
    ];
    return standing;
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  /** Takes in what has been committed since. */
  refresh(): Promise<void> {
    const { store } = this.#deps;
    return this.#reading.run(async () => {
      for await (const event of store.read({ types: STANDING_TYPES, after: this.#seq })) {
        evolveBook(this.#book, event, await contentOf(store, event));
        if (event.type === 'grant.used') this.#recorded(event.data);
        this.#seq = event.seq;
      }
    });
  }

  settled(): Promise<void> {
    return this.#reading.settled();
  }

  /** A use is on record: another holder of its number has to take another one. */
  #recorded(used: EventOf<'grant.used'>['data']): void {
    const users = this.#held.get(used.grant);
    users?.delete(userOf(used));
    for (const [user, use] of users ?? []) if (use !== null && use === used.use) users?.delete(user);
  }

  #heldBy = (run: string): boolean =>
    [...this.#held.values()].some((users) => [...users.keys()].some((user) => isOf(user, run)));

  /** A run that has ended records no use any more. */
  #letGo(run: string): void {
    for (const users of this.#held.values()) for (const user of users.keys()) if (isOf(user, run)) users.delete(user);
  }

  vouchedBy(name: string, value: string): string | null {
    return vouchedBy(this.#book, name, value);
  }

  fileVouched(path: string, oid: string): FileVouch | null {
    return fileVouched(this.#book, path, oid);
  }

  /** The grant that lets the call through, of which it holds a use until that is on record or its run ends; null if none does. */
  grantFor(call: Omit<AskingCall, 'at'>): GrantUse | null {
    const found = grantFor(this.#book, { ...call, at: this.#deps.clock.now() }, this.#held);
    if (found === null || found.recorded) return found;
    const users = this.#held.get(found.grant) ?? new Map<string, number | null>();
    this.#held.set(found.grant, users.set(userOf(call), found.use));
    return found;
  }

  async grants({ all = false }: { all?: boolean } = {}): Promise<GrantView[]> {
    await this.refresh();
    const now = this.#deps.clock.now();
    const views = [...this.#book.grants.values()].map((grant): GrantView => {
      const { grant: id, scope, agent, tool, over: labels, task, until, count, approval } = grant.data;
      const { values, used, lastUsed, at, by } = grant;
      const state = stateOfGrant(grant, now);
      return { id, scope, agent, tool, values, labels, task, until, count, used, lastUsed, at, by, approval, state };
    });
    const shown = all ? views : views.filter(({ state }) => state === 'active');
    return shown.reverse();
  }

  async endorsements({ all = false }: { all?: boolean } = {}): Promise<EndorsementView[]> {
    await this.refresh();
    const used = await this.#usesOfEndorsements();
    const views = [...this.#book.endorsements.values()].map(
      ({ id, kind, at, by, approval, revoked, content }): EndorsementView => {
        const { value = null, name = null, note = '', sources = [] } = content ?? {};
        return { id, kind, value, name, note, sources, at, by, approval, revoked, used: used.get(id) ?? 0 };
      },
    );
    return views.filter(({ revoked }) => all || !revoked).reverse();
  }

  /** Decisions that rest on each. */
  async #usesOfEndorsements(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    const [first] = this.#book.endorsements.values();
    if (first === undefined) return counts;
    for await (const event of this.#deps.store.read({ types: ['decision.made'], after: first.seq }))
      for (const id of (event.type === 'decision.made' && event.data.endorsed) || [])
        counts.set(id, (counts.get(id) ?? 0) + 1);
    return counts;
  }

  async revokeGrant(id: string, by: string): Promise<Revoked> {
    await this.refresh();
    if (!this.#book.grants.has(id)) return null;
    return this.#revoke({ type: 'grant.revoked', data: { grant: id } }, id, { stream: grantStream(id), actor: by });
  }

  async revokeEndorsement(id: string, by: string): Promise<Revoked> {
    await this.refresh();
    if (!this.#book.endorsements.has(id)) return null;
    const about = { stream: endorsementStream(id), actor: by };
    return this.#revoke({ type: 'value.revoked', data: { endorsement: id } }, id, about);
  }

  async #revoke(
    body: Pick<EventOf<'grant.revoked'>, 'type' | 'data'> | Pick<EventOf<'value.revoked'>, 'type' | 'data'>,
    id: string,
    about: { stream: string; actor: string },
  ): Promise<Revoked> {
    const event = { ...body, ...about, cause: null, labels: [], key: revokedKey(id) } as NewEvent;
    const result = await this.#deps.store.commit({ events: [event], sync: true });
    // A person who reads that it is revoked can rely on it.
    await this.refresh();
    if (result.ok) return 'done';
    if (result.why === 'duplicate') return 'again';
    throw new Error(`that something is revoked could not be recorded: ${result.why}`);
  }

  async endorse(
    given: { value: string; kind?: EndorsedKind; name?: string | null; note?: string },
    by: string,
  ): Promise<EndorseResult> {
    const { kind, value } = await this.#meant(given);
    const { name = null, note = '' } = given;
    const wrong = endorsementProblem(kind, { value, name, note });
    if (wrong !== null) return { ok: false, message: wrong };
    const same = (await this.endorsements()).find(
      (each) => each.kind === kind && each.value === value && each.name === name,
    );
    if (same !== undefined) return { ok: true, id: same.id, kind, value, again: true };
    const event = this.endorsing(kind, { value, name, note, sources: [] }, { by, cause: null, approval: null });
    const result = await this.#deps.store.commit({ events: [event], sync: true });
    if (!result.ok) throw new Error(`an endorsement could not be recorded: ${result.why}`);
    await this.refresh();
    return { ok: true, id: event.data.endorsement, kind, value, again: false };
  }

  /** A path that names a file on `main` means its content there. */
  async #meant(given: { value: string; kind?: EndorsedKind }): Promise<{ kind: EndorsedKind; value: string }> {
    const value = given.value.trim();
    const kind = given.kind ?? kindOfValue(value);
    if (kind !== 'file' && (kind !== 'text' || given.kind !== undefined)) return { kind, value };
    const [, raw, oid = null] = /^(.*?)(?:@([0-9a-f]{40,64}))?$/s.exec(value) ?? [];
    const checked = workspacePath(raw ?? '');
    if (!checked.ok || checked.path === '') return { kind, value };
    if (oid !== null) return { kind, value: `${checked.path}@${oid}` };
    const { workspace } = this.#deps;
    const entry = await workspace.files(await workspace.head(), []).stat(checked.path);
    return entry === null ? { kind, value } : { kind: 'file', value: `${entry.path}@${entry.oid}` };
  }

  /** The event with which a person vouches for a value, to be committed. */
  endorsing(
    kind: EndorsedKind,
    content: EndorsedValue,
    { by, cause, approval }: { by: string; cause: string | null; approval: string | null },
  ): NewEvent & { type: 'value.endorsed' } {
    const { ids, store, redact } = this.#deps;
    const endorsement = ids.next('end');
    const value = putJson(store, content, ENDORSEMENTS, redact);
    const about = { stream: endorsementStream(endorsement), actor: by, cause, labels: [] };
    return { type: 'value.endorsed', data: { endorsement, kind, value, approval }, ...about };
  }
}

const isOf = (user: string, run: string): boolean => user.startsWith(userOf({ run, call: '' }));

/** What the book needs of an event's blob; null if that has been erased. */
async function contentOf(store: Pick<Store, 'getBlob'>, event: Event): Promise<unknown> {
  if (event.type === 'grant.given') return readJson(store, event.data.terms);
  return event.type === 'value.endorsed' ? readJson(store, event.data.value) : null;
}

function endorsementProblem(
  kind: EndorsedKind,
  { value, name, note }: Pick<EndorsedValue, 'value' | 'name' | 'note'>,
): string | null {
  if (value === '') return 'The value is missing.';
  if (value.length > MAX_VALUE || note.length > MAX_VALUE)
    return `A value and its note have at most ${MAX_VALUE} characters.`;
  if (/[\p{C}]/u.test(value)) return 'The value has characters that cannot be seen, so nobody can vouch for it.';
  if (kind === 'number' && name === null)
    return 'Say which argument the number is good for, such as --name amount: it would vouch for every number.';
  if (kind === 'url' && kindOfValue(value) !== 'url') return 'A URL begins with https:// or http://.';
  // What looks like an address and has a path before its @ is a file whose blob is mistyped.
  if (kind === 'address' && /^[^@:]*\/[^@]*@/.test(value))
    return 'A file is written PATH, or PATH@BLOB with the whole id of its content: see `git rev-parse HEAD:PATH`.';
  if (kind === 'file' && !/.@[0-9a-f]{40,64}$/.test(value))
    return `There is no file ${value} on main. Give the path of one, or PATH@BLOB.`;
  return null;
}
