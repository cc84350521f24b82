import type { Problem } from '../core/agent.ts';
import { readDuration } from '../core/text/duration.ts';
import { DENY, type EscalationLevel, readReceiver } from '../core/escalation.ts';
import { parseTarget } from '../core/net/host.ts';
import { isAgentName } from '../core/ids.ts';
import type { ChainSource } from './escalation-schema.ts';
import { recipientProblem, type Recipients } from './recipients.ts';
import { problem, type YamlSource } from './yaml-source.ts';

const LONGEST = 366 * 86_400_000;

/** The chains of `ruche.yaml`. Whether its agents are there is seen where they are known. */
export function chainsOf(
  given: Readonly<Record<string, ChainSource>>,
  known: Recipients & { example: string },
  source: YamlSource,
  file: string,
): { chains: Record<string, EscalationLevel[]>; problems: Problem[] } {
  const chains: Record<string, EscalationLevel[]> = {};
  const problems: Problem[] = [];
  for (const [name, levels] of Object.entries(given)) {
    let before = 0;
    chains[name] = levels.map(({ after, to, secret }, index) => {
      const add = (key: 'after' | 'to' | 'secret', said: string | null): void => {
        const path = ['escalation', name, index, key];
        if (said !== null) problems.push(problem(file, source.lineOf(path), path.join('.'), said));
      };
      const ms = readDuration(after) ?? 0;
      if (ms < before) add('after', 'is earlier than the level before it: all are counted from when it was asked');
      if (ms > LONGEST) add('after', 'must be at most 366d');
      before = ms;
      add('to', wrongReceiver(to, index === levels.length - 1, known));
      if (secret !== undefined && readReceiver(to)?.kind !== 'webhook')
        add('secret', 'has a meaning only for a webhook');
      return { after: ms, to, ...(secret === undefined ? {} : { secret }) };
    });
  }
  return { chains, problems };
}

function wrongReceiver(to: string, last: boolean, known: Recipients & { example: string }): string | null {
  const receiver = readReceiver(to);
  switch (receiver?.kind) {
    case undefined:
      return `must be CHANNEL:ADDRESS${known.example}, agent:NAME, webhook:URL or deny`;
    case 'deny':
      return last ? null : `"${DENY}" can only be the last level`;
    case 'agent':
      return isAgentName(receiver.agent) ? null : `"${receiver.agent}" cannot be the name of an agent`;
    case 'webhook': {
      const target = parseTarget(receiver.url);
      return target.ok ? null : `cannot be posted to: ${target.reason}`;
    }
    case 'channel':
      return recipientProblem(to, known);
  }
}
