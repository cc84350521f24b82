/** An error of the operating system about a file or its disk: what is wrong, and what to do. */
export interface FileFault {
  wrong: string;
  mend: string;
}

export const DISK_FULL: FileFault = { wrong: 'the disk is full', mend: 'free some space' };
export const DISK_READ_ONLY: FileFault = { wrong: 'the disk is read-only', mend: 'mount it for writing' };
const DENIED: FileFault = { wrong: 'permission is denied', mend: 'correct its owner and permissions' };

const FAULTS: Readonly<Record<string, FileFault>> = {
  ENOSPC: DISK_FULL,
  EDQUOT: { wrong: 'the disk quota is used up', mend: 'free some space' },
  EROFS: DISK_READ_ONLY,
  EACCES: DENIED,
  EPERM: DENIED,
  ENOTDIR: { wrong: 'part of the path is a file, not a folder', mend: 'move that file away' },
  EEXIST: { wrong: 'a file is where a folder must be', mend: 'move it away' },
  EISDIR: { wrong: 'a folder is where a file must be', mend: 'move it away' },
  ENAMETOOLONG: { wrong: 'the path is too long', mend: 'choose a shorter one' },
  EMFILE: { wrong: 'too many files are open', mend: 'raise the limit (ulimit -n)' },
  ENFILE: { wrong: 'too many files are open on this machine', mend: 'end some programs' },
  EIO: { wrong: 'the disk reports an error', mend: 'look at the disk' },
};

/** Null for a code that says nothing a person can act on by itself. */
export const fileFault = (code: unknown): FileFault | null =>
  typeof code === 'string' && Object.hasOwn(FAULTS, code) ? (FAULTS[code] ?? null) : null;

/** In the middle of a sentence. */
export const faultText = ({ wrong, mend }: FileFault): string => `${wrong}; ${mend}`;

/** At the beginning of a sentence. */
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
