import type { ChannelSettings } from '../core/agent.ts';
import { OWNER, type Place, placeOf } from '../core/recipient.ts';
import { didYouMean } from '../core/text/unknown.ts';
import type { Messenger } from './channels.ts';
import { listed } from './validate.ts';

/** What a file may name as the place of a person. */
export interface Recipients {
  channels: readonly Pick<ChannelSettings, 'name' | 'owners' | 'type'>[];
  /** Names of channels beside them. */
  others: readonly string[];
  messengers: readonly Pick<Messenger, 'type' | 'chats'>[];
}

/** What an address is not that its platform cannot know; null if it may be one. */
export function wrongAddress(
  { channel, to }: Place,
  { channels, messengers }: Omit<Recipients, 'others'>,
): string | null {
  const type = channels.find(({ name }) => name === channel)?.type ?? channel;
  const chats = messengers.find((each) => each.type === type)?.chats;
  return chats === undefined || chats.pattern.test(to) ? null : chats.wrong;
}

/** Why `owner`, or `CHANNEL:ADDRESS`, reaches nobody; null if it may. Whether the chat is there only its platform knows. */
export function recipientProblem(to: string, { channels, others, messengers }: Recipients): string | null {
  const place = placeOf(to, channels);
  if (place === null)
    return to === OWNER
      ? 'reaches nobody yet: no channel in ruche.yaml has an owner. Pair yourself with: ruche pair CHANNEL'
      : `"${to}" is not a person or chat: write owner, or CHANNEL:ADDRESS`;
  const { channel } = place;
  const names = [...new Set([...channels.map(({ name }) => name), ...others])];
  if (!names.includes(channel))
    return `names the channel "${channel}", which is not there. Known: ${listed(names)}.${didYouMean(channel, names)}`;
  const wrong = wrongAddress(place, { channels, messengers });
  return wrong === null ? null : `names "${place.to}", which ${wrong}`;
}
