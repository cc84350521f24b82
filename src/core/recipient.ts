import type { ChannelSettings, QuietHours, QuietSettings } from './agent.ts';
import { readReceiver } from './escalation.ts';

/** A place of a messenger, where a person or a group reads. */
export interface Place {
  channel: string;
  to: string;
}

type Owned = readonly Pick<ChannelSettings, 'name' | 'owners'>[];

/** Stands for the first owner of the first messenger that has one. */
export const OWNER = 'owner';

export const addressOf = ({ channel, to }: Place): string => `${channel}:${to}`;

/** Where `owner`, or `CHANNEL:ADDRESS`, leads. Null for `owner` while no messenger has one, and for any other text. */
export function placeOf(to: string, channels: Owned): Place | null {
  if (to === OWNER) {
    const owned = channels.find(({ owners }) => owners.length > 0);
    return owned === undefined ? null : { channel: owned.name, to: owned.owners[0] ?? '' };
  }
  const receiver = readReceiver(to);
  return receiver?.kind === 'channel' ? { channel: receiver.channel, to: receiver.address } : null;
}

/** The addresses of everybody who owns a messenger. */
export const ownerAddresses = (channels: Owned): string[] =>
  channels.flatMap(({ name, owners }) => owners.map((owner) => addressOf({ channel: name, to: owner })));

/** The quiet hours of an address: its own, else everybody's; null for none. */
export function quietHoursOf(
  { quiet, channels }: { quiet?: QuietSettings; channels: Owned },
  place: Place,
): QuietHours | null {
  if (quiet === undefined) return null;
  const address = addressOf(place);
  for (const [to, hours] of Object.entries(quiet.people)) {
    const meant = placeOf(to, channels);
    if (meant !== null && addressOf(meant) === address) return hours;
  }
  return quiet.everybody;
}
