import type { SkillNeeds, SkillText } from '../core/skill.ts';
import { decodeText, readFront, type Said } from './front.ts';

/** Where makers of other runtimes keep what a skill needs, the newest first. */
const NAMESPACES = ['ruche', 'openclaw', 'clawdbot', 'moltbot'] as const;
/** Characters the format allows. */
const MAX_DESCRIPTION = 1024;
const MAX_COMPATIBILITY = 500;
/** Entries of any one list. */
const MAX_LIST = 50;
/** Characters of one name in a list, and of one line of a recipe. */
const MAX_NAME = 128;
const MAX_RECIPE = 300;

const SYSTEMS: Readonly<Record<string, string>> = { macos: 'darwin', mac: 'darwin', osx: 'darwin', windows: 'win32' };

export interface Parsed {
  text: Omit<SkillText, 'main'> | null;
  errors: Said[];
  warnings: Said[];
}

const isMap = (value: unknown): value is Map<string, unknown> => value instanceof Map;
const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();

/** `{"openclaw": …}` as text is what some generators write where a map is meant. */
function fromJson(value: unknown): unknown {
  if (typeof value !== 'string' || !value.trim().startsWith('{')) return value;
  const read = readFront(`---\nvalue: ${value.replaceAll('\n', ' ')}\n---`);
  return read.ok ? read.values.get('value') : value;
}

/** Reads the text of a SKILL.md. Whatever it says, this gives an answer: errors and warnings with their lines. */
export function parseSkill(bytes: Uint8Array, name: string): Parsed {
  const errors: Said[] = [];
  const warnings: Said[] = [];
  const decoded = decodeText(bytes);
  if (!decoded.ok) return { text: null, errors: [{ line: null, key: '', message: decoded.message }], warnings };
  const front = readFront(decoded.text);
  if (!front.ok) return { text: null, errors: [front.said], warnings };
  warnings.push(...front.odd);
  const say = (list: Said[], key: string, message: string): void => {
    list.push({ line: front.lineOf(key), key, message });
  };
  const word = (key: string): string | null => {
    const value = front.values.get(key);
    if (value === null || value === undefined) return null;
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value);
    say(warnings, key, 'should be a text; it is ignored');
    return null;
  };
  const given = word('name');
  if (given === null) say(warnings, 'name', `is missing; the folder's name "${name}" is used`);
  else if (given !== name)
    say(warnings, 'name', `is "${oneLine(given).slice(0, 80)}", not the folder's name; "${name}" is used`);
  const description = oneLine(word('description') ?? '');
  if (description === '')
    say(errors, 'description', 'is missing; say in a sentence what the skill does and when to use it');
  if (description.length > MAX_DESCRIPTION)
    say(
      warnings,
      'description',
      `has ${description.length} characters; the format allows ${MAX_DESCRIPTION}, and the rest is ignored`,
    );
  const compatibility = word('compatibility');
  if ((compatibility?.length ?? 0) > MAX_COMPATIBILITY)
    say(warnings, 'compatibility', `is longer than the ${MAX_COMPATIBILITY} characters the format allows`);
  const { needs, install, tools } = readNeeds(front.values, (key, message) => say(warnings, key, message));
  if (front.body.trim() === '')
    warnings.push({ line: front.bodyLine, key: '', message: 'there is no text below the front matter' });
  if (errors.length > 0) return { text: null, errors, warnings };
  const license = word('license');
  const shown = compatibility === null ? null : oneLine(compatibility).slice(0, MAX_COMPATIBILITY);
  return {
    text: {
      name,
      description: description.slice(0, MAX_DESCRIPTION).toWellFormed(),
      needs,
      ...(tools.length === 0 ? {} : { tools }),
      install,
      license,
      compatibility: shown,
    },
    errors,
    warnings,
  };
}

type Warn = (key: string, message: string) => void;

/** Of all namespaces, and of the top level, where some makers put it. */
function readNeeds(
  values: ReadonlyMap<string, unknown>,
  warn: Warn,
): Pick<SkillText, 'needs'> & { install: string[]; tools: string[] } {
  const metadata = fromJson(values.get('metadata'));
  if (metadata !== undefined && metadata !== null && !isMap(metadata))
    warn('metadata', 'should be a map of keys; it is ignored');
  const spaces = isMap(metadata) ? NAMESPACES.map((name) => fromJson(metadata.get(name))).filter(isMap) : [];
  const sources: ReadonlyMap<string, unknown>[] = [...spaces, ...(isMap(metadata) ? [metadata] : []), values];
  const requires = sources.map((source) => source.get('requires')).filter(isMap);
  const names = (key: string): string[] => unique(requires.flatMap((each) => listOf(each.get(key))));
  const systems = unique(sources.flatMap((source) => listOf(source.get('os')))).map(
    (os) => SYSTEMS[os.toLowerCase()] ?? os.toLowerCase(),
  );
  const needs: SkillNeeds = {
    bins: names('bins'),
    anyBins: names('anyBins'),
    env: names('env'),
    config: names('config'),
    os: unique(systems),
    always: [...spaces, values].some((source) => source.get('always') === true),
  };
  for (const bin of [...needs.bins, ...needs.anyBins])
    if (!isProgram(bin)) warn('metadata', `"${bin}" cannot be the name of a program, so it is never found`);
  const own = isMap(metadata) ? fromJson(metadata.get('ruche')) : null;
  return {
    needs,
    install: unique(sources.flatMap((source) => recipes(source.get('install')))).slice(0, MAX_LIST),
    tools: isMap(own) ? unique(listOf(own.get('tools'))) : [],
  };
}

export const isProgram = (name: string): boolean => /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/.test(name);

const unique = (items: readonly string[]): string[] => [...new Set(items)];

/** A list of names, or one name, or names as the keys of a map. */
function listOf(value: unknown): string[] {
  const raw = isMap(value) ? [...value.keys()] : Array.isArray(value) ? value : [value];
  return raw
    .flatMap((item: unknown): string[] => {
      if (isMap(item)) return listOf(item.get('name') ?? item.get('id') ?? null);
      return typeof item === 'string' || typeof item === 'number' ? [String(item).trim().slice(0, MAX_NAME)] : [];
    })
    .filter((item) => item !== '')
    .slice(0, MAX_LIST);
}

const scalar = (value: unknown): string | null =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;

/** A recipe in whatever form, as a line a person can read: `brew: formula gh`. */
function recipes(value: unknown): string[] {
  const text = scalar(value);
  if (text !== null) return [oneLine(text).slice(0, MAX_RECIPE)].filter((line) => line !== '');
  if (Array.isArray(value)) return value.slice(0, MAX_LIST).flatMap(recipes);
  if (!isMap(value)) return [];
  const kind = scalar(value.get('kind'));
  const parts = [...value]
    .filter(([key]) => !['kind', 'id', 'label', 'bins', 'os'].includes(key))
    .flatMap(([key, inner]) => (scalar(inner) === null ? [] : [`${key} ${scalar(inner)}`]));
  if (kind === null && parts.length === 0) return [...value.values()].flatMap(recipes);
  return [oneLine(`${kind === null ? '' : `${kind}: `}${parts.join(', ')}`).slice(0, MAX_RECIPE)];
}
