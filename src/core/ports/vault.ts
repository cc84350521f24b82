/** A secret as people may see it: never its value. Times in milliseconds since the epoch. */
export interface KeptSecret {
  name: string;
  made: number;
  /** When it last got a value. */
  changed: number;
}

/** Where the key of the vault is; `path` null: `secrets.key` of home. */
export type KeyPlace =
  | { from: 'file'; path: string | null }
  | { from: 'command'; command: string }
  | { from: 'credential'; name: string };

export interface VaultChange {
  name: string;
  what: 'set' | 'rotated' | 'removed';
}

/** The secrets of home, `secret:NAME`: encrypted on disk, in memory while it is open. One process writes at a time. */
export interface Vault {
  list(): readonly KeptSecret[];
  has(name: string): boolean;
  /** Why it cannot be opened, and what to do; null while it is open, or there is none. */
  problem(): string | null;
  /** It only waits for its passphrase. */
  locked(): boolean;
  /** Looks at the files once more where it could not be opened: they may have been put back. Asks nobody for a passphrase. */
  retry(): Promise<void>;
  /** On disk when it resolves. Rejects, with what to do, for a name or a value that cannot be, and where nothing can be written. */
  set(name: string, value: string): Promise<VaultChange>;
  /** False: there is none of this name. */
  remove(name: string): Promise<boolean>;
  /** Encrypts everything with a new key. Without a place the new one takes the place of the old one; elsewhere the key must be there, but for a file. */
  rotateKey(to?: { place: KeyPlace; passphrase: string | null }): Promise<{ publicKey: string; where: string }>;
  /** Where the key is, in words. */
  keyPlace(): Promise<string>;
  onChange(listener: (change: VaultChange) => void): () => void;
}
