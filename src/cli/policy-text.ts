import type { Explanation, Place, PolicyStats, RuleStats, Spoken } from '../core/api/policy.ts';
import type { RuleMatch } from '../core/policy.ts';
import { oneLine } from './io.ts';
import { table } from './table.ts';
import { duration } from './time.ts';

export const placeText = (place: Place | null): string =>
  place === null ? '' : ` (${place.file}${place.line === null ? '' : `:${place.line}`})`;

const spokenText = ({ verdict, rule, place, reason }: Spoken): string =>
  `  ${verdict.padEnd(5)}  ${rule}${placeText(place)}: ${oneLine(reason, 300)}`;

export function explanationText({ decision, others, nearly, otherwise, landing }: Explanation): string {
  const { verdict, rule, place, reason } = decision;
  const part = (title: string, lines: readonly string[]): string[] => (lines.length === 0 ? [] : [title, ...lines]);
  return [
    `${verdict}  ${rule}${placeText(place)}`,
    `  ${oneLine(reason, 500)}`,
    ...part('Also spoke:', others.map(spokenText)),
    ...part(
      'Nearly spoke:',
      nearly.map((each) => spokenText({ ...each, reason: each.because })),
    ),
    ...part(
      'It would be:',
      otherwise.flatMap(({ verdict: then, what, rule: by, yaml }) => [
        `  ${then.padEnd(5)}  ${what}${by.startsWith('builtin:') ? `, by ${by}` : ''}`,
        ...(yaml === undefined ? [] : [`           ${yaml}`]),
      ]),
    ),
    ...part(
      'At the landing:',
      landing.map((line) => `  ${line}`),
    ),
  ].join('\n');
}

/** The same as YAML of one rule. */
const matchText = (match: RuleMatch): string =>
  Object.entries(match)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
    .join(', ');

const shortly = (ms: number | null): string => (ms === null ? '-' : duration(ms));

export function statsText({ runs, asks, per100, rules }: PolicyStats): string {
  const rows = rules.map(({ rule, asked, approved, denied, nobody, medianMs, p90Ms }) => [
    rule,
    `${asked}`,
    `${approved}`,
    `${denied}`,
    `${nobody}`,
    shortly(medianMs),
    shortly(p90Ms),
  ]);
  const head = ['rule', 'asked', 'approved', 'denied', 'unanswered', 'median', 'p90'];
  const lines = table([head, ...rows], (column) => column > 0);
  return [
    `${runs} ${runs === 1 ? 'run' : 'runs'}, ${asks} ${asks === 1 ? 'question' : 'questions'}${per100 === null ? '' : `: ${per100} per 100 runs`}.`,
    ...(rules.length === 0 ? [] : lines),
    ...rules.flatMap(spareText),
  ].join('\n');
}

function spareText({ rule, approved, spare }: RuleStats): string[] {
  if (spare === undefined) return [];
  const { by, match, count, of } = spare;
  const most = match === null ? '' : ` ${count} of ${of} were { ${matchText(match)} }.`;
  const how = {
    allow:
      match === null
        ? 'Allow in ruche.yaml what you always approve.'
        : `This rule in ruche.yaml spares them:\n    - { id: …, allow: { ${matchText(match)} }, reason: … }`,
    narrow: `No allow stands over a rule that asks: narrow or remove ${rule}, or give a standing grant (ruche grants).`,
    grant: 'A standing grant spares them (ruche grants).',
  }[by];
  return [`${rule} only costs patience: all ${approved} were approved.${most} ${how}`];
}
