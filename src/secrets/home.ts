import type { PrivateFile } from '../core/ports/secrets.ts';
import type { Redactor } from './redactor.ts';

/** Keys that people gave while it ran, kept in a file of home: `home:NAME`. */
export interface HomeKeys {
  /** Rejects with what is missing and how to give it, never with a value. */
  resolve(name: string, forWhom: string): Promise<string>;
  has(name: string): boolean;
  /** On disk when it resolves; hidden everywhere from the call on. Gives the reference. */
  keep(name: string, value: string): Promise<string>;
}

/** What a name may look like, after `home:`. */
export const HOME_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;

const isObject = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

function parse(text: string, path: string): Map<string, string> {
  const broken = (why: string): Error =>
    new Error(`${path} cannot be used (${why}): mend it, or delete it and give your keys again on the web page.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The parser's own message would repeat what stands there.
    if (error instanceof SyntaxError) throw broken('it is no JSON');
    throw error;
  }
  if (!isObject(value) || value.format !== 1 || !isObject(value.keys)) throw broken('it is not of format 1');
  const keys = new Map<string, string>();
  for (const [name, key] of Object.entries(value.keys)) {
    if (!HOME_NAME.test(name) || typeof key !== 'string' || key.trim() === '')
      throw broken('it holds something that is no key');
    keys.set(name, key);
  }
  return keys;
}

/** Reads the file and hides what it holds. Rejects if it cannot be used, saying what to do. */
export async function openHomeKeys(file: PrivateFile, redactor: Redactor): Promise<HomeKeys> {
  const text = await file.read();
  let keys = text === null ? new Map<string, string>() : parse(text, file.path);
  for (const key of keys.values()) redactor.add(key);
  let writing: Promise<unknown> = Promise.resolve();
  const write = async (name: string, value: string): Promise<void> => {
    const next = new Map(keys).set(name, value);
    await file.write(`${JSON.stringify({ format: 1, keys: Object.fromEntries(next) }, null, 2)}\n`);
    keys = next;
  };
  return {
    async resolve(name, forWhom) {
      const key = keys.get(name)?.trim();
      if (key) return key;
      throw new Error(`There is no key "${name}" in ${file.path}, and ${forWhom} needs it: give it on the web page.`);
    },
    has: (name) => keys.has(name),
    async keep(name, value) {
      if (!HOME_NAME.test(name)) throw new RangeError('a key is kept under a name of letters, digits, "-" and "_"');
      redactor.add(value);
      // One after the other: each write holds what the ones before have kept.
      const written = writing.then(() => write(name, value.trim()));
      writing = written.catch(() => undefined);
      await written;
      return `home:${name}`;
    },
  };
}
