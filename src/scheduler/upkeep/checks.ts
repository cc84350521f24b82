import type { Settings } from '../../core/agent.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { PolicyCall, PolicyFacts } from '../../core/policy.ts';
import { type Net, NetError } from '../../core/ports/net.ts';
import { decide } from '../../policy/decide.ts';
import { netGrant, redirectPolicy } from '../../policy/grant.ts';

/** What came of one look at an address on the web. */
export interface CheckResult {
  url: string;
  /** `refused`: the rules, or the guard of the network, let nobody look. */
  state: 'ok' | 'down' | 'refused';
  /** HTTP status; null where there was no answer. */
  status: number | null;
  /** Whole days until the certificate ends; null where there is none. */
  days: number | null;
  /** Why, in a few words; '' for none. */
  why: string;
}

const DAY = 86_400_000;
const LIMITS = { maxBytes: 65_536, timeoutMs: 15_000, idleMs: 15_000, maxRedirects: 3 };
/** Characters of a rule's reason. */
const MAX_WHY = 160;
/** In words of our own: agents wake by what the probes print of it, and the other side chooses names it redirects to. */
const WHY: Readonly<Record<NetError['code'], string>> = {
  blocked: 'it is, or leads to, a private address, and no rule allows that host by name',
  dns: 'its name cannot be resolved',
  connect: 'it cannot be reached',
  timeout: 'it did not answer in time',
  'too-large': 'it answered with too much',
  redirect: 'it redirects to where nobody may go',
  protocol: 'it does not speak as it should',
  aborted: 'nobody waited for the answer',
};

/**
 * Looks at the addresses of `ruche.yaml`. That they stand there is the owner's leave to ask them; what a rule denies, or
 * wants a person for, is not asked, and private addresses need a rule that names them, as for every agent.
 */
export async function lookAtChecks(options: {
  net: Net;
  clock: Pick<Clock, 'now'>;
  settings: Pick<Settings, 'checks' | 'rules'>;
  /** Whose rules hold: the tool with which agents look at addresses. */
  tool: string;
  signal: AbortSignal;
}): Promise<CheckResult[]> {
  const { settings } = options;
  return Promise.all(settings.checks.map((url) => lookAt(url, options)));
}

async function lookAt(
  url: string,
  { net, clock, settings, tool, signal }: Parameters<typeof lookAtChecks>[0],
): Promise<CheckResult> {
  const call: PolicyCall = { tool, effect: 'read', url };
  const facts: PolicyFacts = {
    rules: settings.rules,
    agentRules: [],
    tools: [tool],
    network: null,
    sandboxed: true,
    labels: [],
  };
  const result: CheckResult = { url, state: 'ok', status: null, days: null, why: '' };
  const { verdict, rule, reason } = decide(call, facts);
  // The default for what is outside is to ask the owner, who has answered by writing it down.
  if (verdict === 'deny' || (verdict === 'ask' && rule !== 'builtin:public-network'))
    return { ...result, state: 'refused', why: plain(reason) };
  let validTo: number | null = null;
  try {
    const request = {
      url,
      ...LIMITS,
      signal,
      onRedirect: redirectPolicy(call, facts),
      onCertificate: (end: number) => void (validTo ??= end),
    };
    const response = await net.request(request, { ...netGrant(facts), who: 'checks', agent: null, run: null });
    await response.body?.cancel();
    const { status } = response;
    return { ...result, status, state: status < 400 ? 'ok' : 'down', days: daysUntil(validTo, clock.now()) };
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    const state = error.code === 'blocked' ? 'refused' : 'down';
    return { ...result, state, days: daysUntil(validTo, clock.now()), why: WHY[error.code] };
  }
}

const daysUntil = (end: number | null, now: number): number | null =>
  end === null ? null : Math.floor((end - now) / DAY);

const plain = (text: string): string => text.replaceAll(/\s+/g, ' ').trim().slice(0, MAX_WHY).toWellFormed();
