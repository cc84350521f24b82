import { execFileSync, spawn } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** Answers a request to the repositories below a folder by Git's own program, as CGI (RFC 3875). */
export function answerGit(root: string, path: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(path, 'https://x.example');
  const git = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      REMOTE_USER: 'somebody',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      HTTP_GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  request.pipe(git.stdin);
  git.stdin.on('error', () => undefined);
  const chunks: Buffer[] = [];
  git.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  git.stdout.on('end', () => {
    const all = Buffer.concat(chunks);
    const end = all.indexOf('\r\n\r\n');
    for (const line of all.subarray(0, end).toString().split('\r\n')) {
      const [name = '', value = ''] = line.split(': ');
      if (name === 'Status') response.statusCode = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.end(all.subarray(end + 4));
  });
}

/** Git over HTTPS for the repositories below a folder, for those who send this header. */
export async function serveGit(
  t: Pick<TestContext, 'after'>,
  root: string,
  authorization: string,
  certificate: { key: string; cert: string },
): Promise<{ port: number }> {
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    if (request.headers.authorization !== authorization) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
      return;
    }
    answerGit(root, request.url ?? '/', request, response);
  };
  const server = createServer(certificate, answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port };
}

/** A bare repository that takes pushes. */
export function makeBare(dir: string): void {
  const git = (...args: string[]) =>
    execFileSync('git', args, { stdio: 'ignore', env: { PATH: process.env['PATH'], HOME: dir } });
  git('init', '-q', '--bare', '-b', 'main', dir);
  git('-C', dir, 'config', 'http.receivepack', 'true');
}
