import { agentActor, conversationId } from '../../core/ids.ts';
import { MAX_TOLD, tellKey, telling, toldLane } from '../../core/records/told.ts';
import { type Place, addressOf, nowhere, placeOf } from '../../core/recipient.ts';
import { putJson } from '../../core/records/json-blob.ts';
import { visible } from '../../core/text/untrusted.ts';
import { unknownText } from '../../core/text/unknown.ts';
import type { Turn } from '../run/deps.ts';
import type { CallState } from '../run/call.ts';
import { giveResult, refuse } from './results.ts';

/** Where a call's words would go, or why they would reach nobody. */
export function readPlace({ deps }: Turn, to: string): { place: Place } | { wrong: string } {
  const { channels } = deps.governance().settings;
  const place = placeOf(to, channels);
  if (place === null) return { wrong: nowhere(to) };
  // Nobody reads where a program takes the messages, such as a webhook.
  if (!deps.pushes(place.channel))
    return { wrong: unknownText('channel', place.channel, { known: channels.map(({ name }) => name) }) };
  // Another spelling of an address would be another one to rules, quiet hours and limits.
  const wrong = deps.wrongAddress(place);
  return wrong === null ? { place } : { wrong: `"${visible(place.to)}" ${wrong}.` };
}

/** Queues the words with the call's receipt, in one commit: however often the process dies, they are told once. */
export async function tellPerson(
  turn: Turn,
  call: CallState,
  { to, text }: { to: string; text: string },
): Promise<void> {
  const { deps, log } = turn;
  const read = readPlace(turn, to);
  if ('wrong' in read) return refuse(log, call, read.wrong);
  const { place } = read;
  const waiting = await deps.store.tasks({ lane: toldLane(place), statuses: ['queued'], limit: MAX_TOLD });
  if (waiting.length >= MAX_TOLD)
    return refuse(log, call, `${MAX_TOLD} messages already wait for ${addressOf(place)}. Nothing was sent.`);
  const { agent, session, task, run, labels } = log.state;
  const content = putJson(deps.store, { text }, conversationId(agent, session), deps.redact);
  const by = { agent, session, task, run };
  const told = telling({ id: deps.ids.next('tsk'), by, place, content, labels, from: agentActor(agent) });
  const causeOf = log.nextIndex;
  log.emit(told.event, null, { stream: log.subject, key: tellKey(call.key) });
  log.queue({ op: 'enqueue', task: told.task, causeOf });
  giveResult(log, call, true, `Queued for ${addressOf(place)}.`);
}
