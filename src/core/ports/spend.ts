import type { Account, Cost, Spender } from '../budget.ts';
import type { Task } from '../task.ts';

/** A limit that is reached: the call would not fit in what is left of it. */
export interface Reached {
  account: Account;
  /** What it is now: raised, where the owner has done that. */
  limit: number;
  spent: number;
  /** The least that the call could cost; 0 where nothing is left for what is counted afterwards. */
  needed: number;
}

/** What a call may cost, set aside until its end is known. */
export interface Hold {
  readonly cost: Cost;
  /** Which of the costs that were asked for. */
  readonly index: number;
}

/** What budgets allow. Without any it costs nothing to ask. */
export interface Spend {
  /** Whether a budget counts what this agent does. */
  limited(agent: string): boolean;
  /** For whom the run of a task spends. */
  spender(task: Task): Promise<Spender>;
  /** Whose a run is, with the person who asked for it; null for one that is not on record. */
  ofRun(run: string): Promise<Spender | null>;
  /** The limits that hold for it now. */
  accounts(by: Spender): readonly Account[];
  /**
   * Sets aside the first of these costs, dearest first, that fits in every budget. Where other calls under way may leave enough
   * room, it waits for their end. Rejects with the signal's reason.
   */
  reserve(
    call: { run: string; step: number; by: Spender; costs: readonly Cost[] },
    stop: AbortSignal,
  ): Promise<Hold | Reached>;
  /** What it did cost. */
  settle(hold: Hold, cost: Cost): void;
  /** The first limit of what is counted afterwards that is reached: tool seconds, bytes out. */
  room(by: Spender): Promise<Reached | null>;
  /** Who has asked the owner to raise this limit in this window. */
  asking(account: Account): { task: string; approval: string } | null;
  asks(account: Account, by: { task: string; approval: string }): void;
  /** The answer, as it will be on record: the limit of this window is higher by so much; null: nobody need answer any more. */
  answered(id: string, raised: number | null): void;
  /** Whether the owner has refused to raise it. */
  refused(account: Account): boolean;
  /** Asks the owner something about money, once. */
  ask(about: string, text: string): Promise<void>;
  /** Puts before the owner that it was reached, once in each window. */
  tell(reached: Reached, then: string): Promise<void>;
  /** What is spent and what may be, by these spenders' limits. */
  sums(by: readonly Spender[]): Promise<{ account: Account; spent: number }[]>;
  /** When the window of a limit is over; null for a task's. */
  until(account: Account): number | null;
}

export const isReached = (given: Hold | Reached): given is Reached => 'account' in given;
