import type { Schema } from '@cfworker/json-schema';
import type { InputSchema } from '../../core/agent.ts';
import type { Json } from '../../core/text/json.ts';
import { didYouMean } from '../../core/text/unknown.ts';
import { type SchemaPackage, schemaPackage } from '../packages/late.ts';
import { firstMisfit, type Misfit, RESOLVED } from './misfit.ts';
import { formatPattern, type Pattern, readPattern } from './patterns.ts';
import { INNER, INSTEAD, KNOWN_WORDS, META } from './words.ts';

// A schema is the owner's; what it is held against is a stranger's. Patterns run in an engine of linear time, and each
// look at a part of the schema is counted, so that no input holds the process.

/** Looks at parts of the schema that one input may take: some tenths of a second. */
const STEPS = 100_000;
/** At its worst a pattern takes as many steps for a character as it has parts; two hundred of them cost as much as a look. */
const PATTERN_STEPS = 200;
/** Where items must differ, each is compared with each other. */
const MAX_UNIQUE = 500;
const MAX_UNIQUE_VALUES = 5_000;
/** Values of an "enum" that cost as much to compare with as a look. */
const ENUM_VALUES = 40;
/** Characters of the name of a property that are repeated. */
const MAX_NAME = 200;

type Path = readonly (string | number)[];
type Validate = (value: Json) => Misfit | null;

/** Why a schema is not taken, and where in it. */
class Refused extends Error {
  readonly at: Path;

  constructor(at: Path, message: string) {
    super(message);
    this.at = at;
  }
}

/** An input would take more steps than it may. */
class Spent extends Error {}

interface Draft {
  /** What texts are held against, by what stands in the place of `format`. */
  checks: Record<string, (text: string) => boolean>;
  references: { at: Path; schema: Schema }[];
  unique: boolean;
  /** Steps that are left for the input that is looked at. */
  left: number;
}

/** Reads a JSON Schema, 2020-12. A word that is not understood is refused, so that nothing seems to be checked that is not. */
export function readSchema(given: Json): { ok: true; schema: InputSchema } | { ok: false; at: Path; error: string } {
  const library = schemaPackage();
  const odd = validator(library, META)(given);
  if (odd !== null) return { ok: false, at: odd.at, error: wordProblem(odd) };
  try {
    const validate = validator(library, given);
    const misfit = (value: Json): string | null => {
      const found = validate(value);
      return found && `${placeOf(found.at)} ${found.said}`;
    };
    return { ok: true, schema: { misfit } };
  } catch (error) {
    if (error instanceof Refused) return { ok: false, at: error.at, error: error.message };
    throw error;
  }
}

const placeOf = (at: Path): string =>
  at.reduce<string>((path, step) => path + (typeof step === 'number' ? `[${step}]` : `.${shortened(step)}`), 'input');

/** A name is a stranger's, and may be a megabyte of it. */
const shortened = (name: string): string =>
  name.length <= MAX_NAME ? name : `${name.slice(0, MAX_NAME).toWellFormed()}…`;

function wordProblem({ at, unknown, said }: Misfit): string {
  if (!unknown) return said;
  const word = String(at.at(-1));
  const instead = INSTEAD.get(word) ?? didYouMean(word, KNOWN_WORDS).trim();
  return `is not a word of JSON Schema that is understood. ${instead || `There are: ${KNOWN_WORDS.join(', ')}.`}`;
}

/** Holds values against a schema, and says where one does not fit. */
function validator(library: SchemaPackage, given: Json): Validate {
  const draft: Draft = { checks: {}, references: [], unique: false, left: STEPS };
  const schema = prepared(draft, given, []);
  const lookup = library.dereference(schema);
  for (const { at, schema: each } of draft.references)
    if (lookup[String(each[RESOLVED])] === undefined) throw lost(each, at);
  return (value) => {
    const crowded = draft.unique && isCrowded(value);
    if (crowded) return { at: [], unknown: false, said: TOO_LARGE };
    draft.left = STEPS;
    // Lent while the library looks: the formats that it brings are patterns of the platform.
    Object.assign(library.format, draft.checks);
    try {
      const { errors } = library.validate(value, schema, '2020-12', lookup);
      return firstMisfit(errors, { value, schema, lookup });
    } catch (error) {
      // The library writes the names of properties as addresses, which half a character has none of.
      if (error instanceof URIError)
        return { at: [], unknown: false, said: 'has a property whose name is not valid text' };
      // The stack, too, ends: a schema may refer to itself.
      if (error instanceof Spent || error instanceof RangeError) return { at: [], unknown: false, said: TOO_LARGE };
      throw error;
    } finally {
      for (const name of Object.keys(draft.checks)) delete library.format[name];
    }
  };
}

const lost = ({ $ref }: Schema, at: Path): Refused =>
  new Refused(at, `names "${$ref}", which is not in this schema: write "#/$defs/" and a name in "$defs"`);

const TOO_LARGE = 'is too large or too deep to be held against the schema of its queue';

/** A copy of a schema that the library can hold strangers' values against. */
function prepared(draft: Draft, given: Json, at: Path): Schema | boolean {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) return given !== false;
  const schema: Schema = {};
  for (const [word, value] of Object.entries(given)) {
    const inside = (each: Json, ...path: Path): Schema | boolean => prepared(draft, each, [...at, word, ...path]);
    const holder = INNER.get(word);
    if (holder === 'one') schema[word] = inside(value);
    else if (holder === 'list') schema[word] = (value as Json[]).map((each, index) => inside(each, index));
    else if (holder === 'map') {
      const named = Object.entries(value as Record<string, Json>).map(([name, each]) => [name, inside(each, name)]);
      schema[word] = Object.fromEntries(named) as Record<string, Schema>;
    } else if (!LEFT_OUT.includes(word)) schema[word] = value;
  }
  const { pattern, format, maxLength } = given as { pattern?: string; format?: string; maxLength?: number };
  const names: string[] = [];
  if (pattern !== undefined) {
    const read = readPattern(pattern);
    if (!read.ok) throw new Refused([...at, 'pattern'], read.error);
    names.push(addCheck(draft, `pattern ${pattern}`, read.pattern, maxLength));
  }
  const form = format === undefined ? null : formatPattern(format);
  if (form) names.push(addCheck(draft, `format ${format}`, form, maxLength));
  if (names.length > 0) schema.allOf = [...(schema.allOf ?? []), ...names.map((name) => ({ format: name }))];
  if (schema.$anchor !== undefined && !/^[A-Za-z_][\w.-]*$/.test(schema.$anchor))
    throw new Refused([...at, '$anchor'], 'must be a name: letters, digits, "_", "-" and "."');
  if (schema.$ref !== undefined) {
    if (!schema.$ref.startsWith('#')) throw lost(schema, [...at, '$ref']);
    draft.references.push({ at: [...at, '$ref'], schema });
  }
  if (schema.uniqueItems === true) draft.unique = true;
  const cost = 1 + (schema.enum?.length ?? 0) / ENUM_VALUES;
  // The library reads this word of each schema it looks at. It is one of another draft, so here it can count the looks.
  return Object.defineProperty(schema, '$recursiveAnchor', { get: () => spend(draft, cost) });
}

/** What says nothing of a value, or is put in another way. */
const LEFT_OUT = ['$schema', '$id', '$comment', 'default', 'examples', 'pattern', 'format'];

function addCheck(draft: Draft, said: string, pattern: Pattern, maxLength = Infinity): string {
  const name = `${said}\n${maxLength}`;
  draft.checks[name] = (text) => {
    // What is too long is refused for its length, and needs no look.
    if (text.length > 2 * maxLength) return true;
    spend(draft, pattern.steps(text) / PATTERN_STEPS);
    return pattern.fits(text);
  };
  return name;
}

function spend(draft: Draft, steps: number): void {
  draft.left -= steps;
  if (draft.left < 0) throw new Spent();
}

/** True if comparing each item of its lists with each other would take too long. */
function isCrowded(value: Json): boolean {
  let left = MAX_UNIQUE_VALUES;
  const open: Json[] = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (Array.isArray(next) && next.length > MAX_UNIQUE) return true;
    if (next !== null && typeof next === 'object') for (const each of Object.values(next)) open.push(each);
    if ((left -= 1) < 0) return true;
  }
  return false;
}
