import type { EventOf } from '../event.ts';
import { answeredKey } from './matter.ts';
import type { Reads } from '../ports/store.ts';

/** Who has approved it, where it needs several: the first of each person. */
export async function votesFor(
  store: Pick<Reads, 'read'>,
  asked: EventOf<'approval.asked'>,
): Promise<{ by: string; person: string }[]> {
  const votes: { by: string; person: string }[] = [];
  for await (const event of store.read({ stream: asked.stream, types: ['approval.seconded'], after: asked.seq }))
    if (event.type === 'approval.seconded' && event.data.approval === asked.data.approval)
      votes.push({ by: event.data.by, person: event.data.person });
  return votes;
}

/** Approvals that are looked at for those of calls of the same kind. */
const MAX_LOOKED = 300;

/** How often people have approved calls of this kind one by one before. */
export async function likeApproved(
  store: Pick<Reads, 'read' | 'byKey'>,
  asked: EventOf<'approval.asked'>,
): Promise<number> {
  const { kind } = asked.data;
  if (kind === undefined) return 0;
  let approved = 0;
  const earlier = store.read({ types: ['approval.asked'], before: asked.seq, reverse: true, limit: MAX_LOOKED });
  for await (const event of earlier) {
    if (event.type !== 'approval.asked' || event.data.kind?.hash !== kind.hash) continue;
    const answered = await store.byKey(answeredKey(event.data.approval));
    if (answered?.type === 'approval.answered' && answered.data.verdict === 'approve') approved += 1;
  }
  return approved;
}
