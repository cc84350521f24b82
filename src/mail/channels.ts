import type { Channel, InboundMessage, Log } from '../core/ports.ts';
import type { Runtime } from '../core/runtime.ts';

/** Opens every channel. What a channel delivers is on disk before the platform is told; what is refused, it hears. */
export function startChannels(
  channels: ReadonlyMap<string, Channel>,
  runtime: Pick<Runtime, 'deliver'>,
  log: Log,
): { stop(): void } {
  const stopping = new AbortController();
  const deliver = async (message: InboundMessage): Promise<void> => {
    const result = await runtime.deliver(message);
    if (!result.ok) throw new Error(result.message);
  };
  const open = async (channel: Channel): Promise<void> => {
    try {
      await channel.start(deliver, stopping.signal);
    } catch (error) {
      if (!stopping.signal.aborted) log.error({ channel: channel.name, error: String(error) }, 'a channel has stopped');
    }
  };
  for (const channel of channels.values()) void open(channel);
  return { stop: () => stopping.abort() };
}
