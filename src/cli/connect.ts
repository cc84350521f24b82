import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CliError, type Io } from './io.ts';
import { shellWord } from '../core/text/paths.ts';
import type { Options } from './options.ts';

export interface Connection {
  /** Whose gateway it is to be. */
  home: string;
  url: string;
  /** The process that listens there. */
  pid: number;
  token: string;
  /** Path of its socket in the home, where nobody else can listen; null if there is none. */
  socket: string | null;
  /** By which it proves that the port is its own; null where an older version has started it. */
  proof: string | null;
  /** Fresh for this connection, so that no proof can be kept for later. */
  nonce: string;
}

type Where = Pick<Options, 'home' | 'token' | 'again'>;

/** Where the running gateway of a home is, from `gateway.json` and `token` there. Exit code 2 if none is known. */
export async function connect(io: Pick<Io, 'self' | 'ids'>, options: Where): Promise<Connection> {
  await refuseOpenHome(options.home);
  const path = join(options.home, 'gateway.json');
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR')
      throw new CliError(`No gateway is running for ${options.home}. ${startText(io, options)}`, 2);
    throw new CliError(`Cannot read ${path} (${error.code ?? error.message}).`, 2);
  });
  const present = presenceIn(text);
  if (present === null)
    throw new CliError(`${path} does not contain the gateway's address. ${startText(io, options)}`, 2);
  const { url, pid, socket, proof } = present;
  return {
    home: options.home,
    url,
    pid,
    socket: socket === null ? null : join(options.home, socket),
    proof,
    nonce: io.ids.next('msg'),
    token: options.token ?? (await tokenIn(options.home)),
  };
}

/** Who can write in the home can say where its gateway is, and would be sent the token. */
async function refuseOpenHome(home: string): Promise<void> {
  const me = process.getuid?.();
  const found = await stat(home).catch(() => null); // there is none: said by who looks into it
  if (me === undefined || found === null) return;
  if (found.uid !== me && found.uid !== 0)
    throw new CliError(
      `${home} belongs to another user (${found.uid}), so the token is not sent. Give another --home.`,
    );
  if ((found.mode & 0o022) !== 0)
    throw new CliError(
      `Other users can change ${home}, so the token is not sent. Run: chmod 700 ${shellWord(home)}, and look whether anything in it was changed.`,
    );
}

export const startText = (io: Pick<Io, 'self'>, { again }: Pick<Options, 'again'>): string =>
  `Start it with: ${io.self} up${again}`;

async function tokenIn(home: string): Promise<string> {
  const path = join(home, 'token');
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new CliError(`Cannot read ${path} (${error.code ?? error.message}). Set RUCHE_TOKEN to the gateway's token.`);
  });
  return text.trim();
}

/** Where it listens on every address, this machine reaches it on its loopback. Null for what is no such URL. */
export function fromHere(url: string): string | null {
  const parsed = new URL(url);
  if (parsed.hostname === '0.0.0.0') parsed.hostname = '127.0.0.1';
  if (parsed.hostname === '[::]') parsed.hostname = '[::1]';
  return parsed.protocol === 'http:' ? parsed.origin : null;
}

function presenceIn(text: string): Pick<Connection, 'url' | 'pid' | 'socket' | 'proof'> | null {
  let found: { url?: unknown; pid?: unknown; socket?: unknown; proof?: unknown } | null;
  try {
    found = JSON.parse(text) as typeof found;
  } catch {
    return null; // cut short, or not ours
  }
  const url = typeof found?.url === 'string' && URL.canParse(found.url) ? fromHere(found.url) : null;
  if (url === null) return null;
  const { pid, socket, proof } = found ?? {};
  return {
    url,
    // 0 and below name groups of processes to the system.
    pid: typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 1 ? pid : 0,
    socket: typeof socket === 'string' && /^[\w.-]+$/.test(socket) ? socket : null,
    proof: typeof proof === 'string' && proof !== '' ? proof : null,
  };
}
