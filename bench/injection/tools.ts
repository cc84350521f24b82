import type { Effect } from '../../src/core/event.ts';
import type { Label } from '../../src/core/labels.ts';
import type { KeptRecord } from '../../src/core/policy.ts';
import type { Tool } from '../../src/core/ports/tool.ts';
import type { Json } from '../../src/core/text/json.ts';
import { isObject } from '../../src/core/text/json.ts';
import type { CalendarEvent, DriveFile, Email, Payment, World } from './agentdojo.ts';

/** Arguments as the tool takes them: what is not given is null, addresses of one's own are left out where they say nothing. */
type Args = { [name: string]: Json };

interface Answer {
  text: unknown;
  records?: KeptRecord[];
}

interface Toy {
  name: string;
  args: readonly string[];
  effect: Effect;
  labels?: readonly Label[];
  critical?: readonly string[];
  ids?: readonly string[];
  texts?: readonly string[];
  service?: string;
  destroys?: true;
  /** What leaves, or cannot be undone. */
  leaves?(args: Args): boolean;
  normal?(args: Args): Args;
  run(args: Args, world: World): Answer;
}

const OUTSIDE: readonly Label[] = ['private', 'untrusted'];
const OWN: readonly Label[] = ['private'];

const word = (value: Json | undefined): string => (typeof value === 'string' ? value : '');
const list = (value: Json | undefined): string[] => (Array.isArray(value) ? value.map(word) : []);
const has = (text: string, query: string): boolean => text.toLowerCase().includes(query.toLowerCase());
const nextId = (held: object): string => String(Math.max(...Object.keys(held).map(Number)) + 1);

const mail = ({ id_: id, ...email }: Email): KeptRecord => ({
  service: 'mail',
  id,
  names: [email.subject],
  values: [email.sender, ...email.recipients],
  by: email.status === 'received' ? 'other' : 'owner',
});
const meeting = ({ id_: id, ...event }: CalendarEvent): KeptRecord => ({
  service: 'calendar',
  id,
  names: [event.title],
  values: event.participants,
  by: 'owner',
});
const stored = ({ id_: id, ...file }: DriveFile, account: string): KeptRecord => ({
  service: 'drive',
  id,
  names: [file.filename],
  values: [],
  by: file.owner === account ? 'owner' : 'other',
});
const payment = (each: Payment, own: string): KeptRecord => ({
  service: 'bank',
  id: String(each.id),
  names: [each.subject],
  values: [each.sender, each.recipient].filter((account) => account !== 'me' && account !== own),
  amounts: [each.amount],
  by: each.sender === 'me' || each.sender === own ? 'owner' : 'other',
});

const mails = (keep: (email: Email, args: Args) => boolean) => (args: Args, world: World) => {
  const found = Object.values(world.workspace.inbox.emails).filter((email) => keep(email, args));
  return { text: found, records: found.map(mail) };
};
const events = (keep: (event: CalendarEvent, args: Args) => boolean) => (args: Args, world: World) => {
  const found = Object.values(world.workspace.calendar.events).filter((event) => keep(event, args));
  return { text: found, records: found.map(meeting) };
};
const files = (keep: (file: DriveFile, args: Args) => boolean) => (args: Args, world: World) => {
  const { files: all, account_email } = world.workspace.cloud_drive;
  const found = Object.values(all).filter((file) => keep(file, args));
  return { text: found, records: found.map((file) => stored(file, account_email)) };
};
const contacts =
  (keep: (contact: { name: string; email: string }, args: Args) => boolean) => (args: Args, world: World) => {
    const found = world.workspace.inbox.contact_list.filter((contact) => keep(contact, args));
    const records = found.map(({ name, email }): KeptRecord => ({
      service: null,
      id: email,
      names: [name],
      values: [email],
      by: 'owner',
    }));
    return { text: found, records };
  };

const MAIL: Toy[] = [
  {
    name: 'send_email',
    args: ['recipients', 'subject', 'body', 'attachments', 'cc', 'bcc'],
    effect: 'send',
    critical: ['recipients', 'cc', 'bcc'],
    texts: ['subject', 'body'],
    service: 'mail',
    run: ({ recipients, subject, body, attachments, cc, bcc }, { workspace: { inbox }, mailed }) => {
      const id = nextId(inbox.emails);
      const email: Email = {
        id_: id,
        sender: inbox.account_email,
        recipients: list(recipients),
        cc: list(cc),
        bcc: list(bcc),
        subject: word(subject),
        body: word(body),
        status: 'sent',
        read: true,
        attachments: Array.isArray(attachments) ? attachments : [],
      };
      inbox.emails[id] = email;
      mailed.push(email);
      return { text: email };
    },
  },
  {
    name: 'delete_email',
    args: ['email_id'],
    effect: 'write',
    critical: ['email_id'],
    ids: ['email_id'],
    destroys: true,
    service: 'mail',
    leaves: () => true,
    run: ({ email_id }, { workspace: { inbox } }) => {
      delete inbox.emails[word(email_id)];
      return { text: 'deleted' };
    },
  },
  {
    name: 'get_unread_emails',
    args: [],
    effect: 'read',
    labels: OUTSIDE,
    run: mails(({ status, read }) => status === 'received' && !read),
  },
  {
    name: 'get_sent_emails',
    args: [],
    effect: 'read',
    labels: OUTSIDE,
    run: mails(({ status }) => status === 'sent'),
  },
  {
    name: 'get_received_emails',
    args: [],
    effect: 'read',
    labels: OUTSIDE,
    run: mails(({ status }) => status === 'received'),
  },
  {
    name: 'search_emails',
    args: ['query', 'sender'],
    effect: 'read',
    labels: OUTSIDE,
    run: mails(
      (email, { query, sender }) =>
        (has(email.subject, word(query)) || has(email.body, word(query))) &&
        (sender === null || email.sender === sender),
    ),
  },
  {
    name: 'search_contacts_by_name',
    args: ['query'],
    effect: 'read',
    labels: OWN,
    run: contacts(({ name }, { query }) => has(name, word(query))),
  },
  {
    name: 'search_contacts_by_email',
    args: ['query'],
    effect: 'read',
    labels: OWN,
    run: contacts(({ email }, { query }) => has(email, word(query))),
  },
];

/** The account organises what it makes: its own address among the participants says nothing. */
const withoutSelf = (args: Args): Args => ({
  ...args,
  participants: list(args['participants']).filter((address) => address !== 'emma.johnson@bluesparrowtech.com'),
});

const CALENDAR: Toy[] = [
  {
    name: 'get_current_day',
    args: [],
    effect: 'read',
    run: (_args, { workspace }) => ({ text: workspace.calendar.current_day }),
  },
  {
    name: 'search_calendar_events',
    args: ['query', 'date'],
    effect: 'read',
    labels: OUTSIDE,
    run: events(
      (event, { query, date }) =>
        (has(event.title, word(query)) || has(event.description, word(query))) &&
        (date === null || event.start_time.startsWith(word(date))),
    ),
  },
  {
    name: 'get_day_calendar_events',
    args: ['day'],
    effect: 'read',
    labels: OUTSIDE,
    run: events((event, { day }) => event.start_time.startsWith(word(day))),
  },
  {
    name: 'create_calendar_event',
    args: ['title', 'start_time', 'end_time', 'description', 'participants', 'location'],
    effect: 'write',
    critical: ['participants'],
    texts: ['title', 'description', 'location'],
    service: 'calendar',
    // A person who is invited gets a mail. What nobody is invited to stays in the house, and can be taken away again.
    leaves: ({ participants }) => list(participants).length > 0,
    normal: withoutSelf,
    run: ({ title, start_time, end_time, description, participants, location }, { workspace: { calendar } }) => {
      const id = nextId(calendar.events);
      const event: CalendarEvent = {
        id_: id,
        title: word(title),
        description: word(description),
        start_time: word(start_time),
        end_time: word(end_time),
        location: location === null ? null : word(location),
        participants: [calendar.account_email, ...list(participants)],
        status: 'confirmed',
      };
      calendar.events[id] = event;
      return { text: event, records: [{ ...meeting(event), by: 'run' }] };
    },
  },
  {
    name: 'reschedule_calendar_event',
    args: ['event_id', 'new_start_time', 'new_end_time'],
    effect: 'write',
    critical: ['event_id'],
    ids: ['event_id'],
    service: 'calendar',
    leaves: () => true,
    run: ({ event_id, new_start_time, new_end_time }, { workspace: { calendar } }) => {
      const event = calendar.events[word(event_id)];
      if (event) Object.assign(event, { start_time: new_start_time, end_time: new_end_time });
      return { text: event ?? 'none' };
    },
  },
  {
    name: 'add_calendar_event_participants',
    args: ['event_id', 'participants'],
    effect: 'send',
    critical: ['event_id', 'participants'],
    ids: ['event_id'],
    service: 'calendar',
    normal: withoutSelf,
    run: ({ event_id, participants }, { workspace: { calendar } }) => {
      const event = calendar.events[word(event_id)];
      event?.participants.push(...list(participants));
      return { text: event ?? 'none' };
    },
  },
];

const DRIVE: Toy[] = [
  {
    name: 'append_to_file',
    args: ['file_id', 'content'],
    effect: 'write',
    run: ({ file_id, content }, { workspace: { cloud_drive } }) => {
      const file = cloud_drive.files[word(file_id)];
      if (file) file.content += word(content);
      return { text: file ?? 'none' };
    },
  },
  {
    name: 'create_file',
    args: ['filename', 'content'],
    effect: 'write',
    run: ({ filename, content }, { workspace: { cloud_drive } }) => {
      const id = nextId(cloud_drive.files);
      const owner = cloud_drive.account_email;
      const [name, text] = [word(filename), word(content)];
      const file: DriveFile = { id_: id, filename: name, content: text, owner, shared_with: {}, size: text.length };
      cloud_drive.files[id] = file;
      return { text: file, records: [{ ...stored(file, owner), by: 'run' }] };
    },
  },
  {
    name: 'delete_file',
    args: ['file_id'],
    effect: 'write',
    critical: ['file_id'],
    ids: ['file_id'],
    destroys: true,
    service: 'drive',
    leaves: () => true,
    run: ({ file_id }, { workspace: { cloud_drive } }) => {
      delete cloud_drive.files[word(file_id)];
      return { text: 'deleted' };
    },
  },
  {
    name: 'share_file',
    args: ['file_id', 'email', 'permission'],
    effect: 'send',
    critical: ['file_id', 'email'],
    ids: ['file_id'],
    service: 'drive',
    run: ({ file_id, email, permission }, { workspace: { cloud_drive } }) => {
      const file = cloud_drive.files[word(file_id)];
      if (file) file.shared_with[word(email)] = word(permission);
      return { text: file ?? 'none' };
    },
  },
  {
    name: 'search_files_by_filename',
    args: ['filename'],
    effect: 'read',
    labels: OUTSIDE,
    run: files((file, { filename }) => has(file.filename, word(filename))),
  },
  {
    name: 'get_file_by_id',
    args: ['file_id'],
    effect: 'read',
    labels: OUTSIDE,
    run: files(({ id_: id }, { file_id }) => id === file_id),
  },
  { name: 'list_files', args: [], effect: 'read', labels: OUTSIDE, run: files(() => true) },
  {
    name: 'search_files',
    args: ['query'],
    effect: 'read',
    labels: OUTSIDE,
    run: files((file, { query }) => has(file.content, word(query))),
  },
];

const payments = (which: 'transactions' | 'scheduled_transactions') => (_args: Args, world: World) => {
  const { [which]: found, iban } = world.banking.bank_account;
  return { text: found, records: found.map((each) => payment(each, iban)) };
};

function pay(args: Args, { banking: { bank_account } }: World, which: 'transactions' | 'scheduled_transactions') {
  const all = [...bank_account.transactions, ...bank_account.scheduled_transactions];
  const made: Payment = {
    id: Math.max(...all.map(({ id }) => id)) + 1,
    sender: bank_account.iban,
    recipient: word(args['recipient']),
    amount: Number(args['amount']),
    subject: word(args['subject']),
    date: word(args['date']),
    recurring: args['recurring'] === true,
  };
  bank_account[which].push(made);
  return { text: made };
}

const BANK: Toy[] = [
  {
    name: 'send_money',
    args: ['recipient', 'amount', 'subject', 'date'],
    effect: 'send',
    critical: ['recipient', 'amount'],
    texts: ['subject'],
    service: 'bank',
    run: (args, world) => pay(args, world, 'transactions'),
  },
  {
    name: 'schedule_transaction',
    args: ['recipient', 'amount', 'subject', 'date', 'recurring'],
    effect: 'send',
    critical: ['recipient', 'amount'],
    texts: ['subject'],
    service: 'bank',
    run: (args, world) => pay(args, world, 'scheduled_transactions'),
  },
  {
    name: 'update_scheduled_transaction',
    args: ['id', 'recipient', 'amount', 'subject', 'date', 'recurring'],
    effect: 'send',
    critical: ['id', 'recipient', 'amount'],
    ids: ['id'],
    texts: ['subject'],
    service: 'bank',
    run: ({ id, ...changes }, { banking: { bank_account } }) => {
      const found = bank_account.scheduled_transactions.find((each) => each.id === id);
      const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== null));
      if (found) Object.assign(found, given);
      return { text: found ?? [] };
    },
  },
  {
    name: 'get_most_recent_transactions',
    args: ['n'],
    effect: 'read',
    labels: OUTSIDE,
    run: payments('transactions'),
  },
  {
    name: 'get_scheduled_transactions',
    args: [],
    effect: 'read',
    labels: OWN,
    run: payments('scheduled_transactions'),
  },
  {
    name: 'read_file',
    args: ['file_path'],
    effect: 'read',
    labels: OUTSIDE,
    run: ({ file_path }, { banking }) => ({ text: banking.filesystem.files[word(file_path)] ?? [] }),
  },
  {
    name: 'update_password',
    args: ['password'],
    effect: 'write',
    critical: ['password'],
    // A person who does not know it is locked out.
    leaves: () => true,
    run: ({ password }, { banking }) => {
      banking.user_account.password = word(password);
      return { text: 'changed' };
    },
  },
  {
    name: 'update_user_info',
    args: ['first_name', 'last_name', 'street', 'city'],
    effect: 'write',
    run: (args, { banking }) => {
      const given = Object.fromEntries(Object.entries(args).filter(([, value]) => value !== null));
      return { text: Object.assign(banking.user_account, given) };
    },
  },
];

/** The tools of AgentDojo that its tasks use, each declared as any tool of the product is. */
export const toyTools = (world: () => World): Tool<Args>[] =>
  [...MAIL, ...CALENDAR, ...DRIVE, ...BANK].map((toy) => {
    const {
      name,
      args,
      effect,
      labels = [],
      critical = [],
      ids = [],
      texts = [],
      service,
      destroys,
      leaves,
      normal,
      run,
    } = toy;
    return {
      name,
      description: name,
      effect,
      idempotent: effect === 'read',
      critical,
      ids,
      texts,
      ...(service && { service }),
      ...(destroys && { destroys }),
      schema: { type: 'object', properties: Object.fromEntries(args.map((each) => [each, {}])) },
      parse: (given) => {
        if (!isObject(given)) return { ok: false, error: 'no object' };
        const input = Object.fromEntries(args.map((each) => [each, (given[each] ?? null) as Json]));
        return { ok: true, value: normal?.(input) ?? input };
      },
      facts: (input) => (leaves === undefined ? {} : { leaves: leaves(input) }),
      run: async (input) => {
        const { text, records } = run(input, world());
        return { ok: true, text: JSON.stringify(text), labels: [...labels], changes: [], ...(records && { records }) };
      },
    };
  });
