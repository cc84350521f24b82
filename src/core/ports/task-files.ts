/** What a task file may hold. The tool has further arguments, which mean nothing here. */
export const TASK_FILE_KEYS: readonly string[] = [
  'text',
  'title',
  'input',
  'artefacts',
  'priority',
  'notBefore',
  'deadline',
  'key',
  'after',
  'escalation',
];

/** A file that was put in `tasks/<queue>/inbox/` and has been still for a second. */
export interface InboxEntry {
  queue: string;
  name: string;
}

/** One that was taken out of the inbox and read: what is put in its place is another file. */
export interface InboxFile extends InboxEntry {
  /** SHA-256 of its bytes; '' if they were not read. */
  hash: string;
  /** Null if it cannot be read, or is too large to be. */
  text: string | null;
  size: number;
  /** Why its bytes could not be read; null otherwise. */
  unreadable: string | null;
  /** What it is in place of a plain file, such as `a symbolic link`: never followed or opened. Null for a plain file. */
  other: string | null;
  /** The same for one file, whenever it is looked at, and another for the next of its name. */
  mark: string;
}

/** One that could not be taken out of its inbox, and why: it stays where it is. */
export interface BlockedFile {
  blocked: string;
  mark: string;
}

/** An inbox that cannot be looked into. `mark`: the same until somebody changes the queue's folder or its rights. */
export interface UnseenInbox {
  queue: string;
  why: string;
  mark: string;
}

/** The queues as files below `tasks/` of the workspace's folder. */
export interface TaskFiles {
  /** Makes the inbox of a queue, if it is not there. */
  open(queue: string): Promise<void>;
  /** `shut`: queues whose files stay where they are. */
  waiting(shut: ReadonlySet<string>): { files: InboxEntry[]; unseen: UnseenInbox[] };
  /** Takes a file out of its inbox by rename, then reads it. Null if it is not still any more, or gone. */
  claim(entry: InboxEntry): Promise<InboxFile | BlockedFile | null>;
  /** Tasks whose files are not as they were written. */
  touched(): string[];
  /** Files of tasks that are there. */
  shown(): { queue: string; task: string }[];
  /** Writes the file of a task as a whole; null removes it. */
  show(queue: string, task: string, json: string | null): Promise<void>;
  /** Removes a claimed file that has become a task. */
  taken(file: InboxFile): Promise<void>;
  /** Moves a claimed file to `rejected/`, with the reason beside it; neither takes the place of another. */
  reject(file: InboxFile, reason: string): Promise<void>;
  /** It is left alone for a minute, so that what stands in its way does not keep the others. */
  later(entry: InboxEntry): void;
}
