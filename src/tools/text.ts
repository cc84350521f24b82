import { FileRefused, type FileEntry, type Files } from '../core/files.ts';
import { workspacePath } from '../core/text/paths.ts';
import type { Label } from '../core/labels.ts';
import type { ToolContext, ToolResult } from '../core/ports/tool.ts';
import { wrapUntrusted } from '../core/text/untrusted.ts';

const BOM = '\ufeff';

/** Bytes of the largest file that is taken as text. */
export const MAX_TEXT = 16_000_000;

export const failed = (text: string): ToolResult => ({ ok: false, text, labels: [], changes: [] });

/** The result of a tool that read these files, kept apart from words of ours if it holds text from outside. */
export function fromFiles(
  result: ToolResult,
  labels: Label[],
  source: string,
  { mark }: Pick<ToolContext, 'mark'>,
): ToolResult {
  const text = labels.includes('untrusted') ? wrapUntrusted(result.text, source, mark) : result.text;
  return { ...result, text, labels };
}

/** A path as it is shown: quoted where it could be taken for something else, or could hide something. */
export const shownPath = (path: string): string =>
  /^[\p{L}\p{N}\p{M}_./@+=-]+$/u.test(path) ? path : JSON.stringify(path);

export const shownSize = (bytes: number): string =>
  bytes < 1000
    ? `${bytes} ${bytes === 1 ? 'byte' : 'bytes'}`
    : bytes < 1_000_000
      ? `${(bytes / 1000).toFixed(1)} kB`
      : `${(bytes / 1_000_000).toFixed(1)} MB`;

/** Turns a refusal of the workspace into a result; anything else thrown is a bug and stays one. */
export async function refusable(work: () => Promise<ToolResult>): Promise<ToolResult> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FileRefused) return failed(error.message);
    throw error;
  }
}

export type Text = { ok: true; path: string; entry: FileEntry; text: string } | { ok: false; why: string };

/** A file's text, or in plain words why there is none. Links are never followed. */
export async function readText(files: Files, raw: string): Promise<Text> {
  const checked = workspacePath(raw);
  if (!checked.ok) return { ok: false, why: `${shownPath(raw)}: ${checked.reason}.` };
  const entry = await files.stat(checked.path);
  const { path } = entry ?? checked;
  if (entry === null) return { ok: false, why: await absent(files, path) };
  if (entry.mode === '120000') return { ok: false, why: await aboutLink(files, path) };
  if (entry.size > MAX_TEXT)
    return {
      ok: false,
      why: `${shownPath(path)} has ${shownSize(entry.size)}: look at parts of it with shell, such as sed -n 1,200p.`,
    };
  const file = await files.read(path);
  if (file === null) return { ok: false, why: await absent(files, path) };
  const text = decode(file.bytes);
  if (text === null)
    return { ok: false, why: `${shownPath(path)} is not text: ${kindOf(file.bytes)}, ${shownSize(entry.size)}.` };
  return { ok: true, path, entry: file.entry, text };
}

/** UTF-8 without NUL, byte for byte the same when encoded again; null if it is something else. */
export function decode(bytes: Uint8Array): string | null {
  if (bytes.includes(0)) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

export async function aboutLink(files: Files, path: string): Promise<string> {
  const link = await files.read(path);
  const target = link === null ? '?' : JSON.stringify(new TextDecoder().decode(link.bytes));
  return `${shownPath(path)} is a symbolic link to ${target}, and links are not followed.`;
}

const aboutSubModule = (path: string): string =>
  `${shownPath(path)} is a sub-module: a repository of its own, whose files cannot be read or changed from here.`;

/** Why nothing is at a path: a folder, something in the way, or simply nothing. */
export async function absent(files: Files, path: string): Promise<string> {
  if (path === '') return 'That is the workspace itself, not a file.';
  const parts = path.split('/');
  for (let depth = 1; depth < parts.length; depth += 1) {
    const parent = parts.slice(0, depth).join('/');
    const place = await files.about(parent);
    if (place === 'link') return aboutLink(files, parent);
    if (place === 'sub-module') return aboutSubModule(parent);
    if (place === 'file') return `${shownPath(parent)} is a file, so nothing is below it.`;
  }
  if ((await files.about(path)) === 'sub-module') return aboutSubModule(path);
  if ((await files.list(path)).length > 0) return `${shownPath(path)} is a folder.`;
  return `There is no file ${shownPath(path)}.`;
}

const SIGNATURES: readonly [kind: string, start: string][] = [
  ['PNG image', '\u0089PNG'],
  ['JPEG image', '\u00ff\u00d8\u00ff'],
  ['GIF image', 'GIF8'],
  ['PDF document', '%PDF'],
  ['ZIP archive or office document', 'PK\u0003\u0004'],
  ['gzip archive', '\u001f\u008b'],
  ['program (ELF)', '\u007fELF'],
  ['SQLite database', 'SQLite format 3'],
  ['UTF-16 text', '\u00ff\u00fe'],
  ['UTF-16 text', '\u00fe\u00ff'],
];

function kindOf(bytes: Uint8Array): string {
  const start = String.fromCharCode(...bytes.subarray(0, 16));
  const known = SIGNATURES.find(([, signature]) => start.startsWith(signature));
  if (known) return known[0];
  return bytes.includes(0) ? 'binary data' : 'bytes that are no UTF-8 (perhaps another encoding)';
}

/**
 * A text with the line endings and the byte order mark of the one it replaces, or part of which it replaces. Models write
 * `\n` whatever the file has; a file that mixes its endings has none to keep.
 */
export function likeBefore(text: string, before: string, part: 'whole' | 'part'): string {
  const crlf = before.includes('\r\n') && !/(?:^|[^\r])\n/.test(before);
  const lines = crlf ? text.replaceAll(/\r?\n/g, '\r\n') : text;
  return part === 'whole' && before.startsWith(BOM) && !lines.startsWith(BOM) ? BOM + lines : lines;
}
