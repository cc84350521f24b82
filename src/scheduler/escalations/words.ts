import type { Button } from '../../core/ports/channel.ts';
import { ackAction, DENY, type EscalationState, readReceiver } from '../../core/escalation.ts';
import { type ReplyContent, OUTBOX } from '../../core/records/reply.ts';
import type { Pending } from '../../core/api/runtime.ts';
import type { TaskContent } from '../../core/task.ts';
import { inWords } from '../../core/text/duration.ts';
import { wrapUntrusted, visible, fenced } from '../../core/text/untrusted.ts';
import { type Escalation, climbOf, type TimeOf, nextDue } from './standing.ts';
import { answeredKey, askedKey } from '../../core/records/matter.ts';
import { askedLines, votesText } from '../../core/records/asked.ts';
import type { Store } from '../../core/ports/store.ts';
import { readText } from '../../core/records/json-blob.ts';

/** Characters of what waits that are passed on: all of it can be read where it waits. */
const MAX_SHOWN = 3_000;
/** Characters that a button can carry back: Telegram takes 64 bytes. */
const MAX_ACTION = 64;

const KINDS = { approval: 'asks for approval', question: 'asks', matter: 'needs attention' } as const;

/** What an escalation's words are told by. */
export interface Told {
  now: number;
  /** By the clock of the network's zone, which it names. */
  timeText(at: number): string;
}

/** For machines. */
const iso = (at: number): string => new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');

const cut = (text: string): string =>
  text.length <= MAX_SHOWN
    ? text
    : `${text.slice(0, MAX_SHOWN).toWellFormed()}\n… (cut; \`ruche approvals\` has all of it)`;

const who = ({ started }: Escalation): string =>
  started.data.kind === 'matter'
    ? `Something of ${started.data.agent ?? 'the network'}`
    : (started.data.agent ?? 'The network');

/** When an approval is denied; null for what is not. */
function deniedAt({ started }: Escalation): number | null {
  const last = started.data.levels.at(-1);
  return last?.to === DENY ? started.data.from + last.after : null;
}

const howToDecide = (about: string, whole: boolean): string =>
  whole
    ? `Press a button, or write \`/approve ${about}\` or \`/deny ${about}\`.`
    : `This is not all of it: read the rest on the web page or with \`ruche approvals\`, and approve it there. \`/deny ${about}\` denies it.`;

/** Who else knows of it, and for how long nobody has done anything: the second person must not think to be the first. */
function toldBefore({ started, reached }: Escalation, now: number): string | null {
  if (reached.length === 0) return null;
  const names = (is: (outcome: string) => boolean): string =>
    [...new Set(reached.filter(({ data }) => is(data.outcome)).map(({ data }) => receiverName(data.to)))].join(', ');
  const [told, missed] = [names((outcome) => outcome !== 'unreachable'), names((outcome) => outcome === 'unreachable')];
  const waited = now - started.data.from;
  return [
    waited < 1000 ? null : `Nobody has answered for ${inWords(waited)}.`,
    told === '' ? null : `Notified before you: ${told}.`,
    missed === '' ? null : `Not reached: ${missed}.`,
  ]
    .filter((line) => line !== null)
    .join(' ');
}

/** The address of a webhook may hold a secret. */
function receiverName(to: string): string {
  const receiver = readReceiver(to);
  if (receiver?.kind === 'agent') return `the agent ${receiver.agent}`;
  return receiver?.kind === 'webhook' ? 'a webhook' : visible(to);
}

/** What stands behind an approval, in lines of their own. */
function behindOf({ about, approvers }: Pending): string | null {
  const lines = [...(about === undefined ? [] : askedLines(about)), votesText(approvers)];
  return (
    lines
      .filter((line) => line !== null)
      .map(visible)
      .join('\n') || null
  );
}

/** What a person on a channel reads. */
export function noticeOf(escalation: Escalation, pending: Pending, { now, timeText }: Told): ReplyContent {
  const { id, started } = escalation;
  const { about, kind, task, from } = started.data;
  const denied = deniedAt(escalation);
  // Nobody approves what they have not seen to its end.
  const whole = pending.text.length <= MAX_SHOWN;
  const lines = [
    `**${who(escalation)} ${KINDS[kind]}** (since ${timeText(from)}${task === null ? '' : `, task ${task}`})`,
    toldBefore(escalation, now),
    fenced(visible(cut(pending.text))),
    pending.reason === '' ? null : `Why: ${visible(pending.reason)}`,
    behindOf(pending),
    kind === 'approval' ? howToDecide(about, whole) : `Answer with \`/answer ${about} TEXT\`.`,
    `\`/ack ${id}\` marks it as being handled by you: nobody else is notified${denied === null ? '' : ', and it is not denied'}.`,
    denied === null ? null : `Without either it is denied at ${timeText(denied)}.`,
  ];
  const verdicts: Button[] =
    kind === 'approval'
      ? [
          ...(whole ? [{ label: 'Approve', action: `approve:${about}` }] : []),
          { label: 'Deny', action: `deny:${about}` },
        ]
      : [];
  // One that is too long for the messenger would cost the whole message; the words stand in the text.
  const buttons = [...verdicts, { label: 'Acknowledge', action: ackAction(id) }].filter(
    ({ action }) => action.length <= MAX_ACTION,
  );
  return { text: lines.filter((line) => line !== null).join('\n\n'), buttons };
}

/** What is posted to a webhook. */
export function postedOf(escalation: Escalation, level: number, pending: Pending): ReplyContent {
  const { id, started } = escalation;
  const { about, kind, chain, task, agent, from } = started.data;
  const { text, reason } = pending;
  const body = {
    escalation: id,
    about,
    kind,
    chain,
    level: level + 1,
    agent,
    task,
    since: iso(from),
    text: cut(text),
    reason,
  };
  return { text: JSON.stringify(body) };
}

/** What an agent is told. It can look after the matter, and cannot decide it. */
export function taskContentOf(
  escalation: Escalation,
  pending: Pending,
  boundary: string,
  { timeText }: Pick<Told, 'timeText'>,
): TaskContent {
  const { started } = escalation;
  const { about, kind, chain, from, task } = started.data;
  const waits =
    kind === 'approval'
      ? 'Only a person can approve or deny it; you cannot.'
      : 'Only a person can answer it; your answer is recorded beside it.';
  const text = [
    `${who(escalation)} ${KINDS[kind]}, since ${timeText(from)}, and nobody has answered. It is ${about}${task === null ? '' : ` of the task ${task}`}, and has come to you by the chain ${chain}.`,
    wrapUntrusted(cut(pending.text), about, boundary),
    pending.reason === '' ? null : `Why a person was asked: ${visible(pending.reason)}`,
    `${waits} See what you can find out or prepare within your own work, and answer with what a person should know to decide.`,
  ];
  return {
    title: `${kind} ${about} waits`,
    text: text.filter((line) => line !== null).join('\n\n'),
    input: null,
    artefacts: [],
  };
}

/** What was asked: it is told also when nothing waits any more. */
async function askedText(store: Store, about: string): Promise<string> {
  const asked = await store.byKey(askedKey(about));
  const ref =
    asked?.type === 'approval.asked' || asked?.type === 'config.held'
      ? asked.data.shown
      : asked?.type === 'question.asked' || asked?.type === 'matter.raised'
        ? asked.data.text
        : null;
  return ref === null ? '' : ((await readText(store, ref)) ?? '(erased)');
}

async function answeredBy(store: Store, about: string): Promise<string | null> {
  const answer = await store.byKey(answeredKey(about));
  const known =
    answer?.type === 'approval.answered' || answer?.type === 'question.answered' || answer?.type === 'matter.settled';
  return known ? answer.data.by : null;
}

/** An escalation as people look at it. */
export async function stateOf(
  { store, pending }: { store: Store; pending(id: string): Promise<Pending | null> },
  escalation: Escalation,
  { timeOf, now, since }: { timeOf: TimeOf; now: number; since: number },
): Promise<EscalationState> {
  const { id, started, reached, acknowledged, ended } = escalation;
  const { about, kind, chain, task, agent, from } = started.data;
  const climb = await climbOf(store, escalation, timeOf);
  const waits = ended === null ? await pending(about) : null;
  const levels: EscalationState['levels'] = [];
  for (const [index, { to, after }] of started.data.levels.entries()) {
    const event = reached[index];
    const due = climb.from + after;
    if (event === undefined) levels.push({ to, due, reached: null });
    else {
      const { outcome, why, task: by } = event.data;
      const given = by === null ? null : await store.task(by);
      const answer =
        given?.agent && given.queue !== OUTBOX && given.result ? await readText(store, given.result) : null;
      const status = given?.status ?? null;
      levels.push({ to, due, reached: { at: event.at, outcome, why, task: by, status, answer } });
    }
  }
  return {
    id,
    about,
    kind,
    chain,
    task,
    agent,
    from,
    levels,
    next: ended === null ? nextDue(climb, { now, since }) : null,
    acknowledged: acknowledged === null ? null : { at: acknowledged.at, by: acknowledged.actor },
    ended: ended === null ? null : { at: ended.at, why: ended.data.why, by: await answeredBy(store, about) },
    text: waits?.text ?? (await askedText(store, about)),
    pending: waits === null ? null : { text: waits.text, reason: waits.reason },
  };
}
