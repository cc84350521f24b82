import type { Pixels, ScaledPicture } from './api.ts';

/** Pixels of the long edge up to which every maker's models look at all of a picture. */
const SEEN_SIDE = 1_568;
const QUALITY = 0.85;
/** A PNG that is so many times as large as the JPEG shows a photo. */
const OF_A_PHOTO = 2;

/**
 * Null for what is not larger, for what moves or the browser cannot show, and where scaling saves no byte. The scaled
 * picture stands upright, and has nothing of what a camera notes beside it.
 */
export async function scaledPicture(file: File): Promise<ScaledPicture | null> {
  if (!/^image\/(?:jpeg|png|webp|bmp|avif|heic|heif)$/.test(file.type)) return null;
  try {
    return (await isMoving(file)) ? null : await scaled(file);
  } catch {
    return null; // not readable, or an old browser: it goes as it is
  }
}

/** The browser decodes and encodes beside the page's own thread. */
async function scaled(file: File): Promise<ScaledPicture | null> {
  const bitmap = await createImageBitmap(file);
  try {
    const { width, height } = bitmap;
    const scale = SEEN_SIDE / Math.max(width, height);
    if (scale >= 1) return null;
    const to = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
    const blob = await encoded(drawn(bitmap, to), file);
    return blob.size < file.size ? { original: file, file: renamed(file, blob), from: { width, height }, to } : null;
  } finally {
    bitmap.close();
  }
}

function drawn(bitmap: ImageBitmap, { width, height }: Pixels): OffscreenCanvas {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (context === null) throw new Error('The browser gives no canvas.');
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, width, height);
  return canvas;
}

/** What lines and letters are in stays PNG, and so does what lets the ground through; photos are JPEG. */
async function encoded(canvas: OffscreenCanvas, { type, size }: File): Promise<Blob> {
  const jpeg = (): Promise<Blob> => canvas.convertToBlob({ type: 'image/jpeg', quality: QUALITY });
  if (type === 'image/jpeg') return jpeg();
  const png = await canvas.convertToBlob({ type: 'image/png' });
  if (!isOpaque(canvas)) return png;
  const photo = await jpeg();
  return png.size < size && png.size <= photo.size * OF_A_PHOTO ? png : photo;
}

function isOpaque(canvas: OffscreenCanvas): boolean {
  const { data } = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height) ?? {};
  for (let at = 3; data !== undefined && at < data.length; at += 4) if (data[at] !== 255) return false;
  return true;
}

/** An animation in PNG or WebP says so before its first picture. */
async function isMoving(file: File): Promise<boolean> {
  const head = new TextDecoder('latin1').decode(await file.slice(0, 4_096).arrayBuffer());
  if (file.type === 'image/png') return head.includes('acTL');
  return file.type === 'image/webp' && head.slice(12, 16) === 'VP8X' && (head.charCodeAt(20) & 2) !== 0;
}

function renamed({ name, type }: File, blob: Blob): File {
  const stem = name.replace(/\.[^.]*$/, '');
  const ending = blob.type === 'image/png' ? 'png' : 'jpg';
  return new File([blob], blob.type === type || stem === '' ? name : `${stem}.${ending}`, { type: blob.type });
}
