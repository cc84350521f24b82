import { z } from 'zod';
import type { AccountType } from '../../config/accounts.ts';
import { hostKind, parseHostPattern } from '../../core/net/host.ts';

/** A host, with a port unless it is the usual one. */
function readPlace(text: string, port: number): { host: string; port: number } | null {
  const pattern = parseHostPattern(text);
  return pattern?.literal === true ? { host: pattern.host, port: pattern.port ?? port } : null;
}

const place = (what: string, port: number) =>
  z
    .string()
    .max(300)
    .refine((given) => readPlace(given, port) !== null, {
      error: `must be a host such as ${what}.example.org, or host:port`,
    })
    .transform((given) => readPlace(given, port) ?? { host: given, port })
    .describe(`The server, as host or host:port; port ${port} unless given.`);

const address = z
  .string()
  .max(320)
  .regex(/^[^\s@<>"]+@[^\s@<>"]+$/, { error: 'must be an e-mail address such as anna@example.org' });

const settings = {
  address: address.describe('The address of the mailbox.'),
  imap: place('imap', 993),
  smtp: place('smtp', 465).optional(),
  user: z.string().min(1).max(320).describe('The name to log in with; the address unless given.').optional(),
  folders: z
    .array(z.string().min(1).max(500))
    .min(1)
    .max(20)
    .describe('Folders whose new mail is taken in; INBOX unless given.')
    .optional(),
  archive: z
    .string()
    .min(1)
    .max(500)
    .describe('Folder for what is done; the one the server names unless given.')
    .optional(),
  authserv: z
    .array(z.string().min(1).max(300))
    .max(20)
    .describe("Names under which your own server says who really sent a mail (authserv-id). Nobody else's word counts.")
    .optional(),
  tls: z.literal(false).describe('false: without encryption, only for a server on this machine.').optional(),
};

/** Mail by IMAP. */
export const imapAccount: AccountType<typeof settings> = {
  type: 'imap',
  title: 'Mail (IMAP)',
  secrets: { password: 'password' },
  settings,
  guess(given) {
    const domain = given.slice(given.lastIndexOf('@') + 1);
    return { address: given, imap: `imap.${domain}`, smtp: `smtp.${domain}` };
  },
  async open({ name, settings: own, secret, net, clock }) {
    if (own.tls === false && hostKind(own.imap.host) !== 'loopback')
      throw new Error(
        `accounts.${name}: without encryption only a server on this machine may be used; remove tls: false`,
      );
    const { ImapMailbox } = await import('./imap.ts');
    return new ImapMailbox({
      name,
      ...own.imap,
      tls: own.tls !== false,
      user: own.user ?? own.address,
      folders: own.folders ?? ['INBOX'],
      authserv: own.authserv ?? [],
      archive: own.archive ?? null,
      password: () => secret('password'),
      net,
      clock,
    });
  },
};
