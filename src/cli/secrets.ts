import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { SecretPlace, SecretRefused, SecretsDesk, SecretsView, SecretView } from '../core/api/secrets.ts';
import type { KeyPlace } from '../core/ports/vault.ts';
import { unknownText } from '../core/text/unknown.ts';
import { asCalled } from './explain.ts';
import { askHidden, passphraseAsker } from './hidden.ts';
import { CliError, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { talk } from './talk.ts';
import { farAway } from './time.ts';

export interface SecretsFlags {
  json?: boolean;
  /** The value stands in this file. */
  fromFile?: string;
  /** rotate-key: where the new key is. */
  keyFile?: string;
  command?: string;
  credential?: string;
  /** rotate-key: the new key stands behind a passphrase. */
  passphrase?: boolean;
}

const ACTIONS = ['list', 'set', 'show-use', 'rotate', 'rotate-key', 'remove'] as const;
type Action = (typeof ACTIONS)[number];

/** `ruche secrets`: what is kept in the vault of home. A value goes in by a prompt, a pipe or a file, and never comes out. */
export async function secrets(
  io: Io,
  options: Options,
  [given = 'list', name, ...more]: readonly string[],
  flags: SecretsFlags,
): Promise<ExitCode> {
  const action = ACTIONS.find((each) => each === given);
  if (action === undefined) throw new CliError(unknownText('action', given, { known: ACTIONS }));
  if (more.length > 0)
    throw new CliError(
      `Too many words. A value is never given on the command line, where other programs and the history of the shell see it: run ${io.self} secrets ${action} NAME, and it is asked for.`,
    );
  const print = (value: object, text: string): ExitCode => {
    io.out(flags.json ? `${JSON.stringify(value)}\n` : `${asCalled(plain(text), io.self)}\n`);
    return 0;
  };
  if (action === 'list') {
    const view = await withDesk(io, options, action, (desk) => desk.list());
    print(view, listText(view, io.clock.now()));
    return view.problem === null ? 0 : 1;
  }
  if (action === 'rotate-key') return rotateKey(io, options, flags, print);
  if (name === undefined)
    throw new CliError(`Name a secret: ${io.self} secrets ${action} NAME. List them with: ${io.self} secrets list`);
  if (action === 'show-use')
    return showUse(await withDesk(io, options, action, (desk) => desk.list()), name, io, print);
  if (action === 'remove') {
    const { places } = done(await withDesk(io, options, action, (desk) => desk.remove(name)));
    const still =
      places.length === 0
        ? ''
        : ` It is still named in:\n${placesText(places)}\nWhat needs it fails until it is set again, or no longer named.`;
    return print({ name, removed: true, places }, `${name} is removed.${still}`);
  }
  const value = await valueOf(io, name, flags);
  const known = action === 'rotate';
  const { what, places } = done(await withDesk(io, options, action, (desk) => desk.set(name, value, { known })));
  const used =
    places.length === 0 ? ` Name it where it is needed as secret:${name}.` : ` It is used in:\n${placesText(places)}`;
  return print(
    { name, what, places },
    `${name} is ${what === 'set' ? 'set' : 'replaced, and counts from the next request'}.${used}`,
  );
}

type Print = (value: object, text: string) => ExitCode;

function done<T extends { ok: true }>(result: T | SecretRefused): T {
  if (result.ok) return result;
  throw new CliError(result.message);
}

/** How often, and how long apart (milliseconds), a home is tried that another process holds. */
const TRIES = 100;
const PAUSE = 100;

/** Asks the gateway; where none runs, works on the files of the home itself, under its lock. */
async function withDesk<T>(
  io: Io,
  options: Options,
  action: Action,
  act: (desk: SecretsDesk) => Promise<T>,
): Promise<T> {
  const { home, workspace } = options;
  const askPassphrase = passphraseAsker(io);
  const writes = action !== 'list' && action !== 'show-use';
  for (let tried = 0; tried < TRIES; tried += 1) {
    try {
      return await act(overGateway(io, options));
    } catch (error) {
      if (!(error instanceof CliError) || error.exitCode !== 2) throw error;
    }
    const own = await (await io.loadApp()).openSecrets({ home, workspace, env: io.env, writes, ...askPassphrase });
    if (own !== null)
      try {
        return await act(own.desk);
      } finally {
        await own.close();
      }
    // Another command works on it, or a network starts or stops and does not answer yet, or any more.
    await io.clock.sleep(PAUSE);
  }
  throw new CliError(
    `Another process holds ${home} and does not answer. Try again; if it stays so, see: ${io.self} status`,
    2,
  );
}

function overGateway(io: Io, options: Options): SecretsDesk {
  const gateway = talk(io, options, new AbortController().signal);
  const path = (name: string): string => `/api/secrets/${encodeURIComponent(name)}`;
  return {
    list: () => gateway.call('/api/secrets'),
    async set(name, value, { known }) {
      type Set = { what: 'set' | 'rotated'; places: SecretPlace[] };
      return { ok: true, ...(await gateway.call<Set>(path(name), { value, known })) };
    },
    async remove(name) {
      return { ok: true, ...(await gateway.call<{ places: SecretPlace[] }>(`${path(name)}/remove`, {})) };
    },
    async rotateKey(to) {
      if (to !== undefined) {
        await gateway.call('/api/secrets');
        throw new CliError(
          `Where the key is can be changed only while the network is stopped: run ${io.self} down first.`,
        );
      }
      return { ok: true, ...(await gateway.call<{ publicKey: string; where: string }>('/api/secrets-key', {})) };
    },
  };
}

/** Bytes of a value at most; what is longer is refused with the number of its characters. */
const MOST_BYTES = 262_144;

/** From a file, a pipe, or a person who is not shown what they type. A single line loses its end, several stay as they are. */
async function valueOf(io: Io, name: string, { fromFile }: SecretsFlags): Promise<string> {
  if (fromFile === undefined && io.inIsTerminal) {
    const typed = await askHidden(io, `Value of ${plain(name)} (not shown): `);
    if (typed === null) throw new CliError('Nothing was given, so nothing was changed.');
    return typed.trim();
  }
  const bytes = fromFile === undefined ? await piped(io.stdin) : await ofFile(resolve(io.cwd, fromFile));
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new CliError('The value is not text in UTF-8: encode it, for example with base64.');
  }
  const line = text.replace(/\r?\n$/, '');
  return line.includes('\n') ? text : line.trim();
}

async function piped(stdin: NodeJS.ReadableStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk as Buffer);
    chunks.push(bytes);
    size += bytes.length;
    if (size > MOST_BYTES) break;
  }
  return Buffer.concat(chunks);
}

async function ofFile(path: string): Promise<Buffer> {
  try {
    const file = await open(path);
    try {
      const buffer = Buffer.alloc(MOST_BYTES + 1);
      const { bytesRead } = await file.read(buffer, 0, buffer.length);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new CliError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)}).`);
  }
}

async function rotateKey(io: Io, options: Options, flags: SecretsFlags, print: Print): Promise<ExitCode> {
  const to = await placeOf(io, flags);
  const { publicKey, where } = done(await withDesk(io, options, 'rotate-key', (desk) => desk.rotateKey(to)));
  return print(
    { publicKey, where },
    `The secrets are encrypted with a new key, ${publicKey}. It is ${where}. Backups made before need the key of their time.`,
  );
}

async function placeOf(io: Io, { keyFile, command, credential, passphrase }: SecretsFlags) {
  const places: KeyPlace[] = [
    ...(keyFile === undefined ? [] : [{ from: 'file' as const, path: resolve(io.cwd, keyFile) }]),
    ...(command === undefined ? [] : [{ from: 'command' as const, command }]),
    ...(credential === undefined ? [] : [{ from: 'credential' as const, name: credential }]),
  ];
  if (places.length > 1) throw new CliError('Give one of --key-file, --command and --credential.');
  const [place] = places;
  if (!passphrase) return place && { place, passphrase: null };
  if (place && place.from !== 'file') throw new CliError('--passphrase goes with a key in a file.');
  if (!io.inIsTerminal) throw new CliError('A new passphrase is asked for at a terminal. Run it in one.');
  const first = await askHidden(io, 'New passphrase (not shown): ');
  if (first === null || first.length < 8)
    throw new CliError('A passphrase has at least 8 characters. Nothing was changed.');
  if ((await askHidden(io, 'Once more: ')) !== first) throw new CliError('The two differ. Nothing was changed.');
  return { place: place ?? { from: 'file' as const, path: null }, passphrase: first };
}

const placesText = (places: readonly SecretPlace[]): string =>
  places.map(({ file, key }) => `    ${file}: ${key}`).join('\n');

function listText({ secrets: list, missing, key, problem }: SecretsView, now: number): string {
  const lines = list.map((each) => `${each.name.padEnd(24)} ${stateText(each, now)}`);
  const lacking = missing.map(
    ({ name, places }) => `✗ ${name} is named and not given: run ruche secrets set ${name}\n${placesText(places)}`,
  );
  if (problem !== null) return `✗ ${problem}`;
  if (lines.length === 0 && lacking.length === 0) return 'No secrets. Give one with: ruche secrets set NAME';
  return [...lines, ...lacking, ...(lines.length === 0 || key === null ? [] : [`The key is ${key}.`])].join('\n');
}

function stateText({ made, changed, lastUsed, places }: SecretView, now: number): string {
  const age = changed > made ? `replaced ${farAway(changed, now)}` : `set ${farAway(made, now)}`;
  const used = lastUsed === null ? 'never used' : `used ${farAway(lastUsed.at, now)}`;
  const [first, ...others] = places;
  const where = first
    ? `in ${first.file}: ${first.key}${others.length > 0 ? ` and ${others.length} more` : ''}`
    : 'named nowhere';
  return `${age}, ${used}, ${where}`;
}

function showUse(view: SecretsView, name: string, io: Io, print: Print): ExitCode {
  if (view.problem !== null) throw new CliError(view.problem);
  const found = view.secrets.find((each) => each.name === name);
  const lacking = view.missing.find((each) => each.name === name);
  if (lacking && !found)
    return print(
      { name, given: false, places: lacking.places },
      `${name} is not given, and is named in:\n${placesText(lacking.places)}`,
    );
  if (!found)
    throw new CliError(
      unknownText('secret', name, { known: view.secrets.map((each) => each.name), list: `${io.self} secrets list` }),
    );
  const { lastUsed, places } = found;
  const used =
    lastUsed === null
      ? `${name} was never used.`
      : `${name} was last used ${farAway(lastUsed.at, io.clock.now())} for ${lastUsed.for}.`;
  return print(
    { ...found, given: true },
    places.length === 0 ? `${used} No file names it.` : `${used} It is named in:\n${placesText(places)}`,
  );
}
