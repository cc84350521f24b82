/** What could be made out of one shell command line. */
export interface ShellLine {
  /** The words of each simple command, quotes removed, in the order they stand. */
  commands: string[][];
  /** What it is redirected to or from. */
  targets: string[];
  /** Why programs or arguments may hide from us in this line; null if they cannot. */
  hidden: string | null;
  /** Why no rule may allow the line, though we see its commands; null if one may. */
  unclear: string | null;
}

/** A longer line is not looked into. */
export const MAX_LINE = 65_536;

/** These only introduce a command, which is looked at for itself. */
const INTRODUCE = new Set(['if', 'then', 'elif', 'else', 'while', 'until', 'do', 'time', '!', '{', '}', 'fi', 'done']);
/** What these run cannot be seen by looking at the words that follow. */
const COMPOUND = new Set(['for', 'case', 'esac', 'select', 'function', 'coproc']);

const OPERATORS = ['&&', '||', ';', '|', '\n'];
const UNCLEAR_OPERATORS: ReadonlyMap<string, string> = new Map([
  [';;', 'a case branch'],
  ['|&', 'a joined pipe'],
  ['&', 'a command in the background'],
  ['(', 'a subshell'],
  [')', 'a subshell'],
]);
const REDIRECTION = /^(?:&>>|&>|<<<|<<-|<<|<>|<&|<|>>|>\||>&|>)/;
const UNUSUAL = /[\p{Cc}\p{Cf}\p{Cs}\p{Z}]/u;

interface Word {
  text: string;
  /** Holds quotes or backslashes, so it is neither a keyword nor an assignment. */
  quoted: boolean;
  /** Holds an unquoted `*`, `?` or `[`: the shell replaces it by file names. */
  glob: boolean;
}

/** The state of one pass over a line. Every method moves forward, so a pass is linear. */
class Reader {
  readonly line: ShellLine = { commands: [], targets: [], hidden: null, unclear: null };
  readonly text: string;
  private at = 0;
  private words: Word[] = [];

  constructor(text: string) {
    this.text = text;
  }

  hide(why: string): void {
    this.line.hidden ??= why;
    this.line.unclear ??= why;
  }

  blur(why: string): void {
    this.line.unclear ??= why;
  }

  read(): ShellLine {
    // Shells drop NUL, so that `r\0m` would be `rm`.
    if (this.text.includes('\0')) this.hide('a NUL character');
    while (this.at < this.text.length) this.step();
    this.endCommand();
    return this.line;
  }

  private step(): void {
    const { text, at } = this;
    const char = text[at] as string;
    if (char === ' ' || char === '\t') this.at++;
    else if (text.startsWith('\\\n', at)) this.at += 2;
    else if (char === '#') this.at = this.lineEnd();
    else if (/^[<>]\(/.test(text.slice(at, at + 2))) {
      this.hide('a process substitution');
      this.at += 2;
    } else if (REDIRECTION.test(text.slice(at, at + 3))) this.redirection();
    else if (!this.operator()) this.word();
  }

  private lineEnd(): number {
    const end = this.text.indexOf('\n', this.at);
    return end < 0 ? this.text.length : end;
  }

  private operator(): boolean {
    for (const [operator, why] of UNCLEAR_OPERATORS) {
      if (!this.text.startsWith(operator, this.at) || this.text.startsWith('&&', this.at)) continue;
      this.blur(why);
      this.at += operator.length;
      this.endCommand();
      return true;
    }
    const plain = OPERATORS.find((operator) => this.text.startsWith(operator, this.at));
    if (plain === undefined) return false;
    this.at += plain.length;
    this.endCommand();
    return true;
  }

  /** Only throwing output away, and joining the two outputs, changes nothing outside the command. */
  private redirection(): void {
    const operator = (REDIRECTION.exec(this.text.slice(this.at, this.at + 3)) as RegExpExecArray)[0];
    const last = this.words.at(-1);
    // `2>` names a file descriptor, `2 >` is an argument.
    if (last && /^\d+$/.test(last.text) && !last.quoted && this.text[this.at - 1] === last.text.at(-1))
      this.words.pop();
    this.at += operator.length;
    // To bash `ls &>f x` is one command, to other shells two: `ls &` and `>f x`.
    if (operator.startsWith('&')) {
      this.blur('a redirection of both outputs');
      this.endCommand();
    }
    if (operator.startsWith('<<')) return this.hide('a here-document');
    while (this.text[this.at] === ' ' || this.text[this.at] === '\t') this.at++;
    const before = this.words.length;
    if (this.at < this.text.length && !/[\n;&|()<>]/.test(this.text[this.at] as string)) this.word();
    const target = this.words.length > before ? (this.words.pop() as Word).text : '';
    const harmless = /^[<>]&$/.test(operator) ? /^[012]$/.test(target) : target === '/dev/null';
    if (harmless) return;
    this.line.targets.push(target);
    this.blur('a redirection');
  }

  private word(): void {
    const word: Word = { text: '', quoted: false, glob: false };
    while (this.at < this.text.length) {
      const char = String.fromCodePoint(this.text.codePointAt(this.at) as number);
      if (/[ \t\n;&|()<>]/.test(char)) break;
      if (char === "'") this.singleQuoted(word);
      else if (char === '"') this.doubleQuoted(word);
      else if (char === '\\') this.escaped(word);
      else this.bare(word, char);
    }
    // `[` is also the name of a program.
    if (word.text === '[' || word.text === '[[') word.glob = false;
    this.words.push(word);
  }

  private singleQuoted(word: Word): void {
    const end = this.text.indexOf("'", this.at + 1);
    if (end < 0) this.hide('a quote that does not end');
    const stop = end < 0 ? this.text.length : end;
    word.text += this.text.slice(this.at + 1, stop);
    word.quoted = true;
    this.at = stop + 1;
  }

  private doubleQuoted(word: Word): void {
    word.quoted = true;
    this.at++;
    while (this.at < this.text.length) {
      const char = this.text[this.at++] as string;
      if (char === '"') return;
      if (char === '$' || char === '`') this.hide('an expansion or substitution');
      const next = this.text[this.at];
      if (char !== '\\' || next === undefined || !'$`"\\\n'.includes(next)) word.text += char;
      else {
        if (next !== '\n') word.text += next;
        this.at++;
      }
    }
    this.hide('a quote that does not end');
  }

  private escaped(word: Word): void {
    const next = this.text[this.at + 1];
    this.at += 2;
    if (next === undefined) return this.hide('a backslash at the end');
    if (next === '\n') return;
    word.text += next;
    word.quoted = true;
  }

  private bare(word: Word, char: string): void {
    if (char === '$' || char === '`') this.hide('an expansion or substitution');
    if ('*?['.includes(char)) word.glob = true;
    if (char === '~' && /(?:^|[=:])$/.test(word.text)) this.blur('a home folder (~)');
    if (UNUSUAL.test(char)) this.hide('an invisible character or unusual space');
    word.text += char;
    this.at += char.length;
  }

  private endCommand(): void {
    const words = this.words;
    this.words = [];
    this.introduction(words);
    const program = words[0];
    if (program === undefined) return;
    if (!program.quoted && COMPOUND.has(program.text)) this.hide(`the shell keyword ${program.text}`);
    if (program.glob) this.hide('a file pattern in place of a program');
    if (words.some((word) => word.glob)) this.blur('a file pattern, which the shell replaces by names');
    // `{rm,-rf}` becomes two words in bash; `{}` alone is what find and xargs use.
    if (words.some((word) => !word.quoted && /[{}]/.test(word.text) && word.text !== '{}'))
      this.hide('a brace expansion');
    this.line.commands.push(words.map((word) => word.text));
  }

  /** Takes keywords and assignments from the front, since the command begins after them. */
  private introduction(words: Word[]): void {
    for (let first = words[0]; first !== undefined; first = words[0]) {
      if (/^[A-Za-z_]\w*(\[[^\]]*\])?\+?=/.test(first.text)) this.blur('a variable set for the command');
      else if (!first.quoted && INTRODUCE.has(first.text)) this.blur(`the shell keyword ${first.text}`);
      else return;
      words.shift();
    }
  }
}

/**
 * Reads a command line as a POSIX shell would, as far as it is plain: words, quotes, and commands joined by `;`, `&&`,
 * `||`, pipes and newlines. Everything else is reported in `hidden` or `unclear` and never guessed at.
 */
export function readShellLine(text: string): ShellLine {
  if (text.length <= MAX_LINE) return new Reader(text).read();
  const why = `more than ${MAX_LINE} characters`;
  return { commands: [], targets: [], hidden: why, unclear: why };
}
