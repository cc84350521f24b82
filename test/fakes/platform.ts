import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Sent {
  to: string;
  text: string;
  key: string;
  again: boolean;
  /** Puts a question or an approval, and is no reply. */
  asks: boolean;
  /** The draft that it takes the place of. */
  draft: string | null;
}

/** A messenger without idempotency: it holds updates until they are acknowledged by offset, and counts every send. */
export interface Platform {
  url: string;
  sent: Sent[];
  pages: number;
  /** What each chat sees of replies that are being written, by id. A reply that takes the place of one removes it. */
  drafts: Map<string, { to: string; text: string }>;
  /** A person writes; gives the id of the update. */
  say(chat: string, text: string): number;
  close(): Promise<void>;
}

export async function startPlatform(): Promise<Platform> {
  const updates: { id: number; chat: string; text: string }[] = [];
  const sent: Sent[] = [];
  const drafts = new Map<string, { to: string; text: string }>();
  let draftCount = 0;
  let next = 1;
  let acknowledged = 0;
  let pages = 0;
  const waiting = new Set<() => void>();
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const answer = (body: unknown): void => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(body));
    };
    if (url.pathname === '/page') {
      pages += 1;
      response.setHeader('content-type', 'text/plain');
      response.end('a page');
      return;
    }
    if (url.pathname === '/send') {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        const message = JSON.parse(body) as Sent;
        // An edit of what an earlier edit of the same draft has made.
        const before = message.draft === null ? -1 : sent.findIndex(({ draft }) => draft === message.draft);
        if (before >= 0) sent[before] = message;
        else sent.push(message);
        if (message.draft !== null) drafts.delete(message.draft);
        answer({ id: String(sent.length) });
      });
      return;
    }
    if (url.pathname === '/draft') {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        const { to, text, draft } = JSON.parse(body) as { to: string; text: string; draft: string | null };
        const id = draft ?? `d${(draftCount += 1)}`;
        drafts.set(id, { to, text });
        answer({ id });
      });
      return;
    }
    acknowledged = Math.max(acknowledged, Number(url.searchParams.get('offset')) - 1);
    const ready = (): boolean => {
      const fresh = updates.filter((update) => update.id > acknowledged);
      if (fresh.length > 0) answer(fresh);
      return fresh.length > 0;
    };
    if (ready()) return;
    const wake = (): void => {
      if (ready()) waiting.delete(wake);
    };
    waiting.add(wake);
    request.on('close', () => waiting.delete(wake));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sent,
    drafts,
    get pages() {
      return pages;
    },
    say(chat, text) {
      const id = next++;
      updates.push({ id, chat, text });
      for (const wake of Array.from(waiting)) wake();
      return id;
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
