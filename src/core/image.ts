/** What every provider with eyes takes. */
export const IMAGE_TYPES = ['image/jpeg', 'image/png', 'image/gif', 'image/webp'] as const;
export type ImageType = (typeof IMAGE_TYPES)[number];

export interface ImageSize {
  mediaType: ImageType;
  /** Pixels. */
  width: number;
  height: number;
}

/** Pixels of the long edge up to which every maker looks at all of a picture. Few models look at more, and they bill twice as much. */
export const SEEN_SIDE = 1_568;
/** What all providers take: bytes of a picture, of which base64 makes a third more and Amazon and Google take 5 MiB; pixels of a side. */
const MOST_BYTES = 3_900_000;
const MOST_SIDE = 8_000;

/** Why no model is shown a picture; null if it can be. */
export function tooLarge({ width, height }: Pick<ImageSize, 'width' | 'height'>, bytes: number): string | null {
  if (Math.max(width, height) > MOST_SIDE) return `${width}×${height} pixels, and a side can have at most ${MOST_SIDE}`;
  return bytes > MOST_BYTES ? `models take pictures up to ${MOST_BYTES / 1_000_000} MB` : null;
}

/** How a maker counts a picture: made to fit, then cut into squares of which each is so many tokens. */
export interface PictureRule {
  /** Pixels of a side of a square. */
  cell: number;
  /** Tokens of a square. */
  each: number;
  /** Tokens of the picture besides. */
  base?: number;
  /** Pixels that the long side is scaled down to, and the short one. */
  long?: number;
  short?: number;
  /** Squares that it has at most; what has more is scaled down. */
  most: number;
}

/** Of a maker that nobody knows: no maker of those known counts more at the size that we scale to. */
export const UNKNOWN_RULE: PictureRule = { cell: 28, each: 1, long: 2_576, most: 4_784 };

/** Tokens that a picture is billed as, at most. One whose size nobody has noted counts as a large one. */
export function pictureTokens(size: { width?: number; height?: number }, rule: PictureRule): number {
  const { cell, each, base = 0, long = Infinity, short = Infinity, most } = rule;
  const { width, height } = size;
  if (width === undefined || height === undefined) return Math.ceil(base + most * each);
  const scale = Math.min(1, long / Math.max(width, height), short / Math.min(width, height));
  const across = (side: number): number => Math.ceil(Math.round(side * scale) / cell);
  return Math.ceil(base + Math.min(across(width) * across(height), most) * each);
}

const text = (bytes: Uint8Array, at: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + length));

/** What the bytes are, whatever their name says: null if no model sees it as an image, or if its header is cut. */
export function imageIn(bytes: Uint8Array): ImageSize | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    if (text(bytes, 1, 3) === 'PNG' && bytes[0] === 0x89 && text(bytes, 12, 4) === 'IHDR')
      return { mediaType: 'image/png', width: view.getUint32(16), height: view.getUint32(20) };
    if (/^GIF8[79]a/.test(text(bytes, 0, 6)))
      return { mediaType: 'image/gif', width: view.getUint16(6, true), height: view.getUint16(8, true) };
    if (text(bytes, 0, 4) === 'RIFF' && text(bytes, 8, 4) === 'WEBP') return webp(bytes, view);
    return bytes[0] === 0xff && bytes[1] === 0xd8 ? jpeg(view) : null;
  } catch (error) {
    // The header ends too early.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** RFC 9649: three forms of the first chunk. */
function webp(bytes: Uint8Array, view: DataView): ImageSize | null {
  const mediaType = 'image/webp';
  const form = text(bytes, 12, 4);
  if (form === 'VP8 ')
    return { mediaType, width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  if (form === 'VP8L') {
    const bits = view.getUint32(21, true);
    return { mediaType, width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 };
  }
  if (form !== 'VP8X') return null;
  const three = (at: number): number => view.getUint16(at, true) + view.getUint8(at + 2) * 65_536 + 1;
  return { mediaType, width: three(24), height: three(27) };
}

/** ITU-T T.81: segments up to the frame header, which holds the size. */
function jpeg(view: DataView): ImageSize | null {
  for (let at = 2; at < view.byteLength;) {
    if (view.getUint8(at) !== 0xff) return null;
    const marker = view.getUint8(at + 1);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return { mediaType: 'image/jpeg', width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    // Fill bytes may stand before a marker.
    at += marker === 0xff ? 1 : 2 + view.getUint16(at + 2);
  }
  return null;
}
