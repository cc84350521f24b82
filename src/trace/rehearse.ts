import type { Governance } from '../core/agent.ts';
import type { Event, Verdict } from '../core/event.ts';
import { runOfStream } from '../core/ids.ts';
import type { Decision, DecisionRecord, PolicyCall } from '../core/policy.ts';
import type { Blobs, EventLog } from '../core/ports/store.ts';
import { ownerAddresses } from '../core/recipient.ts';
import { readJson } from '../core/records/json-blob.ts';
import { grantRule } from '../core/standing.ts';
import { seqBefore } from '../journal/since.ts';
import { decide } from '../policy/decide.ts';
import { rightsOf } from '../policy/rights.ts';

/** What the files of a commit, or of a proposal, say. */
export type Governed = Pick<Governance, 'settings' | 'agents'>;

export interface RehearseOptions {
  store: Pick<EventLog, 'read'> & Pick<Blobs, 'getBlob'>;
  /** Milliseconds since the epoch. */
  since: number;
  /** What governed at a commit; null if it cannot be read any more. */
  governedBy(commit: string): Promise<Governed | null>;
  /** The rules under which everything is decided again. */
  changed: Governed;
  /** Told of each decision with another verdict, the oldest first. */
  onChange(change: ChangedDecision): void;
}

type Outcome = Pick<Decision, 'verdict' | 'rule'>;

/** A decision that would be another one. */
export interface ChangedDecision {
  /** Id of its event. */
  event: string;
  at: number;
  run: string | null;
  agent: string;
  tool: string;
  /** What the call was about, in short. */
  what: string;
  was: Outcome;
  now: Decision;
}

/** Why a recorded decision cannot be decided again. */
type Unjudged =
  /** Of a version that kept no facts, or of a call that could not be read. */
  | 'no-facts'
  | 'erased'
  /** What governed then is not in the repository any more, or cannot be read by this version. */
  | 'old-rules-gone'
  /** The agent is not among the changed files. */
  | 'agent-gone'
  /** The unchanged rules give something else: a limit of the engine decided, or another version of the policy. */
  | 'not-by-rules';

export interface Rehearsal {
  since: number;
  /** Decisions on record since then. */
  decisions: number;
  /** Those that were decided again. */
  judged: number;
  changed: number;
  /** Same verdict by another rule. */
  otherRule: number;
  /** Of those that change, by agent: how often each verdict became which. */
  agents: { [agent: string]: { judged: number; changes: { [Change in `${Verdict}→${Verdict}`]?: number } } };
  unjudged: { [why in Unjudged]?: { count: number; /** The first few. */ events: string[] } };
}

const TYPES = ['decision.made'] as const;

/** Ids kept of what cannot be judged, for each reason. */
const MOST_IDS = 5;

/**
 * Decides every recorded decision again under other rules: a pure function of call and facts, so neither a model nor a tool
 * is needed. What the rules of then do not give again is not judged, for the new ones would say nothing of it. One decision
 * is held at a time.
 */
export async function rehearse(options: RehearseOptions): Promise<Rehearsal> {
  const { store, since, changed, onChange } = options;
  const found: Rehearsal = { since, decisions: 0, judged: 0, changed: 0, otherRule: 0, agents: {}, unjudged: {} };
  const unjudged = (event: Event, why: Unjudged): void => {
    const so = (found.unjudged[why] ??= { count: 0, events: [] });
    so.count += 1;
    if (so.events.length < MOST_IDS) so.events.push(event.id);
  };
  for await (const event of store.read({ types: TYPES, after: await seqBefore(store, since, TYPES) })) {
    if (event.type !== 'decision.made' || event.at < since) continue;
    found.decisions += 1;
    const again = await decideAgain(options, event.data);
    if (typeof again === 'string') {
      unjudged(event, again);
      continue;
    }
    const { verdict, rule } = event.data;
    const { record, now } = again;
    found.judged += 1;
    const mine = (found.agents[record.agent] ??= { judged: 0, changes: {} });
    mine.judged += 1;
    if (now.verdict === verdict) {
      if (now.rule !== rule) found.otherRule += 1;
      continue;
    }
    found.changed += 1;
    const way = `${verdict}→${now.verdict}` as const;
    mine.changes[way] = (mine.changes[way] ?? 0) + 1;
    const { id, at, stream } = event;
    const what = aboutOf(record.call);
    onChange({
      event: id,
      at,
      run: runOfStream(stream),
      agent: record.agent,
      tool: record.call.tool,
      what,
      was: { verdict, rule },
      now,
    });
  }
  return found;

  async function decideAgain(
    { governedBy }: RehearseOptions,
    made: Extract<Event, { type: 'decision.made' }>['data'],
  ): Promise<{ record: DecisionRecord; now: Decision } | Unjudged> {
    if (made.facts === undefined) return 'no-facts';
    const record = await readJson<DecisionRecord>(store, made.facts);
    if (record === null) return 'erased';
    const governed = await governedBy(record.config);
    const then = governed === null ? null : under(governed, record, record.facts.owners);
    if (then === null) return 'old-rules-gone';
    // A grant answers where the rules ask.
    const granted = made.rule.startsWith(grantRule('')) && then.verdict === 'ask';
    if (!granted && (then.verdict !== made.verdict || then.rule !== made.rule)) return 'not-by-rules';
    const now = under(changed, record, ownerAddresses(changed.settings.channels));
    if (now === null) return 'agent-gone';
    const answers = granted && now.verdict === 'ask' && (now.approvers ?? 1) === 1;
    return { record, now: answers ? { ...now, verdict: made.verdict, rule: made.rule } : now };
  }
}

function under(
  governed: Governed,
  { agent: name, senders, call, facts }: DecisionRecord,
  owners: readonly string[] | undefined,
): Decision | null {
  const agent = governed.agents.get(name);
  if (agent === undefined) return null;
  return decide(call, { ...facts, ...rightsOf(governed, agent, senders), ...(owners === undefined ? {} : { owners }) });
}

const MAX_ABOUT = 200;

const aboutOf = ({ paths = [], command, url, to }: PolicyCall): string =>
  [command, url, to, ...paths]
    .filter((part) => part !== undefined)
    .join(', ')
    .slice(0, MAX_ABOUT)
    .toWellFormed();
