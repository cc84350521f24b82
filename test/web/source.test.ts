// What the page is made of: small, typed, harmless, and knowing the network only by its HTTP API.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { test } from 'node:test';
import { buildWeb } from '../../scripts/build-web.ts';
import { importCircles } from '../guards/layers.ts';
import { importsOf, readSources, ROOT, withoutComments } from '../guards/source.ts';

/** Bytes of script, compressed. */
const BUDGET = 56_000;
const LINES = 300;
const PACKAGES = ['preact', 'preact/hooks', '@preact/signals'];

/** What of core runs in the page: it is pure, and reaches nothing else. */
const SHARED = 'src/core/text/markdown/';

const sources = readSources('web');

test('the script stays within its budget, and is one file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ruche-web-size-'));
  try {
    const { script } = await buildWeb(join(folder, 'web'));
    assert.ok(script > 15_000, 'nothing was measured');
    assert.ok(script < BUDGET, `${script} bytes of script, compressed; ${BUDGET} are allowed`);
    const page = readFileSync(join(folder, 'web', 'index.html'), 'utf8');
    assert.doesNotMatch(page, /<style|<script(?![^>]*\bsrc="\/assets\/)|\bon\w+=|https?:\/\//);
    assert.equal(readdirSync(join(folder, 'web', 'assets')).length, 2);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

/** Ways in which a file of the page breaks its rules. */
function violations(path: string, text: string): string[] {
  const found: string[] = [];
  const code = withoutComments(text);
  if (text.split('\n').length > LINES) found.push('too long');
  if (
    /\b(innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|eval|new Function)\b/.test(code)
  )
    found.push('makes markup or code of text');
  if (/https?:\/\/(?!127\.0\.0\.1|models\.example)\w/.test(code)) found.push('names another host');
  if (/\bfetch\(/.test(code) && path !== 'web/lib/api.ts' && !/fetch: \(/.test(code))
    found.push('asks the gateway by itself');
  for (const { target } of importsOf(text)) {
    if (target === null) found.push('imports something only known while it runs');
    else if (!target.startsWith('.')) {
      if (!PACKAGES.includes(target)) found.push(`imports ${target}`);
    } else {
      const inside = posix.join(posix.dirname(path), target);
      if (!inside.startsWith('web/')) {
        const typesOnly = new RegExp(`import type [^;]*from '${target.replaceAll('.', '\\.')}'`).test(text);
        if (!inside.startsWith(SHARED) && !(inside.startsWith('src/core/') && typesOnly))
          found.push(`imports ${inside}`);
      } else if (!sources.has(inside)) found.push(`${inside} does not exist`);
    }
  }
  return found;
}

test('every file of the page keeps the rules of the page', () => {
  assert.ok(sources.size >= 40, `only ${sources.size} files were looked at`);
  for (const [path, text] of sources) assert.deepEqual(violations(path, text), [], path);
  assert.deepEqual(importCircles(sources), []);
});

test('what runs in the page and in the process reaches nothing else', () => {
  const shared = [...readSources()].filter(([path]) => path.startsWith(SHARED));
  assert.ok(shared.length >= 5, `only ${shared.length} files were looked at`);
  for (const [path, text] of shared) {
    for (const { target } of importsOf(text)) assert.match(target ?? '', /^\.\/[\w-]+\.ts$/, path);
    assert.doesNotMatch(withoutComments(text), /\b(document|window|globalThis|process|Buffer)\b/, path);
  }
});

test('the rules see what breaks them', () => {
  const planted: [string, RegExp][] = [
    ['element.innerHTML = text;', /markup/],
    ["import { x } from '../../src/core/text/untrusted.ts';", /imports src\/core/],
    ["import type { x } from '../../src/messages/hub.ts';", /imports src\/messages/],
    ["import { marked } from 'marked';", /imports marked/],
    ["const a = 'https://cdn.example/x.js';", /another host/],
    ["await fetch('/api/me');", /by itself/],
    ['//\n'.repeat(301), /too long/],
  ];
  for (const [code, expected] of planted) assert.match(violations('web/parts/x.ts', code).join(), expected, code);
});

test('no global holds state but where the page begins', () => {
  for (const [path, text] of sources)
    if (path !== 'web/main.tsx')
      assert.doesNotMatch(
        text,
        /^(?:export )?(?:let |var |const \w+ = (?:signal|computed|resource|create\w+)\()/m,
        path,
      );
  assert.match(sources.get('web/main.tsx') ?? '', /^const app = createApp\(\);$/m);
});

test('every class that the page gives is known to its style, and the other way round', () => {
  const css = readdirSync(join(ROOT, 'web/style'))
    .map((name) => readFileSync(join(ROOT, 'web/style', name), 'utf8'))
    .join('\n');
  const styled = new Set(
    [...css.replaceAll(/\/\*[\s\S]*?\*\//g, '').matchAll(/\.([a-z][\w-]*)/g)].map(([, name]) => name),
  );
  const all = [...sources.values()].join('\n');
  const unused = [...styled].filter((name) => !new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(all));
  // Named by a state or a kind.
  const made = /^(state|why|mark|change|main|banner|column)-/;
  assert.ok(styled.size > 80);
  assert.deepEqual(
    unused.filter((name) => !made.test(name ?? '')),
    [],
  );
});
