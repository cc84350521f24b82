import type { MessageFile } from '../../core/ports/channel.ts';
import { isObject } from './body.ts';
import { badRequest, HttpError } from './errors.ts';

/** Files of one message. */
const MAX_FILES = 20;
const MAX_NAME = 200;

/**
 * The field `files` of a message: `[{name, mediaType, data}]`, `data` in base64, `most` bytes in all. What a name may be
 * called is settled where it is kept; here it only has to be one.
 */
export function filesOf(value: unknown, most: number): MessageFile[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > MAX_FILES)
    throw badRequest(`"files" must be a list of up to ${MAX_FILES} files.`, 'files');
  let bytes = 0;
  return value.map((each: unknown, index) => {
    const file = fileOf(each, `files.${index}`);
    bytes += file.bytes.length;
    if (bytes > most)
      throw new HttpError(
        413,
        'too_large',
        `The files of one message may have at most ${Math.floor(most / 1_000_000)} MB in all.`,
      );
    return file;
  });
}

function fileOf(value: unknown, at: string): MessageFile {
  const { name, mediaType, data } = isObject(value) ? value : {};
  if (typeof name !== 'string' || name.trim() === '' || name.length > MAX_NAME)
    throw badRequest(`"${at}.name" must be a file name of up to ${MAX_NAME} characters.`, `${at}.name`);
  if (typeof mediaType !== 'string' || !/^[\w.+-]{1,100}\/[\w.+-]{1,100}$/.test(mediaType))
    throw badRequest(`"${at}.mediaType" must be a media type such as image/png.`, `${at}.mediaType`);
  if (typeof data !== 'string' || data.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(data))
    throw badRequest(`"${at}.data" must be base64, with its padding.`, `${at}.data`);
  return { name: name.toWellFormed(), mediaType: mediaType.toLowerCase(), bytes: Buffer.from(data, 'base64') };
}
