import { createHash } from 'node:crypto';
import type { BlobRef } from '../core/blob.ts';
import { plainName } from '../core/text/media.ts';
import { type FileRef, IMAGE_TYPES, type ImageType, type Part } from '../core/model.ts';
import type { MessageFile } from '../core/ports/channel.ts';

/** Bytes of an image that is shown to the model: what all providers take. Larger ones are only files. */
const MAX_IMAGE = 5_000_000;

export interface KeptFiles {
  files: FileRef[];
  images: Part[];
  /** For the model: what came, and where it is. */
  note: string;
}

const isImage = (type: string): type is ImageType => (IMAGE_TYPES as readonly string[]).includes(type);

const sizeOf = (bytes: number): string =>
  bytes < 1_000_000 ? `${Math.max(1, Math.round(bytes / 1000))} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;

/**
 * Keeps the files of a message: each has a place in the workspace's `inbox/`, in a folder that belongs to this one
 * message (`key`), and images that models can see are shown to them besides.
 */
export function keepFiles(given: readonly MessageFile[], key: string, put: (bytes: Uint8Array) => BlobRef): KeptFiles {
  const folder = createHash('sha256').update(key).digest('hex').slice(0, 16);
  const kept: KeptFiles = { files: [], images: [], note: '' };
  const lines: string[] = [];
  for (const { name: called, mediaType, bytes } of given) {
    const name = freeName(plainName(called), kept.files);
    const blob = put(bytes);
    const path = `inbox/${folder}/${name}`;
    kept.files.push({ name, mediaType, path, blob });
    if (isImage(mediaType) && bytes.length <= MAX_IMAGE) kept.images.push({ type: 'image', mediaType, name, blob });
    lines.push(`${path} (${mediaType}, ${sizeOf(bytes.length)})`);
  }
  kept.note = `[Files that came with this message: ${lines.join(', ')}]`;
  return kept;
}

/** Two files of one name must not become one. */
function freeName(name: string, taken: readonly FileRef[]): string {
  const used = new Set(taken.map((file) => file.name.toLowerCase()));
  const dot = name.lastIndexOf('.');
  const [stem, ending] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
  let free = name;
  for (let n = 2; used.has(free.toLowerCase()); n += 1) free = `${stem}-${n}${ending}`;
  return free;
}
