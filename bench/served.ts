import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { memoryOf } from './measure.ts';

/** A process under measurement that answers chat completions: Ruche or the floor. */
export class Served {
  readonly url: string;
  /** Milliseconds from its start to the first 200 of `/readyz`. */
  readonly readyMs: number;
  readonly #child: ChildProcess;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #token: () => string;

  private constructor(child: ChildProcess, url: string, readyMs: number, token: () => string) {
    this.#child = child;
    this.url = url;
    this.readyMs = readyMs;
    this.#token = token;
  }

  /** Starts it and waits until it takes turns. Rejects with what it printed if it ends instead. */
  static async start(
    argv: readonly string[],
    options: { env: NodeJS.ProcessEnv; cwd: string; token: () => string },
  ): Promise<Served> {
    const [command = '', ...args] = argv;
    const started = performance.now();
    const child = spawn(command, args, { env: options.env, cwd: options.cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    const url = await new Promise<string>((resolve, reject) => {
      const hear = (chunk: Buffer): void => {
        said += chunk.toString('utf8');
        const found = /listens at (http:\S+)/.exec(said)?.[1];
        if (found !== undefined) resolve(found);
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`${args.join(' ')} ended with ${code}:\n${said}`)));
    });
    for (;;) {
      const status = await new Promise<number>((resolve, reject) =>
        request(`${url}/readyz`, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        })
          .once('error', reject)
          .end(),
      );
      if (status === 200) return new Served(child, url, performance.now() - started, options.token);
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  memory(): number {
    return memoryOf(this.pid);
  }

  /** One turn. Without a session it is a fresh one. Rejects unless the answer is the model's. */
  async turn(text: string, session?: string, model = 'assistant'): Promise<void> {
    const body = JSON.stringify({ model, user: session, messages: [{ role: 'user', content: text }] });
    const headers = {
      authorization: `Bearer ${this.#token()}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const url = `${this.url}/v1/chat/completions`;
    const response = await new Promise<IncomingMessage>((resolve, reject) =>
      request(url, { method: 'POST', headers, agent: this.#agent }, resolve).once('error', reject).end(body),
    );
    const answer: unknown = await json(response);
    if (!JSON.stringify(answer).includes(`Done: ${text}.`))
      throw new Error(`"${text}" was answered with ${JSON.stringify(answer)}`);
  }

  async get(path: string): Promise<unknown> {
    const response = await fetch(this.url + path, { headers: { authorization: `Bearer ${this.#token()}` } });
    return response.json();
  }

  /** Has what `probe.ts` watches begin anew. */
  watch(): void {
    this.#child.kill('SIGUSR2');
  }

  /** SIGTERM, and its end. */
  async stop(): Promise<void> {
    this.#agent.destroy();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
  }
}
