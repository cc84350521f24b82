import { CliError, type Io } from './io.ts';

type Terminal = NodeJS.ReadableStream & { setRawMode?(raw: boolean): unknown };

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const ERASE = ['\u007f', '\b'];

/** Asks a person at a terminal for one line that is not shown. Null if they give nothing. */
export async function askHidden({ stdin, err }: Pick<Io, 'stdin' | 'err'>, question: string): Promise<string | null> {
  const terminal = stdin as Terminal;
  err(question);
  terminal.setRawMode?.(true);
  stdin.setEncoding('utf8');
  try {
    return await line(stdin);
  } finally {
    terminal.setRawMode?.(false);
    stdin.pause();
    err('\n');
  }
}

/** Whom `up` and `secrets` ask for the passphrase of a key file: nobody where no person is at a terminal. */
export const passphraseAsker = (io: Io): { askPassphrase?: (path: string, again: boolean) => Promise<string | null> } =>
  io.inIsTerminal
    ? { askPassphrase: (path, again) => askHidden(io, `${again ? 'It does not fit. ' : ''}Passphrase of ${path}: `) }
    : {};

function line(stdin: NodeJS.ReadableStream): Promise<string | null> {
  const { promise, resolve, reject } = Promise.withResolvers<string | null>();
  let typed: string[] = [];
  const take = (piece: string): void => {
    const rest = Array.from(piece);
    for (let at = 0; at < rest.length; at += 1) {
      const key = rest[at] ?? '';
      if (key === CTRL_C) return reject(new CliError('Stopped. Nothing was changed.'));
      if (key === '\r' || key === '\n' || key === CTRL_D) {
        // Pasted with more lines: the first one alone would be half a key.
        const more = rest
          .slice(at + 1)
          .join('')
          .trim();
        if (more !== '')
          return reject(new CliError('The value has several lines: give it with --from-file FILE, or from a pipe.'));
        return resolve(typed.length === 0 ? null : typed.join(''));
      }
      if (ERASE.includes(key)) typed = typed.slice(0, -1);
      else typed.push(key);
    }
  };
  const ended = (): void => resolve(typed.length === 0 ? null : typed.join(''));
  stdin.on('data', take);
  stdin.once('end', ended);
  stdin.resume();
  return promise.finally(() => {
    stdin.off('data', take);
    stdin.off('end', ended);
  });
}
