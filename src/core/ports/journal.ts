/** One event of the readable journal: a JSON line in a segment file, and a commit by its actor. */
export interface JournalLine {
  seq: number;
  /** Milliseconds since the epoch. */
  at: number;
  /** `agent:<name>`, `person:<id>`, `runtime`. */
  actor: string;
  /** Run the event belongs to, or its stream in a form that can be a file name. */
  group: string;
  /** Whether that is a run. */
  run: boolean;
  /** Deserves a commit; the others go with the next one that does. */
  weighty: boolean;
  /** One line a person can read. */
  subject: string;
  /** JSON without newline. */
  json: string;
}

/** `journal.git`. */
export interface JournalRepository {
  /** Seq of the last event in the tip, 0 for an empty repository. */
  tip(): Promise<number>;
  /** Puts what is there aside and begins anew, empty. Gives where the old one is kept. */
  anew(): Promise<string>;
  /**
   * Appends lines that follow the tip; those the tip has already are skipped. A commit for each weighty line, or one for
   * many lines when there are many. Rejects and changes nothing if a seq is missing. After any rejection the tip may be
   * another one: a repository that was deleted or damaged begins anew.
   */
  append(lines: readonly JournalLine[]): Promise<void>;
  /** All lines in order, for verification. Rejects, saying where, if the repository was not only appended to. */
  lines(): AsyncIterable<{ seq: number; json: string; path: string }>;
  /** Reads everything that is stored; false, and the repository has begun anew, if some of it is damaged or missing. */
  check(signal: AbortSignal): Promise<boolean>;
  /** Packs when enough has come together. */
  maintain(): Promise<void>;
}
