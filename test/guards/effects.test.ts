// Replay works only if time, chance and the environment come in through a port. This keeps every other way in closed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSources, withoutComments } from './source.ts';

const EFFECTS: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['Date.now', /\bDate\s*\.\s*now\b/],
  ['new Date', /\bnew\s+Date\s*(\(\s*\)|[^\s(])|(?<!new\s+)\bDate\s*\(\s*\)/],
  ['performance', /\bperformance\s*\.\s*now\b|\bprocess\s*\.\s*(hrtime|uptime)\b|['"]node:perf_hooks['"]/],
  ['Math.random', /\bMath\s*\.\s*random\b/],
  ['timers', /\bset(Timeout|Interval)\b|\bAbortSignal\s*\.\s*timeout\b/],
  ['chance', /\brandom(UUID|Bytes|Int|Fill|FillSync)\b|\bgetRandomValues\b/],
  ['process.env', /\bprocess\s*(\.\s*env\b|\[\s*['"]env['"])|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b/],
  ['process.cwd', /\bprocess\s*\.\s*(cwd|chdir)\b/],
];

/** Where an effect may be made itself, and why. Keep it short. */
const EXCEPTIONS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'src/platform/system.ts': {
    'Date.now': 'the clock of the machine',
    timers: 'the clock of the machine',
    chance: 'the ids and the randomness of the machine',
  },
  'src/cli/main.ts': { 'process.env': 'hands it to the commands', 'process.cwd': 'hands it to the commands' },
  'src/git/process.ts': { timers: 'kills a Git process that hangs, whatever the clock says' },
  'src/git/catfile.ts': { timers: 'kills a Git process that hangs, whatever the clock says' },
  'src/git/objects.ts': { 'new Date': 'freshens a file for Git, whose pruning goes by the file system' },
  'src/platform/replace.ts': { chance: 'names a temporary file that no record mentions' },
  'src/secrets/age.ts': { chance: 'the salt of a passphrase; the keys are drawn by the library of the format' },
  'src/tools/scan.ts': { performance: 'ends a pattern that never ends, in a thread of its own' },
};

/** Names of the effects a text makes. */
const effectsOf = (text: string): string[] => {
  const code = withoutComments(text);
  return EFFECTS.filter(([, pattern]) => pattern.test(code)).map(([name]) => name);
};

test('time, chance and environment come in through ports', () => {
  const sources = readSources();
  assert.ok(sources.size >= 120, `only ${sources.size} files were looked at`);
  const found: string[] = [];
  for (const [path, text] of sources)
    for (const effect of effectsOf(text))
      if (EXCEPTIONS[path]?.[effect] === undefined) found.push(`${path}: ${effect}`);
  assert.deepEqual(found, []);
});

test('no exception outlives its reason', () => {
  const sources = readSources();
  for (const [path, effects] of Object.entries(EXCEPTIONS)) {
    const made = effectsOf(sources.get(path) ?? '');
    for (const effect of Object.keys(effects)) assert.ok(made.includes(effect), `${path} has no ${effect} any more`);
  }
});

test('each effect is seen', () => {
  const planted: [code: string, effect: string][] = [
    ['const at = Date.now();', 'Date.now'],
    ['const at = new Date();', 'new Date'],
    ['const at = new Date;', 'new Date'],
    ['const at = Date();', 'new Date'],
    ['const at = performance.now();', 'performance'],
    ['const at = process.hrtime.bigint();', 'performance'],
    ['const x = Math.random();', 'Math.random'],
    ['setTimeout(() => {}, 10);', 'timers'],
    ["import { setTimeout as delay } from 'node:timers/promises';", 'timers'],
    ['const signal = AbortSignal.timeout(10);', 'timers'],
    ["import { randomUUID } from 'node:crypto';", 'chance'],
    ['crypto.getRandomValues(bytes);', 'chance'],
    ['const home = process.env.HOME;', 'process.env'],
    ["const home = process['env'].HOME;", 'process.env'],
    ['const { env } = process;', 'process.env'],
    ['const here = process.cwd();', 'process.cwd'],
  ];
  for (const [code, effect] of planted) assert.deepEqual(effectsOf(code), [effect], code);
  assert.deepEqual(effectsOf('const at = new Date(clock.now()); // not Date.now()'), []);
  assert.equal(planted.length, 16);
});
