import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { isSealed, keysIn, publicKey, sealWithPassphrase, unsealWithPassphrase } from './age.ts';
import { isSecretVariable } from './env.ts';
import type { KeyPlace } from '../core/ports/vault.ts';
import type { PrivateFile } from '../core/ports/secrets.ts';
import { OpenToOthers } from '../platform/replace.ts';
import { isObject, jsonIn } from '../core/text/json.ts';
import { shellWord } from '../core/text/paths.ts';
import { errorText } from '../core/text/sentence.ts';

// Where the key of the vault is. `secrets-key.json` of home says it; without that file it is `secrets.key` there.

type Env = Readonly<Record<string, string | undefined>>;

/** The vault cannot be opened, or not be written. The message says what, where, and what to do, and repeats nothing secret. */
export class VaultClosed extends Error {
  /** It lacks only its passphrase. */
  readonly locked: boolean;
  constructor(message: string, locked = false) {
    super(message);
    this.name = 'VaultClosed';
    this.locked = locked;
  }
}

export interface KeyParts {
  home: string;
  env: Env;
  file(path: string): PrivateFile;
  /** Null: there is nobody to ask. `again`: the one before did not fit. */
  passphrase(path: string, again: boolean): Promise<string | null>;
}

/** A key that opens the vault, and the passphrase it stands behind. */
export interface VaultKey {
  key: string;
  passphrase: string | null;
}

const SETTING = 'secrets-key.json';
const DEFAULT: KeyPlace = { from: 'file', path: null };

const keyFile = ({ home }: KeyParts, { path }: { path: string | null }): string => path ?? join(home, 'secrets.key');

/** In words, for people. */
export function placeText(parts: KeyParts, place: KeyPlace): string {
  if (place.from === 'file') return keyFile(parts, place);
  if (place.from === 'command') return `the output of the command in ${join(parts.home, SETTING)}`;
  return `the systemd credential ${place.name}`;
}

/** Where the key is to be found. Rejects if the file that says it cannot be used. */
export async function readPlace(parts: KeyParts): Promise<KeyPlace> {
  const file = parts.file(join(parts.home, SETTING));
  const text = await file.read().catch((error: unknown) => {
    throw unread(file.path, error, '');
  });
  if (text === null) return DEFAULT;
  const place = placeIn(text);
  if (place === null)
    throw new VaultClosed(
      `${file.path} does not say where the key of the secrets is, in the form of docs/formats/secrets.md: mend it. Without it the key is ${keyFile(parts, { path: null })}.`,
    );
  return place;
}

function placeIn(text: string): KeyPlace | null {
  const value = jsonIn(text);
  if (!isObject(value) || value.format !== 1) return null;
  const { from, path, command, name } = value;
  const isText = (given: unknown): given is string => typeof given === 'string' && given !== '';
  if (from === 'file' && isText(path)) return isAbsolute(path) ? { from, path } : null;
  if (from === 'command' && isText(command)) return { from, command };
  if (from === 'credential' && isText(name)) return CREDENTIAL.test(name) ? { from, name } : null;
  return null;
}

/** Names a file in systemd's folder, and nothing outside it. */
export const CREDENTIAL = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,200}$/;

export const writePlace = (parts: KeyParts, place: KeyPlace): Promise<void> =>
  parts.file(join(parts.home, SETTING)).write(`${JSON.stringify({ format: 1, ...place })}\n`);

/** The key at a place; null if it is a file that is not there. Rejects with a VaultClosed. */
export async function readKey(parts: KeyParts, place: KeyPlace): Promise<VaultKey | null> {
  const text = await readText(parts, place);
  if (text === null) return null;
  const where = placeText(parts, place);
  if (isSealed(text)) return behindPassphrase(parts, text, where);
  const [key, ...more] = keysIn(text);
  if (key === undefined || more.length > 0)
    throw new VaultClosed(
      `The key of the secrets is not in ${where}: one line that begins with AGE-SECRET-KEY-1 is needed. Put it back from your backup.`,
    );
  return { key, passphrase: null };
}

async function readText(parts: KeyParts, place: KeyPlace): Promise<string | null> {
  if (place.from === 'command') return outputOf(place.command, parts);
  if (place.from === 'credential') return credential(parts.env, place.name);
  try {
    return await parts.file(keyFile(parts, place)).read();
  } catch (error) {
    throw unread(
      keyFile(parts, place),
      error,
      ' If one of them may have read it, run ruche secrets rotate-key afterwards.',
    );
  }
}

async function credential(env: Env, name: string): Promise<string> {
  if (!CREDENTIAL.test(name))
    throw new VaultClosed(
      'The name of a systemd credential has only letters, digits, dots, "-" and "_": name it, not its file.',
    );
  const folder = env['CREDENTIALS_DIRECTORY'];
  const how = `start ruche as a service of systemd with LoadCredential=${name}:PATH or LoadCredentialEncrypted=${name}:PATH`;
  if (!folder)
    throw new VaultClosed(`The key of the secrets is the systemd credential ${name}, and none is given: ${how}.`);
  try {
    return await readFile(join(folder, name), 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? errorText(error);
    throw new VaultClosed(`The systemd credential ${name} cannot be read (${code}): ${how}.`);
  }
}

const TRIES = 3;

async function behindPassphrase(parts: KeyParts, sealed: string, where: string): Promise<VaultKey> {
  for (let tried = 0; tried < TRIES; tried += 1) {
    const passphrase = await parts.passphrase(where, tried > 0);
    if (passphrase === null && tried === 0)
      throw new VaultClosed(
        `${where} needs its passphrase: start ruche up in a terminal, or name a file that holds it in RUCHE_SECRETS_PASSPHRASE_FILE (/dev/stdin is one).`,
        true,
      );
    if (passphrase === null)
      throw new VaultClosed(
        `The passphrase does not open ${where}. Give the right one, or put the file back from your backup if it has been changed.`,
      );
    const opened = await unsealWithPassphrase(sealed, passphrase);
    const [key] = opened.ok ? keysIn(opened.text) : [];
    if (key !== undefined) return { key, passphrase };
    if (opened.ok || opened.why === 'damaged')
      throw new VaultClosed(`${where} is damaged: put it back from your backup.`);
  }
  throw new VaultClosed(`The passphrase did not open ${where} ${TRIES} times. Start again with the right one.`);
}

/** What a key file of age holds: its public half first, so that people can tell keys apart. */
async function keyText({ key, passphrase }: VaultKey): Promise<string> {
  const text = `# public key: ${await publicKey(key)}\n${key}\n`;
  return passphrase === null ? text : sealWithPassphrase(text, passphrase);
}

/** Whole, synced, mode 0600. */
export const writeKey = async (parts: KeyParts, place: { path: string | null }, key: VaultKey): Promise<void> =>
  parts.file(keyFile(parts, place)).write(await keyText(key));

const COMMAND_MS = 30_000;
const MOST_OUTPUT = 65_536;

/** What the owner's own command prints. It gets the environment without what is a secret by its name. */
function outputOf(command: string, { env, home }: KeyParts): Promise<string> {
  const setting = join(home, SETTING);
  const bad = (how: string): VaultClosed =>
    new VaultClosed(`The command in ${setting} that prints the key of the secrets ${how}: try it in a terminal.`);
  const passed = Object.fromEntries(Object.entries(env).filter(([name]) => !isSecretVariable(name)));
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', command], {
      env: passed,
      cwd: home,
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: COMMAND_MS,
      killSignal: 'SIGKILL',
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      said += piece;
      if (said.length > MOST_OUTPUT) child.kill('SIGKILL');
    });
    // What it has started may outlive it, and would hold its output open.
    child.once('exit', (_code, signal) => {
      if (signal !== null) child.stdout.destroy();
    });
    child.once('error', (error: NodeJS.ErrnoException) => reject(bad(`cannot be started (${error.code ?? ''})`)));
    child.once('close', (code, signal) => {
      if (said.length > MOST_OUTPUT) reject(bad('prints far too much'));
      else if (signal !== null) reject(bad(`was ended by ${signal}; it has ${COMMAND_MS / 1000} seconds`));
      else if (code !== 0) reject(bad(`ended with exit code ${code}`));
      else resolve(said);
    });
  });
}

/** What to do where a file cannot be read. */
export function unread(path: string, error: unknown, afterwards: string): VaultClosed {
  if (error instanceof OpenToOthers)
    return new VaultClosed(`${path} can be read by other users: run chmod 600 ${shellWord(path)}.${afterwards}`);
  const why = (error as NodeJS.ErrnoException).code ?? errorText(error);
  return new VaultClosed(`${path} cannot be read (${why}): see ls -l ${shellWord(path)}.`);
}

/** What to do where a file of home cannot be written. */
export function unwritten(path: string, error: unknown): VaultClosed {
  const { code } = error as NodeJS.ErrnoException;
  const what =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? 'the disk is full: free some space'
      : code === 'EROFS'
        ? 'its disk is read-only: make it writable'
        : code === 'EACCES' || code === 'EPERM'
          ? `this user may not write there: see ls -ld ${shellWord(path)}`
          : errorText(error);
  return new VaultClosed(`Nothing was changed, because ${path} could not be written (${what}).`);
}
