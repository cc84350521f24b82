import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { parseReach, type Reach, type ReachSource } from '../../src/core/net/reach.ts';
import type { Egress, EgressHandle } from '../../src/core/ports/egress.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { Injection } from '../../src/core/ports/injection.ts';
import { openInjection } from '../../src/secrets/injection.ts';
import { openEgress } from '../../src/net/egress/egress.ts';
import { type Bounds, BOUNDS } from '../../src/net/egress/session.ts';
import { type Lab, openLab, realClock } from './support.ts';

/** Nothing is bound. */
export const NO_SECRETS = openInjection({
  bindings: () => [],
  resolve: () => Promise.reject(new Error('no secrets')),
  peek: () => Promise.reject(new Error('no secrets')),
  hide: () => undefined,
  key: Buffer.alloc(32, 7),
  misdirected: () => undefined,
});

export type List = readonly (string | ReachSource)[];

export const listOf = (list: List): Reach[] => list.map((entry) => parseReach(entry) as Reach);

export interface EgressLab extends Lab {
  egress: Egress & { close(): Promise<void> };
  handle: EgressHandle;
  /** What the rules say from now on. */
  allow(list: List, privateHosts?: readonly string[]): void;
  /** Writes the bytes to the proxy and gives everything that comes back until it is closed. */
  say(bytes: string | Uint8Array, to?: EgressHandle): Promise<string>;
  /** A connection to the proxy. */
  connect(to?: EgressHandle): Promise<net.Socket>;
  /** The line with the token. */
  auth: string;
}

/** The proxy of one command over a real guard, whose public addresses are all on this machine. */
export async function openEgressLab(
  t: TestContext,
  list: List,
  more: {
    bounds?: Partial<Bounds>;
    clock?: Clock;
    guard?: Parameters<typeof openLab>[1];
    injection?: Injection;
  } = {},
): Promise<EgressLab> {
  const lab = openLab(t, more.guard);
  const dir = await mkdtemp(join(tmpdir(), 'ruche-egress-'));
  let now = { only: listOf(list), privateHosts: [] as readonly string[] };
  const egress = openEgress({
    dir,
    key: Buffer.alloc(32, 7),
    injection: more.injection ?? NO_SECRETS,
    net: lab.net,
    clock: more.clock ?? realClock,
    bounds: { ...BOUNDS, ...more.bounds },
  });
  t.after(async () => {
    await egress.close();
    await rm(dir, { recursive: true, force: true });
  });
  const forWhom = () => ({ who: 'tool:shell', agent: 'coder', run: 'run_1', ...now });
  const handle = await egress.open('run_1-call_1', { agent: 'coder', run: 'run_1', forWhom, denied: () => null });
  const connect = async (to = handle): Promise<net.Socket> => {
    const socket = net.connect(join(to.dir, 'proxy.sock'));
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };
  return {
    ...lab,
    egress,
    handle,
    auth: `Proxy-Authorization: Basic ${Buffer.from(`ruche:${handle.token}`).toString('base64')}\r\n`,
    allow: (next, privateHosts = []) => void (now = { only: listOf(next), privateHosts }),
    connect,
    async say(bytes, to) {
      const socket = await connect(to);
      const pieces: Buffer[] = [];
      socket.on('data', (piece: Buffer) => pieces.push(piece));
      socket.write(bytes);
      await new Promise((resolve) => socket.once('close', resolve));
      return Buffer.concat(pieces).toString('latin1');
    },
  };
}

/** Of an answer. */
export const status = (answer: string): string => answer.split('\r\n')[0]?.split(' ')[1] ?? '';

export const connectTo = (lab: EgressLab, place: string): string =>
  `CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\n${lab.auth}\r\n`;

export const ask = (lab: EgressLab, url: string, more = '', method = 'GET'): string =>
  `${method} ${url} HTTP/1.1\r\nHost: ${new URL(url).host}\r\nConnection: close\r\n${lab.auth}${more}\r\n`;

/** Reads until the text has come, and gives all that came so far. */
export async function read(socket: net.Socket, until: string): Promise<string> {
  let text = '';
  for await (const piece of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    text += piece.toString('latin1');
    if (text.includes(until)) return text;
  }
  return text;
}

const uint = (value: number, width: number): Buffer => {
  const bytes = Buffer.alloc(width);
  bytes.writeUIntBE(value, 0, width);
  return bytes;
};
export const part = (width: number, ...bytes: Uint8Array[]): Buffer => {
  const whole = Buffer.concat(bytes);
  return Buffer.concat([uint(whole.length, width), whole]);
};
export const extension = (type: number, body: Uint8Array): Buffer => Buffer.concat([uint(type, 2), part(2, body)]);
export const serverName = (name: string): Buffer =>
  extension(0, part(2, Buffer.concat([Buffer.from([0]), part(2, Buffer.from(name, 'latin1'))])));

/** A ClientHello with these extensions, in records of at most `record` bytes. */
export function clientHello(extensions: readonly Uint8Array[], record = 16_384): Buffer {
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 9),
    part(1, Buffer.alloc(32, 8)),
    part(2, Buffer.from([0x13, 0x01, 0x13, 0x02])),
    part(1, Buffer.from([0])),
    part(2, ...extensions),
  ]);
  const message = Buffer.concat([Buffer.from([1]), uint(body.length, 3), body]);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += record)
    records.push(Buffer.from([0x16, 3, 1]), part(2, message.subarray(at, at + record)));
  return Buffer.concat(records);
}
