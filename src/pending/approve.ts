import type { ApprovalVerdict } from '../core/agreed.ts';
import type { EventOf, NewEvent } from '../core/event.ts';
import { runOfStream } from '../core/ids.ts';
import type { BlobRef } from '../core/blob.ts';
import type { Store } from '../core/ports/store.ts';
import type { AnswerResult } from '../core/api/runtime.ts';
import type { CriticalValue } from '../core/policy.ts';
import { putJson, readJson } from '../core/records/json-blob.ts';
import { answeredKey, askedKey, LIMIT_CALL } from '../core/records/matter.ts';
import {
  type Answering,
  type AskedAbout,
  grantStream,
  type GrantValue,
  voteKey,
  WHOLE_CALL,
} from '../core/standing.ts';
import { unknownText } from '../core/text/unknown.ts';
import { globProblem, kindOfValue } from '../policy/standing.ts';
import { answered, type MailDeps, openWaits, settleWait, startOf, wrongKind } from './pending.ts';
import type { Standing } from './standing.ts';
import { votesFor } from '../core/records/votes.ts';

export type ApproveDeps = Pick<
  MailDeps,
  'store' | 'clock' | 'ids' | 'redact' | 'answerHeld' | 'standing' | 'person' | 'boundary'
>;

/** What earlier versions wrote below a difference that they had cut. */
const WAS_CUT = /\n… (\d+ more characters); SHA-256 of the whole [0-9a-f]{64}$/;
/** Whose key the terms of standing grants are kept under: they outlive the conversation in which they were given. */
const GRANTS = 'grants';
/** Milliseconds that a standing grant lasts where nobody says how long. */
const LASTS_MS = 30 * 86_400_000;
const MAX_COUNT = 1_000;
const MAX_LASTS_MS = 366 * 86_400_000;

/** The blob of an approval, as far as it matters for the answer. */
interface Shown {
  text?: string;
  hidden?: string;
  about?: AskedAbout;
}

/** Why a person cannot be shown all of what an approval would allow; null if they can. */
async function hiddenIn(store: Store, shown: BlobRef): Promise<string | null> {
  const found = await readJson<Shown>(store, shown);
  const cut = WAS_CUT.exec(found?.text ?? '');
  return found?.hidden ?? (cut ? `there are ${cut[1]}` : null);
}

const notShown = (id: string, hidden: string): AnswerResult => ({
  ok: false,
  why: 'not-shown',
  message: `${id} cannot be approved, because it cannot be shown whole: ${hidden}. Deny it (\`ruche deny ${id}\`), and make the change yourself if you want it.`,
});

const refused = (message: string): AnswerResult => ({ ok: false, why: 'refused', message });

/** Records a person's verdict once, with what they grant beside, and lets the run go on. */
export async function approve(
  deps: ApproveDeps,
  id: string,
  verdict: ApprovalVerdict,
  by: string,
  answering: Answering = {},
): Promise<AnswerResult> {
  const asked = await deps.store.byKey(askedKey(id));
  if (verdict === 'approve' && (asked?.type === 'config.held' || asked?.type === 'approval.asked')) {
    const hidden = await hiddenIn(deps.store, asked.data.shown);
    if (hidden !== null) return notShown(id, hidden);
  }
  const beyond = answering.scope !== undefined || (answering.vouch ?? []).length > 0;
  if (beyond && (verdict === 'deny' || asked?.type === 'config.held'))
    return refused('Only a call that is approved can be allowed for more than once.');
  if (asked?.type === 'config.held') return deps.answerHeld(id, verdict, by);
  if (asked?.type === 'question.asked' || asked?.type === 'matter.raised')
    return wrongKind(`${id} is a question. Answer it with: ruche answer ${id} TEXT.`);
  if (asked?.type !== 'approval.asked')
    return { ok: false, why: 'unknown', message: unknownText('approval', id, { list: 'ruche approvals' }) };
  const also: Beside = beyond ? await beside(deps, asked, by, answering) : { events: [] };
  if ('why' in also) return also;
  const seconds = verdict === 'approve' ? await second(deps, asked, by) : { also: [] };
  if ('ok' in seconds) return seconds;
  const { note } = answering;
  const reason = note === undefined ? null : putJson(deps.store, { text: note }, asked.data.shown.subject, deps.redact);
  const others = seconds.also.length === 0 ? {} : { also: seconds.also };
  const data = { approval: id, verdict, by, reason, ...others };
  if (also.grant !== undefined) deps.boundary('grant.give.before');
  const result = await settleWait(deps, asked, { type: 'approval.answered', data }, by, id, also.events);
  if (also.grant !== undefined) deps.boundary('grant.give.after');
  if (!result.ok || also.events.length === 0) return result;
  // Calls that the run makes next may rest on it.
  await deps.standing.refresh();
  if (answering.scope === 'task') await approveLike(deps, asked, by);
  return also.grant === undefined ? result : { ...result, grant: also.grant };
}

/** Lets a run that waits for more money look at its limit again; nothing else is approved by itself. */
export async function goOn({ store }: Pick<MailDeps, 'store'>, id: string, why: string): Promise<void> {
  const asked = await store.byKey(askedKey(id));
  if (asked?.type === 'approval.asked' && asked.data.call === LIMIT_CALL) await alone(store, asked, 'approve', why);
}

/** Calls of the kind that wait beside the one that was approved for the task: nobody is asked for each of them. */
async function approveLike(deps: ApproveDeps, { stream, data }: EventOf<'approval.asked'>, by: string): Promise<void> {
  for (const wait of await openWaits(deps.store, runOfStream(stream) ?? ''))
    if (wait.type === 'approval.asked' && data.kind !== undefined && wait.data.kind?.hash === data.kind.hash)
      await approve(deps, wait.data.approval, 'approve', by);
}

/** Denies an approval that nobody has answered in time. */
export async function expire(deps: Pick<MailDeps, 'store' | 'answerHeld'>, id: string, why: string): Promise<void> {
  const asked = await deps.store.byKey(askedKey(id));
  if (asked?.type === 'config.held') await deps.answerHeld(id, 'deny', 'runtime');
  if (asked?.type === 'approval.asked') await alone(deps.store, asked, 'deny', why);
}

async function alone(
  store: Store,
  asked: EventOf<'approval.asked'>,
  verdict: ApprovalVerdict,
  why: string,
): Promise<void> {
  const { approval, shown } = asked.data;
  const reason = putJson(store, { text: why }, shown.subject);
  const data = { approval, verdict, by: 'runtime', reason };
  await settleWait({ store }, asked, { type: 'approval.answered', data }, 'runtime', approval);
}

/**
 * Where an approval needs several persons: records that one of them says yes, until enough have. `also`: who has said so before the
 * one whose word is the last that it needs.
 */
async function second(
  deps: ApproveDeps,
  asked: EventOf<'approval.asked'>,
  by: string,
): Promise<AnswerResult | { also: readonly string[] }> {
  const { store } = deps;
  const { approval: id, approvers: needed = 1 } = asked.data;
  if (needed === 1) return { also: [] };
  const person = deps.person(by);
  for (;;) {
    const expect = { [asked.stream]: await store.version(asked.stream) };
    const votes = await votesFor(store, asked);
    const others = votes.filter((vote) => vote.person !== person);
    if (others.length >= needed - 1) return { also: others.map((vote) => vote.by) };
    const task = (await startOf(store, asked.stream))?.data.task ?? null;
    const before = await store.byKey(answeredKey(id));
    if (before !== null) return answered(before, task, id);
    if (task === null || (await store.task(task))?.status !== 'waiting')
      return {
        ok: false,
        why: 'unknown',
        message: `The run that asked ${id} has ended. Nothing waits for the answer.`,
      };
    const more = { needed, have: others.length + 1 };
    // Said twice, also over another channel, it is one person's word.
    if (votes.length > others.length) return { ok: true, task, more };
    const data = { approval: id, by, person };
    const about = { stream: asked.stream, actor: by, cause: asked.id, labels: [], key: voteKey(id, person) };
    const event: NewEvent = { type: 'approval.seconded', data, ...about };
    if ((await store.commit({ events: [event], expect, sync: true })).ok) return { ok: true, task, more };
    // Another answer came in between: look again.
  }
}

type Beside = Extract<AnswerResult, { ok: false }> | { events: NewEvent[]; grant?: string };

/** What is granted and vouched for with an approval. */
async function beside(
  deps: ApproveDeps,
  asked: EventOf<'approval.asked'>,
  by: string,
  answering: Answering,
): Promise<Beside> {
  const no = (message: string) => ({ ok: false, why: 'refused', message }) as const;
  const { approval: id, approvers = 1 } = asked.data;
  const about = (await readJson<Shown>(deps.store, asked.data.shown))?.about;
  if (about === undefined) return no('Only a call can be allowed for more than once, and only this one is asked for.');
  if (approvers > 1) return no(`${id} needs ${approvers} persons each time, so it can only be approved once.`);
  const events: NewEvent[] = [];
  for (const name of answering.vouch ?? []) {
    const values = about.values.filter((each) => each.name === name && name !== WHOLE_CALL);
    if (values.length === 0)
      return no(`The call has no value "${name}" to vouch for: it has ${namesOf(about.values)}.`);
    if (values.some(({ value }) => /\p{C}/u.test(value)))
      return no(`${name} has characters that cannot be seen, so nobody can vouch for it.`);
    for (const value of values)
      events.push(vouchFor(deps.standing, value, about, { by, cause: asked.id, approval: id }));
  }
  if (answering.scope === undefined) return { events };
  const grant = await granting(deps, asked, by, { ...answering, scope: answering.scope }, about);
  return typeof grant === 'string' ? no(grant) : { events: [grant, ...events], grant: grant.data.grant };
}

const namesOf = (values: readonly CriticalValue[]): string =>
  values
    .map(({ name }) => name)
    .filter((name) => name !== WHOLE_CALL)
    .join(', ') || 'none';

function vouchFor(
  standing: Standing,
  { name, value }: CriticalValue,
  { sources }: AskedAbout,
  how: { by: string; cause: string; approval: string },
): NewEvent {
  const kind = kindOfValue(value);
  return standing.endorsing(kind === 'file' ? 'text' : kind, { value, name, note: '', sources }, how);
}

/** The event of the grant; or why it cannot be given. */
async function granting(
  { store, clock, ids, redact }: ApproveDeps,
  asked: EventOf<'approval.asked'>,
  by: string,
  { scope, until, count, globs = {} }: Answering & { scope: 'task' | 'standing' },
  about: AskedAbout,
): Promise<(NewEvent & { type: 'grant.given' }) | string> {
  const started = await startOf(store, asked.stream);
  if (started === null) return 'The run that asked is not on record any more.';
  const wrong = termsProblem({ scope, until, count, globs }, about.values, clock.now());
  if (wrong !== null) return wrong;
  const standing = scope === 'standing';
  const values = about.values.map(({ name, value }): GrantValue => {
    const glob = globs[name];
    return glob === undefined ? { name, value } : { name, glob };
  });
  const grant = ids.next('grt');
  const terms = putJson(store, { values }, standing ? GRANTS : asked.data.shown.subject, redact);
  const { agent, task } = started.data;
  const data = {
    grant,
    scope,
    agent,
    tool: asked.data.tool,
    terms,
    over: about.labels,
    task: standing ? null : task,
    until: standing ? (until ?? clock.now() + LASTS_MS) : null,
    count: standing ? (count ?? null) : null,
    approval: asked.data.approval,
  };
  return { type: 'grant.given', data, stream: grantStream(grant), actor: by, cause: asked.id, labels: [] };
}

/** What is wrong with the terms of a grant; null if nothing is. */
function termsProblem(
  { scope, until, count, globs = {} }: Answering,
  values: readonly CriticalValue[],
  now: number,
): string | null {
  if (scope === 'task' && (until !== undefined || count !== undefined || Object.keys(globs).length > 0))
    return 'An approval for this task ends with the task, and is for the same values: it takes no expiry, count or pattern.';
  if (until !== undefined && !(until > now && until <= now + MAX_LASTS_MS))
    return 'A grant ends at a time ahead, and within a year.';
  if (count !== undefined && !(Number.isInteger(count) && count >= 1 && count <= MAX_COUNT))
    return `A grant may be used 1 to ${MAX_COUNT} times.`;
  for (const [name, glob] of Object.entries(globs)) {
    const meant = values.filter((each) => each.name === name);
    if (meant.length === 0) return `The call has no value "${name}": it has ${namesOf(values)}.`;
    const wrong = meant.map((each) => globProblem(each, glob)).find((each) => each !== null);
    if (wrong !== undefined) return `"${glob}" cannot stand for ${name}: ${wrong}.`;
  }
  return null;
}
