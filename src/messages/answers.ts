import type { EscalationDesk } from '../core/escalation.ts';
import type { Runtime } from '../core/api/runtime.ts';

// What a person who was told of something says about it in a chat: by a button, or in words.

export interface AnswerDeps {
  runtime: Pick<Runtime, 'approve' | 'answer'> & { escalations: Pick<EscalationDesk, 'acknowledge' | 'list'> };
}

/** Carries out `/approve ID`, `/deny ID`, `/answer ID TEXT` and `/ack [ID]`; null for anything else. */
export async function runAnswer(deps: AnswerDeps, said: string, by: string): Promise<string | null> {
  const [, word = '', id = '', text = ''] =
    /^\/(approve|deny|answer|ack)(?:\s+`?([^\s`]+)`?)?(?:\s+([^]*))?$/i.exec(said.trim()) ?? [];
  const verb = word.toLowerCase();
  if (verb === '') return null;
  if (verb === 'ack') return id === '' ? acknowledgeOnly(deps, by) : acknowledge(deps, id, by);
  if (id === '') return `Which one? Write /${verb} and its id${verb === 'answer' ? ', then the answer' : ''}.`;
  if (verb === 'approve' || verb === 'deny') return decide(deps, { id, verdict: verb }, by);
  if (text.trim() === '') return 'The answer is missing: write it behind the id.';
  const result = await deps.runtime.answer(id, text, by);
  return result.ok ? 'Answered.' : result.message;
}

/** What pressing a button of an approval or an escalation does; null for a button of another kind. */
export async function pressAnswer(
  deps: AnswerDeps,
  action: string,
  by: string,
): Promise<{ text: string; done: boolean } | null> {
  const [, verb, id = ''] = /^(approve|deny|ack):(.+)$/.exec(action) ?? [];
  // The other buttons of the message keep their use.
  if (verb === 'ack') return { text: await acknowledge(deps, id, by), done: false };
  return verb === 'approve' || verb === 'deny'
    ? { text: await decide(deps, { id, verdict: verb }, by), done: true }
    : null;
}

/** Gives an approval, or refuses it. */
async function decide(
  { runtime }: AnswerDeps,
  { id, verdict }: { id: string; verdict: 'approve' | 'deny' },
  by: string,
): Promise<string> {
  const result = await runtime.approve(id, verdict, by);
  if (result.ok) return verdict === 'approve' ? 'Approved.' : 'Denied.';
  if (result.why === 'wrong-kind') return `This is a question: write /answer ${id} and the answer.`;
  if (result.why !== 'answered') return 'Nothing waits for this any more.';
  return `It was ${result.verdict === 'approve' ? 'approved' : 'denied'} already.`;
}

const SEEN = {
  done: 'Noted: nobody further is told. It still waits for its answer.',
  again: 'That was noted before. It still waits for its answer.',
  ended: 'It is over: nothing waits for this any more.',
} as const;

/** Stops the clock of an escalation, and leaves what waits as it is. */
async function acknowledge({ runtime }: AnswerDeps, id: string, by: string): Promise<string> {
  const done = await runtime.escalations.acknowledge(id, by);
  return done === null ? 'Nothing waits under this id.' : SEEN[done];
}

/** Without an id the only one is meant. */
async function acknowledgeOnly(deps: AnswerDeps, by: string): Promise<string> {
  const open = (await deps.runtime.escalations.list()).filter(({ acknowledged }) => acknowledged === null);
  const [only] = open;
  if (only === undefined) return 'There is nothing to acknowledge.';
  if (open.length === 1) return acknowledge(deps, only.id, by);
  return `Which one? Write /ack and its id:\n${open.map(({ id, agent }) => `- \`${id}\`${agent === null ? '' : ` (${agent})`}`).join('\n')}`;
}
