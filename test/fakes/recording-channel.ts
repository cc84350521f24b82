import type { Button, Channel, Receipt } from '../../src/core/ports/channel.ts';

export interface Sent {
  to: string;
  text: string;
  again: boolean;
  buttons: readonly Button[];
}

/** A channel that keeps what it is given. `answer` is what the platform says to the nth send, from 0. */
export function recordingChannel(
  answer: (n: number) => Receipt | Promise<Receipt> = () => ({ state: 'sent', id: null }),
) {
  const sent: Sent[] = [];
  const channel: Channel = {
    name: 'chat',
    dedupes: false,
    start: () => Promise.resolve(),
    split: ({ text, buttons }) => [{ kind: 'text', text, buttons }],
    send: async (to, part, { again }) => {
      sent.push({
        to,
        text: part.kind === 'text' ? part.text : part.file.name,
        again,
        buttons: part.kind === 'text' ? part.buttons : [],
      });
      return answer(sent.length - 1);
    },
  };
  return { channel, sent };
}
