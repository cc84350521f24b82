import type { Vault } from './vault.ts';

/** `env:NAME` of the environment, `secret:NAME` of the vault of home, which is `home:NAME` as well. */
export interface Secrets {
  /** Rejects with what is missing and where to set it, never with a value. */
  resolve(ref: string, forWhom: string): Promise<string>;
  /** Replaces every known secret (raw, base64, hex, URL-encoded) in a text. */
  redact(text: string): string;
  /** The same for one text that comes in pieces. */
  redactPieces(): PieceRedactor;
}

/** Secrets that can be given while it runs. */
export interface KeptSecrets extends Secrets {
  /** Hides a value everywhere from now on, without keeping it. */
  hide(value: string): void;
  /** Whether there is something under this reference. */
  has(ref: string): boolean;
  /** Keeps a value in the vault under a name: on disk when it resolves, hidden from the call on. Gives its reference. */
  keep(name: string, value: string): Promise<string>;
  readonly vault: Vault;
  /** Like `resolve`, where it is only to be known whether it would work: this does not count as a use of the secret. */
  peek(ref: string, forWhom: string): Promise<string>;
  /** Moves what an older version has kept into the vault, and finishes what was interrupted. Only where this process alone may write. */
  settle(): Promise<void>;
  /** Tells what each secret of the vault is read for. */
  onUse(listener: (name: string, forWhom: string) => void): () => void;
}

/** A small file of home that only its owner may read. */
export interface PrivateFile {
  readonly path: string;
  /** Null if there is none. Rejects if others may read it. */
  read(): Promise<string | null>;
  /** Whole or not at all, and on disk when it resolves; mode 0600. */
  write(text: string): Promise<void>;
}

/** Takes secrets out of one text that comes in pieces. */
export interface PieceRedactor {
  /** What can be shown by now: the end of the text is held back while it may be the start of a secret. */
  push(piece: string): string;
  /** What was held back. */
  end(): string;
}
