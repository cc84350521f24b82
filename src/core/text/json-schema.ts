import { canonicalJson, type Json } from './json.ts';

// The part of JSON Schema that describes the input of a task. What is not understood is refused when it is read, so that
// nothing seems to be checked that is not.

type Schema = { [word: string]: Json };

const TYPES = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'];
const SILENT = ['$schema', 'title', 'description', 'default', 'examples'];
const NUMBERS = ['minimum', 'maximum', 'minLength', 'maxLength', 'minItems', 'maxItems'];
const WORDS = ['type', 'properties', 'required', 'additionalProperties', 'items', 'enum', 'const', 'pattern'];

const isObject = (value: unknown): value is Schema =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

/** What is wrong with a schema, as the end of a sentence that begins with its name; null if nothing is. */
export function schemaProblem(schema: Json): string | null {
  if (!isObject(schema)) return 'must be a JSON Schema: an object';
  const unknown = Object.keys(schema).find((word) => ![...SILENT, ...NUMBERS, ...WORDS].includes(word));
  if (unknown !== undefined)
    return `has "${unknown}", which is not among what is understood: ${[...WORDS, ...NUMBERS].join(', ')}`;
  const types = typesOf(schema);
  const odd = types?.find((type) => !TYPES.includes(type));
  if (odd !== undefined) return `has the type "${odd}"; there are ${TYPES.join(', ')}`;
  if (typeof schema['pattern'] === 'string' && patternOf(schema['pattern']) === null)
    return `has a pattern that is no regular expression: ${schema['pattern']}`;
  const inner = [schema['items'], ...(isObject(schema['properties']) ? Object.values(schema['properties']) : [])];
  for (const each of inner) {
    const wrong = each === undefined ? null : schemaProblem(each);
    if (wrong !== null) return wrong;
  }
  return null;
}

const typesOf = (schema: Schema): string[] | null =>
  schema['type'] === undefined ? null : [schema['type']].flat().map(String);

function patternOf(text: string): RegExp | null {
  try {
    return new RegExp(text, 'u');
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function typeOf(value: Json): string[] {
  if (value === null) return ['null'];
  if (Array.isArray(value)) return ['array'];
  if (typeof value === 'number') return Number.isInteger(value) ? ['integer', 'number'] : ['number'];
  return [typeof value];
}

/** Where a value does not fit a schema, with the path of the wrong field and why; null if it fits. */
export function misfit(schema: Json, value: Json, path = 'input'): string | null {
  if (!isObject(schema)) return null;
  const types = typesOf(schema);
  if (types && !types.some((type) => typeOf(value).includes(type)))
    return `${path} must be of type ${types.join(' or ')}`;
  const { const: only, enum: among } = schema;
  if (only !== undefined && canonicalJson(only) !== canonicalJson(value))
    return `${path} must be ${JSON.stringify(only)}`;
  if (Array.isArray(among) && !among.some((each) => canonicalJson(each) === canonicalJson(value)))
    return `${path} must be one of ${among.map((each) => JSON.stringify(each)).join(', ')}`;
  return bounds(schema, value, path) ?? inside(schema, value, path);
}

function bounds(schema: Schema, value: Json, path: string): string | null {
  const check = (size: number, low: string, high: string, what: string): string | null => {
    const [least, most] = [schema[low], schema[high]];
    if (typeof least === 'number' && size < least) return `${path} must ${what} ${least} or more`;
    return typeof most === 'number' && size > most ? `${path} must ${what} ${most} or less` : null;
  };
  if (typeof value === 'number') return check(value, 'minimum', 'maximum', 'be');
  if (Array.isArray(value)) return check(value.length, 'minItems', 'maxItems', 'have so many items:');
  if (typeof value !== 'string') return null;
  const { pattern } = schema;
  if (typeof pattern === 'string' && !patternOf(pattern)?.test(value)) return `${path} must fit ${pattern}`;
  return check(Array.from(value).length, 'minLength', 'maxLength', 'have so many characters:');
}

function inside(schema: Schema, value: Json, path: string): string | null {
  const { properties, required, additionalProperties, items } = schema;
  if (Array.isArray(value)) {
    for (const [index, each] of value.entries()) {
      const wrong = items === undefined ? null : misfit(items, each, `${path}[${index}]`);
      if (wrong !== null) return wrong;
    }
    return null;
  }
  if (!isObject(value)) return null;
  const known = isObject(properties) ? properties : {};
  const names = Array.isArray(required) ? required.filter((name) => typeof name === 'string') : [];
  const missing = names.find((name) => !Object.hasOwn(value, name));
  if (missing !== undefined) return `${path}.${missing} is missing`;
  for (const [name, each] of Object.entries(value)) {
    const own = Object.hasOwn(known, name) ? known[name] : undefined;
    if (own === undefined && additionalProperties === false) return `${path}.${name} is not known`;
    const wrong = misfit(own ?? additionalProperties ?? true, each, `${path}.${name}`);
    if (wrong !== null) return wrong;
  }
  return null;
}
