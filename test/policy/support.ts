import assert from 'node:assert/strict';
import type { Effect, Verdict } from '../../src/core/event.ts';
import type { PolicyCall, PolicyFacts, Rule, RuleMatch } from '../../src/core/policy.ts';
import { decide } from '../../src/policy/decide.ts';

let made = 0;

export const rule = (verdict: Verdict, match: RuleMatch, reason = 'Because.'): Rule => ({
  id: `${verdict}-${++made}`,
  verdict,
  match,
  reason,
});
export const allow = (match: RuleMatch): Rule => rule('allow', match);
export const ask = (match: RuleMatch): Rule => rule('ask', match);
export const deny = (match: RuleMatch): Rule => rule('deny', match);

export const TOOLS = ['read', 'write', 'edit', 'list', 'search', 'shell', 'fetch', 'ask', 'mail'];

export const facts = (changes: Partial<PolicyFacts> = {}): PolicyFacts => ({
  rules: [],
  agentRules: [],
  tools: TOOLS,
  network: null,
  sandboxed: true,
  labels: [],
  ...changes,
});

const call = (tool: string, effect: Effect, more: Partial<PolicyCall>): PolicyCall => ({ tool, effect, ...more });
export const reading = (...paths: string[]): PolicyCall => call('read', 'read', { paths });
export const writing = (...paths: string[]): PolicyCall => call('write', 'write', { paths });
export const shell = (command: string): PolicyCall => call('shell', 'exec', { command });
export const fetching = (url: string): PolicyCall => call('fetch', 'read', { url });
export const mailing = (more: Partial<PolicyCall> = {}): PolicyCall => call('mail', 'send', more);

export type Row = [name: string, call: PolicyCall, facts: PolicyFacts, verdict: Verdict, rule?: string];

/** Holds each row against what is decided. */
export function check(rows: readonly Row[], least: number): void {
  assert.ok(rows.length >= least, `only ${rows.length} rows`);
  for (const [name, call, given, verdict, id] of rows) {
    const decision = decide(call, given);
    assert.equal(decision.verdict, verdict, `${name}: ${JSON.stringify(decision)}`);
    if (id !== undefined) assert.equal(decision.rule, id, name);
    assert.match(decision.reason, /\S.*\.$/s, `${name}: a reason is a sentence`);
  }
}
