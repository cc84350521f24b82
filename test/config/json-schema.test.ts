import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSchema } from '../../src/config/json-schema/read.ts';
import { parseSettings } from '../../src/config/settings.ts';
import type { Json } from '../../src/core/text/json.ts';
import { workMs } from '../fakes/work-ms.ts';

/** What is said of a value; null if it fits. */
function misfit(schema: Json, value: Json): string | null {
  const read = readSchema(schema);
  assert.ok(read.ok, read.ok ? '' : `${read.at.join('.')} ${read.error}`);
  return read.schema.misfit(value);
}

/** What is said of a schema that is refused, with its place. */
function refusal(schema: Json): string {
  const read = readSchema(schema);
  assert.ok(!read.ok, JSON.stringify(schema));
  return `${read.at.join('.')} ${read.error}`;
}

const said = (schema: Json, cases: readonly (readonly [Json, string | null])[]): void => {
  for (const [value, expected] of cases) assert.equal(misfit(schema, value), expected, JSON.stringify(value));
};

test('an input is held against the schema of its queue, and what is wrong is named by its path', () => {
  const schema: Json = {
    type: 'object',
    required: ['customer'],
    additionalProperties: false,
    properties: {
      customer: { type: 'string', minLength: 2, pattern: '^[A-Z]' },
      lines: {
        type: 'array',
        maxItems: 2,
        items: { type: 'object', properties: { hours: { type: 'number', minimum: 0 } } },
      },
      kind: { enum: ['a', 'b'] },
    },
  };
  said(schema, [
    [{ customer: 'Ann' }, null],
    [{ customer: 'Ann', kind: 'a', lines: [{ hours: 1.5 }, {}] }, null],
    [null, 'input must be of type object'],
    [{}, 'input.customer is missing'],
    [{ customer: 'ann' }, 'input.customer must match ^[A-Z]'],
    [{ customer: 'A' }, 'input.customer must have 2 characters or more'],
    [{ customer: 'Ann', kind: 'c' }, 'input.kind must be one of "a", "b"'],
    [{ customer: 'Ann', lines: [{ hours: -1 }] }, 'input.lines[0].hours must be 0 or more'],
    [{ customer: 'Ann', lines: [1] }, 'input.lines[0] must be of type object'],
    [{ customer: 'Ann', other: 1 }, 'input.other is not known'],
    [{ customer: 'Ann', lines: [{}, {}, {}] }, 'input.lines must have 2 items or less'],
  ]);
});

test('every word of JSON Schema that is understood holds, and says what it wants', () => {
  said({ anyOf: [{ type: 'string' }, { type: 'null' }] }, [
    ['x', null],
    [null, null],
    [1, 'input must be of type string, or must be of type null'],
  ]);
  said({ oneOf: [{ type: 'number' }, { minimum: 5 }] }, [
    [3, null],
    [7, 'input fits more than one of the forms of which it must fit one'],
  ]);
  said({ oneOf: [{ required: ['a'] }, { required: ['b'], properties: { b: { type: 'string' } } }] }, [
    [{ a: 1 }, null],
    [{ b: 1 }, 'input a is missing, or b must be of type string'],
  ]);
  said({ not: { type: 'string' } }, [['x', 'input is of a form that is not allowed']]);
  const branches = JSON.parse('{"if":{"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]}}') as Json;
  said(branches, [
    [{ a: 1, b: 1 }, null],
    [{ a: 1 }, 'input.b is missing'],
    [{}, 'input.c is missing'],
  ]);
  said({ prefixItems: [{ type: 'string' }], items: { multipleOf: 2 }, uniqueItems: true, minItems: 1 }, [
    [['a', 2, 4], null],
    [['a', 3], 'input[1] must be a multiple of 2'],
    [[1], 'input[0] must be of type string'],
    [['a', 2, 2], 'input must not have the same item twice'],
    [[], 'input must have 1 item or more'],
  ]);
  said({ contains: { const: 1 }, maxContains: 1 }, [
    [[1, 2], null],
    [[2], 'input has no item of the kind that it must have'],
  ]);
  said({ propertyNames: { pattern: '^[a-z]+$' }, minProperties: 1, maxProperties: 2 }, [
    [{ a: 1 }, null],
    [{ A: 1 }, 'input has a property whose name is not allowed'],
    [{}, 'input must have 1 properties or more'],
  ]);
  said({ dependentRequired: { card: ['name'] }, dependentSchemas: { a: { required: ['b'] } } }, [
    [{ name: 'x' }, null],
    [{ card: 1 }, 'input has "card", so it must have "name", too'],
    [{ a: 1 }, 'input.b is missing'],
  ]);
  said({ allOf: [{ properties: { a: true } }], unevaluatedProperties: false }, [
    [{ a: 1 }, null],
    [{ b: 1 }, 'input.b is not known'],
  ]);
  said({ exclusiveMinimum: 0, exclusiveMaximum: 10, type: 'integer' }, [
    [0, 'input must be more than 0'],
    [10, 'input must be less than 10'],
    [1.5, 'input must be of type integer'],
  ]);
  said({ const: null }, [
    [null, null],
    [1, 'input must be null'],
  ]);
  said(
    {
      type: 'array',
      items: { $ref: '#/$defs/node' },
      $defs: { node: { properties: { next: { $ref: '#/$defs/node' }, n: { type: 'number' } } } },
    },
    [
      [[{ next: { next: { n: 1 } } }], null],
      [[{ next: { next: { n: 'x' } } }], 'input[0].next.next.n must be of type number'],
    ],
  );
  said(true, [[{}, null]]);
  said({ properties: { 'a/b~c d': { type: 'string' } } }, [[{ 'a/b~c d': 1 }, 'input.a/b~c d must be of type string']]);
});

test('formats are checked, and their examples told', () => {
  const cases: [format: string, good: string[], bad: string[]][] = [
    ['date', ['2026-11-30', '2024-02-29'], ['2026-02-30', '2026-13-01', '30.11.2026', '']],
    ['time', ['08:15:00Z', '23:59:59.5+02:00'], ['24:00:00Z', '08:15']],
    ['date-time', ['2026-11-30T08:15:00Z'], ['2026-11-31T08:15:00Z', '2026-11-30 08:15']],
    ['email', ['a@b.example'], ['a@b', 'a b@c.d', '@']],
    ['uri', ['https://example.org/x', 'urn:x:y'], ['example.org', '/x']],
    ['uuid', ['123e4567-e89b-12d3-a456-426614174000'], ['123e4567']],
  ];
  for (const [format, good, bad] of cases) {
    for (const each of good) assert.equal(misfit({ format }, each), null, each);
    for (const each of bad) assert.match(misfit({ format }, each) ?? 'it fits', /^input must be an? /, each);
  }
  assert.equal(misfit({ format: 'date', pattern: '^2026' }, '2025-01-01'), 'input must match ^2026');
  assert.equal(misfit({ format: 'date' }, 5), null, 'a format is one of texts');
});

test('a property may have the name of any word of a schema', () => {
  // As in SCIM, where members of a group are said by "$ref".
  const names = ['$ref', '$id', '$defs', 'properties', 'type', 'enum', 'const', 'allOf', 'items', 'format'];
  const properties = Object.fromEntries(names.map((name) => [name, { type: 'string' }]));
  for (const name of names)
    said({ properties: { in: { properties } } }, [
      [{ in: { [name]: 'x' } }, null],
      [{ in: { [name]: 1 } }, `input.in.${name} must be of type string`],
    ]);
  said(
    { $ref: '#/$defs/$ref', $defs: { $ref: { properties: { $ref: { $ref: '#/$defs/type' } } }, type: { minimum: 2 } } },
    [
      [{ $ref: 1 }, 'input.$ref must be 2 or more'],
      [{ $ref: 2 }, null],
    ],
  );
});

test('what is not understood is refused at the door, with its place and what to write instead', () => {
  assert.match(
    refusal({ properties: { a: { requierd: [] } } }),
    /^properties\.a\.requierd is not a word .* Did you mean "required"\?/,
  );
  assert.match(
    refusal({ patternProperties: { '^a': {} } }),
    /^patternProperties .*use|limit their names with "propertyNames"/,
  );
  assert.match(refusal({ type: 'objekt' }), /^type must be one of "null", "boolean"/);
  assert.match(refusal({ minLength: -1 }), /^minLength must be 0 or more/);
  assert.match(refusal({ items: [{}, {}] }), /^items must be of type object or boolean/);
  assert.match(refusal({ required: 'a' }), /^required must be of type array/);
  assert.match(refusal({ format: 'regex' }), /^format must be one of "date", "time"/);
  assert.match(
    refusal({ $ref: 'https://example.org/schema' }),
    /^\$ref names "https:\/\/example\.org\/schema", which is not in this schema: write "#\/\$defs\/"/,
  );
  assert.match(refusal({ properties: { a: { $ref: '#/$defs/x' } } }), /^properties\.a\.\$ref names/);
  for (const $ref of ['http://[', '//[', '', '#/nowhere', '\ud800'])
    assert.match(refusal({ items: { $ref } }), /^items\.\$ref names/, $ref);
  assert.match(refusal({ $anchor: '/properties/a', properties: { a: {} } }), /^\$anchor must be a name/);
  assert.match(refusal({ properties: { '\ud800': {} } }), /name is not valid text/);
  assert.match(refusal('text'), /must be of type object or boolean/);
  for (const pattern of [
    '(',
    '[',
    'a++',
    '(?=a)b',
    '(?<!a)b',
    '(a)\\1',
    '(?<n>a)\\k<n>',
    'a{1,2000}',
    '\\p{Script=Greek}',
  ])
    assert.match(
      refusal({ items: { properties: { a: { pattern } } } }),
      /^items\.properties\.a\.pattern .*: write it without look-ahead/,
      pattern,
    );
});

test('ruche.yaml names file, line and key of a pattern that cannot be used', () => {
  const yaml = `queues:
  billing:
    input:
      type: object
      properties:
        slug:
          type: string
          pattern: '^(?=.*x)[a-z]+$'
`;
  const known = { providers: [], providerKinds: [], tools: [], messengers: [], sandboxes: [], ruleProblem: () => null };
  const { settings, problems } = parseSettings(yaml, 'ruche.yaml', known);
  assert.equal(settings, null);
  assert.deepEqual(
    problems.map(({ file, line, key }) => [file, line, key]),
    [['ruche.yaml', 8, 'queues.billing.input.properties.slug.pattern']],
  );
  assert.match(problems[0]?.message ?? '', /\(invalid or unsupported Perl syntax: `\(\?=`\): write it without/);
});

test('no input holds the process, whatever the schema of its owner', () => {
  const text = { type: 'string' };
  const tree = (): Json => {
    let value: Json = [];
    for (let depth = 0; depth < 60; depth += 1) value = { c: value };
    return value;
  };
  const union: Json = {
    anyOf: [1, 2, 3].map((n) => ({ properties: { c: { $ref: '#' }, n: { const: n } }, required: ['n'] })),
  };
  const cases: [name: string, schema: Json, value: Json][] = [
    ['a pattern that would go back', { pattern: '^([a-z0-9]+-?)+$' }, `${'a'.repeat(100_000)}!`],
    ['the same in a format of the library', { format: 'uri' }, `http://${'a-'.repeat(100_000)} `],
    ['a name of a property', { propertyNames: { pattern: '^(a+)+$' } }, { [`${'a'.repeat(50_000)}!`]: 1 }],
    [
      'a pattern with many parts',
      { items: { pattern: '^(?:x?){300}x{300}$' } },
      Array.from({ length: 1_000 }, () => 'x'.repeat(500)),
    ],
    ['many texts', { items: { pattern: '^(a|aa)+$' } }, Array.from({ length: 20_000 }, () => `${'a'.repeat(40)}!`)],
    ['a union that refers to itself', union, tree()],
    ['a circle', { $ref: '#' }, 1],
    [
      'a circle of two',
      { $ref: '#/$defs/a', $defs: { a: { allOf: [{ $ref: '#/$defs/b' }] }, b: { $ref: '#/$defs/a' } } },
      1,
    ],
    [
      'many items that must differ',
      { uniqueItems: true, items: text },
      Array.from({ length: 100_000 }, (_, n) => `${n}`),
    ],
    [
      'large items that must differ',
      { uniqueItems: true },
      Array.from({ length: 400 }, (_, n) => [...Array.from({ length: 500 }, () => 0), n]),
    ],
    ['many wrong items', { items: text }, Array.from({ length: 300_000 }, () => 1)],
    ['many wrong items of a list that must have one', { contains: text }, Array.from({ length: 300_000 }, () => 1)],
    ['a very long text', { maxLength: 5, pattern: '^(a|b|c)*$' }, 'a'.repeat(5_000_000)],
  ];
  for (const [name, schema, value] of cases) {
    const read = readSchema(schema);
    assert.ok(read.ok, name);
    let wrong: string | null = null;
    const ms = workMs(() => {
      wrong = read.schema.misfit(value);
    });
    assert.notEqual(wrong, null, name);
    assert.ok(ms < 1_500, `${name} took ${Math.round(ms)} ms`);
  }
  assert.equal(misfit({ pattern: '^([a-z0-9]+-?)+$' }, 'a-b-c'), null);
  assert.equal(misfit({ maxLength: 5, pattern: '^a' }, 'a'.repeat(100)), 'input must have 5 characters or less');
  assert.match(misfit({ $ref: '#' }, 1) ?? '', /too large or too deep/);
  assert.match(misfit({ additionalProperties: text }, { '\ud800': 1 }) ?? '', /not valid text/);
});

test('names that every object has are names like all others', () => {
  for (const word of ['constructor', 'toString', '__proto__'])
    assert.match(
      refusal(JSON.parse(`{"${word}": 1}`) as Json),
      /is not a word of JSON Schema that is understood\. (?!.*native)There are: /,
    );
  const closed: Json = { properties: { a: {} }, required: ['valueOf'], additionalProperties: false };
  assert.equal(misfit(closed, {}), 'input.valueOf is missing');
  assert.equal(
    misfit({ additionalProperties: false }, JSON.parse('{"__proto__": 1}') as Json),
    'input.__proto__ is not known',
  );
});

test('a name of a megabyte is not repeated, and long lists of values hold up nobody', () => {
  const wrong = misfit({ additionalProperties: false }, { ['k'.repeat(1_000_000)]: 1 }) ?? '';
  assert.match(wrong, /^input\.k+… is not known$/);
  assert.ok(wrong.length < 300);
  const forms = Array.from({ length: 500 }, (_, n) => ({ a: [n, { b: n }] }));
  const last = Array.from({ length: 60_000 }, () => forms[499] ?? null);
  const ms = workMs(() => assert.match(misfit({ items: { enum: forms } }, last) ?? '', /too large or too deep/));
  assert.ok(ms < 1_500, `${Math.round(ms)} ms`);
  assert.equal(misfit({ items: { enum: forms } }, last.slice(0, 1_000)), null);
});

test('the engine of the platform sees no text from outside', (t) => {
  const seen: string[] = [];
  // Single characters, in the names of properties.
  const linear = ['~', '\\/', '#'];
  const { exec } = RegExp.prototype;
  t.mock.method(RegExp.prototype, 'exec', function (this: RegExp, text: string) {
    if (text.includes('outside') && !linear.includes(this.source)) seen.push(`${this.source}: ${text}`);
    return exec.call(this, text);
  });
  const schema: Json = {
    properties: { a: { pattern: '^o', format: 'uri' } },
    propertyNames: { pattern: '^[a-z]', format: 'email' },
    additionalProperties: { enum: ['x'] },
  };
  assert.notEqual(misfit(schema, { a: 'outside', outside: 'outside@outside.example' }), null);
  assert.ok(/outside/.test('outside') && seen.length === 1, seen.join('\n'));
});
