import type { BodyScrub, Scrub } from '../core/ports/injection.ts';
import { everyCharacter, formsOf, pieceRedactor, Sought } from './redactor.ts';

/** A value, and what stands in its place. */
export interface Scrubbed {
  value: string;
  mark: string;
}

/** Bytes and text that hold one character for each byte, so that what is no text comes through unchanged. */
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

/** Puts marks in the place of values, and of their common spellings, in what a server sends back. */
export function scrubOf(values: readonly Scrubbed[]): Scrub {
  const sought = values.map(({ value, mark }) => ({
    spellings: new Sought([...new Set([...formsOf(value).map(inBytes), ...servedForms(value)])]),
    mark,
  }));
  const pieces = () => sought.map(({ spellings, mark }) => pieceRedactor(() => spellings, mark));
  return {
    text: (text) => {
      let clean = inBytes(text);
      for (const each of pieces()) clean = each.push(clean) + each.end();
      return Buffer.from(clean, 'latin1').toString('utf8');
    },
    body(): BodyScrub {
      const chain = pieces();
      return {
        push: (chunk) => asBytes(chain.reduce((text, each) => each.push(text), asText(chunk))),
        // What one held back may be the start of what the next looks for.
        end: () => asBytes(chain.reduce((text, each) => each.push(text) + each.end(), '')),
      };
    },
  };
}
