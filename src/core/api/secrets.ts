import type { KeptSecret, KeyPlace } from '../ports/vault.ts';

/** Where a file names a secret: `ruche.yaml`, `channels.telegram.token`. */
export interface SecretPlace {
  file: string;
  key: string;
}

/** When a secret was last read, and for what: `provider "openai"`. */
export interface SecretUse {
  at: number;
  for: string;
}

export interface SecretView extends KeptSecret {
  /** Null: not on record. */
  lastUsed: SecretUse | null;
  places: readonly SecretPlace[];
}

export interface SecretsView {
  secrets: readonly SecretView[];
  /** What files name and nobody has given. */
  missing: readonly { name: string; places: readonly SecretPlace[] }[];
  /** Where the key of the vault is, in words; null: it is not known. */
  key: string | null;
  /** Why the vault cannot be opened, and what to do. */
  problem: string | null;
}

export type SecretRefused = { ok: false; why: 'unknown' | 'refused'; message: string };

/** What people do with secrets. A value goes in and never comes out. */
export interface SecretsDesk {
  list(): Promise<SecretsView>;
  /** `known`: only one that is there gets a new value. */
  set(
    name: string,
    value: string,
    options: { known: boolean },
  ): Promise<{ ok: true; what: 'set' | 'rotated'; places: readonly SecretPlace[] } | SecretRefused>;
  remove(name: string): Promise<{ ok: true; places: readonly SecretPlace[] } | SecretRefused>;
  /** A place elsewhere only where no network runs: who has its token must not choose a command of its machine. */
  rotateKey(to?: {
    place: KeyPlace;
    passphrase: string | null;
  }): Promise<{ ok: true; publicKey: string; where: string } | SecretRefused>;
}
