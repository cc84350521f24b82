// `winmail.dat`: what Outlook packs a mail's files into when it thinks that it writes to Outlook.
import { decodeBytes } from './charset.ts';

const SIGNATURE = 0x223e9f78;
const MAX_FILES = 1000;

const ATTRIBUTE = {
  attachRendData: 0x00069002,
  attachTitle: 0x00018010,
  attachData: 0x0006800f,
  attachment: 0x00069005,
  messageProps: 0x00069003,
  codePage: 0x00069007,
  body: 0x0002800c,
} as const;

const PROPERTY = { longName: 0x3707, name: 0x3704, mime: 0x370e, body: 0x1000, html: 0x1013 } as const;

interface TnefFile {
  name: string;
  type: string;
  data: Buffer;
}

interface Tnef {
  files: TnefFile[];
  text: string | null;
  html: string | null;
  /** False if it breaks off. */
  whole: boolean;
}

export const isTnef = (type: string, name: string | null): boolean =>
  /^application\/(?:vnd\.)?ms-tnef$/.test(type) || name?.toLowerCase() === 'winmail.dat';

/** Fixed sizes of property types; -1 for those that say their length. */
const SIZES: Readonly<Record<number, number>> = {
  0x02: 4,
  0x03: 4,
  0x04: 4,
  0x05: 8,
  0x06: 8,
  0x07: 8,
  0x0a: 4,
  0x0b: 4,
  0x14: 8,
  0x40: 8,
  0x48: 16,
  0x0d: -1,
  0x1e: -1,
  0x1f: -1,
  0x102: -1,
};

/** The first value of each property that is a text or bytes. Stops at what it does not understand. */
function properties(data: Buffer): Map<number, { type: number; value: Buffer }> {
  const found = new Map<number, { type: number; value: Buffer }>();
  let at = 4;
  const left = (bytes: number): boolean => bytes >= 0 && at + bytes <= data.length;
  let count = left(0) && data.length >= 4 ? Math.min(data.readUInt32LE(0), 10_000) : 0;
  for (; count > 0 && left(4); count--) {
    const type = data.readUInt16LE(at) & 0x0fff;
    const many = (data.readUInt16LE(at) & 0x1000) !== 0;
    const id = data.readUInt16LE(at + 2);
    at += 4;
    if (id >= 0x8000) {
      if (!left(24)) break;
      const named = data.readUInt32LE(at + 16) === 1 ? data.readUInt32LE(at + 20) : 0;
      at += 24 + Math.ceil(named / 4) * 4;
    }
    const size = SIZES[type];
    if (size === undefined || !left(0)) break;
    let values = 1;
    if (many || size === -1) {
      if (!left(4)) break;
      values = Math.min(data.readUInt32LE(at), 10_000);
      at += 4;
    }
    for (; values > 0; values--) {
      if (size === -1 && !left(4)) return found;
      const length = size === -1 ? data.readUInt32LE(at) : size;
      if (size === -1) at += 4;
      if (!left(length)) return found;
      if (size === -1 && !found.has(id)) found.set(id, { type, value: data.subarray(at, at + length) });
      at += Math.ceil(length / 4) * 4;
    }
  }
  return found;
}

function textOf(property: { type: number; value: Buffer } | undefined, charset: string | null): string | null {
  if (property === undefined) return null;
  const text =
    property.type === 0x1f
      ? new TextDecoder('utf-16le').decode(property.value)
      : decodeBytes(property.value, charset).text;
  return text.replace(/\0+$/, '') || null;
}

/** The files and the text within. Never throws: what breaks off ends there. */
export function readTnef(bytes: Buffer): Tnef | null {
  if (bytes.length < 6 || bytes.readUInt32LE(0) !== SIGNATURE) return null;
  const tnef: Tnef = { files: [], text: null, html: null, whole: true };
  let charset: string | null = null;
  let at = 6;
  while (at + 9 <= bytes.length) {
    const id = bytes.readUInt32LE(at + 1);
    const length = bytes.readUInt32LE(at + 5);
    const data = bytes.subarray(at + 9, at + 9 + length);
    if (data.length < length) tnef.whole = false;
    at += 9 + length + 2;
    if (id === ATTRIBUTE.codePage && data.length >= 4) charset = `cp${data.readUInt32LE(0)}`;
    else if (id === ATTRIBUTE.messageProps) {
      const found = properties(data);
      tnef.text ??= textOf(found.get(PROPERTY.body), charset);
      tnef.html ??= textOf(found.get(PROPERTY.html), charset);
    } else if (id === ATTRIBUTE.body) tnef.text ??= decodeBytes(data, charset).text.replace(/\0+$/, '');
    else if (id === ATTRIBUTE.attachRendData) {
      if (tnef.files.length === MAX_FILES) break;
      tnef.files.push({ name: '', type: 'application/octet-stream', data: Buffer.alloc(0) });
    } else file(tnef.files.at(-1), id, data, charset);
  }
  if (at < bytes.length) tnef.whole = false;
  return tnef;
}

function file(last: TnefFile | undefined, id: number, data: Buffer, charset: string | null): void {
  if (last === undefined) return;
  if (id === ATTRIBUTE.attachTitle) last.name ||= decodeBytes(data, charset).text.replace(/\0+$/, '');
  if (id === ATTRIBUTE.attachData) last.data = data;
  if (id !== ATTRIBUTE.attachment) return;
  const found = properties(data);
  last.name = textOf(found.get(PROPERTY.longName), charset) ?? last.name;
  last.type = textOf(found.get(PROPERTY.mime), charset)?.toLowerCase() ?? last.type;
}
