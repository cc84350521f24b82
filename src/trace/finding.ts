import { eventId } from '../core/ids.ts';

export interface Finding {
  /** The event it concerns; null for what no event knows of. */
  event: string | null;
  where: 'chain' | 'blob' | 'journal.git' | 'queue' | 'main';
  /** What does not fit, in plain words. */
  message: string;
}

export interface Counts {
  events: number;
  blobs: number;
  erased: number;
  lines: number;
  commits: number;
}

/** Findings kept; a broken disk need not be listed whole. */
const MAX_FINDINGS = 1000;

/** What is found on the way. */
export class Report {
  readonly findings: Finding[] = [];
  /** What a person has changed and may change: no fault. */
  readonly notes: Finding[] = [];
  readonly counts: Counts = { events: 0, blobs: 0, erased: 0, lines: 0, commits: 0 };

  /** `seq` of the event it concerns. */
  find(seq: number | null, where: Finding['where'], message: string): void {
    add(this.findings, seq, where, message);
  }

  note(seq: number | null, where: Finding['where'], message: string): void {
    add(this.notes, seq, where, message);
  }
}

function add(list: Finding[], seq: number | null, where: Finding['where'], message: string): void {
  if (list.length < MAX_FINDINGS) list.push({ event: seq === null ? null : eventId(seq), where, message });
}

/** In order of the events; what no event knows of comes last. */
export const inOrder = (findings: readonly Finding[]): Finding[] => {
  const place = ({ event }: Finding): number => (event === null ? Infinity : Number(event.slice(4)));
  return findings.toSorted((a, b) => {
    const [left, right] = [place(a), place(b)];
    return left === right ? 0 : left - right;
  });
};
