import type { Channel, InboundMessage } from '../../src/core/ports.ts';

/** The adapter of `platform.ts`: polls with an offset, acknowledges only what has been accepted. */
export function fakeChannel(url: string): Channel {
  return {
    name: 'fake',
    dedupes: false,
    async start(deliver, signal) {
      let offset = 1;
      while (!signal.aborted) {
        try {
          const response = await fetch(`${url}/updates?offset=${offset}`, { signal });
          for (const update of (await response.json()) as { id: number; chat: string; text: string }[]) {
            const message: InboundMessage = {
              channel: 'fake',
              sender: 'person:owner',
              agent: 'assistant',
              session: update.chat,
              text: update.text,
              replyTo: update.chat,
              externalId: String(update.id),
            };
            await deliver(message);
            offset = update.id + 1;
          }
        } catch (error) {
          if (signal.aborted) return;
          await new Promise((resolve) => setTimeout(resolve, 50));
          if (!(error instanceof TypeError)) throw error;
        }
      }
    },
    async send(to, message, key, again) {
      const body = JSON.stringify({ to, text: message.text, key, again });
      const response = await fetch(`${url}/send`, { method: 'POST', body });
      const { id } = (await response.json()) as { id: string };
      return { state: 'sent', id };
    },
  };
}
