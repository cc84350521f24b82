import { bracketed, hostKind, parseTarget } from '../core/net/host.ts';
import { namedPlaces, type Reach } from '../core/net/reach.ts';
import type { PolicyCall, PolicyFacts } from '../core/policy.ts';
import { decide } from './decide.ts';
import { atOneMoment, literalHost } from './rules.ts';

/** What the net guard may let through for a run, after resolution and at every hop. */
interface NetGrant {
  /** `host` or `host:port` that may be, or lead to, a private address. */
  privateHosts: string[];
  /** The agent's network list, or null for no list. */
  only: readonly Reach[] | null;
}

/**
 * Only hosts that are private on their face are granted. A rule for a public name does not let that name lead inside
 * when its DNS answer changes; a name that is meant to needs its private address named by itself.
 */
export function netGrant(facts: PolicyFacts): NetGrant {
  const named = [
    ...facts.rules.flatMap((rule) => literalHost(rule, facts) ?? []),
    ...namedPlaces(facts.settingsNetwork ?? []),
  ];
  const privateHosts = named.flatMap(({ host, port }) =>
    hostKind(host) === 'public' ? [] : [port === null ? bracketed(host) : `${bracketed(host)}:${port}`],
  );
  return { privateHosts: [...new Set(privateHosts)], only: facts.network };
}

/**
 * Whether a rule keeps commands from a place that their list names. Rules that ask keep them too: nobody can be asked for
 * one connection of a command that runs.
 */
export function commandDenial(
  call: PolicyCall,
  facts: PolicyFacts,
): (place: { host: string; port: number }) => string | null {
  return ({ host, port }) => {
    const url = `https://${bracketed(host)}:${port}/`;
    const { tool, effect } = call;
    const { verdict, rule, reason } = decide({ tool, effect, url }, { ...facts, network: null });
    return verdict === 'deny' || (verdict === 'ask' && !rule.startsWith('builtin:')) ? reason : null;
  };
}

/**
 * For `NetRequest.onRedirect`: a hop is decided like a call of its own. The host that the call was allowed or approved
 * for stays open unless something denies it; another host must be allowed without asking, since nobody was asked for it.
 */
export function redirectPolicy(call: PolicyCall, facts: PolicyFacts): (url: string) => string | null {
  const from = parseTarget(call.url ?? '');
  const first = decide(call, facts);
  return (url) => {
    const to = parseTarget(url);
    if (!to.ok) return to.reason;
    // Who vouched for the first address has not vouched for where it leads.
    const critical = [{ name: 'url', value: url, vouched: null }];
    const decision = decide({ ...call, url }, { ...facts, critical });
    if (decision.verdict === 'allow') return null;
    const defaultPort = (at: { port: number }): boolean => at.port === 80 || at.port === 443;
    const same =
      from.ok &&
      from.target.host === to.target.host &&
      (from.target.port === to.target.port || (defaultPort(from.target) && defaultPort(to.target)));
    // Of a host that is asked for only in part, the rest gave no leave for that part.
    const partly = decision.rule === 'builtin:network-asks' && first.rule !== decision.rule;
    if (decision.verdict === 'ask' && same && !partly) return null;
    return decision.verdict === 'ask'
      ? `${to.target.host} needs an approval of its own: call the tool with that URL (${decision.reason})`
      : decision.reason;
  };
}

/**
 * True for paths that this call may not show although it names only a folder above them: tools that list or search ask
 * it for each path, so that a rule against `secrets/**` also holds when the whole workspace is searched.
 */
export function hiddenPath(call: PolicyCall, facts: PolicyFacts): (path: string) => boolean {
  const now = atOneMoment(facts);
  const whole = decide(call, now);
  return (path) => {
    const { verdict, rule } = decide({ tool: call.tool, effect: call.effect, paths: [path] }, now);
    // What the person was asked for the folder needs no second question for what is in it.
    return verdict === 'deny' || (verdict === 'ask' && !(whole.verdict === 'ask' && whole.rule === rule));
  };
}
