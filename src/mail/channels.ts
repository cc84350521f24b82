import type { Channel, ChannelHost, Log } from '../core/ports.ts';
import type { Runtime } from '../core/runtime.ts';

/** Opens every channel. What a channel delivers is on disk before the platform is told; what is refused, it hears. */
export function startChannels(
  channels: ReadonlyMap<string, Channel>,
  runtime: Pick<Runtime, 'deliver'>,
  agent: () => string,
  log: Log,
): { stop(): void } {
  const stopping = new AbortController();
  const hostOf = (channel: string): ChannelHost => ({
    async deliver(message) {
      const { chat: session, sender, ...rest } = message;
      const result = await runtime.deliver({
        ...rest,
        channel,
        sender: `${channel}:${sender}`,
        agent: agent(),
        session,
      });
      if (!result.ok) throw new Error(result.message);
    },
    press: () => Promise.resolve({ text: '', done: false }),
  });
  const open = async (channel: Channel): Promise<void> => {
    try {
      await channel.start(hostOf(channel.name), stopping.signal);
    } catch (error) {
      if (!stopping.signal.aborted) log.error({ channel: channel.name, error: String(error) }, 'a channel has stopped');
    }
  };
  for (const channel of channels.values()) void open(channel);
  return { stop: () => stopping.abort() };
}
