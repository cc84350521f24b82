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

/** What Telegram finds by itself, so that it is accepted and ignored. */
const FOUND = new Set([
  'mention',
  'hashtag',
  'cashtag',
  'bot_command',
  'url',
  'email',
  'phone_number',
  'bank_card_number',
]);

/** A text as Telegram keeps it: cleaned, trimmed, its entities checked, moved along and put right. Throws what Telegram answers. */
export function checkText(
  given: unknown,
  entities: unknown,
  limit: number,
  empty = 'message text is empty',
): { text: string; entities: ApiEntity[] } {
  if (typeof given !== 'string') throw bad(empty);
  if (!given.isWellFormed()) throw bad('strings must be encoded in UTF-8');
  const list = ((entities ?? []) as ApiEntity[]).filter(({ type }) => !FOUND.has(type));
  for (const entity of list) checkEntity(given, entity);
  const cleaned = cleanText(given, list);
  const seen = (entity: ApiEntity): boolean => spanOf(cleaned.text, entity).trim() !== '';
  const fixed = fixEntities(cleaned.entities.filter((each) => each.length > 0 && seen(each)));
  const trimmed = trimText(cleaned.text, fixed);
  if (!/[^\s\p{C}\p{Z}]/u.test(trimmed.text)) throw bad(empty);
  if (trimmed.text.length > limit) throw bad(limit === 4096 ? 'message is too long' : 'message caption is too long');
  return { text: trimmed.text, entities: trimmed.entities.slice(0, 100) };
}

const spanOf = (text: string, { offset, length }: ApiEntity): string => text.slice(offset, offset + length);

/** TDLib's `clean_input_string_with_entities`: control characters become spaces, others go, and entities move along. */
function cleanText(given: string, list: readonly ApiEntity[]): { text: string; entities: ApiEntity[] } {
  const moved: number[] = [];
  let text = '';
  for (let at = 0; at < given.length; at += 1) {
    moved.push(text.length);
    const unit = given.charAt(at);
    if (/[\r\u2028-\u202e]|\u0333|\u033f|\u030a/.test(unit)) continue;
    text += unit < ' ' && unit !== '\n' ? ' ' : unit;
  }
  moved.push(text.length);
  const entities = list.map((entity) => {
    const offset = moved[entity.offset] ?? 0;
    return { ...entity, offset, length: (moved[entity.offset + entity.length] ?? 0) - offset };
  });
  return { text, entities };
}

/** White space at the end goes, with what is marked of it; at the beginning only as far as nothing is marked. */
function trimText(given: string, list: readonly ApiEntity[]): { text: string; entities: ApiEntity[] } {
  const end = given.trimEnd().length;
  const first = Math.min(...list.map(({ offset }) => offset), given.length);
  const start = Math.min(first, given.length - given.trimStart().length);
  const entities = list.flatMap((entity) => {
    const length = Math.min(entity.offset + entity.length, end) - entity.offset;
    return length > 0 ? [{ ...entity, offset: entity.offset - start, length }] : [];
  });
  return { text: given.slice(start, end), entities };
}

/** TDLib's order of types on one range, from the outside to the inside. */
const PRIORITY: Readonly<Record<string, number>> = {
  blockquote: 0,
  expandable_blockquote: 0,
  pre: 10,
  code: 20,
  text_link: 49,
  bold: 90,
  italic: 91,
  underline: 92,
  strikethrough: 93,
  spoiler: 94,
};
const SPLITTABLE = ['bold', 'italic', 'underline', 'strikethrough', 'spoiler'];
const isQuote = ({ type }: ApiEntity): boolean => /blockquote/.test(type);
const isPre = ({ type }: ApiEntity): boolean => type === 'code' || type === 'pre';
const endOf = ({ offset, length }: ApiEntity): number => offset + length;
const sorted = (list: readonly ApiEntity[]): ApiEntity[] =>
  list.toSorted(
    (a, b) => a.offset - b.offset || b.length - a.length || (PRIORITY[a.type] ?? 50) - (PRIORITY[b.type] ?? 50),
  );

/** TDLib's `fix_entities`. */
function fixEntities(given: readonly ApiEntity[]): ApiEntity[] {
  const all = sorted(given);
  const splittable = all.filter(({ type }) => SPLITTABLE.includes(type));
  const quotes = apart(all.filter(isQuote));
  const continuous = apart(all.filter((each) => !SPLITTABLE.includes(each.type) && !isQuote(each))).filter((each) =>
    quotes.every(
      (quote) =>
        endOf(each) <= quote.offset ||
        endOf(quote) <= each.offset ||
        (quote.offset <= each.offset && endOf(each) <= endOf(quote)),
    ),
  );
  const others = sorted([...continuous, ...quotes]);
  return sorted([...others, ...splitAt(sorted(splitAt(splittable, [])), others)]);
}

/** `remove_intersecting_entities`: the first one stays. */
function apart(list: readonly ApiEntity[]): ApiEntity[] {
  let end = 0;
  return list.filter((each) => {
    const stays = each.offset >= end;
    if (stays) end = endOf(each);
    return stays;
  });
}

/** `split_entities`: bold and the like are joined, and cut where another entity begins or ends; within code there are none. */
function splitAt(list: readonly ApiEntity[], others: readonly ApiEntity[]): ApiEntity[] {
  let result: ApiEntity[] = [];
  const open = new Map<string, { begin: number; end: number }>();
  let next = 0;
  const flush = (at: number): void => {
    for (const type of SPLITTABLE) {
      const span = open.get(type);
      if (!span || span.begin >= at) continue;
      result.push({ type, offset: span.begin, length: Math.min(span.end, at) - span.begin });
      if (span.end <= at) open.delete(type);
      else span.begin = at;
    }
  };
  const upTo = (at: number): void => {
    for (; list[next] && list[next]!.offset < at; next += 1) {
      const each = list[next]!;
      const span = open.get(each.type);
      if (span && each.offset <= span.end) span.end = Math.max(span.end, endOf(each));
      else {
        flush(each.offset);
        open.set(each.type, { begin: each.offset, end: endOf(each) });
      }
    }
    flush(at);
  };
  const stack: ApiEntity[] = [];
  const reach = (at: number): void => {
    for (let top = stack.at(-1); top && at >= endOf(top); top = stack.at(-1)) {
      const before = result.length;
      upTo(endOf(top));
      if (isPre(top)) result = result.slice(0, before);
      stack.pop();
    }
    upTo(at);
  };
  for (const other of others) {
    reach(other.offset);
    stack.push(other);
  }
  reach(Infinity);
  return result;
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
