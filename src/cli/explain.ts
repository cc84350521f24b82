import { capital, fileFault } from '../core/text/file-fault.ts';
import { plain } from './io.ts';

/** What another home or workspace helps with, too. */
const ELSEWHERE = ['EROFS', 'EACCES', 'EPERM', 'ENAMETOOLONG'];

const COMMAND =
  /([`"]|: )ruche (?=(?:up|down|init|ask|answer|approve|deny|chat|approvals|tasks|login|pair|status|models|doctor|log|net|show|policy|secrets|agents|skills|verify|schedules|triggers|escalations|costs|grants|endorse|endorsements|simulate)\b)/g;

/** Hints of the network name the program plainly; where it is called otherwise, so do they. */
export const asCalled = (text: string, self: string): string =>
  self === 'ruche' ? text : text.replace(COMMAND, `$1${self} `);

/** An error as a sentence for a person. The operating system's own errors get the path and what to do. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return plain(String(error));
  const { code, path } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' && path !== undefined && 'syscall' in error) return plain(`File not found: ${path}`);
  const fault = 'syscall' in error ? fileFault(code) : null;
  if (fault === null || code === undefined) return plain(error.message);
  const also = ELSEWHERE.includes(code) ? ', or choose another --home or --workspace' : ' and try again';
  return plain(`Cannot use ${path ?? 'a file'} (${code}): ${fault.wrong}. ${capital(fault.mend)}${also}.`);
}
