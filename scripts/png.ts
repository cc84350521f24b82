// Makes a picture of a page small: 256 colours are enough for text and lines, and need a third of the bytes.
import { crc32, deflateSync, inflateSync } from 'node:zlib';

const COLOURS = 256;

/** The same picture with a palette. Takes what a browser makes: 8 bits each of red, green and blue, not interlaced. */
export function withPalette(png: Buffer): Buffer {
  const { width, height, pixels } = decode(png);
  const counts = new Map<number, number>();
  for (const colour of pixels) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  const palette = [...counts]
    .sort((a, b) => b[1] - a[1])
    .slice(0, COLOURS)
    .map(([colour]) => colour);
  const index = new Map(palette.map((colour, at) => [colour, at]));
  const rows = Buffer.alloc(height * (width + 1));
  pixels.forEach((colour, at) => {
    let place = index.get(colour);
    if (place === undefined) index.set(colour, (place = nearest(palette, colour)));
    rows[at + Math.floor(at / width) + 1] = place; // each row begins with its filter: none
  });
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8);
  const colours = Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]));
  const chunks = [
    chunk('IHDR', header),
    chunk('PLTE', colours),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ];
  return Buffer.concat([png.subarray(0, 8), ...chunks]);
}

function nearest(palette: readonly number[], colour: number): number {
  let [best, least] = [0, Infinity];
  palette.forEach((each, at) => {
    const of = (shift: number): number => ((each >> shift) & 255) - ((colour >> shift) & 255);
    const distance = of(16) ** 2 + of(8) ** 2 + of(0) ** 2;
    if (distance < least) [best, least] = [at, distance];
  });
  return best;
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}

function decode(png: Buffer): { width: number; height: number; pixels: Uint32Array } {
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  if (!png.subarray(24, 29).equals(Buffer.from([8, 2, 0, 0, 0])))
    throw new Error('not a picture as a browser makes it');
  const data: Buffer[] = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at))
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT')
      data.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  const raw = inflateSync(Buffer.concat(data));
  const stride = width * 3;
  const bytes = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y++) unfilter(raw, bytes, y, stride);
  const pixels = new Uint32Array(width * height);
  for (let at = 0; at < pixels.length; at++) pixels[at] = bytes.readUIntBE(at * 3, 3);
  return { width, height, pixels };
}

/** One row of PNG's filters taken back: left, up, mean, Paeth. */
function unfilter(raw: Buffer, out: Buffer, y: number, stride: number): void {
  const kind = raw[y * (stride + 1)] ?? 0;
  for (let x = 0; x < stride; x++) {
    const at = y * stride + x;
    const left = x >= 3 ? (out[at - 3] ?? 0) : 0;
    const up = y > 0 ? (out[at - stride] ?? 0) : 0;
    const corner = x >= 3 && y > 0 ? (out[at - stride - 3] ?? 0) : 0;
    const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][kind] ?? 0;
    out[at] = (raw[y * (stride + 1) + 1 + x] ?? 0) + guess;
  }
}

function paeth(left: number, up: number, corner: number): number {
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}
