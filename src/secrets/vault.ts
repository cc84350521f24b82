import { join } from 'node:path';
import { isSealed, keysThatOpen, newKey, publicKey, seal, unseal } from './age.ts';
import {
  type KeyParts,
  placeText,
  readKey,
  readPlace,
  unread,
  unwritten,
  VaultClosed,
  type VaultKey,
  writeKey,
  writePlace,
} from './key.ts';
import { isSecretName } from '../core/ids.ts';
import type { Boundary } from '../core/ports/boundary.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { PrivateFile } from '../core/ports/secrets.ts';
import type { KeyPlace, Vault, VaultChange } from '../core/ports/vault.ts';
import { isObject, jsonIn } from '../core/text/json.ts';
import { shellWord } from '../core/text/paths.ts';
import { Mutex } from '../core/time/mutex.ts';

export interface VaultParts extends KeyParts {
  clock: Pick<Clock, 'now'>;
  boundary: Boundary;
  /** Hides a value everywhere, from the moment it is read or given. */
  hide(value: string): void;
}

interface Entry {
  value: string;
  made: number;
  changed: number;
}
type Entries = ReadonlyMap<string, Entry>;
type Keys = readonly [VaultKey, ...VaultKey[]];

/**
 * `sealed`: the file as it was last read or written, so that what another process has written is not overwritten. `keys`: those that
 * have to open it. There are two after a change of the key that failed halfway: nobody knows which of them stands in its place.
 */
type State =
  | { is: 'none' }
  | { is: 'open'; sealed: string; entries: Entries; keys: Keys }
  | { is: 'closed'; sealed: string | null; problem: string; locked: boolean };

/** What is shorter could be guessed, and could not be hidden without blackening words. */
const SHORTEST = 8;
/** Characters: a private key with its chain of certificates. Each is looked for in every text that leaves. */
export const LONGEST = 16_384;
const MOST = 500;

export interface OpenVault extends Vault {
  value(name: string): string | null;
  /** Looks at the file once more; what is in it counts from then on. Never rejects. */
  look(): Promise<void>;
  /** Puts these values in, in one write that is read back; one that is there already is kept as `NAME-before`. */
  take(values: ReadonlyMap<string, string>): Promise<void>;
  /** Finishes a change of the key that was interrupted. Call it where this process alone may write. */
  settle(): Promise<void>;
}

/** The vault of a home, opened if there is one. Nothing is made before the first secret, and no library is loaded. */
export async function openVault(parts: VaultParts): Promise<OpenVault> {
  const vault = new AgeVault(parts);
  await vault.look();
  return vault;
}

class AgeVault implements OpenVault {
  readonly #parts: VaultParts;
  readonly #file: PrivateFile;
  readonly #turns = new Mutex();
  readonly #listeners = new Set<(change: VaultChange) => void>();
  #state: State = { is: 'none' };

  constructor(parts: VaultParts) {
    this.#parts = parts;
    this.#file = parts.file(join(parts.home, 'secrets.age'));
  }

  get #entries(): Entries {
    return this.#state.is === 'open' ? this.#state.entries : new Map();
  }

  list = () =>
    [...this.#entries]
      .map(([name, { made, changed }]) => ({ name, made, changed }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  has = (name: string): boolean => this.#entries.has(name);
  value = (name: string): string | null => this.#entries.get(name)?.value ?? null;
  problem = (): string | null => (this.#state.is === 'closed' ? this.#state.problem : null);
  locked = (): boolean => this.#state.is === 'closed' && this.#state.locked;
  async retry(): Promise<void> {
    if (this.problem() === null || this.locked()) return;
    await this.look();
    for (const name of this.#entries.keys()) this.#tell({ name, what: 'set' });
  }
  look = (): Promise<void> => this.#turns.run(() => this.#look());

  async keyPlace(): Promise<string> {
    return placeText(this.#parts, await readPlace(this.#parts));
  }

  onChange(listener: (change: VaultChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async set(name: string, value: string): Promise<VaultChange> {
    refuse(name, value);
    this.#parts.hide(value);
    return this.#turns.run(async () => {
      const { entries, keys } = await this.#toWrite();
      const before = entries.get(name);
      if (!before && entries.size >= MOST)
        throw new VaultClosed(
          `There are ${MOST} secrets, which is the most there can be: remove one that is not used.`,
        );
      const now = this.#parts.clock.now();
      const entry: Entry = { value, made: before?.made ?? now, changed: now };
      await this.#write(new Map(entries).set(name, entry), keys);
      const change = { name, what: before ? ('rotated' as const) : ('set' as const) };
      this.#tell(change);
      return change;
    });
  }

  remove(name: string): Promise<boolean> {
    return this.#turns.run(async () => {
      await this.#look();
      if (this.#state.is === 'none') return false;
      const { entries, keys } = await this.#toWrite();
      const left = new Map(entries);
      if (!left.delete(name)) return false;
      await this.#write(left, keys);
      this.#tell({ name, what: 'removed' });
      return true;
    });
  }

  take(values: ReadonlyMap<string, string>): Promise<void> {
    return this.#turns.run(async () => {
      const { entries, keys } = await this.#toWrite();
      const now = this.#parts.clock.now();
      const next = new Map(entries);
      for (const [name, value] of values) {
        const before = entries.get(name);
        if (before?.value === value) continue;
        if (before) next.set(unusedName(`${name.slice(0, 56)}-before`, next), before);
        next.set(name, { value, made: before?.made ?? now, changed: now });
      }
      await this.#write(next, keys);
    });
  }

  settle(): Promise<void> {
    return this.#turns.run(async () => {
      await this.#look();
      if (this.#state.is !== 'open' || (await keysThatOpen(this.#state.sealed)) < 2) return;
      await this.#write(this.#state.entries, this.#state.keys);
    });
  }

  rotateKey(to?: { place: KeyPlace; passphrase: string | null }): Promise<{ publicKey: string; where: string }> {
    return this.#turns.run(async () => {
      await this.#look();
      if (this.#state.is === 'none') throw new VaultClosed('There are no secrets yet, so there is no key to replace.');
      const { entries, keys } = await this.#toWrite();
      const here = await readPlace(this.#parts);
      const place = to?.place ?? here;
      const { key: next, isNew } = await this.#nextKey(here, keys[0], to);
      // Whichever key stands in its place when the power goes, or the disk refuses, the file opens with it.
      await this.#write(entries, [...keys, next]);
      try {
        if (isNew && place.from === 'file') await this.#writeKey(place, next);
        if (to && placeText(this.#parts, place) !== placeText(this.#parts, here)) await writePlace(this.#parts, place);
      } catch (error) {
        throw error instanceof VaultClosed ? error : unwritten(this.#parts.home, error);
      }
      await this.#write(entries, [next]).catch((error: unknown) => {
        if (!(error instanceof VaultClosed)) throw error;
        throw new VaultClosed(
          `The key was replaced, but the old one opens ${this.#file.path}, too, because that could not be written once more. The next start of ruche does it.`,
        );
      });
      return { publicKey: await publicKey(next.key), where: placeText(this.#parts, place) };
    });
  }

  async #nextKey(
    here: KeyPlace,
    old: VaultKey,
    to: { place: KeyPlace; passphrase: string | null } | undefined,
  ): Promise<{ key: VaultKey; isNew: boolean }> {
    const place = to?.place ?? here;
    const where = placeText(this.#parts, place);
    const isSame = where === placeText(this.#parts, here);
    const passphrase = to ? to.passphrase : old.passphrase;
    if (place.from === 'file' && isSame) return { key: { key: await newKey(), passphrase }, isNew: true };
    if (to === undefined)
      throw new VaultClosed(
        `The key of the secrets is ${where}, where ruche cannot write. Make a new one there under another name (age-keygen makes one), and say with --command or --credential where it is.`,
      );
    const given = await readKey(this.#parts, place);
    if (given === null) return { key: { key: await newKey(), passphrase }, isNew: true };
    if (given.key === old.key)
      throw new VaultClosed(
        `The key in ${where} is the one that is used already. Put a new one there: age-keygen makes one.`,
      );
    return { key: given, isNew: false };
  }

  async #writeKey(place: KeyPlace & { from: 'file' }, key: VaultKey): Promise<void> {
    const { boundary } = this.#parts;
    boundary('secrets.key.before');
    await writeKey(this.#parts, place, key).catch((error: unknown) => {
      throw unwritten(placeText(this.#parts, place), error);
    });
    boundary('secrets.key.after');
  }

  async #look(): Promise<void> {
    let sealed: string | null = null;
    try {
      sealed = await this.#read();
      if (this.#state.is === 'open' && this.#state.sealed === sealed) return;
      this.#state = sealed === null ? { is: 'none' } : await this.#opened(sealed);
    } catch (error) {
      if (!(error instanceof VaultClosed)) throw error;
      this.#state = { is: 'closed', sealed, problem: error.message, locked: error.locked };
    }
  }

  #read = (): Promise<string | null> =>
    this.#file.read().catch((error: unknown) => {
      throw unread(this.#file.path, error, '');
    });

  async #opened(sealed: string): Promise<State> {
    const { path } = this.#file;
    const place = await readPlace(this.#parts);
    const where = placeText(this.#parts, place);
    const damaged = `${path} is damaged, and nothing in it was changed: put it back from your backup, together with its key (docs/backup.md). Without a backup, move it away and set the secrets again.`;
    if (!isSealed(sealed)) throw new VaultClosed(damaged);
    const key = await readKey(this.#parts, place);
    if (key === null)
      throw new VaultClosed(
        `The key of ${path} is gone: there is no ${where}. Put it back from your backup. If there is none, nobody can read the secrets any more: move ${shellWord(path)} away and set them again.`,
      );
    const opened = await unseal(sealed, [key.key]);
    if (!opened.ok && opened.why === 'key')
      throw new VaultClosed(
        `The key in ${where} does not open ${path}: it is another key, or the file is damaged. Put both back from one backup (docs/backup.md).`,
      );
    if (!opened.ok) throw new VaultClosed(damaged);
    const entries = entriesIn(opened.text);
    if (entries === null)
      throw new VaultClosed(
        `${path} holds something that this version of Ruche does not know: use the version that wrote it, or a newer one.`,
      );
    for (const { value } of entries.values()) this.#parts.hide(value);
    return { is: 'open', sealed, entries, keys: [key] };
  }

  /** What to begin a write with: the file as it is now, and a key, which is made if there is none yet. */
  async #toWrite(): Promise<{ entries: Entries; keys: Keys }> {
    await this.#look();
    if (this.#state.is === 'closed') throw new VaultClosed(this.#state.problem);
    if (this.#state.is === 'open') return this.#state;
    const place = await readPlace(this.#parts);
    const standing = await readKey(this.#parts, place);
    if (standing !== null || place.from !== 'file')
      return { entries: new Map(), keys: [standing ?? { key: await newKey(), passphrase: null }] };
    const key: VaultKey = { key: await newKey(), passphrase: null };
    await this.#writeKey(place, key);
    return { entries: new Map(), keys: [key] };
  }

  /** Nothing counts before the file is on disk and has been read back. */
  async #write(entries: Entries, keys: Keys): Promise<void> {
    const { boundary } = this.#parts;
    const text = `${JSON.stringify({ format: 1, secrets: Object.fromEntries(entries) })}\n`;
    const sealed = await seal(
      text,
      keys.map(({ key }) => key),
    );
    for (const { key } of keys) {
      const again = await unseal(sealed, [key]);
      if (!again.ok || again.text !== text)
        throw new VaultClosed('The secrets could not be encrypted. Nothing was changed.');
    }
    boundary('secrets.file.before');
    await this.#file.write(sealed).catch((error: unknown) => {
      throw unwritten(this.#file.path, error);
    });
    boundary('secrets.file.after');
    if ((await this.#read()) !== sealed)
      throw new VaultClosed(`${this.#file.path} does not hold what was written there: look at its disk.`);
    this.#state = { is: 'open', sealed, entries, keys };
  }

  #tell(change: VaultChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

function unusedName(wanted: string, taken: ReadonlyMap<string, unknown>): string {
  for (let n = 1; ; n += 1) {
    const name = n === 1 ? wanted : `${wanted.slice(0, 60)}-${n}`;
    if (!taken.has(name)) return name;
  }
}

/** Says what is wrong with a name or a value, and repeats nothing of the value. */
function refuse(name: string, value: string): void {
  if (!isSecretName(name))
    throw new VaultClosed('A secret has a name of letters, digits, "-" and "_" that begins with a letter, 63 at most.');
  if (value.length < SHORTEST)
    throw new VaultClosed(
      `The value has fewer than ${SHORTEST} characters: it could be guessed, and could not be hidden.`,
    );
  if (value.length > LONGEST)
    throw new VaultClosed(`The value has ${value.length} characters, and ${LONGEST} are the most there can be.`);
  if (value.includes('\0') || !value.isWellFormed()) throw new VaultClosed('The value is not text.');
}

function entriesIn(text: string): Map<string, Entry> | null {
  const value = jsonIn(text);
  if (!isObject(value) || value.format !== 1 || !isObject(value.secrets)) return null;
  const entries = new Map<string, Entry>();
  for (const [name, entry] of Object.entries(value.secrets)) {
    if (!isSecretName(name) || !isObject(entry)) return null;
    const { value: secret, made, changed } = entry;
    if (typeof secret !== 'string' || typeof made !== 'number' || typeof changed !== 'number') return null;
    entries.set(name, { value: secret, made, changed });
  }
  return entries;
}
