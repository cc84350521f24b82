import type { Governance } from '../core/agent.ts';
import {
  type Account,
  accountId,
  accountText,
  amountText,
  type Cost,
  NOTICE_AT,
  spansAt,
  type Spender,
} from '../core/budget.ts';
import type { Event } from '../core/event.ts';
import { runOfStream, runStream, taskStream } from '../core/ids.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Hold, Reached, Spend } from '../core/ports/spend.ts';
import type { Store } from '../core/ports/store.ts';
import { addressOf, OWNER, placeOf } from '../core/recipient.ts';
import { putJson } from '../core/records/json-blob.ts';
import { answeredKey, budgetAbout, matterRaised, settledBy } from '../core/records/matter.ts';
import type { Task } from '../core/task.ts';
import { type Wall, wallOf, windowAt } from '../core/time/wall.ts';
import { accountsOf, type Needs, needsOf } from './accounts.ts';
import { amountsOf, Ledger } from './ledger.ts';
import { readLedger } from './past.ts';

export interface SpendDeps {
  store: Store;
  clock: Pick<Clock, 'now'>;
  governance(): Governance;
  /** IANA name of the zone by whose clock the network lives. */
  zone(): string;
  log: Log;
  onCommitted(listener: (events: readonly Event[]) => void): unknown;
}

interface Live extends Hold {
  run: string;
  step: number;
  by: Spender;
  at: number;
}

/** Runs whose spender is remembered; the oldest go. */
const MAX_RUNS = 5_000;

/**
 * Budgets, reserved and settled. All sums are a projection of the record, read when the first budget counts something; from then
 * on this process knows them, because nobody else spends.
 */
export class Spending implements Spend {
  readonly #deps: SpendDeps;
  #ledger = new Ledger();
  readonly #live = new Set<Live>();
  readonly #runs = new Map<string, Promise<Spender | null>>();
  #governed: Governance | null = null;
  #needs: Needs | null = null;
  /** What the ledger holds: its zone, and since when. */
  #read: Read | null = null;
  #reading: Promise<void> | null = null;
  /** What is spent while the past is read. */
  #meanwhile: (() => void)[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #told = new Set<string>();
  readonly #ended = new Set<string>();
  #day = '';
  readonly #wall: () => Wall;

  constructor(deps: SpendDeps) {
    this.#deps = deps;
    this.#wall = wallOf(deps.zone);
    deps.onCommitted((events) => {
      if (this.#needs !== null) for (const event of events) this.#take(event);
    });
  }

  limited(agent: string): boolean {
    const { settings, agents } = this.#deps.governance();
    return (
      settings.budget !== undefined ||
      agents.get(agent)?.budget !== undefined ||
      settings.queues[agent]?.budget !== undefined
    );
  }

  spender(task: Task): Promise<Spender> {
    return this.#spenderFor(task, this.#deps.governance().settings.budget?.people !== undefined);
  }

  /** Whose a run is, with the person whether budgets count people or not; null for one that is not on record. */
  ofRun = (run: string): Promise<Spender | null> => this.#spenderOf(run, true);

  async #spenderFor(task: Task, named: boolean): Promise<Spender> {
    const { agent, session, origin } = task;
    const root = origin?.root ?? task.id;
    const person = !named ? null : await this.#personOf(root === task.id ? task : root);
    return { agent, task: task.id, root, conversation: `${agent}/${session}`, person };
  }

  accounts(by: Spender): readonly Account[] {
    return accountsOf(this.#deps.governance(), by, this.#spans(this.#deps.clock.now()));
  }

  async reserve({ run, step, by, costs }: Parameters<Spend['reserve']>[0], stop: AbortSignal): Promise<Hold | Reached> {
    for (;;) {
      await this.#ready();
      stop.throwIfAborted();
      void this.#remember(run, Promise.resolve(by));
      // Nothing is awaited from here until the cost is set aside: nobody else can come in between.
      const accounts = this.accounts(by);
      const aside = this.#aside();
      const found = costs.map((cost) => this.#fit(accounts, aside, cost));
      const index = found.findIndex((each) => each === 'fits');
      const cost = costs[index];
      if (cost !== undefined) {
        const hold: Live = { cost, index, run, step, by, at: this.#deps.clock.now() };
        this.#live.add(hold);
        return hold;
      }
      const last = found.at(-1);
      if (last === undefined || last === 'fits') throw new Error('a call without a cost cannot be set aside');
      if (last !== 'later') return last;
      await this.#change(stop);
    }
  }

  settle(hold: Hold, cost: Cost): void {
    const live = hold as Live;
    if (!this.#live.delete(live)) return;
    this.#spend(live.by, live.at, amountsOf(cost));
    this.#wake();
  }

  async room(by: Spender): Promise<Reached | null> {
    await this.#ready();
    const full = this.accounts(by).find((account) => isAfterwards(account) && this.#left(account) <= 0);
    return full === undefined ? null : this.#reached(full, 0);
  }

  asking = (account: Account): { task: string; approval: string } | null => this.#ledger.asked(account);
  asks = (account: Account, by: { task: string; approval: string }): void => this.#ledger.ask(accountId(account), by);
  refused = (account: Account): boolean => this.#ledger.refused(account);

  answered(id: string, raised: number | null): void {
    const answer = (): void => this.#ledger.answered(id, raised);
    answer();
    if (this.#reading !== null) this.#meanwhile.push(answer);
    this.#wake();
  }

  ask = (about: string, text: string): Promise<void> => this.#raise(about, text);

  tell({ account, spent, needed }: Reached, then: string): Promise<void> {
    const budget = `budget of ${accountText(this.#raised(account))}`;
    const used = `${amountText(account.meter, spent)} spent`;
    const fits = needed > 0 && account.meter !== 'calls';
    const text = fits
      ? `The next call does not fit the ${budget}: ${used}, and it could cost up to ${amountText(account.meter, needed)}. ${then}`
      : `The ${budget} is used up: ${used}. ${then}`;
    return this.#raise(accountId(account), text);
  }

  until({ window }: Account): number | null {
    if (window === 'task') return null;
    return windowAt(window, this.#deps.clock.now(), this.#wall()).to;
  }

  /** What is spent and what may be, for pages and commands; sums are as of now. */
  async sums(by: readonly Spender[]): Promise<{ account: Account; spent: number }[]> {
    await this.#ready();
    const all = by.flatMap((each) => this.accounts(each));
    const unique = new Map(all.map((account) => [accountId(account), this.#raised(account)]));
    return [...unique.values()].map((account) => ({ account, spent: this.#ledger.spent(account) }));
  }

  /** Whether a cost fits, may fit later, or what keeps it out. */
  #fit(accounts: readonly Account[], aside: ReadonlyMap<string, number>, cost: Cost): 'fits' | 'later' | Reached {
    const amounts = amountsOf(cost);
    let later = false;
    for (const account of accounts) {
      const needed = amounts[account.meter] ?? 0;
      const left = this.#left(account);
      if (needed > left || (isAfterwards(account) && left <= 0)) return this.#reached(account, needed);
      later ||= needed > left - (aside.get(accountId(account)) ?? 0);
    }
    return later ? 'later' : 'fits';
  }

  #reached(account: Account, needed: number): Reached {
    return { account, limit: this.#ledger.limitOf(account), spent: this.#ledger.spent(account), needed };
  }

  #left = (account: Account): number => this.#ledger.limitOf(account) - this.#ledger.spent(account);

  #raised = (account: Account): Account => ({ ...account, limit: this.#ledger.limitOf(account) });

  /** By limit, what the calls under way may cost. */
  #aside(): Map<string, number> {
    const sums = new Map<string, number>();
    for (const { by, at, cost } of this.#live)
      for (const account of accountsOf(this.#deps.governance(), by, this.#spans(at))) {
        const id = accountId(account);
        sums.set(id, (sums.get(id) ?? 0) + (amountsOf(cost)[account.meter] ?? 0));
      }
    return sums;
  }

  #spend(by: Spender, at: number, amounts: Parameters<Ledger['add']>[2]): void {
    const add = (): void => this.#ledger.add(by, this.#spans(at), amounts);
    add();
    if (this.#reading !== null) this.#meanwhile.push(add);
    for (const account of this.accounts(by)) {
      const limit = this.#ledger.limitOf(account);
      const spent = this.#ledger.spent(account);
      if (limit <= 0 || spent < limit * NOTICE_AT || (amounts[account.meter] ?? 0) === 0) continue;
      const share = Math.floor((spent / limit) * 100);
      const text = `${share} % of the budget of ${accountText(this.#raised(account))} is spent: ${amountText(account.meter, spent)}.`;
      void this.#raise(`${accountId(account)}-80`, text);
    }
  }

  /** One matter for each limit and window, however many runs meet it and however often the process starts. */
  async #raise(what: string, text: string): Promise<void> {
    const about = budgetAbout(what);
    if (this.#told.has(about)) return;
    this.#told.add(about);
    const { store, log } = this.#deps;
    const reason =
      'No run waits for this; any answer closes it. See `ruche costs`. Budgets are set in ruche.yaml and AGENT.md.';
    const shown = { text, reason };
    const raised = matterRaised({ kind: 'budget', about, shown }, (words) => putJson(store, words, 'budgets'));
    try {
      // One that is there already was told by the process before.
      await store.commit({ events: [{ ...raised, actor: 'runtime', cause: null, labels: [] }], sync: true });
    } catch (error) {
      this.#told.delete(about);
      log.warn({ error: String(error), about }, 'the owner could not be told of a budget');
    }
  }

  /** What others have done that counts. */
  #take(event: Event): void {
    switch (event.type) {
      case 'tool.returned':
        return this.#count(runOfStream(event.stream), event, { toolSeconds: event.data.ms / 1000 });
      case 'net.sent':
        return this.#count(event.data.run, event, { bytesOut: event.data.bytesOut });
      case 'task.finished':
        this.#ended.add(event.data.task);
        return;
      case 'price.corrected':
        // Sums of the past change: they are read anew.
        this.#read = null;
        return;
      default:
    }
  }

  #count(run: string | null, event: Event, amounts: Parameters<Ledger['add']>[2]): void {
    if (this.#read === null && this.#reading === null) return;
    const agent = event.type === 'net.sent' ? event.data.agent : event.actor.replace(/^agent:/, '');
    void this.#who(run, agent).then(
      (by) => by !== null && this.#spend(by, event.at, amounts),
      (error: unknown) => this.#deps.log.warn({ error: String(error), run }, 'what a run has used is not counted'),
    );
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  async #change(stop: AbortSignal): Promise<void> {
    const changed = Promise.withResolvers<void>();
    const wake = (): void => changed.resolve();
    this.#waiting.add(wake);
    stop.addEventListener('abort', wake, { once: true });
    await changed.promise;
    stop.removeEventListener('abort', wake);
    this.#waiting.delete(wake);
  }

  /** Reads the past once it matters, and again where more of it does. */
  async #ready(): Promise<void> {
    for (;;) {
      const { clock, governance, zone } = this.#deps;
      const governed = governance();
      if (governed !== this.#governed) [this.#governed, this.#needs] = [governed, needsOf(governed)];
      const needs = this.#needs;
      if (needs === null) return;
      const from = this.#from(needs, clock.now());
      const { day } = this.#spans(clock.now());
      if (this.#reading === null && covers(this.#read, zone(), from, needs)) {
        if (day === this.#day) return;
        this.#day = day;
        this.#ledger.prune(this.#spans(clock.now()), this.#ended);
        void settlePast(this.#deps, Object.values(this.#spans(clock.now())));
        return;
      }
      this.#reading ??= this.#readPast(needs, from, zone()).finally(() => (this.#reading = null));
      await this.#reading;
    }
  }

  async #readPast(needs: Needs, since: number, zone: string): Promise<void> {
    const { store } = this.#deps;
    this.#meanwhile = [];
    const live = [...this.#live];
    const head = await store.head();
    const from = needs.task ? Math.min(since, await this.#oldestWork(since)) : since;
    const { who, task } = needs;
    if (who && this.#read?.who === false) this.#runs.clear();
    const spans = (at: number): ReturnType<typeof spansAt> => this.#spans(at);
    const whose = (run: string | null, agent: string | null) => this.#who(run, agent);
    const ledger = await readLedger({ store, from, head, who: whose, spans, live });
    this.#ledger = ledger;
    this.#read = { zone, from: since, who, task };
    for (const again of this.#meanwhile) again();
    this.#meanwhile = [];
  }

  /** When the oldest work began that has not ended. */
  async #oldestWork(since: number): Promise<number> {
    const { store } = this.#deps;
    let oldest = since;
    const open = await store.tasks({ statuses: ['queued', 'running', 'waiting'] });
    for (const id of new Set(open.map((task) => task.origin?.root ?? task.id)))
      for await (const { at } of store.read({ stream: taskStream(id), types: ['task.queued'], limit: 1 }))
        oldest = Math.min(oldest, at);
    return oldest;
  }

  #from({ month, day, hour }: Needs, now: number): number {
    const window = month ? 'month' : day ? 'day' : hour ? 'hour' : null;
    return window === null ? now : windowAt(window, now, this.#wall()).from;
  }

  #spans = (at: number): ReturnType<typeof spansAt> => spansAt(this.#wall().at(at));

  #remember(run: string, by: Promise<Spender | null>): Promise<Spender | null> {
    this.#runs.set(run, by);
    const [oldest] = this.#runs.keys();
    if (this.#runs.size > MAX_RUNS && oldest !== undefined) this.#runs.delete(oldest);
    return by;
  }

  /** Null where nobody spends: what the runtime itself sends. */
  #who(run: string | null, agent: string | null): Promise<Spender | null> {
    const alone = agent === null ? null : { agent, task: null, root: null, conversation: null, person: null };
    if (run === null || (agent !== null && this.#needs?.who !== true)) return Promise.resolve(alone);
    return (
      this.#runs.get(run) ??
      this.#remember(
        run,
        this.#spenderOf(run).then((by) => by ?? alone),
      )
    );
  }

  async #spenderOf(
    run: string,
    named = this.#deps.governance().settings.budget?.people !== undefined,
  ): Promise<Spender | null> {
    const { store } = this.#deps;
    for await (const event of store.read({ stream: runStream(run), types: ['run.started'], limit: 1 })) {
      const task = event.type === 'run.started' ? await store.task(event.data.task) : null;
      if (task !== null) return this.#spenderFor(task, named);
    }
    return null;
  }

  /** Who wrote the message that it began with, as people are named in `ruche.yaml`. */
  async #personOf(root: Task | string): Promise<string | null> {
    const { store, governance } = this.#deps;
    const task = typeof root === 'string' ? await store.task(root) : root;
    const cause = task === null || task.cause === null ? null : await store.event(task.cause);
    if (cause?.type !== 'message.received') return null;
    const { from } = cause.data;
    if (from === `person:${OWNER}`) return OWNER;
    const place = placeOf(from, governance().settings.channels);
    return place === null ? from : addressOf(place);
  }
}

/** How long ago a matter of a month that has ended was raised, at most, in milliseconds. */
const SETTLED_MS = 70 * 86_400_000;

/** Closes what the owner was told of windows that are over. */
async function settlePast(
  { store, clock, log }: Pick<SpendDeps, 'store' | 'clock' | 'log'>,
  now: readonly string[],
): Promise<void> {
  const open = now.map(budgetAbout);
  try {
    for await (const event of store.read({ types: ['matter.raised'], reverse: true })) {
      if (event.type !== 'matter.raised' || event.data.kind !== 'budget') continue;
      if (event.at < clock.now() - SETTLED_MS) break;
      const { about, matter } = event.data;
      const [, span] = /-((?:hour|day|month)-[\dT-]+?)(?:-80)?$/.exec(about) ?? [];
      if (span === undefined || open.includes(span) || (await store.byKey(answeredKey(matter))) !== null) continue;
      const settled = settledBy(event, (subject) => putJson(store, { text: 'The window is over.' }, subject));
      await store.commit({ events: [settled], sync: false });
    }
  } catch (error) {
    log.warn({ error: String(error) }, 'matters of past budgets are left open');
  }
}

const isAfterwards = ({ meter }: Account): boolean => meter === 'toolSeconds' || meter === 'bytesOut';

/** What of the past is known: since when, and whose it was. */
interface Read {
  zone: string;
  from: number;
  who: boolean;
  task: boolean;
}

const covers = (read: Read | null, zone: string, from: number, { who, task, hour, day, month }: Needs): boolean =>
  read !== null &&
  read.zone === zone &&
  (read.who || !who) &&
  (read.task || !task) &&
  (read.from <= from || !(hour || day || month));
