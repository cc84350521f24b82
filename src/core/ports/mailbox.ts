import type { MailPlace } from '../mail-id.ts';

export interface MailFolder {
  path: string;
  /** What the server says it is for. */
  use: 'inbox' | 'sent' | 'drafts' | 'archive' | 'trash' | 'junk' | null;
}

/** What is known of a mail without its text. */
export interface MailHead {
  place: MailPlace;
  /** Its header as it stands on the server; a very long one is cut. */
  header: Uint8Array;
  /** When the server took it in: milliseconds since the epoch. */
  received: number;
  size: number;
  flags: readonly string[];
  attachments: readonly { name: string; type: string; size: number }[];
}

/** Every given field must fit. */
export interface MailQuery {
  folder: string;
  /** Words anywhere in it. */
  text?: string;
  from?: string;
  to?: string;
  subject?: string;
  /** Days, as `2026-11-23`. */
  since?: string;
  before?: string;
  unread?: boolean;
  flagged?: boolean;
  /** `Message-ID`s with angle brackets: mails that carry or refer to one of them. */
  thread?: readonly string[];
}

export interface MailSource {
  bytes: Uint8Array;
  flags: readonly string[];
}

/** What one look at a folder found. */
export interface MailLook {
  validity: string;
  /** UIDs above the asked one, in order. */
  uids: readonly number[];
}

/** One folder that is followed, over a connection of its own. Everything rejects with an AccountError once that is broken. */
export interface MailFeed {
  look(after: number): Promise<MailLook>;
  /** In the order of their UIDs; those that are gone meanwhile are left out. */
  heads(uids: readonly number[]): Promise<MailHead[]>;
  /** Resolves as soon as the server says that something may have come. */
  changed(signal: AbortSignal): Promise<void>;
  /** Asks the server for a sign of life. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** Mail as a server keeps it. Methods reject with an AccountError. */
export interface Mailbox {
  /** Folders whose new mail is taken in. */
  readonly inboxes: readonly string[];
  /** Whose findings about senders count (see `MailOrigin`). */
  readonly authserv: readonly string[];
  /** Where mail goes that is done; null: where the server says. */
  readonly archive: string | null;
  folders(): Promise<MailFolder[]>;
  /** The newest first. */
  search(query: MailQuery, page: { offset: number; limit: number }): Promise<{ total: number; heads: MailHead[] }>;
  /** Null if there is no such mail any more, or it is larger than `maxBytes`. Reading does not mark it as read. */
  source(place: MailPlace, maxBytes: number): Promise<MailSource | 'gone' | 'large'>;
  /** False if it is gone. */
  flag(place: MailPlace, change: { add?: readonly string[]; remove?: readonly string[] }): Promise<boolean>;
  /** Where it is afterwards; `place` null where the server does not say. */
  move(place: MailPlace, folder: string): Promise<{ moved: boolean; place: MailPlace | null }>;
  follow(folder: string): Promise<MailFeed>;
}
