import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CliError, type Io } from './io.ts';
import type { Options } from './options.ts';

export interface Connection {
  url: string;
  token: string;
}

type Where = Pick<Options, 'home' | 'token' | 'again'>;

/** Where the running gateway of a home is, from `gateway.json` and `token` there. Exit code 2 if none is known. */
export async function connect(io: Pick<Io, 'self'>, options: Where): Promise<Connection> {
  const path = join(options.home, 'gateway.json');
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR')
      throw new CliError(`No gateway is running for ${options.home}. ${startText(io, options)}`, 2);
    throw new CliError(`Cannot read ${path} (${error.code ?? error.message}).`, 2);
  });
  const url = urlIn(text);
  if (url === null) throw new CliError(`${path} does not contain the gateway's address. ${startText(io, options)}`, 2);
  return { url, token: options.token ?? (await tokenIn(options.home)) };
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

function urlIn(text: string): string | null {
  try {
    const { url } = JSON.parse(text) as { url?: unknown };
    return typeof url === 'string' ? fromHere(url) : null;
  } catch {
    return null; // cut short, or not ours
  }
}
