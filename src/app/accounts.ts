import type { Adapters } from './adapters.ts';
import { Accounts } from '../accounts/accounts.ts';
import type { MailReader } from '../core/mail.ts';
import { secretIn } from '../core/ids.ts';
import type { MailAccess } from '../core/ports/tool.ts';
import type { Trust } from '../trust/trust.ts';

/** Loaded with the first mail. */
export const mailReader = async (): Promise<MailReader> => (await import('../accounts/mail/parse.ts')).mailReader;

/** The accounts that agents use, as the settings in force have them. */
export function openAccounts(adapters: Adapters, trust: Trust, parts: AsyncDisposableStack): Accounts & MailAccess {
  const { secrets } = adapters;
  const accounts = new Accounts({
    ...adapters,
    random: adapters.random.number,
    reader: mailReader,
    settings: () => trust.current().settings.accounts ?? [],
    used: () => new Set([...trust.current().agents.values()].flatMap((agent) => agent.accounts ?? [])),
    stamp: (references) => {
      const names = new Set(Object.values(references).map((each) => secretIn(each)));
      return JSON.stringify(secrets.vault.list().filter(({ name }) => names.has(name)));
    },
    open: adapters.openAccount,
  });
  parts.defer(() => accounts.close());
  parts.defer(trust.onChange(() => accounts.sync()));
  parts.defer(secrets.vault.onChange(() => accounts.sync()));
  return Object.assign(accounts, { reader: mailReader });
}
