import type { EventOf } from '../core/event.ts';
import { runStream } from '../core/ids.ts';
import type { Log } from '../core/ports/log.ts';
import type { Store } from '../core/ports/store.ts';
import { readJson } from '../core/records/json-blob.ts';
import { answeredKey, askedKey } from '../core/records/matter.ts';
import type { ReplyContent } from '../core/records/reply.ts';
import type { Claim } from '../core/task.ts';
import { readContent } from './outbox.ts';
import type { Channels } from './channels.ts';
import type { Hub } from './hub.ts';

// Buttons that ask for a verdict are of use until there is one: given on the page, in the terminal, or by another person
// who got the same message.

/** Messages that are looked at for those with buttons of one approval: its own, and those of its escalations. */
const MAX_LOOKED = 1_000;
/** Approvals answered while nothing listened that are looked at after a start, the newest first. */
const MAX_MISSED = 50;
const GONE = 'Nothing waits for this any more';

interface ButtonsDeps {
  store: Store;
  hub: Pick<Hub, 'onAnswered' | 'onRunEnded'>;
  channels: Pick<Channels, 'get'>;
  log: Log;
}

/** What came of an approval, in a word for the message that asked for it; null while it waits. */
async function verdictOn(store: Store, approval: string): Promise<string | null> {
  const answered = await store.byKey(answeredKey(approval));
  if (answered?.type === 'approval.answered') return answered.data.verdict === 'approve' ? 'Approved' : 'Denied';
  const asked = await store.byKey(askedKey(approval));
  if (asked?.type !== 'approval.asked') return null;
  const ended = store.read({ stream: asked.stream, types: ['run.finished'], limit: 1 });
  for await (const _ of ended) return GONE;
  return null;
}

/** The approval that the buttons of a message are about; null if they are about none. */
const approvalOf = ({ buttons = [] }: Pick<ReplyContent, 'buttons'>): string | null =>
  buttons.map(({ action }) => /^(?:approve|deny):(.+)$/.exec(action)?.[1]).find((id) => id !== undefined) ?? null;

/** Takes buttons away that have had their use elsewhere, also around the last stop or crash. Returns how to stop that. */
export function retireButtons({ store, hub, channels, log }: ButtonsDeps): () => void {
  const retire = async (approval: string): Promise<void> => {
    const stands = await verdictOn(store, approval);
    const asked = await store.byKey(askedKey(approval));
    if (stands === null || asked === null) return;
    const queued = store.read({ types: ['message.queued'], after: asked.seq, limit: MAX_LOOKED });
    for await (const event of queued)
      if (event.type === 'message.queued') await retireMessage({ store, channels }, event, approval, stands);
  };
  const safely = (approval: string): void =>
    void retire(approval).catch((error: unknown) => log.debug({ error: String(error) }, 'buttons were left'));
  const ended = async (run: string): Promise<void> => {
    for await (const event of store.read({ stream: runStream(run), types: ['approval.asked'] }))
      if (event.type === 'approval.asked' && (await store.byKey(answeredKey(event.data.approval))) === null)
        safely(event.data.approval);
  };
  const stops = [
    hub.onAnswered(safely),
    hub.onRunEnded(
      (run) => void ended(run).catch((error: unknown) => log.debug({ error: String(error) }, 'buttons were left')),
    ),
  ];
  // One after the other: a platform takes only so many edits at once.
  const missed = async (): Promise<void> => {
    for (const approval of await answeredLately(store)) await retire(approval);
  };
  void missed().catch((error: unknown) => log.debug({ error: String(error) }, 'buttons were left'));
  return () => stops.forEach((stop) => stop());
}

/** Approvals answered since the start before this one: of their messages the process may have died before the buttons went. */
async function answeredLately(store: Store): Promise<string[]> {
  let after = 0;
  // Two back, because the start that is under way may or may not be on record yet.
  for await (const { seq } of store.read({ stream: 'gateway', types: ['gateway.started'], reverse: true, limit: 2 }))
    after = seq;
  const approvals: string[] = [];
  for await (const event of store.read({ types: ['approval.answered'], after, reverse: true, limit: MAX_MISSED }))
    if (event.type === 'approval.answered') approvals.push(event.data.approval);
  return approvals;
}

/**
 * Of a message that has just been sent: a verdict may have come while it waited to be. Never rejects: the send is done, and
 * must not look as if it had failed.
 */
export async function retireLate(
  deps: Pick<ButtonsDeps, 'store' | 'channels' | 'log'>,
  { task: { cause } }: Claim,
): Promise<void> {
  try {
    const queued = cause === null ? null : await deps.store.event(cause);
    if (queued?.type !== 'message.queued') return;
    const given = await readJson<ReplyContent>(deps.store, queued.data.content);
    const approval = given && approvalOf(given);
    const stands = approval && (await verdictOn(deps.store, approval));
    if (approval && stands) await retireMessage(deps, queued, approval, stands);
  } catch (error) {
    deps.log.debug({ error: String(error) }, 'buttons were left');
  }
}

/** Of one message, if it has been sent and its buttons are about this approval. */
async function retireMessage(
  { store, channels }: Pick<ButtonsDeps, 'store' | 'channels'>,
  queued: EventOf<'message.queued'>,
  approval: string,
  stands: string,
): Promise<void> {
  const { channel: name, to } = queued.data;
  const channel = channels.get(name);
  const given = await readJson<ReplyContent>(store, queued.data.content);
  if (!channel?.retire || given === null || approvalOf(given) !== approval) return;
  const sent = await store.byKey(`sent:${queued.id}`);
  const content = await readContent(store, queued);
  const part = content && channel.split(content).findLast((each) => each.kind === 'text' && each.buttons.length > 0);
  if (sent?.type === 'message.sent' && sent.data.receipt !== null && part)
    await channel.retire(to, part, sent.data.receipt, stands);
}
