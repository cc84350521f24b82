import { createHmac } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { isSafeName } from '../../core/ids.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Egress, EgressGrant } from '../../core/ports/egress.ts';
import { type Injection, secretVariable } from '../../core/ports/injection.ts';
import type { Reach } from '../../core/net/reach.ts';
import type { Net } from '../../core/ports/net.ts';
import { replaceFile } from '../../platform/replace.ts';
import { openProxy } from './proxy.ts';
import { bundleOf, openEnding } from './ending.ts';
import { type Bounds, BOUNDS, type Session, type TlsEnding } from './session.ts';

export interface EgressOptions {
  /** `<home>/egress`: a folder a command. */
  dir: string;
  /** Of the home: tokens are made from it. */
  key: Uint8Array;
  net: Pick<Net, 'dial'>;
  clock: Clock;
  bounds?: Bounds;
  injection: Injection;
  /** Certificates (PEM) trusted besides the system's. */
  ca?: readonly string[];
}

/** Different things that were refused, of which the agent is told. */
const MAX_REFUSED = 10;

/** Without brackets: some clients do not start where `::1` has them. */
const LOOPBACK = ['localhost', '127.0.0.1', '0.0.0.0', '::1'];

/** An entry with a pattern does not open the loopback of this machine (docs/network-access.md), so it takes no name away. */
const ownOf = (only: readonly Reach[] | null): string[] =>
  LOOPBACK.filter((name) => !only?.some(({ host, also = [] }) => [host, ...also].includes(name)));

interface Live {
  server: Server;
  sockets: Set<Socket>;
  /** Keeps the name valid under which the socket was made. */
  folder: FileHandle;
  over: AbortController;
}

/**
 * A socket's address holds 107 bytes, and a home may lie deep: on Linux it is named by its open folder. The server removes
 * the socket by this name when it closes, so the folder stays open until then.
 */
async function listen(server: Server, dir: string): Promise<FileHandle> {
  const folder = await open(dir, constants.O_RDONLY | constants.O_DIRECTORY);
  const base = process.platform === 'linux' ? `/proc/self/fd/${folder.fd}` : dir;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(join(base, 'proxy.sock'), () => {
        server.off('error', reject);
        resolve();
      });
    });
    return folder;
  } catch (error) {
    await folder.close();
    throw error;
  }
}

async function end({ server, sockets, folder, over }: Live): Promise<void> {
  over.abort();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of sockets) socket.destroy();
  await closed;
  await folder.close();
}

/** What was refused, each place once, with the reason it was refused for first. */
class Refused {
  readonly #why = new Map<string, string>();
  #more = 0;

  add(what: string, why: string): void {
    if (this.#why.has(what)) return;
    if (this.#why.size < MAX_REFUSED) this.#why.set(what, why);
    else this.#more += 1;
  }

  lines(): string[] {
    const lines = [...this.#why].map(([what, why]) => `${what}: ${why}`);
    return this.#more === 0 ? lines : [...lines, `and ${this.#more} more`];
  }
}

interface Command {
  grant: EgressGrant;
  tls: TlsEnding | null;
  refused: Refused;
  signal: AbortSignal;
  again: boolean;
}

function sessionOf(
  options: EgressOptions,
  { grant, tls, refused, signal, again }: Command,
): Session & { reached(): boolean } {
  const { net, clock, injection, bounds = BOUNDS } = options;
  let [total, strays] = [0, 0];
  // What it reached before a crash is not known any more.
  let reached = again;
  return {
    reached: () => reached,
    connected: () => {
      reached = true;
    },
    grant,
    net,
    clock,
    bounds,
    tls,
    injection,
    signal,
    strayed: () => (strays += 1) <= bounds.strays,
    refused: (what, why) => refused.add(what, why),
    carried: (bytes) => {
      total += bytes;
      if (total <= bounds.totalBytes) return true;
      refused.add('more bytes', `a command may carry ${bounds.totalBytes} bytes in all`);
      return false;
    },
  };
}

/** Proxies of commands, each on a socket in a folder of its own. `close` ends them and leaves the folders. */
export function openEgress(options: EgressOptions): Egress & { close(): Promise<void> } {
  const live = new Map<string, Live>();
  const folderOf = (key: string): string => {
    if (!isSafeName(key)) throw new TypeError(`not a key for a command: ${JSON.stringify(key)}`);
    return join(options.dir, key);
  };
  const stop = async (key: string): Promise<void> => {
    const found = live.get(key);
    live.delete(key);
    if (found !== undefined) await end(found);
  };
  return {
    async open(key, grant) {
      const dir = folderOf(key);
      await stop(key);
      const again = (await mkdir(dir, { recursive: true, mode: 0o700 })) === undefined;
      await rm(join(dir, 'proxy.sock'), { force: true });
      const token = createHmac('sha256', options.key).update(`egress ${key}`).digest('base64url');
      const [refused, over, sockets] = [new Refused(), new AbortController(), new Set<Socket>()];
      const tls = openEnding(key, grant, { ...options, now: () => options.clock.now() });
      const trusted = [...(options.ca ?? []), ...(tls === null ? [] : [tls.authority])];
      const ca = trusted.length === 0 ? null : join(dir, 'ca.pem');
      if (ca !== null) await replaceFile(ca, bundleOf(trusted), { durable: false });
      const session = sessionOf(options, { grant, tls, refused, signal: over.signal, again });
      const server = openProxy(session, token);
      server.on('connection', (socket) => {
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
      });
      live.set(key, { server, sockets, over, folder: await listen(server, dir) });
      const placeholders = [...options.injection.placeholders(grant.agent, grant.run)];
      const variables = Object.fromEntries(placeholders.map(([name, text]) => [secretVariable(name), text]));
      const own = ownOf(grant.forWhom().only);
      return { dir, token, ca, own, variables, refused: () => refused.lines(), reached: session.reached };
    },
    async forget(key) {
      await stop(key);
      await rm(folderOf(key), { recursive: true, force: true });
    },
    async list() {
      const entries = await readdir(options.dir, { withFileTypes: true }).catch(() => []);
      return entries.filter((entry) => entry.isDirectory() && isSafeName(entry.name)).map((entry) => entry.name);
    },
    async close() {
      await Promise.all([...live.keys()].map(stop));
    },
  };
}
