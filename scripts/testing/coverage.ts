// Which lines of src/ ran, summed over every process of the suite, from V8's own records. Type stripping keeps positions,
// so the offsets are those of the source.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';

interface Range {
  startOffset: number;
  endOffset: number;
  count: number;
}
interface Script {
  url: string;
  functions: { ranges: Range[] }[];
}

/** A table, one row a room and a total, of lines of code that ran. */
export function coverageTable(folder: string, root: string): string {
  const ran = new Map<string, Uint8Array>();
  const source = new Map<string, string>();
  for (const file of sourcesBelow(join(root, 'src'))) {
    // Types become blanks, and so do not count as code that never ran.
    const code = stripTypeScriptTypes(readFileSync(file, 'utf8'));
    source.set(file, code);
    ran.set(file, new Uint8Array(code.length));
  }
  for (const file of readdirSync(folder).filter((name) => name.startsWith('coverage-'))) {
    for (const script of parse(join(folder, file))) {
      const seen = script.url.startsWith('file:') ? ran.get(fileURLToPath(script.url)) : undefined;
      if (seen !== undefined) add(script, seen);
    }
  }
  const rooms = new Map<string, { ran: number; all: number }>();
  for (const [file, seen] of ran) {
    const name = relative(join(root, 'src'), file).split('/')[0] ?? 'src';
    const { ran: yes, all } = countLines(source.get(file) ?? '', seen);
    for (const key of [name, 'total']) {
      const room = rooms.get(key) ?? { ran: 0, all: 0 };
      rooms.set(key, { ran: room.ran + yes, all: room.all + all });
    }
  }
  const rows = [...rooms].filter(([name]) => name !== 'total').sort(([a], [b]) => (a < b ? -1 : 1));
  const total = rooms.get('total');
  const row = (name: string, { ran: yes, all }: { ran: number; all: number }): string =>
    `  ${name.padEnd(12)} ${String(all).padStart(6)} lines  ${((100 * yes) / all).toFixed(1).padStart(5)} %`;
  return [
    '\nCoverage (lines of code that ran):',
    ...rows.map(([name, room]) => row(name, room)),
    ...(total ? [row('total', total)] : []),
  ].join('\n');
}

const sourcesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));

/** A killed process leaves half a record: it says nothing, and the others are whole. */
function parse(file: string): Script[] {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { result: Script[] }).result;
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

/** Marks what ran. Inner ranges come after outer ones and overrule them within one process; processes add up. */
function add(script: Script, seen: Uint8Array): void {
  const here = new Uint8Array(seen.length);
  for (const { ranges } of script.functions)
    for (const { startOffset, endOffset, count } of ranges) here.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  for (let at = 0; at < seen.length; at += 1) if (here[at] === 1) seen[at] = 1;
}

/** Blank lines, comments and lone brackets do not count. */
function countLines(text: string, seen: Uint8Array): { ran: number; all: number } {
  let [ran, all, offset] = [0, 0, 0];
  for (const line of text.split('\n')) {
    const code = line.trim();
    if (code !== '' && !/^(\/\/|\/?\*|[)}\];,]+$)/.test(code)) {
      all += 1;
      if (seen[offset + line.indexOf(code)] === 1) ran += 1;
    }
    offset += line.length + 1;
  }
  return { ran, all };
}
