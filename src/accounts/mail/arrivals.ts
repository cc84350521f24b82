import type { EventOf, NewEvent } from '../../core/event.ts';
import type { MailReader } from '../../core/mail.ts';
import { mailId } from '../../core/mail-id.ts';
import { AccountError } from '../../core/ports/account.ts';
import { type Clock, OVER } from '../../core/ports/clock.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Mailbox, MailFeed, MailHead } from '../../core/ports/mailbox.ts';
import type { Store } from '../../core/ports/store.ts';
import { putJson } from '../../core/records/json-blob.ts';
import { errorText } from '../../core/text/sentence.ts';

export interface ArrivalDeps {
  store: Pick<Store, 'commit' | 'read' | 'putBlob' | 'byKey'>;
  clock: Clock;
  log: Log;
  /** In [0, 1). */
  random(): number;
  /** What the same mail has again on another server, and no other one has. */
  fingerprint(header: Uint8Array): string;
  redact(text: string): string;
  reader(): Promise<MailReader>;
}

export interface Followed {
  account: string;
  folder: string;
  mailbox: Mailbox;
}

/** Mails of one commit. */
const PAGE = 50;
/** Milliseconds without a word of the server after which the folder is looked at all the same: an IDLE may have died unseen. */
const QUIET_MS = 4 * 60_000;
/** Milliseconds to the next try: doubled with each failure, up to the most. One that was refused waits long at once. */
const FIRST_MS = 2_000;
const MOST_MS = 10 * 60_000;
const REFUSED_MS = 5 * 60_000;

export const folderStream = (account: string, folder: string): string => `account:${account}/${folder}`;

/**
 * Takes in what comes to a folder, until the signal aborts: each mail once, whatever breaks in between. The position and the
 * mails up to it are one commit, and a mail has a key that outlives its number.
 */
export async function followFolder(
  deps: ArrivalDeps,
  followed: Followed,
  report: (problem: string | null) => void,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    let wait = 0;
    try {
      await attend(deps, followed, signal, () => {
        failures = 0;
        report(null);
      });
    } catch (error) {
      const { account, folder } = followed;
      report(errorText(error));
      deps.log.warn({ account, folder, error: errorText(error) }, 'a folder cannot be followed');
      wait = pause(error, failures, deps.random());
      failures += 1;
    }
    await deps.clock.sleep(wait, signal).catch(() => undefined);
  }
}

function pause(error: unknown, failures: number, random: number): number {
  const refused = error instanceof AccountError && ['login', 'throttled', 'rights', 'secret'].includes(error.code);
  const base = refused ? REFUSED_MS : Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(failures, 20));
  // So that the folders of a server that comes back do not all knock at once.
  return base * (0.75 + random / 2);
}

/** Over one connection: rejects when it breaks. */
async function attend(deps: ArrivalDeps, followed: Followed, signal: AbortSignal, well: () => void): Promise<void> {
  const feed = await followed.mailbox.follow(followed.folder);
  try {
    while (!signal.aborted) {
      await takeIn(deps, followed, feed, signal);
      well();
      const quiet = new AbortController();
      const over = AbortSignal.any([signal, quiet.signal]);
      const stop = new AbortController();
      const timer = deps.clock.sleep(QUIET_MS, AbortSignal.any([signal, stop.signal])).then(
        () => quiet.abort(OVER),
        () => undefined,
      );
      await feed.changed(over);
      stop.abort(OVER);
      await timer;
      if (quiet.signal.aborted) await feed.check();
    }
  } finally {
    await feed.close();
  }
}

type Seen = EventOf<'mail.seen'>['data'];

async function lastSeen({ store }: ArrivalDeps, stream: string): Promise<Seen | null> {
  for await (const event of store.read({ stream, types: ['mail.seen'], reverse: true, limit: 1 }))
    if (event.type === 'mail.seen') return event.data;
  return null;
}

/** Takes in all that has come since the last time. */
export async function takeIn(
  deps: ArrivalDeps,
  followed: Followed,
  feed: MailFeed,
  signal?: AbortSignal,
): Promise<void> {
  const { account, folder } = followed;
  const before = await lastSeen(deps, folderStream(account, folder));
  let look = await feed.look(before?.uid ?? 0);
  if (before === null) return begin(deps, followed, feed, look);
  let seen = before;
  if (look.validity !== before.validity) {
    look = await feed.look(0);
    // The same mails under other numbers, and what came meanwhile: told apart mail by mail.
    seen = { ...before, validity: look.validity, uid: 0, anew: look.uids.at(-1) ?? 0 };
    if (look.uids.length === 0) await keep(deps, [seenEvent(seen)]);
  }
  for (let at = 0; at < look.uids.length && !signal?.aborted; at += PAGE) {
    const uids = look.uids.slice(at, at + PAGE);
    seen = { ...seen, uid: uids.at(-1) ?? seen.uid };
    const heads = await feed.heads(uids);
    // Another folder of the account may take in the very same mail at the same time; then it is looked at again.
    while (!(await keep(deps, [...(await arrivals(deps, followed, heads, seen)), seenEvent(seen)])));
  }
}

/** What is there when a folder is first looked at is nothing new. */
async function begin(
  deps: ArrivalDeps,
  { account, folder }: Followed,
  feed: MailFeed,
  { validity, uids }: { validity: string; uids: readonly number[] },
): Promise<void> {
  const heads = await feed.heads(uids.slice(-PAGE));
  const from = heads.reduce((latest, { received }) => Math.max(latest, received), 0);
  const edge = heads.filter(({ received }) => received === from).map(({ header }) => deps.fingerprint(header));
  await keep(deps, [seenEvent({ account, folder, validity, uid: uids.at(-1) ?? 0, from, edge })]);
}

const seenEvent = (data: Seen): NewEvent => ({
  type: 'mail.seen',
  stream: folderStream(data.account, data.folder),
  actor: 'runtime',
  cause: null,
  labels: [],
  data,
});

/** False if one of the mails is on record by now. */
async function keep({ store }: ArrivalDeps, events: readonly NewEvent[]): Promise<boolean> {
  const result = await store.commit({ events, sync: true });
  if (!result.ok && result.why !== 'duplicate') throw new Error(`the mails could not be recorded: ${result.why}`);
  return result.ok;
}

async function arrivals(
  deps: ArrivalDeps,
  followed: Followed,
  heads: readonly MailHead[],
  { anew, from, edge }: Seen,
): Promise<NewEvent[]> {
  const events = new Map<string, NewEvent>();
  for (const head of heads) {
    // Without a header nothing tells it from another one but its number.
    const print = head.header.length === 0 ? mailId(followed.account, head.place) : deps.fingerprint(head.header);
    const old = head.received < from || (head.received === from && edge.includes(print));
    if (anew !== undefined && head.place.uid <= anew && old) continue;
    const key = `mail:${followed.account}:${print}`;
    if (events.has(key) || (await deps.store.byKey(key)) !== null) continue;
    events.set(key, await received(deps, followed, head, key));
  }
  return [...events.values()];
}

async function received(
  { reader, store, redact }: ArrivalDeps,
  { account, folder, mailbox }: Followed,
  head: MailHead,
  key: string,
): Promise<NewEvent> {
  const id = mailId(account, head.place);
  const { authserv } = mailbox;
  const mail = await (await reader()).read(head.header, { id, account, folder, flags: head.flags, authserv });
  const facts = {
    from: mail.from[0]?.address ?? '',
    to: [...mail.to, ...mail.cc].map(({ address }) => address),
    subject: mail.subject,
    date: mail.date ?? new Date(head.received).toISOString(),
    attachments: head.attachments.map(({ name }) => name),
    list: mail.listId ?? '',
    automatic: mail.automatic ?? '',
    authentic: mail.auth.aligned,
  };
  const stream = folderStream(account, folder);
  return {
    type: 'mail.received',
    stream,
    actor: 'runtime',
    cause: null,
    labels: ['private', 'untrusted'],
    key,
    data: { account, folder, mail: id, content: putJson(store, facts, stream, redact) },
  };
}
