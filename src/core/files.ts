/** A file's mode in Git. Symlinks are kept as text and never followed. */
export type FileMode = '100644' | '100755' | '120000';

/** One path of a run's overlay: `oid` null means removed; `was` is the blob the run saw before, null if there was none. */
export interface Change {
  path: string;
  mode: FileMode;
  oid: string | null;
  was: string | null;
}

/** Paths that one command, or one landing, may change: more hold up everything else while they are put on `main`. */
export const MAX_PATHS = 20_000;

export interface FileEntry {
  path: string;
  mode: FileMode;
  oid: string;
  /** Bytes. */
  size: number;
}

/** What is at a path; a sub-module is the place of another repository, whose files are not here. */
export type Place = 'file' | 'link' | 'folder' | 'sub-module';

/** What a run sees of the workspace: its base commit and, over it, its own changes. */
export interface Files {
  /** The commit below the overlay. */
  readonly base: string;
  /** The overlay so far, one entry a path. */
  changes(): Change[];
  stat(path: string): Promise<FileEntry | null>;
  /** Bytes from `offset`, at most `limit`. Null if there is no such file. */
  read(path: string): Promise<{ entry: FileEntry; bytes: Uint8Array } | null>;
  /** Null: nothing. */
  about(path: string): Promise<Place | null>;
  /** Bytes of a file as it was once, by its blob; null if the repository has them no longer, or they are too many to be read. */
  earlier(oid: string): Promise<Uint8Array | null>;
  /** Stores the bytes durably and puts them in the overlay. Refuses a path that could not come to `main`. */
  write(path: string, bytes: Uint8Array, mode?: FileMode): Promise<Change>;
  /** The same for a file that need not come to `main`: one that is only to be worked with. */
  place(path: string, bytes: Uint8Array): Promise<Change>;
  remove(path: string): Promise<Change | null>;
  /** All files below a folder ('' is the root), sorted by path. */
  list(folder: string): Promise<FileEntry[]>;
  /** Files below it that no tool can name, as their names can be shown: they are not UTF-8. */
  unnamed?(folder: string): Promise<readonly string[]>;
  /** Puts changes found elsewhere (a shell's checkout) in the overlay. */
  apply(changes: readonly Change[]): void;
}

/** A file cannot be read or written as asked. The message is for the model and for people; anything else thrown is a bug. */
export class FileRefused extends Error {
  readonly code: 'path' | 'clash' | 'obstacle' | 'too-large' | 'full' | 'readonly';
  constructor(code: FileRefused['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'FileRefused';
    this.code = code;
  }
}
