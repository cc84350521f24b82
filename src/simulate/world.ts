import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** What is so outside of the runtime, written down at once: it outlives the process, whatever ends that. */
export type Entry = { t: number; wall: number } & (
  | { kind: 'life'; n: number }
  /** An act of the plan is done. */
  | { kind: 'done'; act: string }
  | { kind: 'fault'; fault: string; id: string }
  | { kind: 'jumped'; ms: number }
  | { kind: 'killed'; boundary: string; downMs: number }
  | { kind: 'dropped'; path: string }
  /** The platform was told that a message has arrived. */
  | { kind: 'taken'; message: string; repeat: number }
  | { kind: 'pressed'; action: string }
  /** A message has arrived at a person. */
  | { kind: 'arrived'; to: string; key: string; again: boolean; text: string; asks: string | null }
  /** A send that the platform has answered otherwise. */
  | { kind: 'unsent'; to: string; key: string; told: 'failed' | 'unsure' }
  /** A firing was put on record. `wall` is what clocks really showed. */
  | { kind: 'fired'; schedule: string; at: number }
  /** What a person still had in their index after they were in the middle of something. */
  | { kind: 'staged'; act: string; index: string }
  /** A planted bug has struck. */
  | { kind: 'broke'; about: string }
  /** A server was told that what it sent is taken, and what that came to. */
  | { kind: 'accepted'; hook: string; repeat: number; status: number; event: string; task: string | null }
  | { kind: 'closed' }
);

type NewEntry = Entry extends infer E ? (E extends Entry ? Omit<E, 't' | 'wall'> : never) : never;

const FILE = 'world.jsonl';

export function readWorld(dir: string): Entry[] {
  const path = join(dir, FILE);
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Entry);
}

export class World {
  readonly entries: Entry[];
  readonly #file: number;
  readonly #time: () => { t: number; wall: number };

  constructor(dir: string, entries: Entry[], time: () => { t: number; wall: number }) {
    this.entries = entries;
    this.#file = openSync(join(dir, FILE), 'a');
    this.#time = time;
  }

  /** Written when it returns, safe from a kill. */
  note(entry: NewEntry): void {
    const whole = { ...this.#time(), ...entry };
    this.entries.push(whole);
    writeSync(this.#file, `${JSON.stringify(whole)}\n`);
  }

  of<K extends Entry['kind']>(kind: K): Extract<Entry, { kind: K }>[] {
    return this.entries.filter((entry): entry is Extract<Entry, { kind: K }> => entry.kind === kind);
  }

  close(): void {
    closeSync(this.#file);
  }
}
