import { reachVerdict } from '../../src/core/net/reach.ts';
import { type ForWhom, type Net, NetError, type NetRequest } from '../../src/core/ports/net.ts';

export interface FakeNet extends Net {
  readonly asked: { request: NetRequest; forWhom: ForWhom }[];
}

const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost']);

/** Global fetch, for loopback addresses that the caller may reach: enough of the guard's contract to test against real sockets. */
export function fakeNet(): FakeNet {
  const asked: FakeNet['asked'] = [];
  return {
    asked,
    async request(request, forWhom) {
      asked.push({ request, forWhom });
      const url = new URL(request.url);
      const host = `${url.hostname}:${url.port || (url.protocol === 'https:' ? 443 : 80)}`;
      if (!LOOPBACK.has(url.hostname)) throw new NetError('blocked', `${host} is not on this machine`);
      refuseUnlisted(url, request.method ?? 'GET', forWhom);
      if (!forWhom.privateHosts.includes(host)) throw new NetError('blocked', `${host} is a private address`);
      const { method, headers, body, signal } = request;
      const response = await fetch(url, { method, headers, body: body as string, signal, redirect: 'manual' }).catch(
        (error: unknown) => {
          throw signal?.aborted ? new NetError('aborted', 'aborted') : connectError(error);
        },
      );
      if (response.status >= 300 && response.status < 400) {
        await response.body?.cancel();
        throw new NetError('redirect', `HTTP ${response.status} to ${response.headers.get('location')}`);
      }
      const { status, headers: got } = response;
      const stream = response.body && bounded(response.body, request);
      return new Response(stream, { status, headers: got });
    },
    dial: () => Promise.reject(new NetError('protocol', 'this fake speaks HTTP only')),
  };
}

function refuseUnlisted(url: URL, method: string, { only }: ForWhom): void {
  const { hostname, port, protocol, pathname } = url;
  const at = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || (protocol === 'https:' ? 443 : 80) };
  if (only !== null && reachVerdict(only, { ...at, http: { method, path: pathname } }) === null)
    throw new NetError('blocked', `${hostname}:${at.port} is not allowed`);
}

function connectError(error: unknown): NetError {
  const cause = error instanceof Error ? error.cause : undefined;
  return new NetError('connect', cause instanceof Error ? cause.message : String(error), { cause: error });
}

/** Errors when nothing comes for `idleMs`, or more than `maxBytes`. */
function bounded(body: ReadableStream<Uint8Array>, { idleMs, maxBytes }: NetRequest): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let bytes = 0;
  const next = async (): Promise<Uint8Array | undefined> => {
    const idle = Promise.withResolvers<never>();
    const late = new NetError('timeout', `nothing came for ${idleMs} ms`);
    const timer = setTimeout(() => idle.reject(late), idleMs);
    const { value } = await Promise.race([reader.read(), idle.promise]).finally(() => clearTimeout(timer));
    bytes += value?.byteLength ?? 0;
    if (bytes > maxBytes) throw new NetError('too-large', `more than ${maxBytes} bytes`);
    return value;
  };
  return new ReadableStream({
    async pull(controller) {
      const value = await next().catch(async (error: unknown) => {
        // A body that has failed cannot be cancelled, and need not be.
        await reader.cancel().catch(() => undefined);
        throw error;
      });
      if (value) controller.enqueue(value);
      else controller.close();
    },
    cancel: () => reader.cancel(),
  });
}
