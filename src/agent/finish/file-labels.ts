import type { Turn } from '../run/deps.ts';
import type { Change } from '../../core/files.ts';
import { isPrivatePath, type Label, unionLabels } from '../../core/labels.ts';
import type { MergedFile } from '../../core/ports/workspace.ts';
import { LABELS_SUBJECT, type LabelledFile } from '../../core/records/file-labels.ts';
import { putJson } from '../../core/records/json-blob.ts';

/** Puts on record where the content of files came from, before anybody can read them on `main`. Nothing where there are no labels. */
function keep({ deps, log }: Turn, files: LabelledFile[]): void {
  if (files.length === 0) return;
  const detail = putJson(deps.store, { files }, LABELS_SUBJECT);
  const { type, data } = { type: 'files.labelled' as const, data: { files: files.length, detail } };
  log.emit({ type, data });
  deps.fileLabels.add({ actor: `agent:${log.state.agent}`, stream: `run:${log.state.run}` }, { files });
}

/** What the run lands has the labels that the run had when it wrote it. */
export async function keepLabels(turn: Turn, changes: readonly Change[]): Promise<void> {
  const { state } = turn.log;
  const written = changes.filter(({ path, oid }) => oid !== null && state.marks.has(path));
  if (written.length === 0) return;
  const clean = await cleanContent(turn);
  const files: LabelledFile[] = [];
  for (const change of written) {
    const { path, oid, was } = change;
    if (oid === null) continue;
    // A copy of what was there before came from there, no matter who made it. A new name has come from the run all the same.
    const copied = clean.has(oid);
    if (copied && was !== null) continue;
    // A person has read all of it, and let it land.
    const lifted = state.landing === 'approved' && (await isShown(turn, change));
    const labels = lifted ? [] : [...(state.marks.get(path) ?? [])];
    files.push({ path, oid, labels, ...(was === null ? { named: true } : {}), ...(copied ? { copied: true } : {}) });
  }
  keep(turn, files);
}

async function cleanContent({ deps, log }: Turn): Promise<ReadonlySet<string>> {
  const entries = await deps.workspace.files(log.state.base, []).list('');
  // What is private by its path has no label on record.
  const { privatePaths } = deps.governance().settings;
  const isLabelled = (entry: (typeof entries)[number]): boolean =>
    deps.fileLabels.of(entry).length > 0 || isPrivatePath(entry.path, privatePaths);
  const labelled = new Set(entries.filter(isLabelled).map(({ oid }) => oid));
  return new Set(entries.flatMap(({ oid }) => (labelled.has(oid) ? [] : [oid])));
}

const isShown = async ({ deps, log }: Turn, change: Change): Promise<boolean> =>
  (await deps.reader.protectedChanges(log.state.base, [change])) !== null;

/** A file that joins what the run wrote with what lay on `main` comes from both. */
export function keepMerged(turn: Turn, files: readonly MergedFile[]): void {
  const labelled = files.map(({ path, oid, theirs }) => ({ path, oid, labels: joined(turn, path, theirs) }));
  keep(
    turn,
    labelled.filter(({ labels }) => labels.length > 0),
  );
}

/** The same where a crash came between the landing and its record: what main had is no longer known, so all that it ever had counts. */
export async function keepFound(turn: Turn, commit: string): Promise<void> {
  const { deps, log } = turn;
  const { changes, marks } = log.state;
  if (marks.size === 0 && deps.fileLabels.none) return;
  const landed = deps.workspace.files(commit, []);
  const files: LabelledFile[] = [];
  for (const { path, oid } of changes.values()) {
    const entry = oid === null ? null : await landed.stat(path);
    if (entry === null || entry.oid === oid) continue;
    const labels = unionLabels(marks.get(path) ?? [], ...deps.fileLabels.at(path).map((each) => each.labels));
    if (labels.length > 0) files.push({ path, oid: entry.oid, labels });
  }
  keep(turn, files);
}

/** Labels of what a conflict has left of the run's changes, where they were joined with others'. */
export function rebasedLabels(turn: Turn, changes: readonly Change[]): [path: string, labels: Label[]][] {
  const { changes: before, marks } = turn.log.state;
  if (marks.size === 0 && turn.deps.fileLabels.none) return [];
  return changes.flatMap(({ path, oid, was }) => {
    if (oid === null || was === null || before.get(path)?.oid === oid) return [];
    const labels = joined(turn, path, was);
    return labels.length === 0 ? [] : [[path, labels] as [string, Label[]]];
  });
}

const joined = ({ deps, log }: Turn, path: string, theirs: string): Label[] =>
  unionLabels(log.state.marks.get(path) ?? [], deps.fileLabels.of({ path, oid: theirs }));
