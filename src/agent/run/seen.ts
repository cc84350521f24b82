import type { BlobRef } from '../../core/blob.ts';
import type { Seen } from '../../core/ports/tool.ts';
import { readJson } from '../../core/records/json-blob.ts';
import type { Turn } from './deps.ts';

// A file may be replaced only by a conversation that has looked at it as it is now. It may have looked in an earlier turn:
// then a person has had the time to change the file.

type Looks = [path: string, oid: string | null][];

/** Paths of which a conversation remembers how it saw them; those it has not looked at for longest are forgotten. */
const MAX_LOOKS = 2_000;

/** How the conversation last saw a path; null: it never looked. */
export async function seenAs(turn: Turn, path: string): Promise<Seen | null> {
  const { seen, justRead } = turn.log.state;
  const oid = seen.get(path);
  if (oid !== undefined && !justRead.has(path)) return { oid, known: true };
  const earlier = (await looksBefore(turn)).find(([each]) => each === path)?.[1];
  if (oid !== undefined) return { oid, known: earlier === oid };
  return earlier === undefined ? null : { oid: earlier, known: true };
}

async function looksBefore({ deps, log }: Turn): Promise<Looks> {
  if (log.state.looksAnew) return [];
  const { seen } = await deps.conversations.load(deps.store, log.subject);
  // Erased with the conversation: it looks at everything anew.
  return seen === null ? [] : ((await readJson<Looks>(deps.store, seen)) ?? []);
}

/** What the next turn is to know of what was looked at; nothing if this one has added nothing. */
export async function seenAtEnd(turn: Turn): Promise<{ seen?: BlobRef }> {
  const { seen, looksAnew } = turn.log.state;
  if (seen.size === 0 && !looksAnew) return {};
  const earlier = (await looksBefore(turn)).filter(([path]) => !seen.has(path));
  return { seen: turn.log.put([...earlier, ...seen].slice(-MAX_LOOKS)) };
}
