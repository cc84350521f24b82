import type { BodyScrub, Scrub } from '../core/ports/injection.ts';
import { everyCharacter, formsOf, pieceRedactor, Sought } from './redactor.ts';

/** A value, and what stands in its place. */
export interface Scrubbed {
  value: string;
  mark: string;
}

/** Bytes and text that hold one character for each byte, so that bytes that are not text come through unchanged. */
const asText = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
const asBytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const inBytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** What servers make of a value besides, as bytes: another case, every character escaped, and two bytes for each. */
function servedForms(value: string): string[] {
  const wide = Buffer.from(value, 'utf16le');
  return [
    ...[value.toLowerCase(), value.toUpperCase(), ...everyCharacter(value)].map(inBytes),
    wide.toString('latin1'),
    Buffer.from(wide).swap16().toString('latin1'),
  ];
}

/**
 * Puts marks in the place of values, and of their common spellings, in what a server sends back. All values are looked for at
 * once: one after the other, a value that begins as another one would leave the rest of that one behind.
 */
export function scrubOf(values: readonly Scrubbed[]): Scrub {
  const marks = new Map<string, string>();
  for (const { value, mark } of values)
    for (const form of [...formsOf(value).map(inBytes), ...servedForms(value)])
      if (!marks.has(form)) marks.set(form, mark);
  const sought = new Sought([...marks.keys()]);
  const pieces = () =>
    pieceRedactor(
      () => sought,
      (form) => marks.get(form) ?? '',
    );
  return {
    text: (text) => {
      const whole = pieces();
      return Buffer.from(whole.push(inBytes(text)) + whole.end(), 'latin1').toString('utf8');
    },
    body(): BodyScrub {
      const body = pieces();
      return {
        push: (chunk) => asBytes(body.push(asText(chunk))),
        end: () => asBytes(body.end()),
      };
    },
  };
}
