import { plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import type { Verification } from '../trace/verify.ts';

const line = ({ event, where, message }: Verification['findings'][number]): string =>
  plain(`  ${event ?? '-'}  ${where}: ${message}`);

/** What a person reads at once; a damaged disk may have a thousand. */
const SHOWN = 50;

const shown = (list: Verification['findings']): string[] => {
  const more = list.length - SHOWN;
  return [...list.slice(0, SHOWN).map(line), ...(more > 0 ? [`  and ${more} more, which --json lists`] : [])];
};

/** `ruche verify`: whether the record, its readable form and the workspace agree. Exit 1 with the first thing that does not fit. */
export async function verify(io: Io, options: Options, flags: { json?: boolean }): Promise<ExitCode> {
  const home = await (await io.loadApp()).openHomeReadOnly({ ...options, env: io.env });
  try {
    const { findings, notes, counts } = await home.verify((events) => {
      if (io.errIsTerminal) io.err(`\r${events} events`);
    });
    if (io.errIsTerminal) io.err('\r\x1b[2K');
    const looked = `${counts.events} events, ${counts.blobs} blobs (${counts.erased} erased), ${counts.lines} lines of journal.git, ${counts.commits} landed ${counts.commits === 1 ? 'commit' : 'commits'}`;
    if (flags.json) io.out(`${JSON.stringify({ findings, notes, counts })}\n`);
    else if (findings.length === 0) io.out(`All checks passed: ${looked}.\n`);
    else {
      const lines = shown(findings);
      io.out(
        `${findings.length} ${findings.length === 1 ? 'check' : 'checks'} failed, the earliest first (${looked}):\n${lines.join('\n')}\n`,
      );
    }
    if (notes.length > 0 && !flags.json) io.out(`Changed by a person, and no fault:\n${shown(notes).join('\n')}\n`);
    return findings.length === 0 ? 0 : 1;
  } finally {
    await home.close();
  }
}
