import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { METHODS } from './methods.ts';
import { parseMultipart } from './multipart.ts';
import { ApiError, bad, type ApiUpdate, type Params, type Upload } from './types.ts';
import type { World } from './world.ts';

export interface Call {
  method: string;
  params: Params;
}

/** What goes wrong with a call. `lost`: it is carried out, and the answer does not arrive. */
export type Fault =
  | { kind: 'cut' | 'lost' | 'garbage' }
  | { kind: 'status'; code: number; retryAfter?: number }
  | { kind: 'slow'; ms: number };

interface Armed {
  method: string;
  fault: Fault;
  skip: number;
  times: number;
}

/** The HTTP side: parameters in any documented form, answers in the documented one, and faults on order. */
export class ApiServer {
  readonly calls: Call[] = [];
  readonly #world: World;
  readonly #armed: Armed[] = [];
  #server: Server;
  #port = 0;
  /** Ends the poll that is held now: with updates, or with an error. */
  #poll: { end(error: ApiError): void; look(): void } | null = null;

  constructor(world: World) {
    this.#world = world;
    this.#server = this.#create();
    world.onUpdate = () => this.#poll?.look();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Listens; after `down`, at the address it had. */
  async up(): Promise<void> {
    this.#server = this.#create();
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Connections are refused from now on, and those that are open break. */
  async down(): Promise<void> {
    this.#poll = null;
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  /** The next `times` calls of the method go wrong, after `skip` that do not. */
  fail(method: string, fault: Fault, { times = 1, skip = 0 }: { times?: number; skip?: number } = {}): void {
    this.#armed.push({ method, fault, skip, times });
  }

  #create(): Server {
    return createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        if (!response.destroyed) response.writeHead(500).end(String(error));
      });
    });
  }

  #fault(method: string): Fault | null {
    const armed = this.#armed.find((each) => each.method === method && each.times > 0);
    if (!armed) return null;
    if (armed.skip > 0) {
      armed.skip -= 1;
      return null;
    }
    armed.times -= 1;
    return armed.fault;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const path = decodeURIComponent(url.pathname);
    const file = /^\/file\/bot([^/]+)\/(.+)$/.exec(path);
    const call = /^\/bot([^/]+)\/(\w+)$/.exec(path);
    const [, token = '', name = ''] = file ?? call ?? [];
    const body = await bodyOf(request);
    if (!/^\d+:[\w-]+$/.test(token) || name === '') return answer(response, new ApiError(404, 'Not Found'));
    if (token !== this.#world.token) return answer(response, new ApiError(401, 'Unauthorized'));
    const { params, files } = paramsOf(url, body, request.headers['content-type'] ?? '');
    const method = file ? 'download' : name;
    this.calls.push({ method, params: file ? { path: name } : params });
    const fault = this.#fault(method);
    if (fault?.kind === 'cut') return void response.destroy();
    if (fault?.kind === 'garbage') return void response.writeHead(200).end('<html>Bad gateway</html>');
    if (fault?.kind === 'slow') {
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      await this.#world.clock.sleep(fault.ms, gone.signal).catch(() => undefined);
    }
    if (fault?.kind === 'status') return answer(response, failure(fault.code, fault.retryAfter));
    const lost = fault?.kind === 'lost';
    if (file) return this.#download(response, name);
    if (method === 'getUpdates') return this.#hold(response, params);
    try {
      const handler = METHODS[method];
      if (!handler) throw new ApiError(404, 'Not Found');
      const result = handler(this.#world, params, files);
      if (lost) response.destroy();
      else answer(response, result);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      answer(response, error);
    }
  }

  #download(response: ServerResponse, path: string): void {
    const file = [...this.#world.files.values()].find((each) => each.path === path);
    if (!file) return answer(response, new ApiError(404, 'Not Found'));
    response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(file.bytes);
  }

  /** Answers at once if there are updates, else when one comes or the time is up. */
  #hold(response: ServerResponse, params: Params): void {
    const world = this.#world;
    if (world.webhook !== '')
      return answer(
        response,
        conflict("can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"),
      );
    this.#poll?.end(
      conflict('terminated by other getUpdates request; make sure that only one bot instance is running'),
    );
    const offset = params.offset === undefined ? null : Number(params.offset);
    if (offset !== null && offset < 0) world.updates.splice(0, Math.max(0, world.updates.length + offset));
    const limit = Math.min(100, Number(params.limit ?? 100) || 100);
    const wanted = params.allowed_updates as string[] | undefined;
    const pending = (): ApiUpdate[] => {
      while (world.updates[0] && offset !== null && world.updates[0].update_id < offset) world.updates.shift();
      const fits = (update: ApiUpdate): boolean =>
        !wanted || wanted.length === 0 || wanted.some((kind) => kind in update);
      return world.updates.filter(fits).slice(0, limit);
    };
    const over = new AbortController();
    const finish = (result: unknown): void => {
      if (over.signal.aborted) return;
      over.abort();
      if (this.#poll === poll) this.#poll = null;
      answer(response, result);
    };
    const poll = {
      end: finish,
      look: (): void => {
        if (pending().length > 0) finish(pending());
      },
    };
    response.once('close', () => {
      over.abort();
      if (this.#poll === poll) this.#poll = null;
    });
    const seconds = Math.min(50, Number(params.timeout ?? 0) || 0);
    if (pending().length > 0 || seconds === 0) return finish(pending());
    this.#poll = poll;
    world.clock.sleep(seconds * 1000, over.signal).then(
      () => finish([]),
      () => undefined,
    );
  }
}

const conflict = (what: string): ApiError => new ApiError(409, `Conflict: ${what}`);

function failure(code: number, retryAfter: number | undefined): ApiError {
  if (code === 429) {
    const wait = retryAfter ?? 1;
    return new ApiError(429, `Too Many Requests: retry after ${wait}`, { retry_after: wait });
  }
  return code === 400
    ? bad('the fake was told to refuse this')
    : new ApiError(code, code === 401 ? 'Unauthorized' : 'Internal Server Error');
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** JSON is one way to pass parameters; in the others, objects come as JSON texts. */
function paramsOf(url: URL, body: Buffer, type: string): { params: Params; files: Map<string, Upload> } {
  if (type.startsWith('application/json'))
    return { params: (body.length > 0 ? JSON.parse(body.toString()) : {}) as Params, files: new Map() };
  const form = type.startsWith('multipart/') ? parseMultipart(body, type) : { fields: {}, files: new Map() };
  const flat: Record<string, string> = { ...Object.fromEntries(url.searchParams), ...form.fields };
  const params: Record<string, unknown> = { ...flat };
  for (const key of ['entities', 'reply_markup', 'reply_parameters', 'allowed_updates', 'commands'])
    if (flat[key] !== undefined) params[key] = JSON.parse(flat[key]) as unknown;
  return { params, files: form.files };
}

function answer(response: ServerResponse, result: unknown): void {
  if (response.destroyed) return;
  const error = result instanceof ApiError ? result : null;
  const body = error
    ? { ok: false, error_code: error.code, description: error.message, parameters: error.parameters }
    : { ok: true, result };
  response.writeHead(error?.code ?? 200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
