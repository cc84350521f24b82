import { lstat, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { HttpError } from './reply.ts';
import { flushed, head, sendText, type Exchange } from './reply.ts';

/** The page may run its own scripts and talk to us, and nothing else. */
export const PAGE_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
  "font-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
};

/** A name a build gives its files. Dots only within: no `..`, nothing hidden, nothing encoded. */
const NAME = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/;
const DEPTH = 4;

const NOT_BUILT = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Ruche</title>
<p>Ruche is running, but its web page is not built. Run <code>npm run build</code> in its folder and reload this page.</p>
</html>
`;

/** Serves the page that stands in a folder. A path without a dot is one of the page's own places. */
export async function serveStatic(exchange: Exchange, folder: string): Promise<void> {
  const [path = ''] = (exchange.incoming.url ?? '').split('?');
  const segments = path.slice(1).split('/');
  const isFile = path.includes('.');
  const page = { 'content-security-policy': PAGE_CSP, 'content-type': 'text/html; charset=utf-8' };
  if (!isFile) {
    const bytes = await fileBytes(folder, ['index.html']);
    if (bytes === null) await sendText(exchange, 200, NOT_BUILT, page);
    else await sendBytes(exchange, bytes, page);
    return;
  }
  const known = segments.length <= DEPTH && segments.every((segment) => NAME.test(segment));
  const type = TYPES[extname(path)];
  const bytes = known && type !== undefined ? await fileBytes(folder, segments) : null;
  if (bytes === null || type === undefined) throw new HttpError(404, 'not_found', 'Nothing was found at this path.');
  const hashed = segments[0] === 'assets';
  const cache = path === '/index.html' ? 'no-store' : hashed ? 'public, max-age=31536000, immutable' : 'no-cache';
  await sendBytes(exchange, bytes, {
    'content-security-policy': PAGE_CSP,
    'content-type': type,
    'cache-control': cache,
  });
}

/** Null unless it is a plain file all the way: a link could lead anywhere. */
async function fileBytes(folder: string, segments: readonly string[]): Promise<Buffer | null> {
  let path = folder;
  for (const [index, segment] of segments.entries()) {
    path = join(path, segment);
    const found = await lstat(path).catch(() => null);
    const last = index === segments.length - 1;
    if (found === null || (last ? !found.isFile() : !found.isDirectory())) return null;
  }
  // Built anew in this moment: it is not there.
  return readFile(path).catch(() => null);
}

export async function sendBytes(
  exchange: Exchange,
  bytes: Uint8Array,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const { incoming, outgoing } = exchange;
  if (outgoing.headersSent || outgoing.destroyed) return;
  const sent = flushed(exchange);
  head(outgoing, 200, { 'content-length': bytes.length, ...headers });
  outgoing.end(incoming.method === 'HEAD' ? undefined : bytes);
  await sent;
}
