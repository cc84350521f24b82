import http from 'node:http';
import type { Socket } from 'node:net';
import { pipeline, Transform } from 'node:stream';
import { isOutgoingHeader } from '../../core/net/headers.ts';
import type { Target } from '../../core/net/host.ts';
import { inspects, overridesRequest, reachVerdict } from '../../core/net/reach.ts';
import type { FollowedBody, Injection, Scrub } from '../../core/ports/injection.ts';
import { type Dial, type ForWhom, NetError } from '../../core/ports/net.ts';
import { errorText } from '../../core/text/sentence.ts';

export interface RelayParts {
  /** A connection by the guard, for requests that were looked at. */
  dial(dial: Dial, forWhom: ForWhom): Promise<Socket>;
  injection: Injection;
}

/** On whose behalf a client's requests go out, as the rules are at the moment of each. */
export interface Sender {
  agent: string;
  run: string;
  forWhom(): ForWhom;
  /** Told of each refusal, in a line. */
  refused(line: string): void;
}

/** A request that must not go out, or an answer that must not come back. */
class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const DIAL_MS = 30_000;
const NULL_BODY = new Set([204, 304]);

/** Why the rules do not let this request out; null if they do. */
function againstRules({ only }: ForWhom, target: Target, method: string, headers: readonly string[]): string | null {
  if (only === null) return null;
  const { pathname } = new URL(target.url);
  const verdict = reachVerdict(only, { ...target, http: { method, path: pathname } });
  if (verdict === null) return `${method} of this path is not among what this agent may do at ${target.host}`;
  if (verdict === 'ask') return `${target.host} is reached only after a person was asked, which a command cannot do`;
  const override = inspects(only, target) ? headers.find(overridesRequest) : undefined;
  return override === undefined ? null : `the header ${override} could have the server read another request than this`;
}

/** What the client sends on, without what is between it and the proxy. */
function headersOf({ headers }: http.IncomingMessage): Record<string, string> {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && isOutgoingHeader(name) && !named.includes(name))
      kept[name] = Array.isArray(value) ? value.join(', ') : value;
  return kept;
}

/** How the body is framed on its way out: as it came, so that it can be streamed. */
function framingOf({ headers }: http.IncomingMessage): Record<string, string> {
  const length = headers['content-length'];
  if (headers['transfer-encoding'] !== undefined) return { 'transfer-encoding': 'chunked' };
  return length === undefined ? {} : { 'content-length': length };
}

const hasBody = (framing: Record<string, string>): boolean =>
  Object.keys(framing).length > 0 && framing['content-length'] !== '0';

/** Lets a body through until a placeholder is found in it. */
const followed = (body: FollowedBody): Transform =>
  new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      const why = body.push(chunk);
      if (why === null) done(null, chunk);
      else done(new Refusal(403, `the request was refused: ${why}`));
    },
  });

const scrubbed = (scrub: Scrub): Transform => {
  const body = scrub.body();
  return new Transform({
    transform: (chunk: Uint8Array, _encoding, done) => done(null, body.push(chunk)),
    flush: (done) => done(null, body.end()),
  });
};

/** The headers of an answer as the client gets them. */
function answerHeaders(answer: http.IncomingMessage, scrub: Scrub | null, bodiless: boolean): string[] {
  const named = (answer.headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  const headers: string[] = [];
  for (let index = 0; index + 1 < answer.rawHeaders.length; index += 2) {
    const [name = '', value = ''] = answer.rawHeaders.slice(index, index + 2);
    const lower = name.toLowerCase();
    const length = lower === 'content-length';
    if ((!isOutgoingHeader(lower) && !length) || named.includes(lower)) continue;
    // Placeholders have another length than what they stand for.
    if (length && scrub !== null && !bodiless) continue;
    headers.push(name, scrub === null ? value : scrub.text(value));
  }
  return headers;
}

/** Sends requests of one client connection on to one place, each as rules and secrets are at its moment. */
export class Relay {
  readonly #parts: RelayParts;
  readonly #sender: Sender;
  readonly #agent: http.Agent;
  /** The request that is under way: they go one after the other. */
  #now: { method: string; path: string } = { method: 'GET', path: '/' };

  constructor(parts: RelayParts, sender: Sender, { host, port, secure }: Pick<Target, 'host' | 'port' | 'secure'>) {
    this.#parts = parts;
    this.#sender = sender;
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    this.#agent.createConnection = (_options, created) => {
      const tls = secure ? { alpn: ['http/1.1'] } : null;
      const limits = { timeoutMs: DIAL_MS, idleMs: null, maxBytes: null };
      parts.dial({ host, port, tls, http: this.#now, ...limits }, sender.forWhom()).then(
        (socket) => created?.(null, socket),
        (error: unknown) => created?.(error as Error, null as never),
      );
      return null;
    };
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Answers one request of the client; a refusal is an answer, too. */
  async pass(request: http.IncomingMessage, response: http.ServerResponse, target: Target): Promise<void> {
    try {
      await this.#pass(request, response, target);
    } catch (error) {
      this.#fail(response, error, target);
    }
  }

  async #pass(request: http.IncomingMessage, response: http.ServerResponse, target: Target): Promise<void> {
    const { agent, run, forWhom } = this.#sender;
    const { method = 'GET' } = request;
    const headers = headersOf(request);
    const why = againstRules(forWhom(), target, method, Object.keys(headers));
    if (why !== null) throw new Refusal(403, `the request was refused: ${why}`);
    const outgoing = { agent, run, target, method, headers };
    const injected = await this.#parts.injection.outgoing({ ...outgoing, body: null });
    if (!injected.ok) throw new Refusal(403, `the request was refused: ${injected.why}`);
    const framing = framingOf(request);
    const sent = { ...injected.headers, ...framing, host: new URL(target.url).host };
    const body = hasBody(framing) ? this.#parts.injection.follow(outgoing) : null;
    if (body !== null && request.headers.expect !== undefined) response.writeContinue();
    const answer = await this.#exchange(request, response, { target, method, headers: sent, body });
    await this.#answer(answer, response, injected.scrub, method);
  }

  /** A kept connection that turns out to be dead is replaced once, where nothing was sent that cannot be sent again. */
  async #exchange(
    request: http.IncomingMessage,
    response: http.ServerResponse,
    what: { target: Target; method: string; headers: Record<string, string>; body: FollowedBody | null },
  ): Promise<http.IncomingMessage> {
    for (;;) {
      const { target, method, headers, body } = what;
      const url = new URL(target.url);
      this.#now = { method, path: url.pathname };
      const upstream = http.request({ agent: this.#agent, method, path: url.pathname + url.search, headers });
      response.once('close', () => upstream.destroy());
      const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
        upstream.once('response', resolve);
        upstream.once('upgrade', (_answer, socket) => {
          socket.destroy();
          reject(new Refusal(502, `${target.host} switched to another protocol`));
        });
        upstream.on('error', reject);
        if (body === null) upstream.end();
        else pipeline(request, followed(body), upstream, (error) => (error ? reject(error) : undefined));
      });
      try {
        return await answered;
      } catch (error) {
        if (!upstream.reusedSocket || body !== null || response.destroyed || error instanceof Refusal) throw error;
      }
    }
  }

  async #answer(
    answer: http.IncomingMessage,
    response: http.ServerResponse,
    scrub: Scrub | null,
    method: string,
  ): Promise<void> {
    const status = answer.statusCode ?? 502;
    const bodiless = method === 'HEAD' || NULL_BODY.has(status);
    const encoding = (answer.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
    if (scrub !== null && !bodiless && encoding !== 'identity') {
      answer.destroy();
      throw new Refusal(502, 'the answer is packed, though that was not asked for, so it cannot be looked through');
    }
    const reason = answer.statusMessage ?? '';
    response.writeHead(status, scrub?.text(reason) ?? reason, answerHeaders(answer, scrub, bodiless));
    const through = scrub === null || bodiless ? [answer, response] : [answer, scrubbed(scrub), response];
    await new Promise<void>((resolve) => pipeline(through, () => resolve()));
  }

  #fail(response: http.ServerResponse, error: unknown, target: Target): void {
    const refused = error instanceof Refusal || (error instanceof NetError && error.code === 'blocked');
    const said =
      error instanceof Refusal || error instanceof NetError ? errorText(error) : `${target.host} cannot be reached`;
    if (refused) this.#sender.refused(said);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const status = error instanceof Refusal ? error.status : refused ? 403 : 502;
    // What is left of the body is not read, so the connection cannot go on.
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
    response.end(`ruche: ${said}\n`);
  }
}
