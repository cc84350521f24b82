import {
  type Account,
  accountId,
  addAmounts,
  type Amounts,
  type Cost,
  NOTHING,
  type spansAt,
  type Spender,
} from '../core/budget.ts';
import { scopesOf, summedAs, taskFor } from './accounts.ts';

type Spans = ReturnType<typeof spansAt>;

/** What was spent, by scope and window, and what the owner has said to it. */
export class Ledger {
  readonly #sums = new Map<string, Amounts>();
  readonly #raised = new Map<string, number>();
  readonly #refused = new Set<string>();
  readonly #asked = new Map<string, { task: string; approval: string }>();

  add(by: Spender, spans: Spans, amounts: Partial<Amounts>): void {
    for (const scope of scopesOf(by)) {
      const task = taskFor(scope, by);
      for (const span of [spans.hour, spans.day, spans.month, ...(task === null ? [] : [`task:${task}`])]) {
        const key = `${scope} ${span}`;
        this.#sums.set(key, addAmounts(this.#sums.get(key) ?? NOTHING, amounts));
      }
    }
  }

  spent({ scope, span, meter }: Pick<Account, 'scope' | 'span' | 'meter'>): number {
    return this.#sums.get(`${summedAs(scope)} ${span}`)?.[meter] ?? 0;
  }

  limitOf(account: Account): number {
    return account.limit + (this.#raised.get(accountId(account)) ?? 0);
  }

  answered(id: string, raised: number | null): void {
    this.#asked.delete(id);
    if (raised === null) return;
    if (raised > 0) this.#raised.set(id, (this.#raised.get(id) ?? 0) + raised);
    else this.#refused.add(id);
  }

  refused = (account: Account): boolean => this.#refused.has(accountId(account));
  asked = (account: Account): { task: string; approval: string } | null => this.#asked.get(accountId(account)) ?? null;
  ask = (id: string, by: { task: string; approval: string }): void => void this.#asked.set(id, by);

  /** Forgets the windows that are over, and tasks that have ended. */
  prune(now: Spans, ended: ReadonlySet<string>): void {
    const open = new Set<string>(Object.values(now));
    for (const key of this.#sums.keys()) {
      const span = key.slice(key.lastIndexOf(' ') + 1);
      if (span.startsWith('task:') ? ended.has(span.slice('task:'.length)) : !open.has(span)) this.#sums.delete(key);
    }
  }
}

export const amountsOf = ({ usd, tokens }: Cost): Partial<Amounts> => ({ usd, tokens, calls: 1 });
