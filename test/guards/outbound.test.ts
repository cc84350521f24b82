// Every byte that leaves goes through the guard of src/net/: this keeps every other way out closed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importsOf, readSources, withoutComments } from './source.ts';

/** Modules of Node that open a connection, resolve a name, or listen. */
const NETWORK = /^(?:node:)?(?:http|https|http2|net|tls|dns|dns\/promises|dgram|quic|inspector(?:\/promises)?)$/;
/** Names of them that only look at an address, or read what this machine trusts. */
const HARMLESS = new Set(['isIP', 'isIPv4', 'isIPv6', 'STATUS_CODES', 'METHODS', 'getCACertificates']);
/** Names that only accept what others open. */
const LISTENS = new Set(['createServer', 'Server', 'ServerResponse']);

/** Packages with a connection of their own, and what has to be handed to them so that it is the guard's. */
const CLIENTS: readonly [name: RegExp, handed: RegExp | null][] = [
  [
    /^(?:undici|axios|got|node-fetch|cross-fetch|ky|superagent|request|needle|eventsource|socket\.io-client|net-keepalive)$/,
    null,
  ],
  [/^(?:ws|@discordjs\/ws)$/, /\bcreateConnection\b/],
  [
    /^(?:@ai-sdk\/.*|ai|openai|@anthropic-ai\/.*|@google\/.*|grammy(?:\/web)?|tsdav|@mistralai\/.*|@octokit\/.*)$/,
    /\bfetch\b/,
  ],
  [/^imapflow$/, /\btransport\b/],
  [/^nodemailer(?:\/.*)?$/, /\bgetSocket\b/],
  [/^(?:@slack\/.*|discord\.js|@discordjs\/.*|matrix-.*|googleapis)$/, /\b(?:dispatcher|agent|fetch)\b/],
  [/^(?:playwright(?:-core)?|puppeteer(?:-core)?|chrome-remote-interface)$/, /\bproxy\b/],
];

const BY_CODE: readonly [what: string, pattern: RegExp][] = [
  // Not a property, a key, a part of another word, or in quotes.
  ['the global fetch', /(?<![\w.$#-])fetch(?![\w$-]|\s*:)|\b(?:globalThis|window|self|global)\s*(?:\?\.|\.)\s*fetch\b/],
  ['a socket of the platform', /\b(?:WebSocket|WebSocketStream|EventSource|XMLHttpRequest|WebTransport|sendBeacon)\b/],
  ['the global object', /\b(?:globalThis|window|global)\s*\[|Reflect\s*\.\s*get\s*\(\s*globalThis/],
  ['a builtin by the back door', /getBuiltinModule|process\s*\.\s*binding|createRequire|process\s*\.\s*dlopen/],
];

/** Whether an import brings only types, which vanish. */
const onlyTypes = (names: string): boolean => {
  const text = names.trim();
  if (text.startsWith('type ') || text.startsWith('type{')) return true;
  const [, inner] = /^\{([^]*)\}$/.exec(text) ?? [];
  return inner !== undefined && inner.split(',').every((name) => name.trim() === '' || name.trim().startsWith('type '));
};

function byModule(target: string, names: string): string[] {
  if (target === null || !NETWORK.test(target)) return [];
  const [, inner] = /^\s*\{([^]*)\}\s*$/.exec(names) ?? [];
  if (inner === undefined) return ['a network module'];
  const used = inner.split(',').map((name) => name.trim().replace(/\s+as\s.*$/, ''));
  const values = used.filter((name) => name !== '' && !name.startsWith('type ') && !HARMLESS.has(name));
  if (values.length === 0) return [];
  return [values.every((name) => LISTENS.has(name)) ? 'a listening server' : 'a network module'];
}

/** Quoted texts become empty, since words in them call nothing; of templates the code in them stays. */
const withoutQuotes = (code: string): string =>
  code
    .replace(
      /`(?:[^`\\]|\\[^])*`/g,
      (text) => `'' + ${[...text.matchAll(/\$\{([^}]*)\}/g)].map(([, part]) => part).join(' + ')} + ''`,
    )
    .replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, "''");
/** What a regular expression looks for is nothing the file does. */
const withoutPatterns = (code: string): string =>
  code.replace(/(?<=[(,=:[!&|?{};\n]\s*)\/(?![/*])(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/g, '/x/');

/** The ways out that a file uses. */
function found(text: string): string[] {
  const plain = withoutComments(text);
  const code = withoutPatterns(withoutQuotes(plain));
  const imports = importsOf(text)
    .filter(({ names }) => !onlyTypes(names))
    .flatMap(({ target, names }) => {
      if (target === null) return [];
      const client = CLIENTS.find(([name]) => name.test(target));
      const unguarded = client !== undefined && (client[1] === null || !client[1].test(code));
      return [...byModule(target, names), ...(unguarded ? ['a client without the guard'] : [])];
    });
  const withoutImports = code.replace(/^\s*(?:import|export)\s(?:[^;'"`]*?\sfrom\s)?'';?/gm, '');
  // A type of what a module exports is no use of it.
  const used = withoutImports.replace(/typeof\s+import\(''\)/g, '');
  return [...new Set([...imports, ...BY_CODE.filter(([, pattern]) => pattern.test(used)).map(([what]) => what)])];
}

/** The listening side, and the few who talk to a gateway of this machine. Each with its reason. */
const MAY: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'src/gateway/server.ts': { 'a listening server': 'the gateway listens; it opens nothing' },
  'src/cli/http.ts': { 'a network module': 'commands talk to the gateway of their home' },
  'src/sandbox/network.ts': {
    'a network module': 'a script for inside a sandbox: it joins its loopback with the proxy',
  },
  'src/simulate/sender.ts': {
    'a network module': 'a play: somebody else’s server, which calls the hooks of the gateway',
  },
  'src/config/packages/late.ts': { 'a builtin by the back door': 'loads three packages where a file needs them' },
  'src/channels/telegram/api.ts': { 'the global fetch': 'a name of its own: what it hands to grammY asks the guard' },
};

const sources = readSources();

test('A39 nothing but src/net/ opens a connection, resolves a name or has a client without the guard', () => {
  assert.ok(sources.size >= 400, `only ${sources.size} files were looked at`);
  const wrong: string[] = [];
  let inside = 0;
  for (const [path, text] of sources)
    for (const what of found(text))
      if (path.startsWith('src/net/') && what !== 'a client without the guard' && what !== 'the global fetch') inside++;
      else if (MAY[path]?.[what] === undefined) wrong.push(`${path} uses ${what}`);
  assert.deepEqual(wrong, []);
  assert.ok(inside >= 5, 'the scan sees the guard itself');
});

test('no exception outlives its reason', () => {
  for (const [path, doors] of Object.entries(MAY))
    for (const what of Object.keys(doors))
      assert.ok(found(sources.get(path) ?? '').includes(what), `${path} does not use ${what} any more`);
});

test('A39 planted violations are seen', () => {
  const planted: [line: string, what: string][] = [
    [`import http from 'node:http';`, 'a network module'],
    [`import * as https from "https";`, 'a network module'],
    [`import { request } from 'node:http';`, 'a network module'],
    [`import { createServer, get as take } from 'node:http';`, 'a network module'],
    [`import { connect } from 'node:tls';`, 'a network module'],
    [`import { connect } from 'node:http2';`, 'a network module'],
    [`import { createSocket } from 'node:dgram';`, 'a network module'],
    [`import { lookup } from 'node:dns/promises';`, 'a network module'],
    [`import { Socket, type Server } from 'node:net';`, 'a network module'],
    [`import { open } from 'node:inspector';`, 'a network module'],
    [`export { request } from 'node:https';`, 'a network module'],
    [`const net = await import('node:net');`, 'a network module'],
    [`const dns = require('dns/promises');`, 'a network module'],
    [`import { createServer } from 'node:net';`, 'a listening server'],
    [`import { request } from 'undici';`, 'a client without the guard'],
    [`import WebSocket from 'ws';\nnew Client(url);`, 'a client without the guard'],
    [`import { ImapFlow } from 'imapflow';\nnew ImapFlow({ host });`, 'a client without the guard'],
    [`import { createTransport } from 'nodemailer';\ncreateTransport({ host });`, 'a client without the guard'],
    [`import { createOpenAI } from '@ai-sdk/openai';\ncreateOpenAI({ apiKey });`, 'a client without the guard'],
    [`const { WebClient } = await import('@slack/web-api');`, 'a client without the guard'],
    [`await fetch(url);`, 'the global fetch'],
    [`return globalThis.fetch(url);`, 'the global fetch'],
    [`const get = fetch;`, 'the global fetch'],
    [`client({ fetch });`, 'the global fetch'],
    [`client({ fetch: fetch as never });`, 'the global fetch'],
    [`use(fetch)`, 'the global fetch'],
    ['const page = `<p>${await fetch(url)}</p>`;', 'the global fetch'],
    [`globalThis['fe' + 'tch'](url)`, 'the global object'],
    [`new WebSocket('ws://x')`, 'a socket of the platform'],
    [`const Source = EventSource;`, 'a socket of the platform'],
    [`navigator.sendBeacon(url)`, 'a socket of the platform'],
    [`process.getBuiltinModule('http')`, 'a builtin by the back door'],
    [`createRequire(import.meta.url)`, 'a builtin by the back door'],
  ];
  assert.equal(planted.length, 33);
  for (const [line, what] of planted) assert.deepEqual(found(`const a = 1;\n${line}\n`), [what], line);
  // Nor may they stand beside an exception of another kind.
  const server = sources.get('src/gateway/server.ts') ?? '';
  assert.ok(found(`${server}\nimport { request } from 'node:http';`).includes('a network module'));
});

test('what opens nothing is not taken for it', () => {
  for (const line of [
    `import type { Socket } from 'node:net';`,
    `import {\n  type IncomingMessage,\n  type ServerResponse,\n} from 'node:http';`,
    `import { isIP, isIPv6 } from 'node:net';`,
    `// await fetch(url)`,
    `/* import http from 'node:http' */`,
    `prefetch(x); tools.fetch(x); const fetchTool = 1;`,
    `name: 'fetch',`,
    `const said = "fetch(url) of new WebSocket";`,
    `const call = /fetch\\(/;`,
    `import { fetchTool } from './fetch.ts';`,
    `import { createOpenAI } from '@ai-sdk/openai';\ncreateOpenAI({ fetch: guarded });`,
    `const load = (): Promise<typeof import('grammy')> => import('grammy/web'); load({ fetch: guarded });`,
  ])
    assert.deepEqual(found(`const a = 1;\n${line}\n`), [], line);
});
