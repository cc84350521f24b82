import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { ForWhom, Net, NetRequest } from '../../src/core/ports/net.ts';
import type { Log } from '../../src/core/ports/log.ts';
import { type NetOptions, openNet } from '../../src/net/guard.ts';

export const realClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) => delay(ms, undefined, { signal }),
};

/** Keeps every line, so that a test can look for what must not be in them. */
export function keptLog(): Log & { lines: string[] } {
  const lines: string[] = [];
  const keep = (fields: object, message: string): void => void lines.push(JSON.stringify(fields) + message);
  return { lines, debug: keep, info: keep, warn: keep, error: keep };
}

/** A documentation-free public address that no test ever reaches: connections to it are led to loopback. */
export const PUBLIC = '93.184.216.34';

export const WHO: ForWhom = { who: 'tool:fetch', agent: null, run: null, privateHosts: [], only: null };
export const LIMITS = { maxBytes: 1_000_000, timeoutMs: 60_000, idleMs: 30_000, maxRedirects: 5 };
export const get = (url: string, more: Partial<NetRequest> = {}): NetRequest => ({ url, ...LIMITS, ...more });

export interface Lab {
  net: Net;
  log: ReturnType<typeof keptLog>;
  /** Answers of the resolver by name; without an entry a name is at PUBLIC. */
  names: Map<string, string[]>;
  /** What was asked of the resolver, and every address and port that was connected to. */
  resolved: string[];
  dialled: string[];
}

/** A guard whose every connection to a public address ends at this machine, at the same port. */
export function openLab(t: TestContext, more: Partial<NetOptions> = {}): Lab {
  const lab: Omit<Lab, 'net'> = { log: keptLog(), names: new Map(), resolved: [], dialled: [] };
  const guard = openNet({
    clock: realClock,
    log: lab.log,
    resolve: async (host) => {
      lab.resolved.push(host);
      return lab.names.get(host) ?? [PUBLIC];
    },
    connect: (addresses, port) => {
      lab.dialled.push(`${addresses.join('+')}:${port}`);
      return net.connect(port, '127.0.0.1');
    },
    ...more,
  });
  t.after(() => guard.close());
  return { ...lab, net: guard };
}

export interface Server {
  port: number;
  /** Method, path and headers of each request. */
  seen: { method: string; url: string; headers: http.IncomingHttpHeaders; body: string }[];
  connections(): number;
}

type Handler = (request: http.IncomingMessage, response: http.ServerResponse, body: string) => void;

/** A real server on a free loopback port, closed with all its connections when the test ends. */
export async function serve(t: TestContext, handler: Handler, tls?: { key: string; cert: string }): Promise<Server> {
  const seen: Server['seen'] = [];
  const listener: http.RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
      handler(request, response, body);
    });
  };
  const server = tls ? https.createServer(tls, listener) : http.createServer(listener);
  let connections = 0;
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, seen, connections: () => connections };
}

/** A server that speaks raw bytes: for answers that no HTTP library would give. */
export async function serveRaw(t: TestContext, talk: (socket: net.Socket) => void): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    // The guard hangs up on most of these, which the server need not mind.
    socket.on('error', () => socket.destroy());
    socket.once('data', () => talk(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A self-signed certificate for the names and addresses, or null where there is no openssl. */
export function certificate(names: string): { key: string; cert: string } | null {
  const dir = mkdtempSync(join(tmpdir(), 'ruche-cert-'));
  try {
    const key = join(dir, 'key.pem');
    const cert = join(dir, 'cert.pem');
    const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const about = ['-subj', '/CN=lab', '-addext', `subjectAltName=${names}`, '-keyout', key, '-out', cert];
    execFileSync('openssl', [...make, ...about], { stdio: 'ignore' });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  } finally {
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
