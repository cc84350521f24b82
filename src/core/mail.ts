// What a mail is to everybody who reads one: the same words for a server's mail and for an `.eml` file.

/** One person of a mail. `address` has its domain in ASCII and lower case; `shown` is the same with the domain as people read it. */
export interface MailAddress {
  name: string;
  address: string;
  shown: string;
}

export interface MailAttachment {
  /** Counts from 0 within the mail, and stays what it is: the same bytes give the same numbers. */
  index: number;
  name: string;
  /** As the sender says, in lower case. */
  type: string;
  /** Bytes once it is decoded. */
  size: number;
  /** Shown within the text, such as a logo. */
  inline: boolean;
  /** METHOD of a calendar part, such as `REQUEST`. */
  method?: string;
}

export type AuthVerdict = 'pass' | 'fail' | 'softfail' | 'neutral' | 'none' | 'policy' | 'temperror' | 'permerror';

/** What the owner's own server found out about the sender. Nobody else's findings count. */
export interface MailAuth {
  /** The authserv-id that said so; null if the owner's server said nothing. */
  server: string | null;
  spf: { result: AuthVerdict; domain: string } | null;
  dkim: { result: AuthVerdict; domain: string }[];
  dmarc: { result: AuthVerdict; domain: string } | null;
  /** True if one of them passed for the domain that people see in From. */
  aligned: boolean;
  /** Why it is aligned, or why not. */
  why: string;
}

/** What a reader should know before believing a mail. `detail` is a sentence for people. */
export interface MailMark {
  mark:
    | 'first-time-sender'
    | 'look-alike'
    | 'name-is-address'
    | 'reply-elsewhere'
    | 'several-senders'
    | 'html-only'
    | 'hidden-text'
    | 'link-elsewhere'
    | 'parts-differ'
    | 'encrypted'
    | 'signed'
    | 'invitation';
  detail: string;
}

export interface MailUnsubscribe {
  mail: string | null;
  web: string | null;
  /** A single POST is enough (RFC 8058). */
  oneClick: boolean;
}

/** What a mail system says about another mail. */
export interface MailReport {
  kind: 'delivery' | 'read' | 'abuse';
  recipients: { address: string; action: string; status: string; diagnostic: string }[];
  /** `Message-ID` of the mail it speaks of. */
  about: string | null;
}

export interface Mail {
  id: string;
  account: string;
  folder: string;
  flags: readonly string[];
  from: MailAddress[];
  sender: MailAddress | null;
  to: MailAddress[];
  cc: MailAddress[];
  replyTo: MailAddress[];
  subject: string;
  /** When the sender says it was sent, and when the owner's server took it in: ISO 8601, UTC. */
  date: string | null;
  received: string | null;
  /** With their angle brackets, as on the wire. */
  messageId: string | null;
  inReplyTo: string[];
  references: string[];
  listId: string | null;
  unsubscribe: MailUnsubscribe | null;
  /** `reply` is an out-of-office or another answering machine; `generated` a system; `bulk` a mailing. */
  automatic: 'reply' | 'generated' | 'bulk' | null;
  report: MailReport | null;
  /** Safe to show: no markup, no invisible characters, quotes and signatures folded. It says how much was folded. */
  text: string;
  /** The same without folding. */
  fullText: string;
  foldedLines: number;
  attachments: MailAttachment[];
  auth: MailAuth;
  marks: MailMark[];
  /** What could not be read, or not whole. Each is a sentence. */
  untold: string[];
}

/** Where a mail came from, and whose findings about its sender count. */
export interface MailOrigin {
  id: string;
  account: string;
  folder: string;
  flags?: readonly string[];
  /** The authserv-ids of the owner's own server. Without any, no sender is ever authenticated. */
  authserv?: readonly string[];
}

/** Reads the bytes of a mail, from a server or from an `.eml` file. Never throws: what cannot be read is told in the mail. */
export interface MailReader {
  read(bytes: Uint8Array, origin: MailOrigin): Promise<Mail>;
  /** The decoded bytes of one attachment; null if there is none of that number. */
  attachment(bytes: Uint8Array, index: number): { file: MailAttachment; bytes: Uint8Array } | null;
}
