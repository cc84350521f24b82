import { type Label, unionLabels } from '../core/labels.ts';
import type { PolicyCall, PolicyFacts, Rule } from '../core/policy.ts';
import { commandNetwork, voices } from './decide.ts';

const READ: Readonly<Record<Label, string>> = { private: 'private data', untrusted: 'text from outside' };
const BOTH: readonly Label[] = ['private', 'untrusted'];
/** Rules that are named. */
const MAX_RULES = 5;

/**
 * One line for the model on what the labels of its run lead to, so that it can plan for it; null if they change nothing.
 * `sends`: one of its tools may leave the house.
 */
export function labelWords(facts: PolicyFacts, sends: boolean): string | null {
  const { labels } = facts;
  if (labels.length === 0) return null;
  const lines = [
    ...(sends && twoAsk({ ...facts, labels: unionLabels(labels, BOTH) }) ? [ruleOfTwo(facts)] : []),
    ...ruleLine([...facts.rules, ...facts.agentRules], labels),
  ];
  if (lines.length === 0) return null;
  return `This run has read ${labels.map((label) => READ[label]).join(' and ')}. ${lines.join(' ')}`;
}

/** Whether what leaves a run with both labels asks, if nobody has vouched for where it goes. */
function twoAsk(facts: PolicyFacts): boolean {
  const call: PolicyCall = { tool: facts.tools[0] ?? '', effect: 'send', leaves: true };
  return voices(call, facts).some(({ rule }) => rule === 'builtin:rule-of-two');
}

function ruleOfTwo(facts: PolicyFacts): string {
  const { labels } = facts;
  const what =
    'what leaves (requests, messages, commands with a network) asks a person, unless the owner gave or approved where it goes.';
  if (BOTH.every((label) => labels.includes(label))) return `From now on ${what}`;
  const other = labels.includes('private') ? READ.untrusted : READ.private;
  const now =
    labels.includes('private') && commandNetwork(facts).length > 0
      ? 'Commands with a network ask a person already. '
      : '';
  return `${now}Once it also reads ${other}, ${what}`;
}

/** Rules that look at these labels. */
function ruleLine(rules: readonly Rule[], labels: readonly Label[]): string[] {
  const found = rules.filter(
    ({ verdict, match }) =>
      verdict !== 'allow' && match.labels !== undefined && match.labels.every((label) => labels.includes(label)),
  );
  if (found.length === 0) return [];
  const named = found
    .slice(0, MAX_RULES)
    .map(({ verdict, reason, id }) => `${verdict}: ${reason.trim() === '' ? id : reason.trim()}`);
  return [`Rules for such runs: ${named.join('; ')}`];
}
