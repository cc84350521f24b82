import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { PRICES } from '../../src/models/prices/prices.ts';
import fc from 'fast-check';
import { BUILTIN, knownOf } from '../../src/app/builtin.ts';
import type { Problem } from '../../src/core/agent.ts';
import { parseAgent } from '../../src/config/agent.ts';
import { editorSchemas } from '../../src/config/schemas.ts';
import { DEFAULT_LIMITS, parseSettings } from '../../src/config/settings.ts';
import { readTemplate } from '../../src/workspace/init.ts';
import { tries } from '../fakes/effort.ts';
import { KNOWN } from '../fakes/known.ts';
import { workClock } from '../fakes/work-ms.ts';

const ROOT = join(import.meta.dirname, '../..');

const errors = (problems: readonly Problem[]): string[] =>
  problems.filter((p) => p.severity === 'error').map((p) => `${p.file}:${p.line} ${p.key} ${p.message}`);

function refused(text: string | Uint8Array, ...expected: RegExp[]): void {
  const { settings, problems } = parseSettings(text, 'ruche.yaml', KNOWN);
  assert.equal(settings, null, `accepted: ${String(text).slice(0, 200)}`);
  const said = errors(problems);
  assert.equal(said.length, expected.length, said.join('\n'));
  expected.forEach((pattern, at) => assert.match(said[at] ?? '', pattern));
}

test('an empty file, one of comments and one of empty keys mean the defaults', () => {
  for (const text of ['', '# nothing\n', 'models:\npolicy:\nlimits:\n', '\ufeff', '---\n']) {
    const { settings, problems } = parseSettings(text, 'ruche.yaml', KNOWN);
    assert.deepEqual(problems, []);
    assert.deepEqual(settings, {
      providers: [{ name: 'demo', type: 'demo', baseUrl: null, apiKey: null }],
      tiers: { light: [], standard: [], strong: [] },
      rules: [],
      channels: [],
      bindings: [],
      escalation: {},
      checks: [],
      compaction: { at: '03:00', idleMs: 43_200_000, tokens: 20_000, usd: 1 },
      concurrency: 50,
      limits: DEFAULT_LIMITS,
      maxAttempts: 3,
      queues: {},
    });
  }
});

test('everything that can be set is read, and an unset tier takes the nearest', () => {
  const text = `checks: [https://a.example/, https://a.example/]
compaction: { at: 23:30, idle: 1d }
models:
  providers:
    local: { type: openai-compatible, baseUrl: http://127.0.0.1:11434/v1, apiKey: env:LOCAL_KEY }
  light: [local/org/qwen3:8b]
  standard: [local/qwen3, demo/demo]
timezone: Europe/Paris
patience: 6h
concurrency: 7
maxAttempts: 5
limits: { steps: 9, runMs: 60000, toolOutput: 5000, shellMs: 1000, shellMemory: 67108864, shellProcesses: 8 }
policy:
  rules:
    - { id: a, allow: { host: "api.example.org:443" }, reason: Ours. }
    - { id: b, ask: { tool: write, path: "contracts/**" }, reason: Careful. }
    - { id: c, deny: { effect: exec, command: "rm *" }, reason: No. }
`;
  const { settings, problems } = parseSettings(text.replaceAll('\n', '\r\n'), 'ruche.yaml', KNOWN);
  assert.deepEqual(problems, []);
  assert.deepEqual(settings?.checks, ['https://a.example/']);
  assert.deepEqual(settings?.compaction, { at: '23:30', idleMs: 86_400_000, tokens: 20_000, usd: 1 });
  assert.deepEqual(parseSettings('compaction: false', 'ruche.yaml', KNOWN).settings?.compaction, null);
  refused('compaction: { at: "25:00" }', /compaction.*25:00|compaction/);
  refused('checks: [ftp://a.example/]', /must be an http or https URL/);
  assert.deepEqual(settings?.tiers, {
    light: ['local/org/qwen3:8b'],
    standard: ['local/qwen3', 'demo/demo'],
    strong: ['local/qwen3', 'demo/demo'],
  });
  assert.deepEqual(settings?.providers[0], {
    name: 'local',
    type: 'openai-compatible',
    baseUrl: 'http://127.0.0.1:11434/v1',
    apiKey: 'env:LOCAL_KEY',
  });
  assert.deepEqual(
    settings?.rules.map(({ id, verdict, match }) => ({ id, verdict, match })),
    [
      { id: 'a', verdict: 'allow', match: { host: 'api.example.org:443' } },
      { id: 'b', verdict: 'ask', match: { tool: 'write', path: 'contracts/**' } },
      { id: 'c', verdict: 'deny', match: { effect: 'exec', command: 'rm *' } },
    ],
  );
  assert.equal(settings?.timezone, 'Europe/Paris');
  assert.equal(settings?.patienceMs, 21_600_000);
  refused('patience: 8d', /patience must be a time such as 30m/);
  refused('timezone: Paris', /timezone is no time zone; write one such as Europe\/Paris/);
  const { settings: elsewhere } = parseSettings('zones: { owner: Asia/Tokyo }', 'ruche.yaml', KNOWN);
  assert.deepEqual(elsewhere?.zones, { owner: 'Asia/Tokyo' });
  refused('zones: { owner: Tokyo }', /zones\.owner is no time zone; write one such as Europe\/Paris/);
  refused('zones: { "slack:1": Asia/Tokyo }', /names the channel "slack", which is not there/);
  assert.deepEqual([settings?.concurrency, settings?.maxAttempts, settings?.limits.steps], [7, 5, 9]);
});

test('a provider, and each of its models, can be told its window, price and patience', () => {
  const text = `models:
  providers:
    lan:
      type: openai-compatible
      baseUrl: http://10.0.0.5:8000/v1
      window: 32768
      timeout: 10m
      price: { input: 0.5, output: 1.5 }
      streamOptions: false
      models: { big: { window: 131072, images: true, systemRole: false, maxTokensField: max_completion_tokens } }
`;
  const { settings, problems } = parseSettings(text, 'ruche.yaml', KNOWN);
  assert.deepEqual(problems, []);
  assert.deepEqual(settings?.providers[0], {
    name: 'lan',
    type: 'openai-compatible',
    baseUrl: 'http://10.0.0.5:8000/v1',
    apiKey: null,
    window: 32_768,
    price: { input: 0.5, output: 1.5 },
    timeoutMs: 600_000,
    wants: { streamOptions: false },
    byModel: {
      big: { window: 131_072, images: true, wants: { systemRole: false, maxTokensField: 'max_completion_tokens' } },
    },
  });
  const lan = (more: string): string =>
    `models:\n  providers:\n    lan: { type: openai-compatible, baseUrl: http://10.0.0.5/v1, ${more} }\n`;
  refused(lan('timeout: 10'), /lan.timeout/);
  refused(lan('window: 12'), /lan.window/);
  refused(lan('price: { input: -1, output: 2 }'), /lan.price.input/);
  refused(lan('models: { big: { windw: 9000 } }'), /windw/);
});

test('a provider of a known maker needs no URL, keys may be kept in home, and eyes can be given', () => {
  const text = `models:
  providers:
    work: { type: anthropic, apiKey: home:work }
    gpu: { type: ollama, baseUrl: http://gpu.lan:11434 }
    eyes: { type: openai-compatible, baseUrl: http://127.0.0.1:8080/v1, images: true }
  standard: [work/claude, openai/gpt, gpu/qwen3]
  strong: [demo/demo]
`;
  const { settings, problems } = parseSettings(text, 'ruche.yaml', { ...KNOWN, providers: ['openai'] });
  assert.deepEqual(problems, []);
  assert.deepEqual(settings?.providers, [
    { name: 'work', type: 'anthropic', baseUrl: null, apiKey: 'home:work' },
    { name: 'gpu', type: 'ollama', baseUrl: 'http://gpu.lan:11434', apiKey: null },
    { name: 'eyes', type: 'openai-compatible', baseUrl: 'http://127.0.0.1:8080/v1', apiKey: null, images: true },
    { name: 'demo', type: 'demo', baseUrl: null, apiKey: null },
  ]);
  assert.deepEqual(settings?.tiers.strong, ['demo/demo'], 'the demo can be meant');
  refused('models:\n  providers:\n    p: { type: gemini, apiKey: "home:" }\n', /p.apiKey must name where the key is/);
});

test('errors name file, line and key, and guess what was meant', () => {
  refused(
    'a: 1\nconcurency: 3\n',
    /^ruche.yaml:1 a is not a known key/,
    /^ruche.yaml:2 concurency is not a known key. Did you mean "concurrency"\?/,
  );
  refused('concurrency: many\n', /:1 concurrency must be a number, not text/);
  refused('concurrency: 0.5\n', /must be a whole number/);
  refused('concurrency: 100000\n', /must be at most 1000/);
  refused(
    '# x\nmodels:\n  light: []\n  strong: x\n',
    /:3 models.light must not be empty/,
    /:4 models.strong must be a list, not text/,
  );
  refused('models:\n  light: [locl/x]\n', /:2 models.light.0 names the provider "locl".*\(demo\)/);
  refused(
    'models:\n  providers:\n    p: { type: opnai-compatible }\n',
    /:3 models.providers.p.type must be one of anthropic, openai, gemini, ollama, openai-compatible, demo. Did you mean "openai-compatible"/,
  );
  refused(
    'models:\n  providers:\n    p: { type: openai-compatible }\n',
    /:3 models.providers.p.baseUrl needs a baseUrl/,
  );
  refused('hello', /:1 {2}must be a map of keys, not text/);
  refused('- a\n', /:1 {2}must be a map of keys, not a list/);
  refused(
    'policy:\n  rules:\n    - { id: a, deny: { tol: x }, reason: r }\n    - { id: b, reason: r }\n    - { id: c, ask: {}, reason: r }\n    - { id: d, ask: { tool: "*" } }\n',
    /:3 policy.rules.0.deny.tol is not a known key. Did you mean "tool"/,
    /:3 policy.rules.0.deny says nothing to match/,
    /:4 policy.rules.1 must have exactly one of allow, ask and deny/,
    /:5 policy.rules.2.ask says nothing to match/,
    /:6 policy.rules.3.reason is missing; it must be text/,
  );
  refused(
    'policy:\n  rules:\n    - { id: a, deny: { path: "../x" }, reason: r }\n    - { id: a, deny: { host: "http://x/" }, reason: r }\n',
    /:3 policy.rules.0.deny cannot match: path may not contain/,
    /:4 policy.rules.1.id "a" names an earlier rule already/,
    /:4 policy.rules.1.deny cannot match: host must be a name/,
  );
});

test('a key in the file is refused without being repeated', () => {
  const text =
    'models:\n  providers:\n    p: { type: openai-compatible, baseUrl: "https://me:sk-secret@x/v1", apiKey: sk-secret }\n';
  const { settings, problems } = parseSettings(text, 'ruche.yaml', KNOWN);
  assert.equal(settings, null);
  assert.equal(problems.length, 2);
  assert.match(problems[1]?.message ?? '', /env:OPENAI_API_KEY/);
  assert.ok(!JSON.stringify(problems).includes('sk-secret'));
});

test('keys that come later warn, and the rest applies', () => {
  const { settings, problems } = parseSettings('concurrency: 2\nmemory: {}\nbudgets: 3\n', 'ruche.yaml', KNOWN);
  assert.equal(settings?.concurrency, 2);
  assert.deepEqual(
    problems.map((p) => [p.severity, p.line, p.key]),
    [
      ['warning', 3, 'budgets'],
      ['warning', 2, 'memory'],
    ],
  );
});

test('a rule for a tool that does not exist warns, since it protects nothing', () => {
  const text =
    'policy:\n  rules:\n    - { id: a, deny: { tool: wrte }, reason: r }\n    - { id: b, deny: { tool: "w*" }, reason: r }\n';
  const { settings, problems } = parseSettings(text, 'ruche.yaml', KNOWN);
  assert.equal(settings?.rules.length, 2);
  assert.deepEqual(
    problems.map((p) => [p.severity, p.line, p.message]),
    [['warning', 3, 'matches nothing: there is no tool "wrte". Did you mean "write"?']],
  );
});

test('what is not plain YAML is refused with its line', () => {
  refused('a:\n\tb: 1\n', /:2 {2}a tab is used as indentation/);
  refused('concurrency: 1\nconcurrency: 2\n', /:2 concurrency the key "concurrency" stands here a second time/);
  refused('concurrency: 1\n---\nconcurrency: 2\n', /:2 {2}a second document begins here/);
  refused('%YAML 1.1\n---\nconcurrency: 1\n', /a %YAML line is not supported/);
  refused('concurrency: !!js/function "x"\n', /:1 {2}the tag .* is not supported/);
  refused('x: &a 1\ny: *a\n', /:1 {2}the anchor &a/, /:2 {2}the alias \*a/);
  refused('a: &a [*a]\n', /anchor/, /alias/);
  refused('__proto__: { x: 1 }\n', /"__proto__" is not allowed/);
  refused('? [a]\n: 1\n', /a key must be a plain name/);
  refused('a: [1\n', /:\d+ {2}not YAML/);
  refused(Buffer.from('concurrency: 1\n# \xff\n', 'latin1'), /:2 {2}the file is not valid UTF-8/);
  refused(Buffer.from('\ufeffa: 1', 'utf16le'), /UTF-16/);
  refused('a: "\0"\n', /:1 {2}the file holds a NUL/);
  refused('#'.repeat(1024 * 1024 + 1), /1048577 bytes; 1048576 are allowed/);
});

test('a file made to exhaust the parser is refused within seconds', () => {
  const aliases = `a: &a [x,x]\n${Array.from({ length: 20_000 }, (_, i) => `k${i}: *a`).join('\n')}`;
  const bombs = [
    '['.repeat(1_000_000),
    '- '.repeat(500_000),
    Array.from({ length: 1400 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
    // The parser's own check for repeated keys would take a minute for this one.
    Array.from({ length: 60_000 }, (_, i) => `k${i}: v`).join('\n'),
    aliases,
  ];
  for (const bomb of bombs) {
    const worked = workClock();
    const { settings, problems } = parseSettings(bomb, 'ruche.yaml', KNOWN);
    assert.equal(settings, null);
    assert.ok(problems.length > 0 && problems.length <= 20);
    assert.ok(worked() < 8000, `${Math.round(worked())} ms`);
  }
});

test('any text gives settings or an error with a place, never an exception', () => {
  let refusedOnes = 0;
  const word = fc.constantFrom(
    'models:',
    'a: ',
    '- ',
    '  ',
    '\n',
    '{',
    '}',
    '[',
    ']',
    '&a',
    '*a',
    '"',
    "'",
    '|',
    '#',
    '!!x',
    '?',
    '\t',
    'x',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.array(word, { maxLength: 40 }).map((w) => w.join('')),
      ),
      (text) => {
        const { settings, problems } = parseSettings(text, 'ruche.yaml', KNOWN);
        assert.equal(settings === null, errors(problems).length > 0);
        if (settings === null) refusedOnes += 1;
      },
    ),
    tries(60, 300),
  );
  assert.ok(refusedOnes > 20);
});

test('the schemas for editors are those of the code, in schemas/ and in the template', async () => {
  const made = JSON.parse(JSON.stringify(editorSchemas(BUILTIN))) as Record<string, unknown>;
  assert.deepEqual(Object.keys(made), ['ruche.schema.json', 'agent.schema.json', 'policy-cases.schema.json']);
  for (const folder of ['schemas', 'templates/solo/.ruche', 'templates/network/.ruche'])
    for (const [name, schema] of Object.entries(made))
      assert.deepEqual(
        JSON.parse(await readFile(join(ROOT, folder, name), 'utf8')),
        schema,
        `${folder}/${name} is old: run node scripts/schemas.ts`,
      );
});

test('the template is whole and without a problem', async () => {
  const files = await readTemplate(join(ROOT, 'templates/solo'));
  const text = (path: string): string => Buffer.from(files.get(path) ?? []).toString('utf8');
  for (const path of ['ruche.yaml', 'agents/assistant/AGENT.md', 'shared/.gitkeep', '.gitignore', 'README.md'])
    assert.ok(files.has(path), path);
  const { settings, problems } = parseSettings(text('ruche.yaml'), 'ruche.yaml', KNOWN);
  assert.deepEqual(problems, []);
  assert.deepEqual(settings?.tiers.standard, []);
  assert.deepEqual(parseAgent(text('agents/assistant/AGENT.md'), 'AGENT.md', 'assistant', KNOWN).problems, []);
  const schema = /^# yaml-language-server: \$schema=(\S+)$/m.exec(text('ruche.yaml'))?.[1] ?? '';
  assert.ok(files.has(schema), `${schema} works offline`);
  assert.match(text('.gitignore'), /^\/tasks\/$/m);
  assert.match(text('.gitignore'), /^\.env$/m);
  // The commented examples work once the marks are taken off.
  const examples = text('ruche.yaml').matchAll(/(?:^#(?: .*)?\n)*?((?:^# (?:models:| {2,}.*)\n)+)/gm);
  let tried = 0;
  for (const [, example = ''] of examples) {
    tried += 1;
    const known = knownOf(BUILTIN);
    assert.deepEqual(parseSettings(example.replaceAll(/^# /gm, ''), 'example', known).problems, []);
  }
  assert.equal(tried, 2);
});

test('A26 no module of these rooms loads code or settings by a path', async () => {
  const sources: string[] = [];
  for (const room of ['config', 'git', 'workspace'])
    for (const name of await readdir(join(ROOT, 'src', room), { recursive: true }))
      if (name.endsWith('.ts')) sources.push(join('src', room, name));
  assert.ok(sources.length > 40);
  for (const name of sources) {
    // It loads three packages, each by its name.
    if (name === 'src/config/packages/late.ts') continue;
    const text = await readFile(join(ROOT, name), 'utf8');
    // A type, or a package that is named letter by letter, is no path.
    const loading = text.replaceAll(
      /typeof import\('[^']+'\)|createRequire\(import\.meta\.url\)\('@?[a-z][^']*'\)/g,
      '',
    );
    assert.doesNotMatch(loading, /\bimport\(|[rR]equire\(|process\.env|loadEnvFile|\beval\(|new Function/, name);
  }
});

test('slips that people make often are told once, in their words', () => {
  const cases: [string, RegExp][] = [
    ['cron: * * * * *', /put the pattern in quotes/],
    ['cron: */5 * * * *', /put the pattern in quotes/],
    ['task: run: x', /a text with a colon needs quotes: task: "…: …"/],
    ['description: Writes: all', /a text with a colon needs quotes: description/],
    ['task: {{path}}', /needs quotes: task/],
    ['task: {{path}} has landed', /needs quotes: task/],
  ];
  for (const [text, said] of cases) {
    const { problems } = parseSettings(`a: 1\n${text}\n`, 'ruche.yaml', KNOWN);
    assert.deepEqual([problems.length, problems[0]?.line], [1, 2], text);
    assert.match(problems[0]?.message ?? '', said, text);
  }
});

test('every model that a template names, in a comment too, is in the price table', async () => {
  let seen = 0;
  for (const name of ['network', 'solo']) {
    const text = await readFile(new URL(`../../templates/${name}/ruche.yaml`, import.meta.url), 'utf8');
    for (const [ref, model = ''] of text.matchAll(/\b(?:anthropic|openai|gemini)\/([\w.-]+)/g)) {
      assert.ok(model in PRICES, `${name}: ${ref}`);
      seen += 1;
    }
  }
  assert.ok(seen >= 5);
});

test('quiet hours: for everybody and for one, in their time zones', () => {
  const read = (text: string) => {
    const { settings, problems } = parseSettings(text, 'ruche.yaml', KNOWN);
    assert.deepEqual(errors(problems), []);
    return settings?.quiet;
  };
  assert.equal(read(''), undefined);
  assert.deepEqual(read('quiet: { hours: 22:00-07:00 }'), {
    everybody: { from: 1320, to: 420, zone: null },
    people: {},
  });
  const some = `quiet:
  hours: 22:00-07:00
  timezone: Europe/Paris
  people:
    telegram:123: { hours: 23:00-24:00, timezone: Asia/Tokyo }
    telegram:-100123_4: { hours: 12:30-13:30 }
    owner: false`;
  assert.deepEqual(read(some), {
    everybody: { from: 1320, to: 420, zone: 'Europe/Paris' },
    people: {
      'telegram:123': { from: 1380, to: 1440, zone: 'Asia/Tokyo' },
      'telegram:-100123_4': { from: 750, to: 810, zone: 'Europe/Paris' },
      owner: null,
    },
  });
  // The zone is that of people who name none, too.
  assert.deepEqual(read('quiet: { timezone: Europe/Paris, people: { owner: { hours: 22:00-07:00 } } }'), {
    everybody: null,
    people: { owner: { from: 1320, to: 420, zone: 'Europe/Paris' } },
  });
  refused(
    'quiet: { timezone: Europe/Paris, people: { owner: { hours: 22:00-07:00, timezone: Asia/Tokyo } } }',
    /quiet\.timezone has a meaning only with hours/,
  );
  refused('quiet: { hours: 22-7 }', /:1 quiet\.hours must be hours such as 22:00-07:00, days such as Sat,Sun/);
  refused('quiet: { hours: 22:00-07:00, timezone: Paris }', /quiet\.timezone must be a time zone/);
  refused('quiet: { timezone: Europe/Paris }', /quiet\.timezone has a meaning only with hours/);
  refused(
    'quiet:\n  people:\n    telegrm:1: false',
    /:3 quiet\.people\.telegrm:1 names the channel "telegrm".*Did you mean/,
  );
  refused('quiet: { people: { anna: false } }', /must be owner, or CHANNEL:ADDRESS/);
});

test('secrets by destination are read, and each mistake in one is named', () => {
  const text = `secrets:
  github: { for: [system, system], host: API.GitHub.com, methods: [GET, POST], path: /repos/our/, header: Authorization, format: 'Bearer {}' }
  crm-2: { for: [a], host: 127.0.0.1, ports: [8443], header: X-Api-Key, format: '{}', value: env:CRM_KEY }
`;
  const { settings, problems } = parseSettings(text, 'ruche.yaml', KNOWN);
  assert.deepEqual(problems, []);
  assert.deepEqual(settings?.secrets, [
    {
      name: 'github',
      for: ['system'],
      host: 'api.github.com',
      ports: [443],
      methods: ['GET', 'POST'],
      path: '/repos/our/',
      header: 'authorization',
      format: 'Bearer {}',
      value: 'secret:github',
    },
    {
      name: 'crm-2',
      for: ['a'],
      host: '127.0.0.1',
      ports: [8443],
      methods: null,
      path: null,
      header: 'x-api-key',
      format: '{}',
      value: 'env:CRM_KEY',
    },
  ]);
  const good = { for: '[a]', host: 'x.example', header: 'Authorization', format: "'Bearer {}'" };
  const one = (changed: Record<string, string>, name = 'key'): string => {
    const all = Object.entries({ ...good, ...changed }).filter(([, value]) => value !== '');
    return `secrets:\n  ${name}: { ${all.map(([key, value]) => `${key}: ${value}`).join(', ')} }\n`;
  };
  for (const host of ["'*.example'", 'x.example:443', 'https://x.example', "''", "'a/b'"])
    refused(one({ host }), /secrets\.key\.host must be one exact host/);
  for (const header of ['Host', 'content-length', 'Proxy-Authorization', 'Transfer-Encoding', 'Range', "'a b'", "'a:'"])
    refused(one({ header }), /secrets\.key\.header must be a header that carries a credential/);
  for (const format of ['Bearer', "'{} {}'", '"a\\n{}"', "'Bürde {}'"])
    refused(one({ format }), /secrets\.key\.format must be one line of plain characters with \{\} once/);
  for (const path of ['repos', '/a/../b', '/a//b', '/a%2fb', "'/a;b'", "'/a?b'", '/./a', "'/a\\b'"])
    refused(one({ path }), /secrets\.key\.path must be a path such as/);
  refused(one({ methods: '[get]' }), /secrets\.key\.methods\.0 must be one of GET/);
  refused(one({ ports: '[0]' }), /secrets\.key\.ports\.0 must be at least 1/);
  refused(one({ for: '[]' }), /secrets\.key\.for must not be empty/);
  refused(one({ format: '' }), /secrets\.key\.format is missing/);
  refused(one({ value: 'ghp_1234567890' }), /secrets\.key\.value must name where the value is/);
  refused(one({ hosts: 'x' }), /secrets\.key\.hosts is not a known key\. Did you mean "host"/);
  refused(one({}, 'Git_Hub'), /secrets\.Git_Hub a secret is named with small letters/);
});

test('ruche.yaml picks the sandbox of all agents', () => {
  const image = `localhost:5000/team/tools@sha256:${'c'.repeat(64)}`;
  const read = (text: string) => parseSettings(text, 'ruche.yaml', KNOWN).settings?.sandbox;
  assert.deepEqual([read(''), read('sandbox: bwrap\n')], [undefined, { kind: 'bwrap' }]);
  assert.deepEqual(read(`sandbox: container\nimage: ${image}\n`), { kind: 'container', image });
  refused('sandbox: { image: tools }\n', /must be name@sha256/);
});
