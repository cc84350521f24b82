import type { FileEntry } from '../core/files.ts';
import { pathMatch, usablePathPattern } from '../core/text/glob.ts';
import { unionLabels } from '../core/labels.ts';
import { workspacePath } from '../core/text/paths.ts';
import type { Parsed, Tool, ToolContext, ToolResult } from '../core/ports/tool.ts';
import { argsSchema, readArgs, type ArgsOf } from './args.ts';
import { openScan, type Hit, type Scan } from './scan.ts';
import { absent, decode, failed, fromFiles, refusable, shownPath } from './text.ts';

const ARGS = { pattern: 'text', path: ['text?', 'File, folder or glob'] } as const;
type SearchInput = ArgsOf<typeof ARGS>;

const MAX_PATTERN = 1000;
const MAX_HITS = 200;
/** Bytes: bigger files are named, not searched. */
const MAX_FILE = 2_000_000;
/** Bytes of all files together. */
const MAX_TOTAL = 64_000_000;
/** Bytes read before they are searched together. */
const BATCH = 4_000_000;
/** Milliseconds of matching. */
const BUDGET_MS = 2000;

const WILD = /[*?]/;

function parse(args: unknown): Parsed<SearchInput> {
  const parsed = readArgs(ARGS, args);
  if (!parsed.ok) return parsed;
  const { pattern } = parsed.value;
  if (pattern === '') return { ok: false, error: '"pattern" is empty' };
  if (pattern.length > MAX_PATTERN) return { ok: false, error: `"pattern" is longer than ${MAX_PATTERN} characters` };
  return parsed;
}

/** The folder or file a path argument names: of a glob, what stands before its first wildcard part. */
function fixedPart(path: string | null): string {
  if (path === null) return '.';
  const parts = path.split('/');
  const wild = parts.findIndex((part) => WILD.test(part));
  return wild === -1 ? path : parts.slice(0, wild).join('/') || '.';
}

type Chosen = { ok: true; entries: FileEntry[] } | { ok: false; why: string };

async function choose(raw: string | null, { files, mayRead }: ToolContext): Promise<Chosen> {
  const checked = workspacePath(fixedPart(raw));
  if (!checked.ok) return { ok: false, why: `${shownPath(raw ?? '.')}: ${checked.reason}.` };
  if (raw !== null && !usablePathPattern(raw))
    return { ok: false, why: `${shownPath(raw)} cannot be used as a pattern.` };
  if (raw !== null && /[*?].*\{.*,.*\}|\{.*,.*\}.*[*?]/.test(raw))
    return {
      ok: false,
      why: `Braces stand for themselves in ${shownPath(raw)}: search once for each of the patterns.`,
    };
  const { path } = checked;
  const file = path === '' ? null : await files.stat(path);
  const all = file === null ? await files.list(path) : [file];
  if (all.length === 0 && path !== '') return { ok: false, why: await absent(files, path) };
  const glob = raw !== null && WILD.test(raw) ? raw.replace(/^\/workspace\//, '') : null;
  return {
    ok: true,
    entries: all.filter(
      (entry) => entry.mode !== '120000' && mayRead(entry.path) && (glob === null || pathMatch(glob, entry.path)),
    ),
  };
}

interface Found {
  hits: Hit[];
  /** Blob by path of the files that had hits. */
  seen: Record<string, string>;
  searched: number;
  /** Files that were left out for their size. */
  large: string[];
  /** Files that are not UTF-8. */
  notText: string[];
  ended: 'all' | 'hits' | 'size' | 'timeout' | 'aborted';
}

/** UTF-16, or some encoding of one byte a character: text that a reader would expect to be searched. */
const isOtherText = (bytes: Uint8Array): boolean =>
  !bytes.includes(0) || (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);

/** Reads the files in batches and scans them until all is done or a bound is reached. */
async function lookThrough(entries: readonly FileEntry[], scan: Scan, { files, signal }: ToolContext): Promise<Found> {
  const found: Found = { hits: [], seen: {}, searched: 0, large: [], notText: [], ended: 'all' };
  let [total, pending] = [0, 0];
  let batch: { path: string; text: string; oid: string }[] = [];
  const flush = async (): Promise<boolean> => {
    const result = await scan.find(batch, MAX_HITS - found.hits.length);
    if (result === 'timeout') found.ended = 'timeout';
    else {
      found.hits.push(...result);
      const hit = new Set(result.map(({ path }) => path));
      for (const { path, oid } of batch) if (hit.has(path)) found.seen[path] = oid;
      found.searched += batch.length;
      if (found.hits.length >= MAX_HITS) found.ended = 'hits';
    }
    batch = [];
    pending = 0;
    return found.ended === 'all';
  };
  for (const { path, size } of entries) {
    if (signal.aborted) return { ...found, ended: 'aborted' };
    if (size > MAX_FILE) found.large.push(path);
    if (size > MAX_FILE) continue;
    if (total + size > MAX_TOTAL) {
      if (await flush()) found.ended = 'size';
      return found;
    }
    total += size;
    const file = await files.read(path);
    const text = file === null ? null : decode(file.bytes);
    if (file !== null && text === null && isOtherText(file.bytes)) found.notText.push(path);
    if (file === null || text === null) continue;
    batch.push({ path, text, oid: file.entry.oid });
    pending += size;
    if (pending >= BATCH && !(await flush())) return found;
  }
  await flush();
  return found;
}

function report({ hits, searched, large, notText, ended, seen }: Found): ToolResult {
  if (ended === 'aborted') return failed('The search was aborted.');
  if (ended === 'timeout')
    return failed(
      `The pattern takes too long to match. Use a simpler one: a plain word, or no repetition within a repetition.`,
    );
  const lines = hits.map(({ path, line, text }) => `${shownPath(path)}:${line}: ${text}`);
  if (hits.length === 0) lines.push(`[No match in ${searched} ${searched === 1 ? 'file' : 'files'}.]`);
  if (ended === 'hits')
    lines.push(`[There may be more: the search stopped at ${MAX_HITS} lines. Narrow the pattern or the path.]`);
  if (ended === 'size')
    lines.push(`[Stopped after ${searched} files (${MAX_TOTAL / 1_000_000} MB): name a path to search the rest.]`);
  const name = (paths: readonly string[], why: string): void => {
    const more = paths.length > 5 ? ` and ${paths.length - 5} more` : '';
    if (paths.length > 0) lines.push(`[Not searched, ${why}: ${paths.slice(0, 5).map(shownPath).join(', ')}${more}]`);
  };
  name(large, 'too large');
  name(notText, 'not UTF-8');
  return { ok: true, text: lines.join('\n'), labels: [], changes: [], seen };
}

/** Finds lines by a regular expression, or by a plain text if it has no operators. */
export const searchTool: Tool<SearchInput> = {
  name: 'search',
  description: 'Find lines that match a regular expression.',
  effect: 'read',
  readsTree: true,
  idempotent: true,
  schema: argsSchema(ARGS),
  parse,
  facts: ({ path }) => ({ paths: [fixedPart(path)] }),
  run: ({ pattern, path }, ctx) =>
    refusable(async () => {
      const chosen = await choose(path, ctx);
      if (!chosen.ok) return failed(chosen.why);
      const open = openScan(pattern, BUDGET_MS);
      if (!open.ok) return failed(`${open.error}.`);
      try {
        const found = await lookThrough(chosen.entries, open.scan, ctx);
        const result = report(found);
        const seen = Object.entries(found.seen).map(([path, oid]) => ({ path, oid }));
        const labels = unionLabels(...seen.flatMap((entry) => [ctx.labelsOf(entry), ctx.nameLabels(entry)]));
        return fromFiles(result, labels, 'files', ctx);
      } finally {
        await open.scan.close();
      }
    }),
};
