import type { MessageFile } from '../../core/ports/channel.ts';
import type { Attachment } from './read.ts';
import { type TelegramApi, type Trouble, troubleOf } from './api.ts';

/** Bytes of a file that Telegram hands to a bot, and of all files of one message that are kept in memory. */
const MAX_FILE = 20 * 1024 * 1024;
const MAX_ALL = 3 * MAX_FILE;

interface Fetched {
  files: MessageFile[];
  /** What could not be fetched, for the text. */
  notes: string[];
}

/**
 * Fetches the files of a message. Rejects if the network is to blame and the message should come again (`patient`);
 * otherwise what is missing is said.
 */
export async function fetchFiles(
  api: TelegramApi,
  attachments: readonly Attachment[],
  patient: boolean,
  signal: AbortSignal,
): Promise<Fetched> {
  const fetched: Fetched = { files: [], notes: [] };
  let room = MAX_ALL;
  for (const { id, name, mediaType, size } of attachments) {
    const missing = (why: string): void => void fetched.notes.push(`(The file ${name} is missing here: ${why})`);
    const limit = Math.min(MAX_FILE, room);
    if (size !== null && size > MAX_FILE) missing(tooLarge(size));
    else if (size !== null && size > limit) missing('together with the others it is too much for one message.');
    else {
      try {
        const { file_path: path } = await api.call.getFile({ file_id: id }, signal as never);
        if (path === undefined) missing('Telegram does not hand it out.');
        else {
          const bytes = await api.download(path, limit, signal);
          fetched.files.push({ name, mediaType, bytes });
          room -= bytes.length;
        }
      } catch (error) {
        signal.throwIfAborted();
        const trouble = troubleOf(error);
        if (patient && isPassing(trouble)) throw error;
        const big = trouble.kind === 'refused' && /too big/i.test(trouble.says);
        missing(big ? tooLarge(size) : `it could not be fetched (${trouble.says}).`);
      }
    }
  }
  return fetched;
}

const isPassing = (trouble: Trouble): boolean => trouble.kind !== 'refused' || trouble.code === 429;

function tooLarge(size: number | null): string {
  const told = size === null ? '' : `it has ${Math.ceil(size / 1_000_000)} MB, and `;
  return `${told}Telegram gives bots no more than 20 MB.`;
}
