import type { PolicyStats, RuleStats } from '../core/api/policy.ts';
import type { DecisionRecord, RuleMatch } from '../core/policy.ts';
import type { BlobRef } from '../core/blob.ts';
import type { Blobs, EventLog } from '../core/ports/store.ts';
import { readJson } from '../core/records/json-blob.ts';
import { canonicalJson } from '../core/text/json.ts';
import { seqBefore } from '../journal/since.ts';
import { narrowest } from '../policy/explain.ts';

/** Answers after which a rule that was never said no to only costs patience. */
const ENOUGH = 5;

interface Asked {
  rule: string;
  at: number;
  facts: BlobRef | undefined;
}

interface Tally {
  asked: number;
  approved: number;
  denied: number;
  waits: number[];
  /** Patterns that mean just what was approved, as long as there are few, with how often each was. */
  matches: Map<string, number>;
}

/** What people are asked without a rule. */
const UNRULED = new Set(['landing', 'budget']);

/** Different calls after which a rule that names them one by one would be no help. */
const MOST_MATCHES = 20;

/**
 * What rules have asked people for since a time, and what came of it. Asks that are open, or that ended with their run,
 * are answered by nobody; so are those that an escalation denied.
 */
export async function policyStats(
  store: Pick<EventLog, 'read'> & Pick<Blobs, 'getBlob'>,
  since: number,
): Promise<PolicyStats> {
  const decided = new Map<string, { rule: string; facts: BlobRef | undefined }>();
  const open = new Map<string, Asked>();
  const rules = new Map<string, Tally>();
  const of = (rule: string): Tally => {
    const tally = rules.get(rule) ?? { asked: 0, approved: 0, denied: 0, waits: [], matches: new Map() };
    rules.set(rule, tally);
    return tally;
  };
  let runs = 0;
  // What was decided just before it was asked counts, too.
  const after = await seqBefore(store, since - MINUTE, ['approval.asked', 'run.started']);
  for await (const event of store.read({ types: TYPES, after })) {
    if (event.type === 'run.started' && event.at >= since) runs += 1;
    if (event.type === 'run.finished') forget(decided, event.stream);
    if (event.type === 'decision.made' && event.data.verdict === 'ask') {
      const { call, rule, facts } = event.data;
      decided.set(`${event.stream} ${call}`, { rule, facts });
    }
    if (event.type === 'approval.asked' && event.at >= since) {
      const made = decided.get(`${event.stream} ${event.data.call}`);
      const rule = event.data.rule ?? made?.rule ?? (UNRULED.has(event.data.call) ? event.data.call : 'unknown');
      open.set(event.data.approval, { rule, at: event.at, facts: made?.facts });
      of(rule).asked += 1;
    }
    if (event.type !== 'approval.answered') continue;
    const asked = open.get(event.data.approval);
    if (asked === undefined) continue;
    open.delete(event.data.approval);
    if (!isPerson(event.data.by)) continue;
    const tally = of(asked.rule);
    tally[event.data.verdict === 'approve' ? 'approved' : 'denied'] += 1;
    tally.waits.push(Math.max(0, event.at - asked.at));
    if (event.data.verdict === 'approve') await note(store, tally, asked.facts);
  }
  const told = [...rules].map(([rule, tally]) => statsOf(rule, tally)).toSorted((a, b) => b.asked - a.asked);
  const asks = told.reduce((sum, { asked }) => sum + asked, 0);
  return { since, runs, asks, per100: runs === 0 ? null : round((100 * asks) / runs), rules: told };
}

const TYPES = ['run.started', 'run.finished', 'decision.made', 'approval.asked', 'approval.answered'] as const;

/** What the runtime answers by itself is nobody's answer. */
const isPerson = (by: string): boolean => by !== 'runtime' && !by.startsWith('escalation');

/** What a run was asked about is settled when it ends. */
function forget(decided: Map<string, unknown>, stream: string): void {
  for (const key of decided.keys()) if (key.startsWith(`${stream} `)) decided.delete(key);
}

async function note(store: Pick<Blobs, 'getBlob'>, { matches }: Tally, facts: BlobRef | undefined): Promise<void> {
  const record = facts === undefined ? null : await readJson<DecisionRecord>(store, facts);
  const match = record === null ? null : narrowest(record.call);
  const key = match === null ? '' : canonicalJson(match);
  if (matches.size < MOST_MATCHES || matches.has(key)) matches.set(key, (matches.get(key) ?? 0) + 1);
}

function statsOf(rule: string, { asked, approved, denied, waits, matches }: Tally): RuleStats {
  const sorted = waits.toSorted((a, b) => a - b);
  const at = (part: number): number | null => sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? null;
  const patience = denied === 0 && approved >= ENOUGH;
  return {
    rule,
    asked,
    approved,
    denied,
    nobody: asked - approved - denied,
    medianMs: at(0.5),
    p90Ms: at(0.9),
    patience,
    ...(patience ? { spare: spareOf(rule, approved, matches) } : {}),
  };
}

/** Questions that come where no rule speaks: an allow rule is enough. Every other one stands over an allow. */
const BY_DEFAULT = ['builtin:public-network', 'builtin:unsandboxed-shell', 'builtin:tell-other', 'builtin:unknown'];

/** What would have spared these questions. */
function spareOf(
  rule: string,
  approved: number,
  matches: ReadonlyMap<string, number>,
): NonNullable<RuleStats['spare']> {
  const known = [...matches].filter(([key]) => key !== '');
  const [most] = known.toSorted(([, a], [, b]) => b - a);
  const by = BY_DEFAULT.includes(rule)
    ? 'allow'
    : rule.startsWith('builtin:') || rule === 'landing'
      ? 'grant'
      : 'narrow';
  if (most === undefined) return { by, match: null, count: 0, of: approved };
  const [key, count] = most;
  return { by, match: JSON.parse(key) as RuleMatch, count, of: approved };
}

const MINUTE = 60_000;

const round = (number: number): number => Math.round(number * 10) / 10;
