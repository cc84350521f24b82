import type { Governance } from '../core/agent.ts';
import { accountId, accountText, amountText } from '../core/budget.ts';
import type { EventOf } from '../core/event.ts';
import { runKey, runStream } from '../core/ids.ts';
import type { ModelChoice } from '../core/model.ts';
import type { Spend } from '../core/ports/spend.ts';
import type { Store } from '../core/ports/store.ts';
import { putJson } from '../core/records/json-blob.ts';
import { answeredKey, budgetAbout, settledBy, unpricedModel } from '../core/records/matter.ts';

export interface RoomDeps {
  store: Store;
  spend: Pick<Spend, 'ofRun' | 'sums'>;
  governance(): Pick<Governance, 'commit'>;
  /** What the owner was told and has not answered. */
  matters(): Promise<readonly EventOf<'matter.raised'>[]>;
  /** Every model that an agent may come to ask. */
  models(): readonly ModelChoice[];
  /** Lets the run that has asked this look at its limit again, unless somebody has answered. */
  goOn(approval: string, why: string): Promise<void>;
}

/** Less is how sums differ that were added in another order. */
const MORE = 1e-9;

/**
 * Answers what the owner need not answer any more: the limit is gone or higher, its window is over, or what was spent is less than
 * was thought. All of it is read from what stands now, so nothing is missed, whenever a process ends. To be called every few seconds.
 */
export async function lookForRoom(deps: RoomDeps): Promise<void> {
  for (const { id } of await deps.store.tasks({ statuses: ['waiting'] })) await lookAt(deps, id);
  await closePriced(deps);
}

async function lookAt(deps: RoomDeps, task: string): Promise<void> {
  const { store, spend } = deps;
  const started = await store.byKey(runKey(task));
  if (started?.type !== 'run.started') return;
  const { run } = started.data;
  const types = ['budget.met', 'budget.answered'] as const;
  for await (const event of store.read({ stream: runStream(run), types, reverse: true, limit: 1 })) {
    if (event.type !== 'budget.met' || event.data.approval === null) return;
    const { approval } = event.data;
    const by = (await store.byKey(answeredKey(approval))) === null ? await spend.ofRun(run) : null;
    if (by === null) return;
    const why = whyRoom(event.data, await spend.sums([by]), deps.governance().commit);
    if (why !== null) await deps.goOn(approval, why);
  }
}

/** Why it is worth looking at a limit again that a run has come to; null if it is not. */
function whyRoom(
  met: EventOf<'budget.met'>['data'],
  sums: Awaited<ReturnType<Spend['sums']>>,
  commit: string,
): string | null {
  const found = sums.find(({ account }) => accountId(account) === met.account);
  if (found === undefined) {
    const anyWindow = met.account.slice(0, met.account.lastIndexOf(':') + 1);
    const next = sums.some(({ account }) => accountId(account).startsWith(anyWindow));
    return next ? 'The window of this limit is over.' : `The settings at ${commit} do not have this limit.`;
  }
  const { account, spent } = found;
  if (account.onExceed !== 'ask') return `The settings at ${commit} do not ask at this limit.`;
  if (account.limit - spent <= met.limit - met.spent + MORE) return null;
  const { meter } = account;
  return `More is left than when this was asked. With the settings at ${commit}: ${accountText(account)}; ${amountText(meter, spent)} spent.`;
}

/** Closes what the owner was told of models without a price, once they have one. */
async function closePriced({ store, matters, models }: RoomDeps): Promise<void> {
  const told = (await matters()).filter(
    ({ data }) => data.kind === 'budget' && data.about.startsWith(unpricedModel('')),
  );
  if (told.length === 0) return;
  const priced = models().filter(({ unpriced }) => unpriced !== true);
  const abouts = new Set(priced.map(({ provider, model }) => budgetAbout(unpricedModel(`${provider}/${model}`))));
  for (const event of told) {
    if (!abouts.has(event.data.about)) continue;
    const settled = settledBy(event, (subject) => putJson(store, { text: 'The model has a price now.' }, subject));
    // A person may have been first.
    await store.commit({ events: [settled], sync: true });
  }
}
