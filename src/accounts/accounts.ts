import type { AccountSettings } from '../core/agent.ts';
import type { Account, AccountStep } from '../core/ports/account.ts';
import { AccountError } from '../core/ports/account.ts';
import type { Mailbox } from '../core/ports/mailbox.ts';
import { OVER } from '../core/ports/clock.ts';
import { errorText } from '../core/text/sentence.ts';
import { type ArrivalDeps, followFolder } from './mail/arrivals.ts';

export interface AccountsOptions extends ArrivalDeps {
  settings(): readonly AccountSettings[];
  /** Accounts that an agent may use: only their folders are followed. */
  used(): ReadonlySet<string>;
  /** Another value than before: what these references name has changed. */
  stamp(references: Readonly<Record<string, string>>): string;
  /** Rejects with what a person has to mend. Connects nothing. */
  open(settings: AccountSettings): Promise<Account>;
}

interface Open {
  /** What it was opened with. */
  made: string;
  account: Promise<Account>;
  stopping: AbortController;
  following: Promise<void>[];
  problems: Map<string, string>;
}

/** The accounts of the network. They follow the settings in force; without any, nothing is loaded. */
export class Accounts {
  readonly #options: AccountsOptions;
  readonly #open = new Map<string, Open>();
  readonly #closing = new Set<Promise<void>>();
  #begun = false;

  constructor(options: AccountsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#begun = true;
    this.sync();
  }

  /** Opens what agents use by now, and closes what they do not use any more. */
  sync(): void {
    if (!this.#begun) return;
    const used = this.#options.used();
    const wanted = this.#options.settings().filter(({ name }) => used.has(name));
    for (const name of this.#open.keys())
      if (!wanted.some((each) => each.name === name && this.#open.get(name)?.made === this.#madeOf(each)))
        this.#end(name);
    for (const settings of wanted) if (!this.#open.has(settings.name)) this.#begin(settings);
  }

  /** Why each account cannot be followed, by its name; null for one that does well. */
  states = (): { name: string; problem: string | null }[] =>
    [...this.#open].map(([name, { problems }]) => ({ name, problem: [...problems.values()][0] ?? null }));

  /** Rejects with an AccountError if there is no such account, or no mail in it. */
  async mailbox(name: string): Promise<Mailbox> {
    const account = await this.#open.get(name)?.account.catch((error: unknown) => {
      throw new AccountError('protocol', errorText(error));
    });
    if (account?.mail === undefined) throw new AccountError('protocol', `There is no mail account "${name}".`);
    return account.mail;
  }

  async test(name: string, signal: AbortSignal): Promise<AccountStep[] | null> {
    const settings = this.#options.settings().find((each) => each.name === name);
    if (settings === undefined) return null;
    const account = await this.#options.open(settings);
    try {
      return await account.test(signal);
    } finally {
      await account.close();
    }
  }

  async close(): Promise<void> {
    this.#begun = false;
    for (const name of this.#open.keys()) this.#end(name);
    await Promise.all(this.#closing);
  }

  #madeOf({ type, secrets, settings }: AccountSettings): string {
    return JSON.stringify({ type, secrets, settings, stamp: this.#options.stamp(secrets) });
  }

  #begin(settings: AccountSettings): void {
    const { log } = this.#options;
    const { name } = settings;
    const open: Open = {
      made: this.#madeOf(settings),
      account: this.#options.open(settings),
      stopping: new AbortController(),
      following: [],
      problems: new Map(),
    };
    this.#open.set(name, open);
    const begun = open.account.then(
      ({ mail }) => this.#follow(open, name, mail),
      (error: unknown) => {
        open.problems.set('', errorText(error));
        log.error({ account: name, error: errorText(error) }, 'an account cannot be opened');
      },
    );
    open.following.push(begun);
  }

  async #follow({ stopping, problems }: Open, account: string, mailbox: Mailbox | undefined): Promise<void> {
    if (mailbox === undefined) return;
    const { signal } = stopping;
    await Promise.all(
      mailbox.inboxes.map((folder) => {
        const report = (problem: string | null): void => {
          if (problem === null) problems.delete(folder);
          else problems.set(folder, problem);
        };
        return followFolder(this.#options, { account, folder, mailbox }, report, signal);
      }),
    );
  }

  #end(name: string): void {
    const open = this.#open.get(name);
    if (open === undefined) return;
    this.#open.delete(name);
    open.stopping.abort(OVER);
    const closed = Promise.all(open.following)
      .then(async () => (await open.account).close())
      .catch(() => undefined)
      .finally(() => this.#closing.delete(closed));
    this.#closing.add(closed);
  }
}
