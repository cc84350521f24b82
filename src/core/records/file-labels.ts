import type { EventOf } from '../event.ts';
import type { FileEntry } from '../files.ts';
import { type Label, unionLabels } from '../labels.ts';

/** A file's content at a path, and where it came from. */
export interface LabelledFile {
  path: string;
  /** The blob: other content at this path is not meant. */
  oid: string;
  /** Empty: a person has looked at it, so that it counts as the person's own. */
  labels: Label[];
  /** There was no such path before: its name came from the same hand. */
  named?: true;
  /** Its content lay in another place before, without a label: the labels are those of its name alone. */
  copied?: true;
}

/** The blob of `files.labelled`. */
export interface LabelledFiles {
  files: LabelledFile[];
}

/** The subject of that blob: labels outlive the conversation that set them. */
export const LABELS_SUBJECT = 'workspace';

/** What is on record of one file's content. */
export interface FileMark extends LabelledFile {
  /** Who set it last: `agent:<name>`, or the person who lifted it. */
  actor: string;
  /** Stream of the run that wrote it; of a person's word: that of the workspace. */
  stream: string;
}

const NONE: readonly Label[] = [];

/**
 * Labels of files by content. A label belongs to the bytes: it is wherever they are, whatever they are called, and what a
 * person writes instead has none. A projection of `files.labelled`, kept in memory.
 */
export class FileLabels {
  readonly #marks = new Map<string, Map<string, FileMark>>();
  readonly #paths = new Map<string, Set<string>>();
  #ever: Label[] = [];

  add({ actor, stream }: Pick<EventOf<'files.labelled'>, 'actor' | 'stream'>, { files }: LabelledFiles): void {
    for (const file of files) {
      const marks = this.#marks.get(file.oid) ?? new Map<string, FileMark>();
      const before = marks.get(file.path);
      // Two runs may have written the same; what a person lifts is lifted for all of them.
      const labels = file.labels.length === 0 ? [] : unionLabels(before?.labels ?? [], file.labels);
      const { copied, ...mark } = { ...before, ...file, labels, actor, stream };
      const isCopy = copied && file.copied && (before === undefined || before.copied);
      marks.set(file.path, { ...mark, ...(isCopy ? { copied } : {}) });
      this.#marks.set(file.oid, marks);
      this.#paths.set(file.path, (this.#paths.get(file.path) ?? new Set()).add(file.oid));
      this.#ever = unionLabels(this.#ever, labels);
    }
  }

  /** True if no file has ever had a label: nobody need look any further. */
  get none(): boolean {
    return this.#ever.length === 0;
  }

  /** Every label that a file has ever had: Git keeps its content. */
  get ever(): readonly Label[] {
    return this.#ever;
  }

  /** What is on record of this content: at this very path if it was written there, else wherever it was. */
  marks({ path, oid }: Pick<FileEntry, 'path' | 'oid'>): readonly FileMark[] {
    const marks = this.#marks.get(oid);
    if (marks === undefined) return [];
    const own = marks.get(path);
    return own === undefined ? [...marks.values()] : [own];
  }

  of(entry: Pick<FileEntry, 'path' | 'oid'>): readonly Label[] {
    if (!this.#marks.has(entry.oid)) return NONE;
    return unionLabels(...this.marks(entry).map(({ labels, copied }) => (copied === true ? NONE : labels)));
  }

  /** Labels of the file's name: what a run that had read such data called it. */
  ofName({ path, oid }: Pick<FileEntry, 'path' | 'oid'>): readonly Label[] {
    const own = this.#marks.get(oid)?.get(path);
    return own?.named === true ? own.labels : NONE;
  }

  /** Labels with which a run wrote files, by path. */
  writtenIn(stream: string): Record<string, readonly Label[]> {
    const written: Record<string, readonly Label[]> = {};
    for (const marks of this.#marks.values())
      for (const mark of marks.values())
        if (mark.stream === stream && mark.labels.length > 0) written[mark.path] = mark.labels;
    return written;
  }

  /** Marks of all content that was ever written at a path, the oldest first. */
  at(path: string): readonly FileMark[] {
    return [...(this.#paths.get(path) ?? [])].flatMap((oid) => this.#marks.get(oid)?.get(path) ?? []);
  }
}
