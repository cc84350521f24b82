import type { ChannelSettings } from '../agent.ts';
import type { BlobRef } from '../blob.ts';
import type { DataOf } from '../event.ts';
import type { Label } from '../labels.ts';
import type { Blobs } from '../ports/store.ts';
import { addressOf, type Place, placeOf } from '../recipient.ts';

import { sentence } from '../text/sentence.ts';
import { makerOf, type Task, type TaskContent } from '../task.ts';
import { readJson } from './json-blob.ts';
import { sendingTask } from './reply.ts';

// What people are told without having asked: by a schedule, by a trigger, by an agent that uses `tell`.

const LANE = 'outbox:told:';
/** Messages that may wait for one address: an agent that tells more has to stop. */
export const MAX_TOLD = 100;
/** Characters of a reason in the line that says how a task ended. */
const MAX_WHY = 300;

/** What one address is told goes out in its order, whichever part tells it. */
export const toldLane = (place: Place): string => `${LANE}${addressOf(place)}`;
/** The address that a task of the outbox tells something; null for replies. */
export const toldAddress = ({ lane }: Pick<Task, 'lane'>): string | null =>
  lane.startsWith(LANE) ? lane.slice(LANE.length) : null;

/** Unique key of what a call of `tell` says. */
export const tellKey = (call: string): string => `tell:${call}`;

interface Telling {
  /** Of the task that sends it. */
  id: string;
  by: Pick<Task, 'agent' | 'session'> & { task: string; run: string | null };
  place: Place;
  content: BlobRef;
  labels: readonly Label[];
  /** Who tells it; see `message.queued`. */
  from: string;
}

/** The event and the task that sends it. */
export function telling({ id, by, place, content, labels, from }: Telling): {
  event: { type: 'message.queued'; data: DataOf<'message.queued'> };
  task: Task;
} {
  const data = { ...by, ...place, content, told: from };
  const { agent, session } = by;
  const task = { ...sendingTask({ id, agent, session, channel: place.channel, labels }), lane: toldLane(place) };
  return { event: { type: 'message.queued', data }, task };
}

/** Whom a schedule or trigger has told how its task ends; null for nobody, and for tasks of another kind. */
export async function recipientOf(
  store: Pick<Blobs, 'getBlob'>,
  task: Pick<Task, 'from' | 'content'>,
  channels: readonly Pick<ChannelSettings, 'name' | 'owners'>[],
): Promise<Place | null> {
  if (!/^(?:schedule|trigger):/.test(task.from) || !task.content) return null;
  const { to } = (await readJson<Pick<TaskContent, 'to'>>(store, task.content)) ?? {};
  return to === undefined ? null : placeOf(to, channels);
}

/** Who tells something, as people read it: `schedule email/digest`, or the name of an agent. */
export const tellerName = (from: string): string => from.replace(/^agent:/, '').replace(':', ' ');

/** One line for somebody who waits for the answer of a schedule or trigger, and gets none. */
export function noAnswerText(
  task: Pick<Task, 'id' | 'from'>,
  status: 'failed' | 'dead' | 'cancelled',
  why: string,
): string {
  const maker = makerOf(task) ?? 'this';
  const line = sentence(why.replace(/\s+/g, ' ').trim());
  const short = line.length > MAX_WHY ? `${line.slice(0, MAX_WHY).toWellFormed()}…` : line;
  const said =
    status === 'cancelled'
      ? `${maker.slice(0, 1).toUpperCase()}${maker.slice(1)} was cancelled.`
      : `I could not finish ${maker}${status === 'dead' ? ', and gave it up' : ''}: ${short}`;
  return `${said} More: \`ruche tasks show ${task.id}\``;
}
