/** What the first bytes of a connection say, as far as they have come. */
export type Hello =
  | { state: 'more' }
  /** `name` is the server's name (SNI) in lower case; null if none is asked for. */
  | { state: 'read'; name: string | null }
  | { state: 'bad'; why: string };

/** A first message with post-quantum keys has some 2 KB; nobody needs ten times as much. */
const MAX_HELLO = 20_000;
const MAX_RECORD = 16_384;
const HANDSHAKE = 0x16;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
/** Extensions that hide a second name behind the one that can be seen: a shared front would obey the hidden one. */
const HIDING = new Set([0xfe0d, 0xffce]);
const NAME = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;

class Malformed extends Error {}

/** Reads numbers and parts from the front; throws `Malformed` where there are not enough bytes. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get length(): number {
    return this.#bytes.length;
  }

  get over(): boolean {
    return this.#at === this.#bytes.length;
  }

  rest(): Uint8Array {
    return this.take(this.#bytes.length - this.#at);
  }

  take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) throw new Malformed('it ends too early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  number(width: 1 | 2 | 3): number {
    return this.take(width).reduce((sum, byte) => sum * 256 + byte, 0);
  }

  /** A part whose length stands before it. */
  part(width: 1 | 2): Reader {
    return new Reader(this.take(this.number(width)));
  }
}

/** The handshake message that the records begin with; null if it has not come whole. */
function firstMessage(bytes: Uint8Array): Uint8Array | null {
  const pieces: Uint8Array[] = [];
  let length = 0;
  let declared = 0;
  let at = 0;
  for (;;) {
    if (bytes.length - at < 5) return null;
    const [type, major] = [bytes[at], bytes[at + 1]];
    const size = (bytes[at + 3] as number) * 256 + (bytes[at + 4] as number);
    if (type !== HANDSHAKE || major !== 3 || size === 0 || size > MAX_RECORD)
      throw new Malformed('its record does not belong to a handshake');
    const piece = bytes.subarray(at + 5, at + 5 + size);
    pieces.push(piece);
    length += piece.length;
    declared += size;
    const message = pieces.length === 1 ? piece : Buffer.concat(pieces);
    if (message.length > 0 && message[0] !== CLIENT_HELLO) throw new Malformed('it does not begin with a ClientHello');
    if (message.length >= 4) {
      const whole = 4 + (message[1] as number) * 65_536 + (message[2] as number) * 256 + (message[3] as number);
      if (whole > MAX_HELLO) throw new Malformed('its first message is too long');
      // What is left in the record would be a second message, which nobody here reads.
      if (declared > whole) throw new Malformed('more follows in the record of its first message');
      if (length === whole) return message.subarray(4);
    }
    if (piece.length < size) return null;
    at += 5 + size;
  }
}

function serverName(extension: Reader): string {
  const list = extension.part(2);
  const type = list.number(1);
  const name = Buffer.from(list.part(2).rest()).toString('latin1').toLowerCase();
  if (type !== 0 || !list.over || !extension.over || !NAME.test(name) || name.length > 253)
    throw new Malformed('the server’s name in it is not a name');
  return name;
}

function nameIn(message: Uint8Array): string | null {
  const reader = new Reader(message);
  reader.take(2 + 32);
  const [session, suites, compression] = [reader.part(1), reader.part(2), reader.part(1)];
  if (session.length > 32 || suites.length < 2 || suites.length % 2 !== 0 || compression.length < 1)
    throw new Malformed('its fields do not fit');
  if (reader.over) return null;
  const extensions = reader.part(2);
  if (!reader.over) throw new Malformed('its fields do not fit');
  const seen = new Set<number>();
  let name: string | null = null;
  while (!extensions.over) {
    const type = extensions.number(2);
    const extension = extensions.part(2);
    if (seen.has(type)) throw new Malformed('an extension comes twice');
    seen.add(type);
    if (HIDING.has(type)) throw new Malformed('it hides the server’s name (encrypted ClientHello)');
    if (type === SERVER_NAME) name = serverName(extension);
  }
  return name;
}

/** Reads the ClientHello that a TLS connection begins with. */
export function readHello(bytes: Uint8Array): Hello {
  try {
    const message = firstMessage(bytes);
    if (message !== null) return { state: 'read', name: nameIn(message) };
    return bytes.length > MAX_HELLO ? { state: 'bad', why: 'its first message is too long' } : { state: 'more' };
  } catch (error) {
    if (error instanceof Malformed) return { state: 'bad', why: error.message };
    throw error;
  }
}

export type Opening =
  | { kind: 'more' }
  | { kind: 'tls'; name: string | null }
  | { kind: 'http' }
  | { kind: 'other' }
  | { kind: 'bad'; why: string };

/** Lenient on purpose: what any server could take for a request must be read as one. */
const REQUEST_LINE = /^\s*[^\s:]+[ \t]+[^\s]+[ \t]+HTTP\//i;
const MAX_LINE = 8192;

/** What is spoken in a tunnel, by the first bytes that the client sends in it. */
export function openingOf(bytes: Uint8Array): Opening {
  if (bytes.length === 0) return { kind: 'more' };
  if (bytes[0] === HANDSHAKE) {
    const hello = readHello(bytes);
    if (hello.state === 'more') return { kind: 'more' };
    return hello.state === 'bad' ? { kind: 'bad', why: hello.why } : { kind: 'tls', name: hello.name };
  }
  const text = Buffer.from(bytes.subarray(0, MAX_LINE)).toString('latin1');
  if (REQUEST_LINE.test(text)) return { kind: 'http' };
  // A line may still become that of a request until its end has come.
  if (!/^[\x21-\x7e]*(?:[ \t][\x20-\x7e\t]*)?$/.test(text.trimStart())) return { kind: 'other' };
  return bytes.length < MAX_LINE ? { kind: 'more' } : { kind: 'bad', why: 'its first line is too long' };
}
