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
export interface InboxFile {
  queue: string;
  name: string;
  /** SHA-256 of its bytes. */
  hash: string;
  /** Null if it is too large to be read. */
  text: string | null;
  size: number;
}

/** The queues as files below `tasks/` of the workspace's folder. */
export interface TaskFiles {
  /** Makes the inbox of a queue, if it is not there. */
  open(queue: string): Promise<void>;
  waiting(): Promise<InboxFile[]>;
  /** Tasks whose files are not as they were written. */
  touched(): string[];
  /** Files of tasks that are there. */
  shown(): { queue: string; task: string }[];
  /** Writes the file of a task as a whole; null removes it. */
  show(queue: string, task: string, json: string | null): Promise<void>;
  /** Removes an inbox file that has become a task. */
  taken(file: InboxFile): Promise<void>;
  /** Moves it to `rejected/`, with the reason beside it. */
  reject(file: InboxFile, reason: string): Promise<void>;
}
