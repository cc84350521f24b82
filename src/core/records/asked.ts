import { type AskedAbout, type AskedValue, WHOLE_CALL } from '../standing.ts';
import { visibleLine } from '../text/untrusted.ts';

const VOUCHED: Readonly<Record<string, string>> = {
  owner: 'the owner wrote it',
  contact: 'an approved contact',
  constant: 'a person wrote it into the task',
  record: 'the owner named what it stands in',
  endorsed: 'endorsed',
};

/** Who vouches for a value; null where nobody has to. */
export function vouchedText({ vouched, critical }: AskedValue, tainted: boolean): string | null {
  if (critical === false) return null;
  if (vouched !== null) return VOUCHED[vouched] ?? vouched;
  return tainted ? 'nobody vouches for it' : null;
}

/** Sources that are named of one label. */
const NAMED = 3;

/** What stands behind an approval, a line each: values and who vouches for them, where the labels of the run came from, what it has cost. */
export function askedLines({ values, labels, sources, costUsd, unpriced }: AskedAbout): string[] {
  const vouched = values
    .filter(({ name }) => name !== WHOLE_CALL)
    .map((each) => {
      const word = vouchedText(each, labels.length > 0);
      return `${each.name} ${visibleLine(each.value)}${word === null ? '' : ` (${word})`}`;
    });
  const from = labels.map((label) => {
    const named = sources.filter((each) => each.label === label).map(({ what }) => visibleLine(what));
    const more = named.length > NAMED ? `, and ${named.length - NAMED} more` : '';
    return `${label}${named.length === 0 ? '' : ` (${named.slice(0, NAMED).join(', ')}${more})`}`;
  });
  return [
    ...(vouched.length === 0 ? [] : [`values: ${vouched.join('; ')}`]),
    ...(from.length === 0 ? [] : [`the run has seen: ${from.join('; ')}`]),
    `cost so far: ${unpriced === true ? 'at least ' : ''}${costUsd.toFixed(4)} USD`,
  ];
}

/** How many persons have said yes to what needs several; null for what needs one. */
export const votesText = (approvers: { needed: number; have: readonly string[] } | undefined): string | null =>
  approvers === undefined
    ? null
    : `needs ${approvers.needed} persons: ${approvers.have.length} of ${approvers.needed} so far${approvers.have.length === 0 ? '' : ` (${approvers.have.map(visibleLine).join(', ')})`}`;
