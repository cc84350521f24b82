// Bytes to text, in every encoding that mail has been written in. It never throws: an unknown encoding is guessed.

const ASCII: ReadonlySet<string> = new Set(['us-ascii', 'ascii', 'ansi_x3.4-1968', 'iso646-us', '7bit', '8bit']);
/** Named by senders that never looked: when the bytes are valid UTF-8, they are UTF-8. */
const DEFAULTS: ReadonlySet<string> = new Set([
  ...ASCII,
  'iso-8859-1',
  'latin1',
  'windows-1252',
  'cp1252',
  'unknown-8bit',
]);

/** Names that the Encoding Standard lacks, without `x-`, `cs` and separators. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['iso88598i', 'iso-8859-8-i'],
  ['iso88598e', 'iso-8859-8'],
  ['shiftjis', 'shift_jis'],
  ['windows31j', 'shift_jis'],
  ['mskanji', 'shift_jis'],
  ['eucjp', 'euc-jp'],
  ['iso2022jp', 'iso-2022-jp'],
  ['iso2022jp1', 'iso-2022-jp'],
  ['iso2022jp2', 'iso-2022-jp'],
  ['iso2022jpms', 'iso-2022-jp'],
  ['junet', 'iso-2022-jp'],
  ['euckr', 'euc-kr'],
  ['uhc', 'euc-kr'],
  ['ksc56011987', 'euc-kr'],
  ['euccn', 'gbk'],
  ['gb231280', 'gbk'],
  ['gb180302000', 'gb18030'],
  ['big5hkscs', 'big5'],
  ['tis620', 'windows-874'],
  ['utf8mb4', 'utf-8'],
  ['utf8', 'utf-8'],
  ['unicode11utf7', 'utf-7'],
  ['utf7', 'utf-7'],
  ['macroman', 'macintosh'],
  ['koi8ru', 'koi8-u'],
]);

const CODE_PAGES: ReadonlyMap<string, string> = new Map([
  ['932', 'shift_jis'],
  ['936', 'gbk'],
  ['949', 'euc-kr'],
  ['950', 'big5'],
  ['874', 'windows-874'],
  ['866', 'ibm866'],
  ['1200', 'utf-16le'],
  ['1201', 'utf-16be'],
  ['20127', 'us-ascii'],
  ['20866', 'koi8-r'],
  ['21866', 'koi8-u'],
  ['28591', 'iso-8859-1'],
  ['28592', 'iso-8859-2'],
  ['28605', 'iso-8859-15'],
  ['50220', 'iso-2022-jp'],
  ['50221', 'iso-2022-jp'],
  ['50222', 'iso-2022-jp'],
  ['51932', 'euc-jp'],
  ['51949', 'euc-kr'],
  ['54936', 'gb18030'],
  ['65000', 'utf-7'],
  ['65001', 'utf-8'],
]);

/** The upper halves of DOS code pages, which the Encoding Standard leaves out. */
const DOS: Readonly<Record<string, string>> = {
  '437':
    'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0',
  '850':
    'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u00ad±‗¾¶§÷¸°¨·¹³²■\u00a0',
};

function decoder(label: string, fatal: boolean): TextDecoder | null {
  try {
    return new TextDecoder(label, { fatal });
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function strictly(bytes: Uint8Array, label: string): string | null {
  try {
    return decoder(label, true)?.decode(bytes) ?? null;
  } catch (error) {
    // What is not valid in this encoding.
    if (error instanceof TypeError) return null;
    throw error;
  }
}

/** The name that decoders know, or null. */
function known(charset: string): string | null {
  const label = charset.trim().toLowerCase().slice(0, 60);
  if (label === '') return null;
  if (label !== 'utf7' && decoder(label, false) !== null) return label;
  const bare = label.replace(/^(?:x-ms-|x-|cs)/, '').replace(/[\s._-]+/g, '');
  const page = /^(?:cp|windows|ms|ibm|dos)?(\d{3,5})$/.exec(bare)?.[1];
  const found = (page === undefined ? undefined : CODE_PAGES.get(page)) ?? ALIASES.get(bare) ?? bare;
  if (found === 'utf-7' || found === 'iso2022kr' || found === 'hzgb2312') return found;
  if (page !== undefined && page in DOS) return `dos-${page}`;
  return decoder(found, false) === null ? null : found;
}

/** RFC 2152, leniently: what is no Base64 after a `+` stays as it is. */
function utf7(text: string): string {
  return text.replace(/\+([A-Za-z0-9+/]*)-?/g, (all, code: string) => {
    if (code === '') return all === '+-' ? '+' : all;
    const bytes = Buffer.from(code, 'base64');
    const even = bytes.subarray(0, bytes.length - (bytes.length % 2));
    return even.length === 0 ? all : new TextDecoder('utf-16be').decode(even);
  });
}

/** Seven-bit encodings that shift into a two-byte set: the same bytes with their high bits set are the eight-bit form. */
function shifted(bytes: Uint8Array, kind: string): string {
  const latin = Buffer.from(bytes).toString('latin1');
  const raise = (text: string): string =>
    text.replace(/[!-~]/g, (char) => String.fromCharCode(char.charCodeAt(0) | 0x80));
  if (kind === 'iso2022kr') {
    const [first = '', ...rest] = latin.replaceAll('\x1b$)C', '').split('\x0e');
    const plain = rest.map((each) => {
      const [inner = '', ...outer] = each.split('\x0f');
      return raise(inner) + outer.join('');
    });
    return new TextDecoder('euc-kr').decode(Buffer.from(first + plain.join(''), 'latin1'));
  }
  const plain = latin
    .replace(/~\{([^~\n]*)(?:~\})?/g, (_, inner: string) => raise(inner))
    .replaceAll('~~', '~')
    .replaceAll('~\n', '');
  return new TextDecoder('gbk').decode(Buffer.from(plain, 'latin1'));
}

function byLabel(bytes: Uint8Array, label: string): string {
  if (label === 'utf-7') return utf7(Buffer.from(bytes).toString('latin1'));
  if (label === 'iso2022kr' || label === 'hzgb2312') return shifted(bytes, label);
  const page = label.startsWith('dos-') ? DOS[label.slice(4)] : undefined;
  if (page !== undefined)
    return Buffer.from(bytes)
      .toString('latin1')
      .replace(/[\x80-\xff]/g, (char) => page[char.charCodeAt(0) - 0x80] ?? char);
  return new TextDecoder(label).decode(bytes);
}

const MARKS: readonly [readonly number[], string][] = [
  [[0xef, 0xbb, 0xbf], 'utf-8'],
  [[0xfe, 0xff], 'utf-16be'],
  [[0xff, 0xfe], 'utf-16le'],
];

/** How much of a text reads as one language's: candidates that decode without a fault are weighed by it. */
const CANDIDATES: readonly [string, RegExp][] = [
  ['shift_jis', /[\u3041-\u30ff]/g],
  ['euc-jp', /[\u3041-\u30ff]/g],
  ['euc-kr', /[\uac00-\ud7a3]/g],
  ['gb18030', /[的一是了我不人在他有这上们来到时大为子中你说生国年着就那和要好谢请公司会]/g],
  ['big5', /[的一是了我不人在他有這上們來到時大為子中你說生國年著就那和要好謝請公司會]/g],
  ['windows-1251', /[а-яё]/g],
  ['koi8-r', /[а-яё]/g],
];
const SAMPLE = 20_000;

/** The likeliest encoding of bytes that say nothing of themselves and are no UTF-8. */
function guess(bytes: Uint8Array): string {
  const sample = bytes.subarray(0, SAMPLE);
  const high = sample.reduce((sum, byte) => sum + (byte >= 0x80 ? 1 : 0), 0);
  let best = 'windows-1252';
  let most = 0;
  // Western text has few letters beyond ASCII, and never whole words of them.
  if (!/[\x80-\xff]{4}/.test(Buffer.from(sample).toString('latin1'))) return best;
  for (const [label, typical] of CANDIDATES) {
    // The sample may end within a character.
    const text = strictly(sample, label) ?? strictly(sample.subarray(0, -1), label);
    const hits = text?.match(typical)?.length ?? 0;
    const weight = /^(?:windows|koi8)/.test(label) ? hits / high : (2 * hits) / high;
    const enough = /^(?:gb|big)/.test(label) ? 0.05 : 0.5;
    if (weight > most && weight >= enough) [best, most] = [label, weight];
  }
  return best;
}

const isAscii = (bytes: Uint8Array): boolean => !bytes.includes(0x1b) && bytes.every((byte) => byte < 0x80);

/** Text of bytes: by their mark, by what the sender names if the bytes agree, else by what they look like. `sure` is false for a guess. */
export function decodeBytes(bytes: Uint8Array, charset: string | null): { text: string; sure: boolean } {
  const mark = MARKS.find(([start]) => start.every((byte, at) => bytes[at] === byte));
  if (mark !== undefined) return { text: new TextDecoder(mark[1]).decode(bytes), sure: true };
  const label = charset === null ? null : known(charset);
  const vague = label === null || DEFAULTS.has(label) || label === 'utf-8';
  if (!vague) return { text: byLabel(bytes, label), sure: true };
  if (isAscii(bytes)) return { text: Buffer.from(bytes).toString('latin1'), sure: true };
  const unicode = strictly(bytes, 'utf-8');
  if (unicode !== null && !unicode.includes('\x1b')) return { text: unicode, sure: true };
  if (unicode !== null && (unicode.includes('\x1b$B') || unicode.includes('\x1b$@')))
    return { text: new TextDecoder('iso-2022-jp').decode(bytes), sure: true };
  if (unicode !== null) return { text: unicode, sure: true };
  // A cut or slightly damaged text of a named encoding stays that: one wrong byte must not turn it into another language.
  if (label === 'utf-8' && mostlyUnicode(bytes)) return { text: new TextDecoder().decode(bytes), sure: false };
  if (label !== null && label !== 'utf-8' && !ASCII.has(label) && guess(bytes) === 'windows-1252')
    return { text: byLabel(bytes, label), sure: true };
  return { text: byLabel(bytes, guess(bytes)), sure: false };
}

/** True if at most a tenth of what is beyond ASCII fails to be UTF-8. */
function mostlyUnicode(bytes: Uint8Array): boolean {
  const text = new TextDecoder().decode(bytes.subarray(0, SAMPLE));
  const wrong = text.match(/\ufffd/g)?.length ?? 0;
  const right = text.match(/[^\0-\x7f\ufffd]/g)?.length ?? 0;
  return right > 9 * wrong;
}
