import type { Json } from '../../core/text/json.ts';

/** Words that hold a schema, a list of them, or a map. */
const HOLDERS = {
  one: [
    'additionalProperties',
    'unevaluatedProperties',
    'propertyNames',
    'items',
    'unevaluatedItems',
    'contains',
    'not',
    'if',
    'then',
    'else',
  ],
  list: ['prefixItems', 'allOf', 'anyOf', 'oneOf'],
  map: ['properties', 'dependentSchemas', '$defs', 'definitions'],
} as const;

export const INNER: ReadonlyMap<string, keyof typeof HOLDERS> = new Map(
  (['one', 'list', 'map'] as const).flatMap((holder) => HOLDERS[holder].map((word) => [word, holder] as const)),
);

const SCHEMA = { $ref: '#' };
const TEXT = { type: 'string' };
const NUMBER = { type: 'number' };
const COUNT = { type: 'integer', minimum: 0 };
const NAMES = { type: 'array', items: TEXT };
const TYPE = { enum: ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'] };
const HELD = {
  one: SCHEMA,
  list: { type: 'array', minItems: 1, items: SCHEMA },
  map: { type: 'object', additionalProperties: SCHEMA },
};

const DAY = String.raw`\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])`;
const TIME = String.raw`([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)`;

/** Texts that `format` may ask for. `example`: as the end of "must be". */
export const FORMATS: Readonly<Record<string, { pattern: string; example: string }>> = {
  date: { pattern: `^${DAY}$`, example: 'a date such as 2026-11-30' },
  time: { pattern: `^${TIME}$`, example: 'a time such as 08:15:00Z' },
  'date-time': { pattern: `^${DAY}T${TIME}$`, example: 'a date and time such as 2026-11-30T08:15:00Z' },
  email: { pattern: String.raw`^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$`, example: 'an e-mail address' },
  uri: { pattern: String.raw`^[A-Za-z][A-Za-z0-9+.-]*:\S+$`, example: 'an address such as https://example.org' },
  uuid: { pattern: '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$', example: 'a UUID' },
};

/** What a schema itself must fit. */
const META_WORDS: Readonly<Record<string, Json>> = {
  $schema: TEXT,
  $id: TEXT,
  $comment: TEXT,
  title: TEXT,
  description: TEXT,
  default: true,
  examples: true,
  deprecated: true,
  readOnly: true,
  writeOnly: true,
  $ref: { type: 'string' },
  $anchor: TEXT,
  type: { anyOf: [TYPE, { type: 'array', minItems: 1, items: TYPE }] },
  enum: { type: 'array', minItems: 1 },
  const: true,
  required: NAMES,
  dependentRequired: { type: 'object', additionalProperties: NAMES },
  pattern: TEXT,
  format: { enum: Object.keys(FORMATS) },
  minimum: NUMBER,
  maximum: NUMBER,
  exclusiveMinimum: NUMBER,
  exclusiveMaximum: NUMBER,
  multipleOf: { type: 'number', exclusiveMinimum: 0 },
  minLength: COUNT,
  maxLength: COUNT,
  minItems: COUNT,
  maxItems: COUNT,
  minContains: COUNT,
  maxContains: COUNT,
  minProperties: COUNT,
  maxProperties: COUNT,
  uniqueItems: { type: 'boolean' },
  ...Object.fromEntries([...INNER].map(([word, holder]) => [word, HELD[holder]])),
};

export const META: Json = { type: ['object', 'boolean'], properties: META_WORDS, additionalProperties: false };
export const KNOWN_WORDS: readonly string[] = Object.keys(META_WORDS);

/** Words of other drafts, and what to write instead. */
export const INSTEAD: ReadonlyMap<string, string> = new Map(
  Object.entries({
    patternProperties: 'name the properties in "properties", or limit their names with "propertyNames"',
    additionalItems: 'use "items" for the items after those of "prefixItems"',
    dependencies: 'use "dependentRequired" or "dependentSchemas"',
    $dynamicRef: 'use "$ref"',
    $dynamicAnchor: 'use "$anchor"',
    $recursiveRef: 'use "$ref"',
    $recursiveAnchor: 'use "$anchor"',
  }),
);
