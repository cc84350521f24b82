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

/** An address and the chat that it is in: a topic is named `<chat>_<number>`, an answer to a message `<place>:<message>`. */
export function placesOf(address: string): string[] {
  const place = address.replace(/(?<=:.*):\d+$/, '');
  return [...new Set([address, place, place.replace(/_\d+$/, '')])];
}

/** Where `owner`, or `CHANNEL:ADDRESS`, leads. Null for `owner` while no messenger has one, and for any other text. */
export function placeOf(to: string, channels: Owned): Place | null {
  if (to === OWNER) {
    const owned = channels.find(({ owners }) => owners.length > 0);
    return owned === undefined ? null : { channel: owned.name, to: owned.owners[0] ?? '' };
  }
  const receiver = readReceiver(to);
  return receiver?.kind === 'channel' ? { channel: receiver.channel, to: receiver.address } : null;
}

/** Why a text that leads nowhere does not. */
export const nowhere = (to: string): string =>
  to === OWNER
    ? 'No messenger has an owner, so nobody can be told. The owner pairs with one by `ruche pair CHANNEL`.'
    : `"to" must be ${OWNER}, or CHANNEL:ADDRESS: the name of a channel and the id of a person or chat there.`;

/** The addresses of everybody who owns a messenger. */
export const ownerAddresses = (channels: Owned): string[] =>
  channels.flatMap(({ name, owners }) => owners.map((owner) => addressOf({ channel: name, to: owner })));

/**
 * Who that is, of those that `ruche.yaml` tells apart: the name under which it lists the address, else the owner. So two addresses
 * that nobody has called different persons are one.
 */
export const personOf = (
  { people = {} }: { people?: Readonly<Record<string, readonly string[]>> },
  by: string,
): string => Object.entries(people).find(([, addresses]) => addresses.includes(by))?.[0] ?? OWNER;

/** The quiet hours of an address: its own, else everybody's; null for none. */
export function quietHoursOf(
  { quiet, channels }: { quiet?: QuietSettings; channels: Owned },
  place: Place,
): QuietHours | null {
  if (quiet === undefined) return null;
  const own = ownOf(quiet.people, channels, place);
  return own === undefined ? quiet.everybody : own;
}

/** By whose clock an address lives where that is not the network's; null if it is. */
export const zoneOfPlace = (
  { zones = {}, channels }: { zones?: Readonly<Record<string, string>>; channels: Owned },
  place: Place,
): string | null => ownOf(zones, channels, place) ?? null;

/** What is said of an address, or of the chat that it is in. */
function ownOf<T>(people: Readonly<Record<string, T>>, channels: Owned, place: Place): T | undefined {
  const named = Object.entries(people).flatMap(([to, value]) => {
    const meant = placeOf(to, channels);
    return meant === null ? [] : [{ address: addressOf(meant), value }];
  });
  for (const address of placesOf(addressOf(place))) {
    const found = named.find((each) => each.address === address);
    if (found !== undefined) return found.value;
  }
  return undefined;
}
