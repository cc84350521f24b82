import type { OutputUnit, Schema } from '@cfworker/json-schema';
import type { Json } from '../../core/text/json.ts';
import { FORMATS, INNER } from './words.ts';

/** What of a value does not fit, in words that follow its place. */
export interface Misfit {
  at: readonly (string | number)[];
  said: string;
  /** True for a property that the schema has no place for. */
  unknown: boolean;
}

interface Looked {
  value: Json;
  schema: Schema | boolean;
  lookup: Record<string, Schema | boolean>;
}

/** They only say that something inside does not fit, which is told next. */
const AROUND = [
  'properties',
  'items',
  'prefixItems',
  'additionalProperties',
  'unevaluatedProperties',
  'unevaluatedItems',
  'allOf',
  'dependentSchemas',
  'if',
  '$ref',
];
/** Where the library puts what a reference comes to. */
export const RESOLVED = '__absolute_ref__';
/** Forms that are told of when none of them fits. */
const MAX_FORMS = 4;

/** The first thing that does not fit; null if all does. */
export function firstMisfit(errors: readonly OutputUnit[], looked: Looked): Misfit | null {
  const index = errors.findIndex(({ keyword }) => !AROUND.includes(keyword));
  const error = errors[index];
  if (!error) return null;
  const { at, value } = valueAt(looked.value, error.instanceLocation);
  if (error.keyword === 'false') return { at, said: 'is not known', unknown: true };
  const rule = schemaAt(looked, error.keywordLocation);
  if (error.keyword === 'required') {
    const missing = rule.required?.find((name) => !Object.hasOwn(value as object, name)) ?? '';
    return { at: [...at, missing], said: 'is missing', unknown: false };
  }
  if (error.keyword === 'anyOf' || (error.keyword === 'oneOf' && error.error.includes('(0 matches)')))
    return { at, said: noneOf(error, errors.slice(index + 1), looked, at), unknown: false };
  return { at, said: SAID[error.keyword]?.(rule, value) ?? `does not fit "${error.keyword}"`, unknown: false };
}

/** What each of several forms would need. */
function noneOf(
  { keywordLocation }: OutputUnit,
  errors: readonly OutputUnit[],
  looked: Looked,
  at: Misfit['at'],
): string {
  const forms: string[] = [];
  for (let form = 0; ; form += 1) {
    const inside = `${keywordLocation}/${form}`;
    const own = errors.filter(
      (each) => each.keywordLocation === inside || each.keywordLocation.startsWith(`${inside}/`),
    );
    const found = own.length === 0 ? null : firstMisfit(own, looked);
    if (found === null) break;
    const place = found.at.slice(at.length).map(String).join('.');
    forms.push(place === '' ? found.said : `${place} ${found.said}`);
  }
  const different = [...new Set(forms)];
  return different.length > 0 && different.length <= MAX_FORMS
    ? different.join(', or ')
    : 'fits none of the forms that are allowed';
}

const json = (value: unknown): string => JSON.stringify(value).slice(0, 500);
const size = (count: number | undefined, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

/** By the word of the schema. */
const SAID: Readonly<Record<string, (rule: Schema, value: Json) => string>> = {
  type: ({ type }) => `must be of type ${[type].flat().join(' or ')}`,
  const: (rule) => `must be ${json(rule.const)}`,
  enum: (rule) => `must be one of ${json(rule.enum).slice(1, -1).replaceAll('","', '", "')}`,
  minimum: ({ minimum }) => `must be ${minimum} or more`,
  maximum: ({ maximum }) => `must be ${maximum} or less`,
  exclusiveMinimum: ({ exclusiveMinimum }) => `must be more than ${exclusiveMinimum}`,
  exclusiveMaximum: ({ exclusiveMaximum }) => `must be less than ${exclusiveMaximum}`,
  multipleOf: ({ multipleOf }) => `must be a multiple of ${multipleOf}`,
  minLength: ({ minLength }) => `must have ${size(minLength, 'character')} or more`,
  maxLength: ({ maxLength }) => `must have ${size(maxLength, 'character')} or less`,
  minItems: ({ minItems }) => `must have ${size(minItems, 'item')} or more`,
  maxItems: ({ maxItems }) => `must have ${size(maxItems, 'item')} or less`,
  minProperties: ({ minProperties }) => `must have ${minProperties} properties or more`,
  maxProperties: ({ maxProperties }) => `must have ${maxProperties} properties or less`,
  uniqueItems: () => 'must not have the same item twice',
  contains: () => 'has no item of the kind that it must have',
  minContains: ({ minContains }) => `must have ${minContains} or more items of the kind that it must have`,
  maxContains: ({ maxContains }) => `must have ${maxContains} or less items of the kind that it may have`,
  propertyNames: () => 'has a property whose name is not allowed',
  dependentRequired: ({ dependentRequired = {} }, value) => {
    const has = (name: string): boolean => Object.hasOwn(value as object, name);
    const [given, needed = []] = Object.entries(dependentRequired).find(
      ([name, names]) => has(name) && !names.every(has),
    ) ?? [''];
    return `has "${given}", so it must have "${needed.find((name) => !has(name))}", too`;
  },
  oneOf: () => 'fits more than one of the forms of which it must fit one',
  not: () => 'is of a form that is not allowed',
  format: ({ format = '' }) => {
    const said = format.slice(0, format.lastIndexOf('\n'));
    const [kind, text] = [said.slice(0, said.indexOf(' ')), said.slice(said.indexOf(' ') + 1)];
    return kind === 'format' ? `must be ${FORMATS[text]?.example}` : `must match ${text}`;
  },
};

const stepsOf = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((step) => decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~'));

function valueAt(value: Json, pointer: string): { at: (string | number)[]; value: Json } {
  let here: unknown = value;
  const at = stepsOf(pointer).map((step) => {
    const place = Array.isArray(here) ? Number(step) : step;
    here = (here as Record<string | number, unknown> | undefined)?.[place];
    return place;
  });
  return { at, value: here as Json };
}

/** The part of the schema that a word stands in. */
function schemaAt({ schema, lookup }: Looked, pointer: string): Schema {
  let here: unknown = schema;
  // The names of a map may read like words of a schema: a property "$ref" is no reference.
  let isName = false;
  for (const step of stepsOf(pointer).slice(0, -1)) {
    const part = here as Schema;
    here = step === '$ref' && !isName ? lookup[String(part[RESOLVED])] : part[step];
    isName = !isName && INNER.get(step) === 'map';
  }
  return here as Schema;
}
