import type { BlobRef } from '../blob.ts';
import type { EventOf, MatterKind } from '../event.ts';
import { makerOf, type Task } from '../task.ts';

/** One matter of a kind about one task: a runaway that goes on does not ask a hundred times. */
export const matterId = (kind: MatterKind, about: string): string => `mat_${kind}_${about}`;

/** The words of `matter.settled` that nobody has said. */
export const settledBy = (
  { stream, id, data: { matter, text } }: EventOf<'matter.raised'>,
  answer: (subject: string) => BlobRef,
) =>
  ({
    type: 'matter.settled',
    stream,
    actor: 'runtime',
    cause: id,
    labels: [],
    key: answeredKey(matter),
    data: { matter, by: 'runtime', answer: answer(text.subject) },
  }) as const;

const matterStream = (matter: string): string => `matter:${matter}`;
/** Unique key of what asks. */
export const askedKey = (id: string): string => `asked:${id}`;
/** Unique key of its answer: there is one. */
export const answeredKey = (id: string): string => `answered:${id}`;

/** Characters of an approval that a chat shows. One that is longer is approved where all of it can be read. */
export const CHAT_MAX = 12_000;

/** What a matter of money is about, as part of its id. */
export const budgetAbout = (what: string): string => what.replaceAll(/[^A-Za-z0-9.]+/g, '-');
/** The same of a model without a price, `PROVIDER/MODEL`. */
export const unpricedModel = (model: string): string => `unpriced-${model}`;

/** Why a person is asked for a landing. */
export const LANDING_REASON = 'It changes protected files: what governs the network, or what programs outside it obey.';

/** What an approval of more money is about, in the place of a call. */
export const LIMIT_CALL = 'budget';
/** Why a person is asked for more money. */
export const LIMIT_REASON =
  'The next call does not fit the budget. If you approve, the limit of this window is raised and the work goes on; if you deny, it ends here. It goes on by itself once the settings leave more room, or the window is over.';

/** The blob of `matter.raised`. */
interface MatterText {
  text: string;
  reason: string;
}

/**
 * Puts something before the owner: once for each kind and each thing it is about. Nothing waits for the answer; chains of
 * escalation begin here.
 */
export function matterRaised(
  { kind, about, shown }: { kind: MatterKind; about: string; shown: MatterText },
  put: (shown: MatterText) => BlobRef,
) {
  const matter = matterId(kind, about);
  const data = { matter, kind, about, text: put(shown) };
  return { type: 'matter.raised', stream: matterStream(matter), key: askedKey(matter), data } as const;
}

/** What the owner reads of a reply that reached nobody. */
export const undeliveredText = (task: string, agent: string, channel: string, why: string): MatterText => ({
  text: `A reply of ${agent} could not be delivered over ${channel}: ${why}`,
  reason: `Nobody has received it. Answer with CHANNEL:ADDRESS, such as ${channel}:ADDRESS, to send it there. Read it with \`ruche tasks show ${task}\`; any other answer settles this.`,
});

/** What the owner reads of a placeholder that was on its way to where its secret does not belong. */
export const misdirectedText = (agent: string, run: string, names: readonly string[], host: string): MatterText => ({
  text: `${agent} tried to send the placeholder of ${names.length === 0 ? 'a secret' : names.join(' and ')} to ${host}, where it does not belong. The request was refused.`,
  reason: `No credential has left: a placeholder is worth nothing. But something may be steering the agent; see \`ruche log --run ${run}\`. Any answer settles this.`,
});

/** What the owner reads of a dead letter. */
export const deadText = (task: Pick<Task, 'id' | 'agent' | 'from'>, why: string): MatterText => {
  const maker = makerOf(task);
  const what = maker === null ? task.id : `${task.id} of ${maker}`;
  return {
    text: `${task.agent} could not finish ${what}, and it is given up: ${why}`,
    reason: `A task is dead. \`ruche tasks retry ${task.id}\` has it done once more; any answer settles this.`,
  };
};

/** Whether a failure is a provider's that is down or has no room, and not the fault of the work. */
export const isOutage = (code: string): boolean =>
  ['model.network', 'model.timeout', 'model.overloaded', 'model.rate', 'model.unavailable'].includes(code);
