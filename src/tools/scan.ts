import { Worker } from 'node:worker_threads';

export interface Hit {
  path: string;
  /** From 1. */
  line: number;
  /** The line's text around the match. */
  text: string;
}

export interface Scan {
  /** Finds the lines that match, at most `limit`. `timeout`: the pattern took too long. */
  find(files: readonly { path: string; text: string }[], limit: number): Promise<Hit[] | 'timeout'>;
  close(): Promise<void>;
}

/** Characters of a line that are shown. */
const WIDTH = 240;
const MEMORY_MB = 256;

/** Runs within the worker too, from its own source text, so it must not use anything outside itself. */
function matchingLines(
  files: readonly { path: string; text: string }[],
  limit: number,
  width: number,
  place: (line: string) => number,
): Hit[] {
  const hits: Hit[] = [];
  for (const { path, text } of files) {
    let number = 0;
    // A mark at the beginning is no character of the first line, and a return before the end none of any.
    for (const whole of text.replace(/^\ufeff/, '').split('\n')) {
      const line = whole.endsWith('\r') ? whole.slice(0, -1) : whole;
      number += 1;
      const at = place(line);
      if (at === -1) continue;
      const from = line.length <= width ? 0 : Math.max(0, at - Math.floor(width / 4));
      hits.push({ path, line: number, text: line.slice(from, from + width).trimEnd() });
      if (hits.length >= limit) return hits;
    }
  }
  return hits;
}

/** Words, and whatever else holds no operator, need no engine and no protection from one. */
const LITERAL = /^[^\\^$.*+?()[\]{}|]+$/;

type OpenScan = { ok: true; scan: Scan } | { ok: false; error: string };

/**
 * Prepares a search. A pattern with operators goes to a worker, because some patterns take years over one line and an
 * engine cannot be interrupted from its own thread: after `budgetMs` of matching the search gives up, and nothing else
 * has waited. `(?i)` at the start means any case.
 */
export function openScan(pattern: string, budgetMs: number): OpenScan {
  if (LITERAL.test(pattern)) return { ok: true, scan: literalScan(pattern) };
  const anyCase = pattern.startsWith('(?i)');
  const source = anyCase ? pattern.slice(4) : pattern;
  const foreign = foreignSyntax(source);
  if (foreign !== null) return { ok: false, error: foreign };
  try {
    RegExp(source);
  } catch (error) {
    if (error instanceof SyntaxError) return { ok: false, error: error.message };
    throw error;
  }
  return { ok: true, scan: workerScan(source, anyCase ? 'i' : '', budgetMs) };
}

/** What other engines know and this one would take for plain characters, so that it would find nothing. */
const FOREIGN: readonly (readonly [RegExp, string])[] = [
  [/\[\[:\^?\w+:\]/, 'Classes such as [[:space:]] mean nothing here: use \\s, \\d, \\w or [A-Za-z].'],
  [
    /(?<!\\)(?:\\\\)*\\[AZz]/,
    'Anchors such as \\A and \\Z mean nothing here: each line is searched by itself, use ^ and $.',
  ],
  [/(?<!\\)(?:\\\\)*\\[pP]\{/, 'Classes such as \\p{Lu} mean nothing here: use [A-Z] and the letters you look for.'],
];

const foreignSyntax = (source: string): string | null => FOREIGN.find(([sign]) => sign.test(source))?.[1] ?? null;

const literalScan = (pattern: string): Scan => ({
  find: (files, limit) => Promise.resolve(matchingLines(files, limit, WIDTH, (line) => line.indexOf(pattern))),
  close: () => Promise.resolve(),
});

// `timeout` of a script also ends a regular expression in the middle of its backtracking.
const WORKER = `
const { parentPort, workerData } = require('node:worker_threads');
const { Script } = require('node:vm');
const matchingLines = ${matchingLines.toString()};
const pattern = new RegExp(workerData.source, workerData.flags);
const script = new Script('work()');
let left = workerData.budgetMs;
parentPort.on('message', ({ files, limit }) => {
  globalThis.work = () => matchingLines(files, limit, ${WIDTH}, (line) => line.search(pattern));
  const started = performance.now();
  let hits = 'timeout';
  try {
    hits = script.runInThisContext({ timeout: Math.max(1, Math.ceil(left)) });
  } catch (error) {
    if (error.code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
  }
  left -= performance.now() - started;
  parentPort.postMessage(hits);
});
`;

function workerScan(source: string, flags: string, budgetMs: number): Scan {
  const worker = new Worker(WORKER, {
    eval: true,
    workerData: { source, flags, budgetMs },
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB },
  });
  let settle: { resolve: (hits: Hit[] | 'timeout') => void; reject: (error: Error) => void } | null = null;
  worker.on('message', (hits: Hit[] | 'timeout') => settle?.resolve(hits));
  worker.on('error', (error: Error & { code?: string }) => {
    // A pattern that eats memory is as hopeless as one that eats time.
    if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') settle?.resolve('timeout');
    else settle?.reject(error);
  });
  return {
    find: (files, limit) =>
      new Promise((resolve, reject) => {
        settle = { resolve, reject };
        worker.postMessage({ files, limit }, []);
      }),
    close: async () => {
      await worker.terminate();
    },
  };
}
