import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SRC = fileURLToPath(new URL('../../src/', import.meta.url));

/** Ways to open a connection or to ask a name server. */
const DOORS: readonly [what: string, pattern: RegExp][] = [
  [
    'a network module',
    /(?:from|import|require)\s*\(?\s*['"](?:node:)?(?:http|https|http2|net|tls|dns|dns\/promises|dgram)['"]/,
  ],
  [
    'a client library',
    /(?:from|import|require)\s*\(?\s*['"](?:undici|ws|axios|got|node-fetch|ky|superagent)(?:\/[^'"]*)?['"]/,
  ],
  [
    'the global fetch',
    /(?<![\w.$'"`#-])(?:globalThis\s*\.\s*)?fetch\s*\(|(?:globalThis|window|global)\s*(?:\.\s*fetch\b|\[)|[:=(,]\s*fetch\s*[,;)}\n]/,
  ],
  [
    'an outgoing call',
    /\b(?:http|https|http2)\s*\.\s*(?:request|get|connect)\s*\(|\b(?:net|tls)\s*\.\s*(?:connect|createConnection)\s*\(|\{[^}]*\b(?:request|get|connect|createConnection)\b[^}]*\}\s*from\s*['"]node:(?:https?|http2|net|tls)['"]/,
  ],
  ['a socket of the platform', /new\s+(?:WebSocket|EventSource|XMLHttpRequest)\b/],
  ['a builtin by the back door', /getBuiltinModule|process\s*\.\s*binding|createRequire/],
];

/** Type imports vanish, and words in comments open nothing. */
const codeOf = (text: string): string =>
  text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|[^:'"`\\])\/\/.*$/gm, '$1')
    .replace(/^import type .*$/gm, '');

const found = (text: string): string[] =>
  DOORS.filter(([, pattern]) => pattern.test(codeOf(text))).map(([what]) => what);

/**
 * Who may do what, and why. The guard goes out; the gateway listens; commands talk to the gateway of this machine, and
 * doctor looks whether a port is free.
 */
const MAY: readonly [place: RegExp, doors: readonly string[]][] = [
  [/^net\/websocket\.ts$/, ['a client library']],
  [/^net\//, ['a network module', 'an outgoing call']],
  // The page it serves holds a script for the browser, which asks this gateway.
  [/^gateway\/api\/login\.ts$/, ['the global fetch']],
  [/^gateway\//, ['a network module']],
  // Loads three packages, each only where a file of settings needs it.
  [/^config\/packages\/late\.ts$/, ['a builtin by the back door']],
  // A program that runs in a command's sandbox, where it reaches the command's proxy and nothing else.
  [/^sandbox\/network\.ts$/, ['a network module', 'an outgoing call']],
  // Somebody else's server, which calls the gateway of the play.
  [/^simulate\/sender\.ts$/, ['a network module', 'an outgoing call']],
  [/^cli\//, ['a network module', 'an outgoing call', 'the global fetch']],
];

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((path) => /\.[cm]?[jt]sx?$/.test(path));

test('A39 nothing but the guard opens a connection: every outbound client goes through it', () => {
  assert.ok(files.length >= 60, `only ${files.length} files were looked at`);
  const wrong: string[] = [];
  let used = 0;
  for (const path of files) {
    const allowed = MAY.find(([place]) => place.test(path))?.[1] ?? [];
    for (const what of found(readFileSync(join(SRC, path), 'utf8'))) {
      if (allowed.includes(what)) used++;
      else wrong.push(`src/${path} uses ${what}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(used >= 2, 'the scan sees the guard itself');
});

/** Packages that open connections of their own unless they are handed a fetch. */
const CLIENT =
  /from\s*['"](?:@ai-sdk\/|openai|@anthropic-ai\/|@google\/|grammy|discord\.js|@slack\/|matrix-|nodemailer|imapflow)|import\(\s*['"](?:@ai-sdk\/|openai|@anthropic-ai\/)/;
const unguarded = (code: string): boolean => CLIENT.test(code) && !/\bfetch\s*[:,}]/.test(code);

test('A39 a library with a client of its own is handed the guard', () => {
  const wrong = files.filter((path) => unguarded(codeOf(readFileSync(join(SRC, path), 'utf8'))));
  assert.deepEqual(wrong, []);
  assert.ok(unguarded(`import { createOpenAI } from '@ai-sdk/openai';\ncreateOpenAI({ apiKey });`));
  assert.ok(unguarded(`const { createOpenAI } = await import('@ai-sdk/openai');`));
  assert.ok(!unguarded(`import { createOpenAI } from '@ai-sdk/openai';\ncreateOpenAI({ fetch: guarded });`));
});

test('A39 planted violations are seen', () => {
  const planted = [
    `import http from 'node:http';`,
    `import * as https from "https";`,
    `http.request({ host })`,
    `tls.connect(443, host)`,
    `const net = await import('node:net');`,
    `const dns = require('dns/promises');`,
    `import { request } from 'undici';`,
    `import WebSocket from 'ws';`,
    `await fetch(url);`,
    `return globalThis.fetch(url);`,
    `globalThis['fe' + 'tch'](url)`,
    `const get = fetch;`,
    `client({ fetch: fetch })`,
    `use(fetch)`,
    `new WebSocket('ws://x')`,
    `new EventSource(url)`,
    `process.getBuiltinModule('http')`,
    `createRequire(import.meta.url)`,
  ];
  assert.equal(planted.length, 18);
  for (const line of planted) assert.equal(found(`const a = 1;\n${line}\n`).length, 1, line);
  for (const line of [
    `import type { Socket } from 'node:net';`,
    `// await fetch(url)`,
    `/* import http from 'node:http' */`,
    `prefetch(x); tools.fetch(x); const fetchTool = 1;`,
    `name: 'fetch',`,
    `import { fetchTool } from './fetch.ts';`,
  ])
    assert.deepEqual(found(line), [], line);
});
