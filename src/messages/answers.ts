import type { Answering } from '../core/standing.ts';
import type { EscalationDesk } from '../core/escalation.ts';
import type { Runtime } from '../core/api/runtime.ts';
import type { ApprovalVerdict } from '../core/agreed.ts';
import type { ChannelMessage } from '../core/ports/channel.ts';
import { CHAT_MAX } from '../core/records/matter.ts';

// What a person who was told of something says about it in a chat: by a button, or in words.

export interface AnswerDeps {
  runtime: Pick<Runtime, 'approve' | 'answer' | 'pending'> & {
    escalations: Pick<EscalationDesk, 'acknowledge' | 'list'>;
  };
}

/** Characters of a note. */
const MAX_NOTE = 2_000;

const noteIn = (text: string): Answering =>
  text.trim() === '' ? {} : { note: text.trim().slice(0, MAX_NOTE).toWellFormed() };

/** Carries out `/approve ID [NOTE]`, `/deny ID [NOTE]`, `/answer ID TEXT` and `/ack [ID]`; null for anything else. */
export async function runAnswer(deps: AnswerDeps, said: string, by: string): Promise<string | null> {
  const [, word = '', id = '', text = ''] =
    /^\/(approve|deny|answer|ack)(?:\s+`?([^\s`]+)`?)?(?:\s+([^]*))?$/i.exec(said.trim()) ?? [];
  const verb = word.toLowerCase();
  if (verb === '') return null;
  if (verb === 'ack') return id === '' ? acknowledgeOnly(deps, by) : acknowledge(deps, id, by);
  if (id === '') return `The id is missing. Write /${verb} ID${verb === 'answer' ? ' TEXT' : ''}.`;
  if (verb === 'approve' || verb === 'deny')
    return (await decide(deps, { id, verdict: verb, answering: noteIn(text) }, by)).text;
  if (text.trim() === '') return 'The answer is missing. Write it after the id.';
  const result = await deps.runtime.answer(id, text, by);
  return result.ok ? 'Answered.' : result.message;
}

/** A clear word, alone or with a note behind it. What asks back, or agrees to something else than was shown, is for the agent. */
const CLEAR = /^(?:(yes|no)(?=$|[\n.,!:;–—])|(approve|deny)(?=$|[\s.,!:;–—]))[\s.,!:;–—]*([^?]*)$/i;
const CONDITION = /^(?:but|if|only if|unless|once|when|after)\b/i;

/** Carries out a reply to an approval that says yes or no; null for any other. */
export async function runReply(
  deps: AnswerDeps,
  { actions, text }: NonNullable<ChannelMessage['answers']>,
  by: string,
): Promise<string | null> {
  const id = actions.map((action) => /^(?:approve|deny):(.+)$/.exec(action)?.[1]).find((each) => each !== undefined);
  const [, plain = '', verb = '', note = ''] = CLEAR.exec(text.trim()) ?? [];
  const word = (plain || verb).toLowerCase();
  if (id === undefined || word === '') return null;
  const verdict = word === 'yes' || word === 'approve' ? 'approve' : 'deny';
  if (verdict === 'approve' && CONDITION.test(note)) return null;
  return (await decide(deps, { id, verdict, answering: noteIn(note) }, by)).text;
}

const SCOPES: Readonly<Record<string, Answering>> = { task: { scope: 'task' }, grant: { scope: 'standing' } };

/** What pressing a button of an approval or an escalation does; null for a button of another kind. */
export async function pressAnswer(
  deps: AnswerDeps,
  action: string,
  by: string,
): Promise<{ text: string; done: boolean; stands?: string } | null> {
  const [, verb, id = ''] = /^(approve|deny|ack|task|grant):(.+)$/.exec(action) ?? [];
  // The other buttons of the message keep their use.
  if (verb === 'ack') return { text: await acknowledge(deps, id, by), done: false };
  if (verb === undefined) return null;
  const verdict = verb === 'deny' ? 'deny' : 'approve';
  const { text, settled } = await decide(deps, { id, verdict, answering: SCOPES[verb] ?? {} }, by);
  // What stands below the message for good is what has become of it, and not what was pressed.
  return { text, done: settled, ...(settled && { stands: text.replace(/\.$/, '') }) };
}

/** Gives an approval, or refuses it. `settled`: nothing waits for a verdict any more. */
async function decide(
  { runtime }: AnswerDeps,
  { id, verdict, answering }: { id: string; verdict: ApprovalVerdict; answering: Answering },
  by: string,
): Promise<{ text: string; settled: boolean }> {
  const waits = (text: string) => ({ text, settled: false });
  const settled = (text: string) => ({ text, settled: true });
  if (verdict === 'approve') {
    const waiting = (await runtime.pending()).find((each) => each.id === id);
    if (waiting !== undefined && waiting.text.length > CHAT_MAX)
      return waits(
        `${id} is too long to be shown here. Read it on the web page or with \`ruche approvals\`, and approve it there.`,
      );
  }
  const result = await runtime.approve(id, verdict, by, answering);
  if (result.ok && result.more !== undefined)
    return waits(`Approved by you: ${result.more.have} of ${result.more.needed}. It waits for another person.`);
  if (result.ok && answering.scope !== undefined)
    return settled(answering.scope === 'task' ? 'Approved for this task.' : 'Approved for 30 days.');
  if (result.ok) return settled(verdict === 'approve' ? 'Approved.' : 'Denied.');
  if (result.why === 'wrong-kind') return waits(`This is a question. Write /answer ${id} TEXT.`);
  if (result.why === 'not-shown' || result.why === 'refused') return waits(result.message);
  if (result.why !== 'answered') return settled('Nothing waits for this any more.');
  return settled(`It was already ${result.verdict === 'approve' ? 'approved' : 'denied'}.`);
}

const SEEN = {
  done: 'Acknowledged. Nobody else is notified; it still waits for an answer.',
  again: 'It was already acknowledged. It still waits for an answer.',
  ended: 'It is closed: nothing waits for this any more.',
} as const;

/** Stops the clock of an escalation, and leaves what waits as it is. */
async function acknowledge({ runtime }: AnswerDeps, id: string, by: string): Promise<string> {
  const done = await runtime.escalations.acknowledge(id, by);
  return done === null ? 'Nothing waits with this id.' : SEEN[done];
}

/** Without an id the only one is meant. */
async function acknowledgeOnly(deps: AnswerDeps, by: string): Promise<string> {
  const open = (await deps.runtime.escalations.list()).filter(({ acknowledged }) => acknowledged === null);
  const [only] = open;
  if (only === undefined) return 'Nothing waits to be acknowledged.';
  if (open.length === 1) return acknowledge(deps, only.id, by);
  return `Several wait. Write /ack ID with one of these ids:\n${open.map(({ id, agent }) => `- \`${id}\`${agent === null ? '' : ` (${agent})`}`).join('\n')}`;
}
