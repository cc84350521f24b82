import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** A server of somebody else's, and what it was asked. */
export interface Site {
  port: number;
  hits: { url: string; credential: string | undefined }[];
  close(): Promise<void>;
}

/** Over TLS if there is a certificate. */
export async function openSite(
  answer: RequestListener,
  certificate: { key: string; cert: string } | null,
): Promise<Site> {
  const hits: Site['hits'] = [];
  const listener: RequestListener = (request, response) => {
    hits.push({ url: request.url ?? '', credential: request.headers.authorization });
    answer(request, response);
  };
  const server = certificate === null ? createServer(listener) : createSecureServer(certificate, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { port: (server.address() as AddressInfo).port, hits, close };
}
