import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** Bytes that are sent as one piece, or something to wait for before the next. */
export type Piece = string | Uint8Array | Promise<unknown>;

export interface RawAnswer {
  status?: number;
  headers?: Record<string, string>;
  pieces: readonly Piece[];
  /** `cut` drops the connection in the middle of the body, `hang` leaves it open. */
  end?: 'close' | 'cut' | 'hang';
}

export interface RawRequest {
  path: string;
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
}

export interface ModelServer {
  /** Ends in `/v1`. */
  baseUrl: string;
  requests: RawRequest[];
  /** What it says of itself, as JSON by path, such as `/v1/models`; other paths are not found, but for those of an Ollama. */
  about: Record<string, object>;
  /** Paths that were looked at. */
  looked: string[];
  /** What the next request gets. */
  next(answer: RawAnswer | ((request: RawRequest) => RawAnswer)): void;
  /** Resolves when the client has closed the connection of a running answer. */
  hungUp: Promise<void>;
  close(): Promise<void>;
}

/** One event of a stream. */
export const sse = (data: unknown): string => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
/** One chunk of a chat completion. */
export const chunk = (delta: object, finish: string | null = null, more: object = {}): string =>
  sse({ id: 'x', object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }], ...more });
export const DONE = sse('[DONE]');

/** A server that sends exactly the bytes it is told to, right or wrong; what is not scripted gets `otherwise`. */
export async function modelServer(otherwise?: (request: RawRequest) => RawAnswer): Promise<ModelServer> {
  const answers: (RawAnswer | ((request: RawRequest) => RawAnswer))[] = [];
  const requests: RawRequest[] = [];
  const about: ModelServer['about'] = {};
  const looked: string[] = [];
  const hungUp = Promise.withResolvers<void>();
  const server = createServer((request, response) => {
    response.on('close', () => {
      if (!response.writableEnded) hungUp.resolve();
    });
    if (request.method === 'GET' && request.url !== '/api/tags') {
      const path = request.url ?? '';
      looked.push(path);
      const said = about[path];
      response.writeHead(said ? 200 : 404, { 'content-type': 'application/json' });
      response.end(JSON.stringify(said ?? { detail: 'Not Found' }));
      return;
    }
    void text(request).then((body) => {
      const parsed = JSON.parse(body || '{}') as RawRequest['body'];
      const raw: RawRequest = { path: request.url ?? '', headers: request.headers, body: parsed };
      requests.push(raw);
      const answer = answers.shift() ?? otherwise ?? { status: 500, pieces: ['no answer was scripted'] };
      return send(response, typeof answer === 'function' ? answer(raw) : answer);
    });
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    requests,
    about,
    looked,
    next: (answer) => answers.push(answer),
    hungUp: hungUp.promise,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function send(response: ServerResponse, answer: RawAnswer): Promise<void> {
  const { status = 200, headers = { 'content-type': 'text/event-stream' }, pieces, end = 'close' } = answer;
  response.writeHead(status, headers);
  response.flushHeaders();
  for (const piece of pieces) {
    if (piece instanceof Promise) await piece;
    else await new Promise((resolve) => response.write(piece, resolve));
    // A turn of the event loop, so that pieces arrive one by one.
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (end === 'close') response.end();
  if (end === 'cut') response.socket?.destroy();
}
