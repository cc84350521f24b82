import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSkill, type Parsed } from '../../src/skills/parse.ts';

const parse = (text: string | Uint8Array, name = 'gh-issues'): Parsed =>
  parseSkill(typeof text === 'string' ? Buffer.from(text) : text, name);
const front = (...lines: string[]): string => `---\n${lines.join('\n')}\n---\n\nRead this.\n`;
const NAME = 'name: gh-issues';
const ABOUT = 'description: Work with issues.';

const NOTHING = { bins: [], anyBins: [], env: [], config: [], os: [], always: false };

/** What people really write, and what it means. */
const GOOD: [string, string, (parsed: Parsed) => void][] = [
  [
    'plain',
    front(NAME, ABOUT),
    ({ text, warnings }) => {
      assert.deepEqual(text?.needs, NOTHING);
      assert.deepEqual(warnings, []);
    },
  ],
  [
    'byte order mark and CRLF',
    `\ufeff${front(NAME, ABOUT).replaceAll('\n', '\r\n')}`,
    ({ warnings }) => assert.deepEqual(warnings, []),
  ],
  ['blank lines first', `\n\n${front(NAME, ABOUT)}`, () => {}],
  [
    'colons without quotes',
    front(NAME, 'description: Issues: list, close. Use when: asked'),
    ({ text, warnings }) => {
      assert.equal(text?.description, 'Issues: list, close. Use when: asked');
      assert.deepEqual(
        warnings.map(({ line, key }) => [line, key]),
        [[3, 'description']],
      );
    },
  ],
  [
    'a colon in a text of several lines',
    front(NAME, 'description: Issues of', '  a repository: list them', 'license: MIT'),
    ({ text, warnings }) => {
      assert.equal(text?.description, 'Issues of a repository: list them');
      assert.equal(text?.license, 'MIT');
      assert.equal(warnings[0]?.line, 3);
    },
  ],
  [
    'a text that begins like a list',
    front(NAME, 'description: [Beta] issues: all'),
    ({ text }) => assert.equal(text?.description, '[Beta] issues: all'),
  ],
  [
    'a folded text',
    front(NAME, 'description: >', '  Issues', '  of all'),
    ({ text }) => assert.equal(text?.description, 'Issues of all'),
  ],
  [
    'a tab as indentation',
    front(NAME, ABOUT, 'metadata:', '\topenclaw:', '\t\talways: true', 'x: a: b'),
    ({ text }) => assert.equal(text?.needs.always, true),
  ],
  [
    'another name',
    front('name: GH Issues', ABOUT),
    ({ text, warnings }) => {
      assert.equal(text?.name, 'gh-issues');
      assert.match(warnings[0]?.message ?? '', /"GH Issues", not the folder's name/);
    },
  ],
  ['no name', front(ABOUT), ({ warnings }) => assert.match(warnings[0]?.message ?? '', /is missing/)],
  [
    'JSON in YAML',
    front(
      NAME,
      ABOUT,
      'metadata: {"clawdbot":{"emoji":"📋","requires":{"bins":["gh"],"env":["GH_TOKEN"],"pip":["x"]},"os":["linux","darwin"]}}',
    ),
    ({ text }) =>
      assert.deepEqual(text?.needs, { ...NOTHING, bins: ['gh'], env: ['GH_TOKEN'], os: ['linux', 'darwin'] }),
  ],
  [
    'JSON over lines, with a comma too many',
    front(
      NAME,
      ABOUT,
      'metadata:',
      '  {',
      '    "moltbot": {',
      '      "requires": { "anyBins": ["codex", "claude"], },',
      '    },',
      '  }',
    ),
    ({ text }) => assert.deepEqual(text?.needs.anyBins, ['codex', 'claude']),
  ],
  [
    'JSON as a text',
    front(NAME, ABOUT, `metadata: '{"openclaw":{"requires":{"config":["channels.slack"]},"always":true}}'`),
    ({ text }) => {
      assert.deepEqual(text?.needs.config, ['channels.slack']);
      assert.equal(text?.needs.always, true);
    },
  ],
  [
    'YAML',
    front(NAME, ABOUT, 'metadata:', '  openclaw:', '    requires:', '      bins: [a, b]', '    os: macOS'),
    ({ text }) => {
      assert.deepEqual(text?.needs.bins, ['a', 'b']);
      assert.deepEqual(text?.needs.os, ['darwin']);
    },
  ],
  [
    'two namespaces',
    front(NAME, ABOUT, 'metadata: {"clawdbot":{"requires":{"bins":["a"]}},"openclaw":{"requires":{"bins":["b","a"]}}}'),
    ({ text }) => assert.deepEqual(text?.needs.bins, ['b', 'a']),
  ],
  [
    'needs at the top',
    front(NAME, ABOUT, 'requires: { bins: [jq], env: { TOKEN: { required: true } } }'),
    ({ text }) => {
      assert.deepEqual(text?.needs.bins, ['jq']);
      assert.deepEqual(text?.needs.env, ['TOKEN']);
    },
  ],
  [
    'recipes in each form',
    front(
      NAME,
      ABOUT,
      'metadata: {"openclaw":{"install":[{"id":"brew","kind":"brew","formula":"gh","bins":["gh"],"label":"Install"},"npm i -g gh"]},"clawdbot":{"install":{"npm":"sessionstellar","manual":"npm install -g x"}}}',
    ),
    ({ text }) =>
      assert.deepEqual(text?.install, [
        'brew: formula gh',
        'npm i -g gh',
        'npm sessionstellar, manual npm install -g x',
      ]),
  ],
  [
    'wrong types',
    front(NAME, ABOUT, 'metadata: [1, 2]', 'license: { a: b }'),
    ({ text, warnings }) => {
      assert.deepEqual(text?.needs, NOTHING);
      assert.equal(text?.license, null);
      assert.equal(warnings.length, 2);
    },
  ],
  [
    'keys of others',
    front(NAME, ABOUT, 'allowed-tools: Bash(git:*) Read', 'version: 1.0', 'user-invocable: true'),
    ({ warnings }) => assert.deepEqual(warnings, []),
  ],
  ...(
    [
      ['arguments in brackets', 'argument-hint: [a] [b]', 'argument-hint', /double quotes/],
      ['a map that never ends', 'metadata: {"a":', 'metadata', /not valid YAML; it is ignored/],
      ['a quote that never ends', "model: 'opus", 'model', /not valid YAML; it is ignored/],
      ["another maker's key twice", 'model: a\nmodel: b', 'model', /second time/],
    ] as const
  ).map(([what, line, key, message]): (typeof GOOD)[number] => [
    what,
    front(NAME, ABOUT, line),
    ({ text, warnings }) => {
      assert.equal(text?.description, 'Work with issues.');
      assert.deepEqual([warnings.length, warnings[0]?.key], [1, key]);
      assert.match(warnings[0]?.message ?? '', message);
    },
  ]),
  [
    'a description over several lines, with a colon',
    front(
      NAME,
      'description: Work with issues. Use it when',
      '  the user says: close it',
      '',
      '  or the like',
      'model: "x',
    ),
    ({ text }) => assert.equal(text?.description, 'Work with issues. Use it when the user says: close it or the like'),
  ],
  [
    'a long description',
    front(NAME, `description: ${'x'.repeat(1025)}`),
    ({ text, warnings }) => {
      assert.equal(text?.description.length, 1024);
      assert.match(warnings[0]?.message ?? '', /1025 characters; the format allows 1024/);
    },
  ],
  [
    'a comment that was not meant as one',
    front(NAME, 'description: Closes issue #3 and # others'),
    ({ warnings }) => assert.match(warnings[0]?.message ?? '', /where YAML begins a comment/),
  ],
];

for (const [what, text, look] of GOOD)
  test(`a SKILL.md with ${what}`, () => {
    const parsed = parse(text);
    assert.deepEqual(parsed.errors, []);
    assert.ok(parsed.text?.description);
    look(parsed);
  });

const BAD: [string, string | Uint8Array, number | null, RegExp][] = [
  ['nothing', '', 1, /must begin with a line `---`/],
  ['no front matter', '# GitHub\n', 1, /must begin with a line `---`/],
  ['no end', '---\nname: x\n', 1, /no closing line/],
  ['no description', front(NAME), null, /is missing; say in a sentence/],
  ['an empty description', front(NAME, 'description: "  "'), 3, /is missing/],
  ['a key twice', front(NAME, ABOUT, ABOUT), 4, /a second time/],
  ['no key at all', '---\n{"a":\n---\n', 2, /not YAML/],
  ['a list', '---\n- a\n---\n', 2, /must be lines of `key: value`/],
  ['UTF-16', Buffer.from(`\ufeff${front(NAME)}`, 'utf16le'), null, /UTF-16/],
  ['Latin-1', Buffer.from(front(NAME, 'description: Größe'), 'latin1'), null, /not valid UTF-8/],
  ['NUL', front(NAME, 'description: a\0b'), null, /NUL/],
  ['depth', front(NAME, `metadata: ${'['.repeat(5000)}`), 3, /nested more than/],
  ['dashes', front(NAME, `metadata:\n ${'- '.repeat(5000)}`), 4, /nested more than/],
  [
    'a bomb of aliases',
    front(
      'a: &a [x,x,x,x,x,x,x,x,x]',
      'b: &b [*a,*a,*a,*a,*a,*a,*a,*a]',
      'c: &c [*b,*b,*b,*b,*b,*b,*b,*b]',
      NAME,
      'description: *c',
    ),
    6,
    /missing/,
  ],
  ['too much', front(NAME, `description: ${'x'.repeat(70_000)}`), 1, /65536 are allowed/],
];

for (const [what, text, line, message] of BAD)
  test(`a SKILL.md that is refused: ${what}`, () => {
    const { text: none, errors } = parse(text);
    assert.equal(none, null);
    assert.equal(errors.length > 0, true);
    assert.match(errors[0]?.message ?? '', message);
    assert.equal(errors[0]?.line, line);
  });

test('whatever a file says, it is parsed or refused, and a key such as __proto__ is only a name', () => {
  parse(front(NAME, ABOUT, 'metadata: {"openclaw":{"requires":{"__proto__":{"bins":["x"]},"constructor":1}}}'));
  assert.equal(({} as { bins?: unknown }).bins, undefined);
  let parsed = 0;
  const piece = fc.constantFrom(
    '---',
    '\n',
    'name: ',
    'description: ',
    'metadata: ',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    ': ',
    '- ',
    '|',
    '>',
    '&a',
    '*a',
    '\t',
    '  ',
    'openclaw',
    'requires',
    '!!x',
    '%',
    '#',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 40 }), (pieces) => {
      const { text, errors } = parse(`---\n${pieces.join('')}\n---\nx`);
      parsed += 1;
      assert.equal(text === null, errors.length > 0);
    }),
    { numRuns: 500 },
  );
  assert.ok(parsed >= 500);
});
