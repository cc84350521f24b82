import type { Channel, Receipt } from '../../src/core/ports/channel.ts';

/** The adapter of `platform.ts`: polls with an offset, acknowledges only what has been accepted. */
export function fakeChannel(url: string): Channel {
  const post = async (path: string, body: object): Promise<Receipt> => {
    const response = await fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body) });
    const { id } = (await response.json()) as { id: string };
    return { state: 'sent', id };
  };
  return {
    name: 'fake',
    dedupes: false,
    async start(host, signal) {
      let offset = 1;
      while (!signal.aborted) {
        try {
          const response = await fetch(`${url}/updates?offset=${offset}`, { signal });
          for (const update of (await response.json()) as { id: number; chat: string; text: string }[]) {
            const { chat, text } = update;
            await host.deliver({ sender: '1', chat, text, files: [], replyTo: chat, externalId: String(update.id) });
            offset = update.id + 1;
          }
        } catch {
          if (signal.aborted) return;
          // A platform that is away comes back, and what the host does not take now comes again.
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    },
    split: ({ text, buttons }) => [{ kind: 'text', text, buttons }],
    async send(to, part, { key, again, draft }) {
      const text = part.kind === 'text' ? part.text : part.file.name;
      const asks = part.kind === 'text' && (part.buttons.length > 0 || text.endsWith('is the answer.)'));
      return post('/send', { to, text, key, again, asks, draft });
    },
    drafts: {
      everyMs: 100,
      typing: () => Promise.resolve(),
      show: (to, text, draft) => post('/draft', { to, text: `${text} …`, draft }),
    },
  };
}
