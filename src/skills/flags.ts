/** What a person should look at closely. A net with wide meshes: it warns, and nothing relies on it. */
const PATTERNS: readonly [what: string, pattern: RegExp][] = [
  [
    'a download is run as it comes',
    /\b(?:curl|wget|fetch|iwr|irm|Invoke-WebRequest|Invoke-RestMethod)\b[^\n]{0,400}\|\s*(?:sudo\s+)?(?:\S*\/)?(?:ba|z|da|k)?sh\b/i,
  ],
  [
    'a download is run as it comes',
    /\b(?:iwr|irm|curl|Invoke-WebRequest|Invoke-RestMethod)\b[^\n]{0,400}\|\s*(?:iex|Invoke-Expression|python3?|node|perl|ruby)\b/i,
  ],
  [
    'a download is run as it comes',
    /(?:\b(?:ba|z|da)?sh\b\s+(?:-c\s+)?|\beval\s+|\bsource\s+|\.\s+)["'<]?[$<]?\(\s*(?:curl|wget)\b/i,
  ],
  [
    'a hidden command is unpacked and run',
    /\bbase64\b[^\n]{0,200}(?:-d|-D|--decode)\b[^\n]{0,200}\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b/i,
  ],
  [
    'a hidden command is unpacked and run',
    /(?:FromBase64String|-EncodedCommand\b|\batob\s*\(|\bxxd\s+-r\b[^\n]{0,200}\|\s*(?:ba|z)?sh\b)/i,
  ],
  [
    'an archive with a password, which no scanner can look into',
    /\b(?:unzip\s+[^\n]{0,100}-P\b|7z[ar]?\s+x\s+[^\n]{0,100}-p\S|(?:zip|archive|rar)\b[^\n]{0,80}\bpass(?:word|code)?\b|\bpass(?:word|code)?\b[^\n]{0,80}\.(?:zip|rar|7z)\b)/i,
  ],
  [
    'a warning of the system is switched off',
    /\bxattr\s+-[a-z]*[cd]\b|com\.apple\.quarantine|\bspctl\s+--master-disable|Set-MpPreference|ExecutionPolicy\s+Bypass/i,
  ],
  [
    'a file from the net is made a program',
    /\bchmod\s+(?:\+x|[0-7]{3,4})\s+\/tmp\/|\b(?:curl|wget)\b[^\n]{0,300}&&\s*chmod\s+\+x/i,
  ],
  [
    'keys or passwords of the machine are read',
    /(?:~|\$HOME|\/root|\/home\/[^\s/]+)\/\.(?:ssh|aws|gnupg|config\/gcloud|netrc|kube)\b|\blogin\.keychain|\/etc\/shadow\b/,
  ],
  ['a shell is opened to elsewhere', /\/dev\/tcp\/|\bnc\s+(?:-\S+\s+)*\S+\s+\d+\s+-e\b|\bmkfifo\b[^\n]{0,100}\bnc\b/],
  [
    'orders in place of a description',
    /\b(?:ignore|disregard|forget)\s+(?:all\s+|any\s+)?(?:previous|prior|earlier|above)\s+(?:instructions|rules|messages)/i,
  ],
];

/** Characters that show nothing, in which orders can hide. The byte order mark may stand at the very beginning. */
const HIDDEN = /[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\u{e0000}-\u{e007f}]|(?<!^)\ufeff/u;
/** Emoji join with U+200D, and that is all it does there. */
const JOINED = /\p{Extended_Pictographic}\ufe0f?\u200d/gu;

/** Flags of one kind that are told. */
const SHOWN = 5;
/** Characters of one line that are looked at. */
const MAX_LINE = 10_000;

export function flagsIn(text: string): { line: number; message: string }[] {
  const found: { line: number; message: string }[] = [];
  const counts = new Map<string, number>();
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.slice(0, MAX_LINE);
    const add = (message: string): void => {
      const count = (counts.get(message) ?? 0) + 1;
      counts.set(message, count);
      if (count <= SHOWN && !found.some((flag) => flag.line === index + 1 && flag.message === message))
        found.push({ line: index + 1, message });
    };
    for (const [what, pattern] of PATTERNS) if (pattern.test(line)) add(what);
    if (HIDDEN.test(line.replace(JOINED, ''))) add('characters that show nothing, in which text can hide');
    if (raw.length > MAX_LINE) add(`a line of ${raw.length} characters, of which only the beginning was looked at`);
  }
  return found;
}

/** A known name that another one could be mistaken for; null if there is none. */
export function mistakenFor(name: string, known: Iterable<string>): string | null {
  const plain = (text: string): string => text.replaceAll(/[-_]/g, '').replaceAll('0', 'o').replaceAll(/[1i]/g, 'l');
  for (const other of known) {
    if (other === name) continue;
    if (plain(other) === plain(name) || (name.length > 4 && near(name, other))) return other;
  }
  return null;
}

/** Whether one letter more, less, other or swapped makes the one of the other. */
function near(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const [left, right] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  if (left.length <= 1 && right.length <= 1) return true;
  return left.length === 2 && left === `${right[1]}${right[0]}`;
}
