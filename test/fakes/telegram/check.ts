import { type ApiEntity, type ApiKey, bad } from './types.ts';

const FORMATS = new Set([
  'bold',
  'italic',
  'underline',
  'strikethrough',
  'spoiler',
  'code',
  'pre',
  'text_link',
  'blockquote',
  'expandable_blockquote',
]);

/** A text as Telegram keeps it: trimmed, its entities checked and moved along. Throws what Telegram answers. */
export function checkText(
  given: unknown,
  entities: unknown,
  limit: number,
  empty = 'message text is empty',
): { text: string; entities: ApiEntity[] } {
  if (typeof given !== 'string') throw bad(empty);
  if (!given.isWellFormed()) throw bad('strings must be encoded in UTF-8');
  const list = (entities ?? []) as ApiEntity[];
  for (const entity of list) checkEntity(given, entity);
  checkNesting(list);
  const start = given.length - given.trimStart().length;
  const text = given.trim();
  if (!/[^\s\p{C}\p{Z}]/u.test(text)) throw bad(empty);
  if (text.length > limit) throw bad(limit === 4096 ? 'message is too long' : 'message caption is too long');
  const kept = withoutClashes(list.slice(0, 100)).flatMap((entity) => {
    const offset = Math.max(0, entity.offset - start);
    const length = Math.min(text.length, entity.offset - start + entity.length) - offset;
    return length > 0 ? [{ ...entity, offset, length }] : [];
  });
  return { text, entities: kept };
}

function checkEntity(text: string, { type, offset, length, url }: ApiEntity): void {
  if (!FORMATS.has(type)) throw bad("can't parse MessageEntity: Unsupported type specified");
  if (!Number.isInteger(offset) || offset < 0 || offset > text.length)
    throw bad(`entity begins after the end of the text at UTF-16 offset ${offset}`);
  const end = offset + length;
  if (!Number.isInteger(length) || length <= 0 || end > text.length)
    throw bad(`entity beginning at UTF-16 offset ${offset} ends after the end of the text at UTF-16 offset ${end}`);
  const middle = (at: number): boolean => /[\udc00-\udfff]/.test(text.charAt(at));
  if (middle(offset)) throw bad(`entity begins in a middle of a UTF-16 symbol at byte offset ${offset}`);
  if (middle(end)) throw bad(`entity beginning at UTF-16 offset ${offset} ends in a middle of a UTF-16 symbol`);
  if (type !== 'text_link') return;
  const parsed = typeof url === 'string' ? URL.parse(url) : null;
  if (!parsed || !/^(?:https?|tg|ton):$/.test(parsed.protocol) || !/[^.]\.[^.]/.test(parsed.hostname))
    throw bad(`entity URL '${url}' is invalid: Wrong HTTP URL`);
}

/** TDLib's `fix_entities`: code and `pre` hold nothing else; what shares a character with them goes, a link as well. */
const withoutClashes = (list: readonly ApiEntity[]): ApiEntity[] => {
  const solid = list.filter(({ type }) => type === 'code' || type === 'pre');
  const meets = (a: ApiEntity, b: ApiEntity): boolean =>
    a.offset < b.offset + b.length && b.offset < a.offset + a.length;
  return list.filter(
    (each) => solid.includes(each) || each.type === 'blockquote' || !solid.some((code) => meets(each, code)),
  );
};

/** Entities stand inside each other or apart. */
function checkNesting(entities: readonly ApiEntity[]): void {
  for (const a of entities)
    for (const b of entities) {
      const cross = a.offset < b.offset && b.offset < a.offset + a.length && a.offset + a.length < b.offset + b.length;
      if (cross)
        throw bad(
          `entity beginning at UTF-16 offset ${b.offset} ends after the end of the text at UTF-16 offset ${b.offset + b.length}`,
        );
    }
}

/** An inline keyboard; undefined if there is none. */
export function checkKeyboard(markup: unknown): { inline_keyboard: ApiKey[][] } | undefined {
  if (markup === undefined || markup === null) return undefined;
  const rows = (markup as { inline_keyboard?: unknown }).inline_keyboard;
  if (!Array.isArray(rows)) throw bad('object expected as reply markup');
  const keys = (rows as ApiKey[][]).flat();
  for (const key of keys) {
    if (typeof key.text !== 'string' || key.text === '')
      throw bad("can't parse inline keyboard button: text must be non-empty");
    const bytes = Buffer.byteLength(key.callback_data ?? '');
    if (bytes < 1 || bytes > 64) throw bad('BUTTON_DATA_INVALID');
  }
  return keys.length > 0 ? { inline_keyboard: rows as ApiKey[][] } : undefined;
}
