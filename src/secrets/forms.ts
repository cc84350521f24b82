/** Values shorter than this are not looked for: they would blacken ordinary words. */
export const MIN_LENGTH = 8;

const bytesOf = (value: string): Buffer => Buffer.from(value, 'utf8');

/**
 * Base64 of a longer text that holds the value somewhere: where it begins decides between three spellings. Characters
 * that its neighbours have a part in are left out.
 */
function base64Within(value: string): string[] {
  const bytes = bytesOf(value);
  return [0, 1, 2].map((shift) => {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    return encoded.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6));
  });
}

const urlSafe = (base64: string): string => base64.replaceAll('+', '-').replaceAll('/', '_');
const lowerPercents = (text: string): string => text.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase());
const everyByte = (value: string): string => [...bytesOf(value)].map((byte) => `%${hexByte(byte)}`).join('');
const hexByte = (byte: number): string => byte.toString(16).padStart(2, '0').toUpperCase();

/** encodeURIComponent throws on half of a surrogate pair; such a value has no URL form. */
function urlEncoded(value: string): string[] {
  if (!value.isWellFormed()) return [];
  const component = encodeURIComponent(value);
  const strict = component.replace(/[!'()*]/g, (char) => `%${hexByte(char.charCodeAt(0))}`);
  const form = new URLSearchParams({ v: value }).toString().slice(2);
  const all = [component, strict, form, encodeURI(value), everyByte(value)];
  return [...all, ...all.map(lowerPercents)];
}

function jsonEscaped(value: string): string[] {
  const once = JSON.stringify(value).slice(1, -1);
  const ascii = once.replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const slashes = once.replaceAll('/', '\\/');
  return [once, ascii, slashes, JSON.stringify(once).slice(1, -1)];
}

const HTML: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Every spelling of a secret that is looked for, without repeats. */
export function formsOf(value: string): string[] {
  const base64 = base64Within(value);
  const hex = bytesOf(value).toString('hex');
  const all = [
    value,
    ...base64,
    ...base64.map(urlSafe),
    hex,
    hex.toUpperCase(),
    ...urlEncoded(value),
    ...jsonEscaped(value),
    value.replace(/[&<>"']/g, (char) => HTML[char] ?? char),
  ];
  return [...new Set(all)].filter((form) => form.length >= MIN_LENGTH);
}
