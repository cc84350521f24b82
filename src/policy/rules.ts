import type { Verdict } from '../core/event.ts';
import {
  MAX_PATTERN,
  matchSequence,
  pathMatch,
  segmentsMatch,
  usablePathPattern,
  wildcardMatch,
} from '../core/text/glob.ts';
import { type HostPattern, parseHostPattern, patternFits, type Target } from '../core/net/host.ts';
import type { PolicyCall, PolicyFacts, Rule, RuleMatch } from '../core/policy.ts';
import { placesOf } from '../core/recipient.ts';
import { isOpen, readHours } from '../core/time/hours.ts';
import { openWall } from '../core/time/wall.ts';
import { everyCommand } from './programs.ts';
import { readShellLine, type ShellLine } from './shell-line.ts';

/** A command line as rules look at it. */
interface SeenCommand {
  raw: string;
  line: ShellLine;
  /** For rules that restrict: with everything found inside wrappers. */
  every: string[];
  everyWords: string[][];
  hidden: string | null;
}

/** A call in canonical form. */
export interface Seen {
  call: PolicyCall;
  paths: readonly string[];
  command: SeenCommand | null;
  target: Target | null;
  /** What else rules look at. */
  facts: Circumstances;
}

/** What is true of the run, whatever the call is. */
export type Circumstances = Pick<
  PolicyFacts,
  'labels' | 'critical' | 'sender' | 'asker' | 'queue' | 'at' | 'zone' | 'costUsd'
>;

export function seeCommand(raw: string): SeenCommand {
  const line = readShellLine(raw);
  const { commands, hidden } = everyCommand(line);
  return { raw: raw.trim(), line, every: commands.map((words) => words.join(' ')), everyWords: commands, hidden };
}

const isStarWord = (word: string): boolean => word === '*' || word === '**';

/** Word by word: a lone `*` is any number of words, a `*` inside a word does not cross `/`. */
const commandFits = (pattern: string, words: readonly string[]): boolean =>
  matchSequence(pattern.trim().split(/\s+/), words, isStarWord, segmentsMatch);

const hostPattern = (rule: Rule): HostPattern | null =>
  rule.match.host === undefined ? null : parseHostPattern(rule.match.host);

/** What is wrong with a rule's patterns, for the loader; null if nothing is. */
export function ruleProblem(rule: Rule): string | null {
  const { tool, path, command, host, to, sender, queue, args = {}, hours } = rule.match;
  const named = Object.entries(args).map(([name, pattern]) => [`args.${name}`, pattern] as const);
  for (const [field, pattern] of [...Object.entries({ tool, path, command, to, sender, queue }), ...named]) {
    if (pattern === undefined) continue;
    if (pattern.trim() === '') return `${field} is empty; leave it out to match any`;
    if (pattern.length > MAX_PATTERN) return `${field} is longer than ${MAX_PATTERN} characters`;
  }
  if (path !== undefined && !usablePathPattern(path)) return 'path may not contain ..';
  if (host !== undefined && hostPattern(rule) === null)
    return 'host must be a name or address such as example.org, *.example.org:443 or [::1]:8080, without scheme or path';
  if (hours !== undefined && readHours(hours) === null)
    return 'hours must be such as 22:00-07:00 or Mon-Fri 08:00-18:00';
  const grows = (['labels', 'costOver'] as const).find((field) => rule.match[field] !== undefined);
  if (rule.verdict === 'allow' && grows !== undefined)
    return `${grows} is only for ask and deny: a run must not be allowed more by what it reads or costs`;
  return null;
}

/**
 * Whether what a rule says of the run holds. `every`: all values of a critical argument have to fit, as for what is
 * allowed; else one is enough, and so is anybody up the chain of tasks.
 */
function holds(match: RuleMatch, facts: Circumstances, every: boolean): boolean {
  const { labels = [], sender, queue, hours, costOver, args = {} } = match;
  const fits = (pattern: string | undefined, value: string | undefined): boolean =>
    pattern === undefined || (value !== undefined && wildcardMatch(pattern, value));
  return (
    labels.every((label) => facts.labels.includes(label)) &&
    // What is kept from somebody he cannot have done by way of another agent either.
    (fits(sender, facts.sender) || (!every && fits(sender, facts.asker))) &&
    fits(queue, facts.queue) &&
    (costOver === undefined || (facts.costUsd ?? 0) > costOver) &&
    Object.entries(args).every(([name, pattern]) => {
      const values = (facts.critical ?? []).filter((each) => each.name === name).map(({ value }) => value);
      const fit = (value: string): boolean => wildcardMatch(pattern, value);
      return values.length > 0 && (every ? values.every(fit) : values.some(fit));
    }) &&
    (hours === undefined || isWithin(hours, facts))
  );
}

/** Hours that cannot be read hold always: such a rule can only restrict. */
function isWithin(hours: string, { at, zone = 'UTC' }: Circumstances): boolean {
  const read = readHours(hours);
  const wall = openWall(zone) ?? openWall('UTC');
  return read === null || (at !== undefined && wall !== null && isOpen(wall.at(at), read));
}

/** The facts for many decisions of one moment, with the hours of rules looked up once: that costs more than all else in a decision. */
export function atOneMoment(facts: PolicyFacts): PolicyFacts {
  const settled = (rules: readonly Rule[]): Rule[] =>
    rules.flatMap((rule) => {
      const { hours, ...match } = rule.match;
      if (hours === undefined || readHours(hours) === null) return [rule];
      return isWithin(hours, facts) ? [{ ...rule, match }] : [];
    });
  return { ...facts, rules: settled(facts.rules), agentRules: settled(facts.agentRules) };
}

/**
 * True if the rule speaks of the call's tool, effect and everything else that is not `except`. A field that the call has
 * nothing for does not match.
 */
function speaksOf(
  rule: Rule,
  seen: Seen,
  fits: { path: boolean; command: boolean; host: boolean; to: (pattern: string) => boolean },
): boolean {
  const { tool, effect, path, command, host, to } = rule.match;
  return (
    (tool === undefined || wildcardMatch(tool, seen.call.tool)) &&
    (effect === undefined || effect === seen.call.effect) &&
    (path === undefined || fits.path) &&
    (command === undefined || fits.command) &&
    (host === undefined || fits.host) &&
    (to === undefined || (seen.call.to !== undefined && fits.to(to))) &&
    holds(rule.match, seen.facts, rule.verdict === 'allow')
  );
}

/** A rule about a chat holds for its topics and for answers to its messages: they arrive in it. */
const toRestricted = (pattern: string, to: string): boolean =>
  placesOf(to).some((each) => wildcardMatch(pattern, each));

function commandRestricted(pattern: string, command: SeenCommand): boolean {
  return (
    wildcardMatch(pattern, command.raw) ||
    command.every.some((text) => wildcardMatch(pattern, text)) ||
    command.everyWords.some((words) => commandFits(pattern, words))
  );
}

/**
 * True if a deny or ask rule applies: one path, one command or the host is enough. A rule whose patterns cannot be used
 * applies to everything it could have meant, since a typing error must not open a door.
 */
export function restricts(rule: Rule, seen: Seen): boolean {
  const { path, command } = rule.match;
  const broken = ruleProblem(rule) !== null;
  const pattern = hostPattern(rule);
  return speaksOf(rule, seen, {
    path: path !== undefined && seen.paths.some((each) => broken || pathMatch(path, each)),
    command: command !== undefined && seen.command !== null && (broken || commandRestricted(command, seen.command)),
    host: seen.target !== null && (broken || (pattern !== null && patternFits(pattern, seen.target))),
    to: (to) => broken || toRestricted(to, seen.call.to ?? ''),
  });
}

/** True if the rule would look at this command, whatever its pattern: then a hidden one has to be asked for. */
export const watchesCommands = (rule: Rule, seen: Seen): boolean =>
  rule.match.command !== undefined &&
  seen.command !== null &&
  speaksOf(rule, seen, {
    path: seen.paths.length > 0,
    command: true,
    host: seen.target !== null,
    to: (to) => toRestricted(to, seen.call.to ?? ''),
  });

/** The part of a call that an allow rule may cover. It speaks only for what it names, or for all if it names nothing. */
export type Part =
  | { kind: 'path'; path: string }
  | { kind: 'command'; words: readonly string[] }
  | { kind: 'host'; target: Target }
  | { kind: 'call' };

export function allows(rule: Rule, seen: Seen, part: Part): boolean {
  if (rule.verdict !== 'allow' || ruleProblem(rule) !== null) return false;
  const { path, command, host } = rule.match;
  const names = path !== undefined || command !== undefined || host !== undefined;
  const named = { path: path !== undefined, command: command !== undefined, host: host !== undefined, call: false };
  if (names && !named[part.kind]) return false;
  const pattern = hostPattern(rule);
  const { line } = seen.command ?? { line: null };
  return speaksOf(rule, seen, {
    path:
      path !== undefined && (part.kind === 'path' ? [part.path] : seen.paths).every((each) => pathMatch(path, each)),
    command:
      command !== undefined &&
      line !== null &&
      (part.kind === 'command' ? [part.words] : line.commands).every((words) => commandFits(command, words)),
    host: pattern !== null && seen.target !== null && patternFits(pattern, seen.target),
    to: (to) => wildcardMatch(to, seen.call.to ?? ''),
  });
}

/** The host that a rule of `ruche.yaml` opens letter by letter; null if it names none, or by a glob. */
export function literalHost(rule: Rule, facts: Circumstances): HostPattern | null {
  if (rule.verdict === 'deny' || ruleProblem(rule) !== null) return null;
  if (!holds(rule.match, facts, rule.verdict === 'allow')) return null;
  const pattern = hostPattern(rule);
  return pattern?.literal === true ? pattern : null;
}

/** True if the rule names the call's host exactly and speaks of the call. */
export const opensHost = (rule: Rule, seen: Seen, target: Target): boolean =>
  literalHost(rule, seen.facts) !== null &&
  (rule.verdict === 'allow' ? allows(rule, seen, { kind: 'host', target }) : restricts(rule, seen));

export const ofVerdict = (rules: readonly Rule[], verdict: Verdict): Rule[] =>
  rules.filter((rule) => rule.verdict === verdict);
