import { createHash } from 'node:crypto';
import { isScalar, stringify } from 'yaml';
import { isAgentName } from '../../core/ids.ts';
import { canonicalJson, type Json } from '../../core/text/json.ts';
import { visible } from '../../core/text/untrusted.ts';
import { frontMatter } from '../../config/agent.ts';
import { withoutNulls } from '../../config/validate.ts';

// What a person must approve before it governs, and how the difference is shown. That an agent is there counts, and all of
// it but description and prose: a key that a later version knows must not slip through an earlier one's list.

const FREE_KEYS = ['description'];
/** Characters of one value, more than a schedule or trigger may have: nobody approves what is not shown. And of the whole. */
const MAX_VALUE = 64 * 1024;
const MAX_TEXT = 256 * 1024;

/** A file as it stands on one side of a change. */
export interface Side {
  mode: string;
  oid: string;
  bytes: Uint8Array;
}

export interface Touched {
  path: string;
  was: Side | null;
  now: Side | null;
}

export type Place = 'settings' | 'agent' | 'odd' | null;

/** A name as a file system that folds case, Unicode forms and trailing dots would find it. */
const folded = (path: string): string =>
  path
    .normalize('NFKC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .toLowerCase()
    .split('/')
    .map((part) => part.replace(/[. ]+$/, ''))
    .join('/');

const isFile = (mode: string): boolean => mode === '100644' || mode === '100755';

/**
 * What a path means for the network. `odd`: it is not what the reader reads, but a file system or a link could make it so.
 */
export function placeOf(path: string, modes: readonly string[]): Place {
  const plain = modes.every(isFile);
  if (path === 'ruche.yaml') return plain ? 'settings' : 'odd';
  const agent = /^agents\/([^/]+)\/AGENT\.md$/.exec(path);
  if (agent && isAgentName(agent[1] ?? '')) return plain ? 'agent' : 'odd';
  const fold = folded(path);
  if (fold === 'ruche.yaml' || fold === 'agents' || /^agents\/[^/]+\/agent\.md$/.test(fold)) return 'odd';
  if (fold === 'skills' || (fold.startsWith('skills/') && !path.startsWith('skills/'))) return 'odd';
  // A link or sub-module in place of the folder of an agent or a skill.
  return /^(?:agents|skills)\/[^/]+$/.test(fold) && !plain ? 'odd' : null;
}

/** Protected keys of an AGENT.md with their values; what cannot be read counts as a whole. */
function protectedView(side: Side | null): Map<string, string> {
  if (!side) return new Map();
  const front = frontMatter(side.bytes);
  if (!front) return new Map([['(front matter that cannot be read)', textOf(side.bytes)]]);
  const keys = withoutNulls(front) as Record<string, unknown>;
  return new Map(
    Object.keys(keys)
      .filter((key) => !FREE_KEYS.includes(key))
      .sort()
      .map((key) => [key, canonicalJson(keys[key])]),
  );
}

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

export function shortened(value: string, limit: number): string {
  if (value.length <= limit) return value;
  // The hash keeps two long texts that differ only further down from looking the same.
  const hash = createHash('sha256').update(value).digest('hex');
  return `${value.slice(0, limit)}\n… ${value.length - limit} more characters; SHA-256 of the whole ${hash}`;
}

const marked = (sign: '-' | '+', text: string): string =>
  shortened(visible(text), MAX_VALUE)
    .split('\n')
    .map((line) => `${sign} ${line}`)
    .join('\n');

/** Of two lists only what one has and the other has not, so that a person finds the one line that is new. */
function entriesThatDiffer(old: string | undefined, value: string | undefined): [string[], string[]] {
  const whole: [string[], string[]] = [old === undefined ? [] : [old], value === undefined ? [] : [value]];
  if (!old?.startsWith('[{') || !value?.startsWith('[{')) return whole;
  const [was, now] = [old, value].map((list) => (JSON.parse(list) as Json[]).map((entry) => canonicalJson(entry)));
  const gone = missingFrom(now ?? [], was ?? []);
  const come = missingFrom(was ?? [], now ?? []);
  // Another order, which may mean something.
  return gone.length + come.length === 0 ? whole : [gone, come];
}

/** Entries that `list` has more often than `other`. */
function missingFrom(other: readonly string[], list: readonly string[]): string[] {
  const left = [...other];
  return list.filter((entry) => {
    const at = left.indexOf(entry);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

/** As it stands in a file, but each text on one line: a text of several could look like further keys. */
function yamlOf(key: string, json: string): string {
  if (!/^\[?\{/.test(json)) return `${key}: ${json}`;
  const value = JSON.parse(json) as Json;
  // One entry of a list stands for itself.
  const whole = ['schedules', 'triggers', 'rules'].includes(key) ? [value].flat() : value;
  return stringify({ [key]: whole }, { lineWidth: 0, blockQuote: false, sortMapEntries: byName }).trimEnd();
}

/** The name first, for it says what the rest is about. */
const byName = ({ key: a }: { key: unknown }, { key: b }: { key: unknown }): number => {
  const [one, other] = [a, b].map((each) => (isScalar(each) ? String(each.value) : String(each)));
  const first = (name = ''): boolean => name === 'name' || name === 'id';
  return Number(first(other)) - Number(first(one)) || (one === other ? 0 : (one ?? '') < (other ?? '') ? -1 : 1);
};

/** The schedules of one value, each with what it means. */
function meanings(agent: string, value: string, explain: Explain): string[] {
  if (!/^[[{]/.test(value)) return [];
  return [JSON.parse(value) as Json].flat().flatMap((schedule) => {
    const said = explain(agent, schedule);
    return said === null ? [] : [`  ${visible(said)}`];
  });
}

function agentDifference({ path, was, now }: Touched, explain: Explain): string | null {
  const before = protectedView(was);
  const after = protectedView(now);
  const keys = [...new Set([...before.keys(), ...after.keys()])].filter((key) => before.get(key) !== after.get(key));
  // Without any of these keys an agent still has the default tools, so that one is there at all needs a person too.
  if (keys.length === 0 && was && now) return null;
  const what = was ? (now ? '' : ' (the agent is removed)') : ' (a new agent)';
  const lines = keys.flatMap((key) => {
    const [olds, values] = entriesThatDiffer(before.get(key), after.get(key));
    return [
      ...olds.map((old) => marked('-', yamlOf(key, old))),
      ...values.map((value) => marked('+', yamlOf(key, value))),
      ...(key === 'schedules' ? values.flatMap((value) => meanings(path.split('/')[1] ?? '', value, explain)) : []),
    ];
  });
  return [`${path}${what}`, ...lines].join('\n');
}

const KINDS: Record<string, string> = { '120000': 'a symbolic link', '160000': 'a sub-module' };

function oddDifference({ path, was, now }: Touched): string {
  const side = (sign: '-' | '+', given: Side | null): string[] =>
    given ? [`${sign} ${KINDS[given.mode] ?? 'a file'}:`, marked(sign, textOf(given.bytes))] : [];
  return [
    `${visible(path)} (stands where a file that governs is, or is named like one)`,
    ...side('-', was),
    ...side('+', now),
  ].join('\n');
}

/** What a schedule means, in words; null if that cannot be told. */
type Explain = (agent: string, schedule: Json) => string | null;

/** Lines between two texts of `ruche.yaml`, given by Git. */
export type LineDiff = (was: Side | null, now: Side | null) => Promise<string>;

/** The protected part of a change for a person to read; null if there is none. */
export async function describeProtected(
  touched: readonly Touched[],
  lineDiff: LineDiff,
  explain: Explain,
): Promise<string | null> {
  const parts: string[] = [];
  for (const file of [...touched].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const { path, was, now } = file;
    if (was?.oid === now?.oid && was?.mode === now?.mode) continue;
    const place = placeOf(
      path,
      [was?.mode, now?.mode].filter((mode) => mode !== undefined),
    );
    if (place === 'odd') parts.push(oddDifference(file));
    if (place === 'settings' && was?.oid !== now?.oid) parts.push(`ruche.yaml\n${visible(await lineDiff(was, now))}`);
    const difference = place === 'agent' ? agentDifference(file, explain) : null;
    if (difference !== null) parts.push(difference);
  }
  return parts.length === 0 ? null : shortened(parts.join('\n\n'), MAX_TEXT);
}
