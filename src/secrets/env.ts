import type { PieceRedactor, Secrets } from '../core/ports.ts';
import { formsOf, MIN_LENGTH } from './forms.ts';

export interface EnvSecretsOptions {
  env: Readonly<Record<string, string | undefined>>;
  /** Secrets that are not in the environment, such as the gateway's token. */
  values?: readonly string[];
}

const MARK = '[redacted]';
const SECRET_NAME =
  /(?:^|_)(?:\w*KEYS?|\w*TOKENS?|\w*SECRETS?|\w*PASSWORDS?|PASSWD|\w*PASS|PASSPHRASE|CREDENTIALS?|PAT)$|_(?:KEY|TOKEN|SECRET|PASSWORD)_|SECRET|PASSWORD/i;
/** Names that end like a key but say where one is, or what kind. */
const NOT_SECRET = /(?:_FILE|_PATH|_DIR|_URL|_NAME|_TYPE|_SOCK)$|ASKPASS$|^(?:HOT|MONKEY|TURKEY)/i;

/** The secret parts of a value: itself, the password of a URL, and each line of a key in PEM form. */
function partsOf(name: string, value: string): string[] {
  const parts: string[] = [];
  if (SECRET_NAME.test(name) && !NOT_SECRET.test(name)) parts.push(value);
  const url = value.includes('@') ? URL.parse(value) : null;
  if (url && url.password !== '') parts.push(url.password, decodeURIComponentSafely(url.password));
  return parts;
}

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}

const linesOf = (value: string): string[] =>
  value.includes('\n')
    ? value.split(/\r?\n/).filter((line) => line.trim().length >= 16 && !line.startsWith('-----'))
    : [];

/** Secrets of the process's environment, handed in as a map: `env:NAME`. */
export function envSecrets(options: EnvSecretsOptions): Secrets {
  const { env } = options;
  const values = new Set<string>();
  let forms: string[] = [];
  const add = (value: string): void => {
    const trimmed = value.trim();
    if (trimmed.length < MIN_LENGTH || values.has(trimmed)) return;
    for (const each of [trimmed, ...linesOf(trimmed)]) {
      values.add(each);
      forms.push(...formsOf(each));
    }
    forms = [...new Set(forms)];
  };
  for (const [name, value] of Object.entries(env)) if (value) for (const part of partsOf(name, value)) add(part);
  for (const value of options.values ?? []) add(value);

  return {
    async resolve(ref, forWhom) {
      const name = /^env:([A-Za-z_][A-Za-z0-9_]*)$/.exec(ref)?.[1];
      if (name === undefined) {
        // What is no reference may be the key itself: it must not be repeated here or anywhere else.
        add(ref);
        throw new Error(
          `The secret of ${forWhom} is not a reference: write env:NAME, and set the environment variable NAME to the value.`,
        );
      }
      // A line end that was pasted along would break an HTTP header.
      const value = env[name]?.trim();
      if (!value)
        throw new Error(
          `The environment variable ${name} is not set, and ${forWhom} needs it: set it where ruche is started.`,
        );
      add(value);
      return value;
    },
    redact: (text) => redact(text, forms),
    redactPieces: () => pieceRedactor(() => forms),
  };
}

interface Place {
  from: number;
  to: number;
}

function placesOf(text: string, forms: readonly string[]): Place[] {
  const found: Place[] = [];
  for (const form of forms)
    for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1))
      found.push({ from: at, to: at + form.length });
  return found;
}

function pieceRedactor(forms: () => readonly string[]): PieceRedactor {
  let held = '';
  return {
    push(piece) {
      const text = held + piece;
      let cut = startOfSecret(text, forms());
      // A secret that another one may begin in waits with it: cut in two, it would not be found.
      const places = placesOf(text, forms()).sort((a, b) => b.from - a.from);
      for (const { from, to } of places) if (to > cut) cut = Math.min(cut, from);
      held = text.slice(cut);
      return redact(text.slice(0, cut), forms());
    },
    end() {
      const rest = held;
      held = '';
      return redact(rest, forms());
    },
  };
}

/** Where the end of a text begins that may go on to be a secret; its length if nothing of it may. */
function startOfSecret(text: string, forms: readonly string[]): number {
  const longest = forms.reduce((most, form) => Math.max(most, form.length), 1);
  for (let at = Math.max(0, text.length - longest + 1); at < text.length; at += 1) {
    const end = text.slice(at);
    if (forms.some((form) => form.length > end.length && form.startsWith(end))) return at;
  }
  return text.length;
}

/** All places are found before any is replaced, so that overlapping secrets leave no end behind. */
function redact(text: string, forms: readonly string[]): string {
  const found = placesOf(text, forms);
  if (found.length === 0) return text;
  found.sort((a, b) => a.from - b.from || b.to - a.to);
  const pieces: string[] = [];
  let done = 0;
  for (const { from, to } of found) {
    if (to <= done) continue;
    // What overlaps the last place belongs to it.
    if (from >= done) pieces.push(text.slice(done, from), MARK);
    done = to;
  }
  pieces.push(text.slice(done));
  return pieces.join('');
}
