import type { FetchMessageObject, ImapFlow, ListResponse, MessageStructureObject, SearchObject } from 'imapflow';
import { type Account, AccountError, type AccountStep } from '../../core/ports/account.ts';
import { type Clock, OVER } from '../../core/ports/clock.ts';
import type {
  Mailbox,
  MailFeed,
  MailFolder,
  MailHead,
  MailLook,
  MailQuery,
  MailSource,
} from '../../core/ports/mailbox.ts';
import { type Net, onlyAt } from '../../core/ports/net.ts';
import type { MailPlace } from '../../core/mail-id.ts';
import { hostPortText } from '../../core/net/host.ts';
import { Mutex } from '../../core/time/mutex.ts';
import { decodeWords } from './header.ts';
import { imapError } from './imap-errors.ts';
import { cleanedLine } from './shown.ts';

export interface ImapOptions {
  /** Of the account. */
  name: string;
  host: string;
  port: number;
  tls: boolean;
  user: string;
  folders: readonly string[];
  authserv: readonly string[];
  archive: string | null;
  password(): Promise<string>;
  net: Net;
  clock: Clock;
}

/** Milliseconds until a connection stands, and until a server's first word. */
const CONNECT_MS = 20_000;
/** Milliseconds of silence in the middle of a command. */
const SILENCE_MS = 120_000;
/** Milliseconds that a connection is kept for the next call. */
const KEPT_MS = 60_000;
/** Milliseconds after which a server is asked whether it is still there, before it is given work. */
const FRESH_MS = 10_000;
/** Milliseconds of one IDLE: routers on the way forget what is quiet for long. */
const IDLE_MS = 5 * 60_000;
/** Bytes of a header that are read. */
const HEADER_BYTES = 64 * 1024;
const HEAD = {
  uid: true,
  flags: true,
  size: true,
  internalDate: true,
  bodyStructure: true,
  bodyParts: [{ key: 'HEADER', start: 0, maxLength: HEADER_BYTES }],
};

/** A connection on which the user is logged in. The secret is asked for here, and kept by nobody. */
async function connect({ net, host, port, tls, user, password, name }: ImapOptions): Promise<ImapFlow> {
  const { ImapFlow: Client } = await import('imapflow');
  const pass = await password().catch((error: Error) => {
    throw new AccountError('secret', error.message);
  });
  const where = hostPortText({ host, port });
  try {
    const socket = await net.dial(
      { host, port, tls: tls ? {} : null, timeoutMs: CONNECT_MS, idleMs: null, maxBytes: null },
      onlyAt(`account:${name}`, { host, port }),
    );
    const client = new Client({
      host,
      port,
      secure: tls,
      doSTARTTLS: false,
      auth: { user, pass },
      // Its lines would hold addresses and subjects.
      logger: false,
      disableAutoIdle: true,
      maxIdleTime: IDLE_MS,
      greetingTimeout: CONNECT_MS,
      socketTimeout: SILENCE_MS,
      transport: {
        connect(_options, connected) {
          setImmediate(connected);
          return socket;
        },
      },
    });
    // What breaks between two commands is told by the next one.
    client.on('error', () => undefined);
    await client.connect();
    return client;
  } catch (error) {
    throw imapError(error, where);
  }
}

/** A mailbox on a server, over a connection for calls that is closed when it rests, and one for each folder that is followed. */
export class ImapMailbox implements Account, Mailbox {
  readonly mail = this;
  readonly #options: ImapOptions;
  readonly #turns = new Mutex();
  #open: { client: ImapFlow; used: number } | null = null;
  #rest = new AbortController();

  readonly inboxes: readonly string[];
  readonly authserv: readonly string[];
  readonly archive: string | null;

  constructor(options: ImapOptions) {
    this.#options = options;
    ({ folders: this.inboxes, authserv: this.authserv, archive: this.archive } = options);
  }

  async test(): Promise<AccountStep[]> {
    const { host, port, user, folders } = this.#options;
    const where = hostPortText({ host, port });
    const steps: AccountStep[] = [];
    const done = (step: string, why: string): void => void steps.push({ step, ok: true, why });
    let client: ImapFlow | null = null;
    try {
      client = await connect(this.#options);
      done('name', `${host} is found.`);
      done('connection', `${where} answers.`);
      if (this.#options.tls) done('encryption', 'Its certificate is trusted.');
      done('login', `${user} is let in.`);
      const there = (await client.list()).map(({ path }) => path);
      for (const folder of folders) {
        if (!there.includes(folder))
          throw new AccountError('rights', `There is no folder "${folder}". There are: ${there.join(', ')}.`);
        const { exists } = await client.mailboxOpen(folder, { readOnly: true });
        done('folder', `${folder} has ${exists} mails.`);
      }
    } catch (error) {
      const { code, message } = imapError(error, where);
      steps.push(...stepsBefore(code, steps), { step: STEP_OF[code], ok: false, why: message });
    } finally {
      await client?.logout().catch(() => undefined);
    }
    return steps;
  }

  folders(): Promise<MailFolder[]> {
    return this.#with(async (client) => (await client.list()).filter(holdsMail).map(folderOf));
  }

  search(query: MailQuery, { offset, limit }: { offset: number; limit: number }) {
    return this.#with(async (client) => {
      const { uidValidity } = await client.mailboxOpen(query.folder, { readOnly: true });
      const found = (await client.search(searchOf(query), { uid: true })) || [];
      const page = found.toReversed().slice(offset, offset + limit);
      const heads = await headsOf(client, query.folder, String(uidValidity), page);
      return { total: found.length, heads: heads.toReversed() };
    });
  }

  source(place: MailPlace, maxBytes: number): Promise<MailSource | 'gone' | 'large'> {
    return this.#at<MailSource | 'gone' | 'large'>(place, true, 'gone', async (client) => {
      const uid = String(place.uid);
      const about = await client.fetchOne(uid, { uid: true, size: true, flags: true }, { uid: true });
      if (about === false) return 'gone';
      if ((about.size ?? 0) > maxBytes) return 'large';
      const whole = await client.fetchOne(uid, { uid: true, source: { start: 0, maxLength: maxBytes } }, { uid: true });
      if (whole === false || whole.source === undefined) return 'gone';
      return { bytes: whole.source, flags: [...(about.flags ?? [])] };
    });
  }

  flag(place: MailPlace, { add = [], remove = [] }: { add?: readonly string[]; remove?: readonly string[] }) {
    return this.#at(place, false, false, async (client) => {
      const uid = String(place.uid);
      if (!(await client.fetchOne(uid, { uid: true }, { uid: true }))) return false;
      if (add.length > 0) await client.messageFlagsAdd(uid, [...add], { uid: true });
      if (remove.length > 0) await client.messageFlagsRemove(uid, [...remove], { uid: true });
      return true;
    });
  }

  move(place: MailPlace, folder: string): Promise<{ moved: boolean; place: MailPlace | null }> {
    return this.#at<{ moved: boolean; place: MailPlace | null }>(
      place,
      false,
      { moved: false, place: null },
      async (client) => {
        const uid = String(place.uid);
        if (!(await client.fetchOne(uid, { uid: true }, { uid: true }))) return { moved: false, place: null };
        const moved = await client.messageMove(uid, folder, { uid: true });
        if (moved === false)
          throw new AccountError('rights', `The mail could not be moved to "${folder}": there may be no such folder.`);
        const [to, validity] = [moved.uidMap?.get(place.uid), moved.uidValidity];
        return {
          moved: true,
          place: to === undefined || validity === undefined ? null : { folder, validity: String(validity), uid: to },
        };
      },
    );
  }

  async follow(folder: string): Promise<MailFeed> {
    const where = hostPortText(this.#options);
    const client = await connect(this.#options);
    try {
      await client.mailboxOpen(folder, { readOnly: true });
    } catch (error) {
      client.close();
      throw imapError(error, where);
    }
    return new ImapFeed(client, folder, where);
  }

  async close(): Promise<void> {
    await this.#turns.run(() => this.#drop());
  }

  async #drop(): Promise<void> {
    this.#rest.abort(OVER);
    const { client } = this.#open ?? {};
    this.#open = null;
    await client?.logout().catch(() => undefined);
  }

  /** `gone` if the folder's numbers are not those of the place any more. */
  #at<T>(
    { folder, validity }: MailPlace,
    readOnly: boolean,
    gone: T,
    work: (client: ImapFlow) => Promise<T>,
  ): Promise<T> {
    return this.#with(async (client) => {
      const { uidValidity } = await client.mailboxOpen(folder, { readOnly });
      return String(uidValidity) === validity ? work(client) : gone;
    });
  }

  #with<T>(work: (client: ImapFlow) => Promise<T>): Promise<T> {
    return this.#turns.run(async () => {
      const client = await this.#client();
      try {
        return await work(client);
      } catch (error) {
        if (!client.usable) this.#open = null;
        throw imapError(error, hostPortText(this.#options));
      } finally {
        if (this.#open !== null) this.#open.used = this.#options.clock.now();
        this.#closeLater();
      }
    });
  }

  async #client(): Promise<ImapFlow> {
    const { clock } = this.#options;
    this.#rest.abort(OVER);
    const open = this.#open;
    if (open?.client.usable) {
      if (Math.abs(clock.now() - open.used) < FRESH_MS) return open.client;
      const alive = await open.client.noop().then(
        () => true,
        () => false,
      );
      if (alive) return open.client;
    }
    open?.client.close();
    this.#open = null;
    const client = await connect(this.#options);
    this.#open = { client, used: clock.now() };
    return client;
  }

  #closeLater(): void {
    if (this.#open === null) return;
    const resting = new AbortController();
    this.#rest = resting;
    const { clock } = this.#options;
    const drop = (): Promise<void> =>
      this.#turns.run(() => (resting.signal.aborted ? Promise.resolve() : this.#drop()));
    void clock.sleep(KEPT_MS, resting.signal).then(drop, () => undefined);
  }
}

class ImapFeed implements MailFeed {
  readonly #client: ImapFlow;
  readonly #folder: string;
  readonly #where: string;
  /** Something may have come since the last look. */
  #stirred = true;
  #wake: () => void = () => undefined;

  constructor(client: ImapFlow, folder: string, where: string) {
    this.#client = client;
    this.#folder = folder;
    this.#where = where;
    const stir = (): void => {
      this.#stirred = true;
      this.#wake();
    };
    client.on('exists', stir);
    client.on('mailboxOpen', stir);
    client.on('close', stir);
  }

  look(after: number): Promise<MailLook> {
    return this.#try(async (client) => {
      this.#stirred = false;
      // `n:*` always gives the last mail, also where its UID is lower.
      const found = (await client.search({ uid: `${after + 1}:*` }, { uid: true })) || [];
      return { validity: validityOf(client), uids: found.filter((uid) => uid > after).sort((a, b) => a - b) };
    });
  }

  heads(uids: readonly number[]): Promise<MailHead[]> {
    return this.#try((client) => headsOf(client, this.#folder, validityOf(client), uids));
  }

  async changed(signal: AbortSignal): Promise<void> {
    if (this.#stirred || signal.aborted) return;
    const woken = Promise.withResolvers<void>();
    this.#wake = woken.resolve;
    signal.addEventListener('abort', this.#wake, { once: true });
    this.#client.idle().catch(() => woken.resolve());
    await woken.promise;
    signal.removeEventListener('abort', this.#wake);
  }

  /** Selects it anew: a folder that was made anew meanwhile has other numbers. */
  check(): Promise<void> {
    return this.#try(async (client) => {
      await client.mailboxOpen(this.#folder, { readOnly: true });
      this.#stirred = true;
    });
  }

  async close(): Promise<void> {
    await this.#client.logout().catch(() => undefined);
    this.#client.close();
  }

  async #try<T>(work: (client: ImapFlow) => Promise<T>): Promise<T> {
    try {
      return await work(this.#client);
    } catch (error) {
      throw imapError(error, this.#where);
    }
  }
}

function validityOf({ mailbox }: ImapFlow): string {
  if (mailbox === false) throw new AccountError('network', 'The folder is not open any more.');
  return String(mailbox.uidValidity);
}

const STEP_OF: Readonly<Record<AccountError['code'], string>> = {
  secret: 'secret',
  dns: 'name',
  blocked: 'connection',
  network: 'connection',
  tls: 'encryption',
  throttled: 'login',
  login: 'login',
  rights: 'folder',
  protocol: 'folder',
};
const ORDER = ['name', 'connection', 'encryption', 'login'];

/** What must have gone well for this to go wrong. */
function stepsBefore(code: AccountError['code'], told: readonly AccountStep[]): AccountStep[] {
  const before = ORDER.slice(0, Math.max(0, ORDER.indexOf(STEP_OF[code])));
  return told.length > 0 ? [] : before.map((step) => ({ step, ok: true, why: '' }));
}

async function headsOf(
  client: ImapFlow,
  folder: string,
  validity: string,
  uids: readonly number[],
): Promise<MailHead[]> {
  if (uids.length === 0) return [];
  const found = await client.fetchAll(uids.join(','), HEAD, { uid: true });
  return found
    .map((each) => headOf(each, { folder, validity, uid: each.uid }))
    .sort((a, b) => a.place.uid - b.place.uid);
}

const headOf = (found: FetchMessageObject, place: MailPlace): MailHead => ({
  place,
  header: found.headers ?? new Uint8Array(),
  received: new Date(found.internalDate ?? 0).getTime(),
  size: found.size ?? 0,
  flags: [...(found.flags ?? [])],
  attachments: found.bodyStructure === undefined ? [] : filesIn(found.bodyStructure),
});

/** Files by what the server says of the parts, so that no mail is fetched for their names. */
function filesIn(part: MessageStructureObject): MailHead['attachments'][number][] {
  if (part.childNodes !== undefined && !part.type.startsWith('message/')) return part.childNodes.flatMap(filesIn);
  const name = part.dispositionParameters?.['filename'] ?? part.parameters?.['name'];
  if (name === undefined && part.disposition !== 'attachment') return [];
  const shown = cleanedLine(decodeWords(name ?? part.type)).slice(0, 300);
  return [{ name: shown, type: part.type, size: part.size ?? 0 }];
}

const holdsMail = ({ flags }: ListResponse): boolean => !flags.has('\\Noselect') && !flags.has('\\NonExistent');

const USES: Readonly<Record<string, MailFolder['use']>> = {
  '\\Inbox': 'inbox',
  '\\Sent': 'sent',
  '\\Drafts': 'drafts',
  '\\Archive': 'archive',
  '\\All': 'archive',
  '\\Trash': 'trash',
  '\\Junk': 'junk',
};
const folderOf = ({ path, specialUse = '' }: ListResponse): MailFolder => ({ path, use: USES[specialUse] ?? null });

function searchOf({ text, from, to, subject, since, before, unread, flagged, thread }: MailQuery): SearchObject {
  const related = (thread ?? []).flatMap((id): SearchObject[] => [
    { header: { 'message-id': id } },
    { header: { references: id } },
    { header: { 'in-reply-to': id } },
  ]);
  const fields: SearchObject = {
    ...(text === undefined ? {} : { text }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(subject === undefined ? {} : { subject }),
    ...(since === undefined ? {} : { since }),
    ...(before === undefined ? {} : { before }),
    ...(unread === true ? { seen: false } : {}),
    ...(flagged === true ? { flagged: true } : {}),
    ...(related.length === 0 ? {} : { or: related }),
  };
  return Object.keys(fields).length === 0 ? { all: true } : fields;
}
