export interface MessageFile {
  /** A plain file name. */
  name: string;
  mediaType: string;
  bytes: Uint8Array;
}

/** `action` comes back when it is pressed: at most 60 ASCII characters. */
export interface Button {
  label: string;
  action: string;
}

export interface OutboundMessage {
  /** Markdown (CommonMark), as models write it. */
  text: string;
  files: readonly MessageFile[];
  /** Offered below the text. */
  buttons: readonly Button[];
}

/** What a platform sends at once. */
export type OutboundPart =
  | { kind: 'text'; text: string; buttons: readonly Button[] }
  | { kind: 'file'; file: MessageFile };

export interface SendOptions {
  /** Unique to the message and its part, for platforms that drop a second send with an equal key. */
  key: string;
  /** The fate of an earlier try is unknown: what is sent must say that it may be a repeat. */
  again: boolean;
  /** The platform's id of a draft that becomes this part, by an edit; null sends a new message. */
  draft: string | null;
}

/** What a platform says of a send. `unsure`: it may have arrived. */
export type Receipt =
  | { state: 'sent'; id: string | null }
  /** `retryAfter` in milliseconds. `final`: trying again is of no use. */
  | { state: 'failed'; error: string; retryAfter: number | null; final: boolean }
  | { state: 'unsure'; error: string };

/** A message as the runtime takes it in. */
export interface InboundMessage {
  channel: string;
  /** Who sent it: `person:<id>`, `<channel>:<the platform's immutable id>`. */
  sender: string;
  agent: string;
  session: string;
  text: string;
  /** Where the reply goes. */
  replyTo: string;
  /** The platform's id of the message: a redelivery is recognised by it. */
  externalId: string;
  /** Further messages of the platform that are one with it. */
  parts?: readonly string[];
  /** The place on the platform in which that id is unique, whatever conversation it is in by now. None: the conversation itself. */
  chat?: string;
  /** Files that came with it: from outside, so the conversation becomes `untrusted`. */
  files?: readonly MessageFile[];
  /** True if the text holds words of somebody else: forwarded, or quoted. */
  foreign?: boolean;
}

/** A message as a platform tells it. Who may write, to which agent it goes and what is a command is decided behind the port. */
export interface ChannelMessage {
  /** The platform's immutable id of the sender, never a name that can be changed. */
  sender: string;
  /** The place it was written in, a chat or a topic of it: letters, digits, `-` and `_`. `send` takes it as an address, too. */
  chat: string;
  text: string;
  files: readonly MessageFile[];
  /** True: it holds words that the sender did not write, such as a forwarded or quoted message of somebody else. */
  foreign?: boolean;
  /** What `send` needs to answer there. */
  replyTo: string;
  externalId: string;
  /** Messages of the platform that are one with it, by their ids as if each stood alone: the rest of a long text, the question about a picture. */
  parts?: readonly string[];
  /** The `externalId` of the message that this is an edit of, with the whole of its new words. */
  edits?: string;
  /** It replies to a message of ours with buttons: what those do, and its own words without any about that message. */
  answers?: { actions: readonly string[]; text: string };
}

/** Somebody pressed a button of a message. */
export interface ChannelPress {
  sender: string;
  chat: string;
  replyTo: string;
  action: string;
  externalId: string;
}

/** There is no room now, and nothing is wrong with the message: it comes again until there is, however long that takes. */
export class HostBusy extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'HostBusy';
  }
}

/** The runtime, as a channel sees it. */
export interface ChannelHost {
  /** What keeps it from working just now, for people to see, until it says null. */
  report?(problem: string | null): void;
  /** False: what this sender writes there will be refused, so its files need not be fetched. Absent: everybody is expected. */
  expects?(sender: string, chat: string): boolean;
  /** Which messages were taken in with this one, the one itself included; null if it was not. After a crash a burst may come again with more parts than it had. */
  holds?(chat: string, externalId: string): Promise<readonly string[] | null>;
  /** The platform has given a chat another name. Resolves once that is on record: its conversation goes on under the new one. */
  renamed?(from: string, to: string): Promise<void>;
  /** The name that a chat has by now, if it has another one than it had. */
  nameNow?(chat: string): Promise<string | null>;
  /** Resolves once the message is on disk, or is refused for good: only then the platform is told that it arrived. Rejects if it must come again: with HostBusy or StoreUnavailable as often as it takes, with another error so often that it is surely to blame itself. */
  deliver(message: ChannelMessage): Promise<void>;
  /**
   * Resolves with what the presser is shown; `done`: the buttons have had their use and can go, and the message says `stands`
   * from then on, or else which button was pressed. Rejects like `deliver`.
   */
  press(press: ChannelPress): Promise<{ text: string; done: boolean; stands?: string }>;
}

/** A messenger. Sends that fail are receipts; whatever else goes wrong it logs, waits and tries again until the signal aborts. */
export interface Channel {
  readonly name: string;
  /** True if the platform itself drops a second send with the same key. */
  readonly dedupes: boolean;
  /** Receives until the signal aborts, and resolves then. Rejects if it can never work (a bad token), saying why. */
  start(host: ChannelHost, signal: AbortSignal): Promise<void>;
  /** The parts in which a message is sent, in order; equal messages give equal parts. Never empty. */
  split(message: OutboundMessage): readonly OutboundPart[];
  send(to: string, part: OutboundPart, options: SendOptions): Promise<Receipt>;
  /**
   * Takes away the buttons of a message that was sent, by its receipt, and says below it what came of them: they were
   * answered elsewhere. Fails silently. Absent where messages cannot be edited.
   */
  retire?(to: string, part: OutboundPart, id: string, stands: string): Promise<void>;
  /** Absent where messages cannot be edited. */
  readonly drafts?: Drafts;
}

/** A reply that can be seen while it is written. */
export interface Drafts {
  /** Milliseconds between two edits of one chat that the platform allows. */
  readonly everyMs: number;
  /** Shows that somebody is writing, for a few seconds. Fails silently. */
  typing(to: string): Promise<void>;
  /** Shows an unfinished text, recognisable as such: a new message, or an edit of `draft`. */
  show(to: string, text: string, draft: string | null): Promise<Receipt>;
}
