import { roughly } from '../core/text/duration.ts';
import { type Paused, pausedWords } from '../core/api/runtime.ts';
import type { TaskStatus } from '../core/task.ts';
import type { Standing } from '../core/api/views.ts';
import type { Doing, Entry } from './entry.ts';
import { sentence } from '../core/text/sentence.ts';
import { kindOf } from '../core/ids.ts';

/** Something a person is asked, in words. */
export interface Asked {
  kind: 'approval' | 'question';
  tool: string;
  /** True if the runtime asks, because it cannot tell what became of a call. */
  doubt: boolean;
  /** The question. */
  text: string;
  /** The rule that asks, and why. */
  rule: string;
  reason: string;
  at: number;
}

/** Everything a standing is told from, read at one moment. */
export interface Situation {
  entry: Entry;
  /** Of the queue. */
  status: TaskStatus;
  now: number;
  /** The title of the task whose run has taken this one in, and how that one stands. */
  taken: { title: string; standing: Standing } | null;
  /** Tasks that must end before it goes on. */
  awaited: readonly { task: string; agent: string }[];
  /** The task before it in its conversation. */
  before: { title: string; standing: Standing } | null;
  asked: readonly Asked[];
  /** What a model, or the run, failed of, in words; '' if nothing did. */
  failed: string;
  /** The last call that a rule denied. */
  denied: { tool: string; rule: string; reason: string } | null;
  interrupted: boolean;
  /** It must not begin before this moment, which has not come; null if nothing keeps it. */
  later?: { at: number; text: string } | null;
  /** What keeps it from going on now, with the mend, and since when. */
  hindered?: { why: string; since: number } | null;
  /** Why its agent takes no work; null if it does. */
  paused: Paused | null;
  /** Why nothing works now; null while the gateway runs. */
  stopped: string | null;
}

const NOTHING = { since: null, next: null } as const;

const together = (...texts: readonly string[]): string => texts.filter((text) => text !== '').join(' ');

const quote = (text: string): string => `“${text}”`;

/** A rule of the network has a name that its owner gave; one that is built in explains itself. */
const ruleWords = (rule: string): string =>
  kindOf(rule) === 'builtin' ? 'a built-in rule' : `the rule ${quote(rule)}`;

/** How the message of a task stands, and why. Pure: equal situations give equal words. */
export function standingOf(situation: Situation): Standing {
  const { entry, status } = situation;
  if (status === 'done') return { state: 'answered', why: answeredWords(situation), can: [], ...NOTHING };
  if (status === 'cancelled') return cancelled(entry);
  if (status === 'failed' || status === 'dead') return failed(situation);
  if (situation.taken !== null) {
    const { title, standing } = situation.taken;
    return { ...standing, why: `It joined the run of ${quote(title)}. ${standing.why}`, can: [] };
  }
  if (situation.stopped !== null) {
    const why = `Ruche is not running (${situation.stopped}); this goes on when it starts again.`;
    return { state: 'queued', why, can: ['cancel'], ...NOTHING };
  }
  if (status === 'waiting') return waiting(situation);
  return status === 'running' ? working(situation) : queued(situation);
}

const answeredWords = ({ denied }: Situation): string =>
  denied === null ? 'It was answered.' : together('It was answered.', deniedWords(denied));

const deniedWords = ({ tool, rule, reason }: NonNullable<Situation['denied']>): string =>
  sentence(`A call of ${quote(tool)} was denied by ${ruleWords(rule)}: ${reason}`);

function cancelled({ endedBy, retriedAs }: Entry): Standing {
  const who = endedBy === 'owner' || endedBy === '' ? 'the owner' : endedBy;
  const again = retriedAs === null ? '' : 'It was sent again.';
  return {
    state: 'cancelled',
    why: together(`It was cancelled by ${who}.`, again),
    can: retriedAs === null ? ['retry'] : [],
    ...NOTHING,
  };
}

function failed({ entry, failed: why, status, denied }: Situation): Standing {
  const tries = status === 'dead' && entry.attempt > 1 ? `It was tried ${entry.attempt} times.` : '';
  const rule = denied === null ? '' : deniedWords(denied);
  const again = entry.retriedAs === null ? '' : 'It was sent again.';
  return {
    state: 'failed',
    why: together(sentence(why) || 'It failed; the record does not say why.', tries, rule, again),
    can: entry.retriedAs === null ? ['retry'] : [],
    ...NOTHING,
  };
}

/** Tasks that others do, or do first. */
const awaitedWords = (awaited: Situation['awaited']): string =>
  awaited.map(({ task, agent }) => `${task} of ${agent}`).join(', ');

function waiting({ asked, awaited }: Situation): Standing {
  if (asked.length === 0 && awaited.length > 0)
    return { state: 'waiting', why: `It waits for ${awaitedWords(awaited)}.`, can: ['cancel'], ...NOTHING };
  const can: Standing['can'] = [];
  if (asked.some((each) => each.kind === 'approval')) can.push('approve');
  if (asked.some((each) => each.kind === 'question')) can.push('answer');
  const since = asked.length > 0 ? Math.min(...asked.map((each) => each.at)) : null;
  const why = asked.map(askedWords).join(' ') || 'It waits for a person.';
  return { state: 'waiting', why, can: [...can, 'cancel'], since, next: null };
}

function askedWords({ kind, tool, doubt, text, rule, reason }: Asked): string {
  if (kind === 'question')
    return doubt
      ? `It cannot tell whether a call took effect and waits for your answer: ${quote(text)}`
      : `It waits for your answer to its question: ${quote(text)}`;
  if (tool === 'landing') return 'It waits for your approval, because it changes protected files.';
  const why = rule === '' ? '' : `, which ${ruleWords(rule)} asks for: ${reason}`;
  return sentence(`It waits for your approval of a call of ${quote(tool)}${why}`);
}

function working({ entry, failed: why, now, hindered = null }: Situation): Standing {
  const can: Standing['can'] = ['cancel'];
  const last = entry.doing.at(-1);
  if (hindered !== null) {
    const text = together(hinderedWords(entry, hindered.why), `That has been so for ${roughly(now - hindered.since)}.`);
    return { state: 'retrying', why: text, can, since: hindered.since, next: null };
  }
  if (last === undefined && entry.failure !== null) {
    const text = together(
      sentence(`${entry.failure.model} failed: ${why}`),
      'A model is asked again within five minutes.',
    );
    return { state: 'retrying', why: text, can, since: entry.failure.at, next: null };
  }
  const after = entry.failure === null ? '' : sentence(`Before, ${entry.failure.model} failed: ${why}`);
  return {
    state: 'working',
    why: together(doingWords(last, now), after),
    can,
    since: last?.since ?? null,
    next: null,
  };
}

const hinderedWords = ({ doing, retry }: Entry, why: string): string =>
  doing.at(-1)?.kind === 'landing' || retry?.code === 'landing.blocked'
    ? `Its changes cannot land yet: ${sentence(why)} They land by themselves once that is mended.`
    : `It cannot go on now: ${sentence(why)} It goes on by itself once that is mended.`;

function doingWords(doing: Doing | undefined, now: number): string {
  if (doing === undefined) return 'It is running.';
  const time = roughly(now - doing.since);
  switch (doing.kind) {
    case 'model':
      return `It is running: ${doing.name} has been thinking for ${time}.`;
    case 'tool':
      return `It is running: ${quote(doing.name)} has been running for ${time}.`;
    case 'landing':
      return `It is running: its changes have been landing for ${time}.`;
  }
}

function queued(situation: Situation): Standing {
  const { entry, before, now, paused } = situation;
  const can: Standing['can'] = ['cancel'];
  if (paused !== null) {
    const why = `${pausedWords(entry.agent, paused, now)} It waits until the agent is resumed.`;
    return { state: 'queued', why, can, since: paused.at, next: null };
  }
  if (before !== null) {
    const why = `It comes after ${quote(before.title)} in this conversation, ${holderWords(before.standing)}.`;
    return { state: 'queued', why, can, ...NOTHING };
  }
  if (entry.retry !== null) {
    const { at } = entry.retry;
    const when = at > now ? `in ${roughly(at - now)}` : 'in a moment';
    const attempt = entry.attempt === 1 ? '' : ` (attempt ${entry.attempt} of ${entry.maxAttempts})`;
    const why = together(sentence(retryWords(situation)), `It is tried again ${when}${attempt}.`);
    return { state: 'retrying', why, can, since: entry.failure?.at ?? null, next: at };
  }
  const { awaited, later = null } = situation;
  if (later !== null) {
    const also = awaited.length > 0 ? ` and comes after ${awaitedWords(awaited)}` : '';
    return { state: 'queued', why: `It is queued until ${later.text}${also}.`, can, since: null, next: later.at };
  }
  const why = awaited.length > 0 ? `It begins after ${awaitedWords(awaited)}.` : soonWords(situation);
  return { state: 'queued', why, can, ...NOTHING };
}

function holderWords({ state, can }: Standing): string {
  if (state === 'waiting')
    return can.includes('answer')
      ? 'which waits for your answer'
      : `which waits for ${can.includes('approve') ? 'your approval' : 'other tasks'}`;
  if (state === 'retrying') return 'which failed and is tried again';
  return state === 'working' ? 'which is running' : 'which starts in a moment';
}

/** The record keeps a word for programs; people get a sentence. */
function retryWords({ entry, failed: why, hindered = null }: Situation): string {
  if (hindered !== null) return hinderedWords(entry, hindered.why);
  const code = entry.retry?.code ?? '';
  if (entry.failure !== null && code.startsWith('model.')) return `${entry.failure.model} failed: ${why}`;
  if (code === 'landing.blocked') return 'Its changes could not go into the workspace, which was busy';
  return code === 'internal' ? 'Something in Ruche went wrong' : 'The last attempt failed';
}

function soonWords({ entry, interrupted }: Situation): string {
  if (interrupted) return 'Ruche stopped while this was running; it goes on in a moment.';
  if (entry.run !== null) return 'What it waited for has been answered; it goes on in a moment.';
  return 'It starts in a moment.';
}
