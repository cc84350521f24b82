import { resolve } from 'node:path';
import type { ChangedDecision, Rehearsal } from '../trace/rehearse.ts';
import type { PolicyPort } from './app-port.ts';
import { oneLine, plain, type ExitCode, type Io } from './io.ts';
import { clockTime, sinceOf } from './time.ts';

/** Changes that a person reads at once. */
const SHOWN = 50;

/** `ruche policy rehearse`: exit 0 if nothing would be decided otherwise, 1 if something would. */
export async function rehearseDecisions(
  io: Io,
  port: PolicyPort,
  { since = '30d', at, json }: { since?: string; at?: string; json?: boolean },
): Promise<ExitCode> {
  let shown = 0;
  const onChange = (change: ChangedDecision): void => {
    shown += 1;
    // Each as it is found: nobody holds them all.
    if (json) io.out(`${shown === 1 ? '{"changes":[\n' : ',\n'}${JSON.stringify(change)}`);
    else if (shown <= SHOWN) io.out(`${plain(changeText(change))}\n`);
  };
  const place = at === undefined ? null : { path: resolve(io.cwd, at), name: at };
  const found = await port.rehearse({ since: sinceOf(since, io.clock.now()), at: place, onChange });
  if (json) io.out(`${shown === 0 ? '{"changes":[' : '\n'}],"summary":${JSON.stringify(found)}}\n`);
  else io.out(`${plain(summaryText(found, Math.max(0, shown - SHOWN)))}\n`);
  return found.changed === 0 ? 0 : 1;
}

const changeText = ({ event, at, run, agent, tool, what, was, now }: ChangedDecision): string =>
  [
    `${clockTime(at)}  ${agent}  ${oneLine(`${tool} ${what}`, 120)}`,
    `    ${was.verdict} (${was.rule}) → ${now.verdict} (${now.rule}): ${oneLine(now.reason, 200)}`,
    `    ${event}${run === null ? '' : `, ${run}`}`,
  ].join('\n');

const WHY: Readonly<Record<keyof Rehearsal['unjudged'], string>> = {
  'no-facts':
    'without recorded facts: made by an older version, or a call that no rule decided (unreadable, or to nobody)',
  erased: 'erased',
  'old-rules-gone': 'made under rules that can no longer be read',
  'agent-gone': 'by agents that the changed files do not have',
  'not-by-rules': 'not explained by the rules of their time: a limit decided, or another version of Ruche',
};

function summaryText({ decisions, judged, changed, otherRule, agents, unjudged }: Rehearsal, more: number): string {
  const ways = Object.entries(agents).flatMap(([agent, { changes }]) => {
    const counts = Object.entries(changes).map(([way, count]) => `${count} ${way.replace('→', ' → ')}`);
    return counts.length === 0 ? [] : [`  ${agent}: ${counts.join(', ')}`];
  });
  const others = Object.entries(unjudged).map(
    ([why, { count, events }]) =>
      `  ${count} ${WHY[why as keyof typeof WHY]} (${events.join(', ')}${count > events.length ? ' …' : ''})`,
  );
  return [
    ...(more > 0 ? [`and ${more} more, which --json lists`] : []),
    `${changed} of ${judged} decisions would change.${otherRule > 0 ? ` ${otherRule} more get the same verdict by another rule.` : ''}`,
    ...ways,
    ...(others.length === 0 ? [] : [`${decisions - judged} of ${decisions} decisions cannot be judged:`, ...others]),
  ].join('\n');
}
