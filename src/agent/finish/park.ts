import { fenced } from '../../core/text/untrusted.ts';
import type { AgentDeps, Turn } from '../run/deps.ts';
import type { BlobRef } from '../../core/blob.ts';
import type { EventOf, Wait } from '../../core/event.ts';
import type { Task } from '../../core/task.ts';
import type { Button } from '../../core/ports/channel.ts';
import { putKey, type ReplyContent, replyBody, sendingOp } from '../../core/records/reply.ts';
import { loadJson, messageOf, type ShownCall } from '../run/log.ts';
import { readText } from '../../core/records/json-blob.ts';
import { askedLines, votesText } from '../../core/records/asked.ts';
import { likeApproved } from '../../core/records/votes.ts';
import { OFFERED_AFTER } from '../../core/standing.ts';
import { askedKey, CHAT_MAX, LANDING_REASON, LIMIT_REASON } from '../../core/records/matter.ts';
import { runStream } from '../../core/ids.ts';
import { holdWork } from './hold.ts';

/** The run waits for a person, or for tasks, and costs nothing meanwhile; its lane stays taken. */
export async function park(turn: Turn): Promise<'end'> {
  const { log } = turn;
  const { state } = log;
  const waits: Wait[] = state.calls
    .filter((call) => call.phase === 'waiting' && call.tasks.length === 0)
    .map((call) =>
      call.question === null ? { kind: 'approval', id: call.approval ?? '' } : { kind: 'question', id: call.question },
    );
  if (state.landing === 'asked' && state.landingApproval !== null)
    waits.push({ kind: 'approval', id: state.landingApproval });
  const { limit } = state;
  if (limit !== null && limit.approval !== null && limit.raised === null)
    waits.push({ kind: 'approval', id: limit.approval });
  await holdWork(turn);
  // What was asked is on record before it is put to anybody.
  await log.flush(false);
  for (const wait of waits) await put(turn, wait);
  const until = state.calls.filter((call) => call.phase === 'waiting').flatMap((call) => call.tasks);
  if (limit?.task) until.push(limit.task);
  for (const id of new Set(until)) waits.push({ kind: 'task', id });
  log.emit({ type: 'run.parked', data: { waits } });
  log.queue({ op: 'park', task: state.task, ...(until.length > 0 ? { until } : {}) });
  await log.flush(true);
  return 'end';
}

/** Sends what it waits for to the person who wrote, where the runtime can. Others come and look. */
async function put(turn: Turn, wait: Wait): Promise<void> {
  const { deps, log } = turn;
  const message = await askerOf(deps, log.claim.task);
  if (message === null || !deps.pushes(message.data.channel)) return;
  if ((await deps.store.byKey(putKey(wait.id))) !== null) return;
  const asked = await deps.store.byKey(askedKey(wait.id));
  const content = await contentOf(turn, wait, asked?.type === 'approval.asked' ? asked.data.shown : null);
  const { run, labels } = log.state;
  const causeOf = log.nextIndex;
  const body = replyBody(log.claim.task, message, run, log.put(content));
  log.emit(body, null, { stream: log.subject, key: putKey(wait.id) });
  log.queue(sendingOp(message, { id: deps.ids.next('tsk'), causeOf, labels }));
}

/** The person who wrote the message that all of it began with. */
async function askerOf({ store }: AgentDeps, task: Task): Promise<EventOf<'message.received'> | null> {
  const root = task.origin === undefined ? task : await store.task(task.origin.root);
  return root === null ? null : messageOf(store, root);
}

const approvalButtons = (id: string): Button[] => [
  { label: 'Approve', action: `approve:${id}` },
  { label: 'Deny', action: `deny:${id}` },
];

/** Of a call, which may be allowed for more than once. */
async function moreButtons({ deps }: Turn, asked: EventOf<'approval.asked'>): Promise<Button[]> {
  const { approval } = asked.data;
  const often = (await likeApproved(deps.store, asked)) >= OFFERED_AFTER;
  return [
    { label: 'Approve for this task', action: `task:${approval}` },
    ...(often ? [{ label: 'Approve for 30 days', action: `grant:${approval}` }] : []),
  ];
}

async function contentOf(turn: Turn, wait: Wait, shown: BlobRef | null): Promise<ReplyContent> {
  const { deps } = turn;
  if (wait.kind === 'question') {
    const asked = await deps.store.byKey(askedKey(wait.id));
    const text = asked?.type === 'question.asked' ? await readText(deps.store, asked.data.text) : null;
    return { text: `${text ?? ''}\n\n(Your next message here is the answer.)` };
  }
  const { text, about } = shown === null ? { text: '' } : await loadJson<ShownCall>(deps.store, shown);
  const asked = await deps.store.byKey(askedKey(wait.id));
  const { approvers: needed = 1 } = asked?.type === 'approval.asked' ? asked.data : {};
  const why = [
    wait.id === turn.log.state.limit?.approval ? LIMIT_REASON : await reasonOf(turn, wait.id),
    ...(about === undefined ? [] : askedLines(about)),
    votesText(needed === 1 ? undefined : { needed, have: [] }),
  ]
    .filter((line) => line !== null && line !== '')
    .join('\n');
  if (text.length > CHAT_MAX)
    return {
      text: `May I? The call has ${text.length} characters, too many to be shown here. Read it on the web page or with \`ruche approvals\`, and approve it there (\`ruche approve ${wait.id}\`). Here it can only be denied.\n${why}`,
      buttons: approvalButtons(wait.id).filter(({ action }) => action.startsWith('deny:')),
    };
  const more =
    about === undefined || needed > 1 || asked?.type !== 'approval.asked' ? [] : await moreButtons(turn, asked);
  return { text: `May I?\n${fenced(text)}\n${why}`, buttons: [...approvalButtons(wait.id), ...more] };
}

/** The rule that asks, in its own words. */
async function reasonOf({ deps, log }: Turn, approval: string): Promise<string> {
  const call = log.state.calls.find((each) => each.approval === approval);
  if (!call) return LANDING_REASON;
  for await (const event of deps.store.read({
    stream: runStream(log.state.run),
    types: ['decision.made'],
    reverse: true,
  }))
    if (event.type === 'decision.made' && event.data.call === call.id)
      return `Asked by the rule ${event.data.rule}: ${event.data.reason}`;
  return '';
}

/**
 * The agent is paused: the run stops where it is and goes back to its place in the queue, from which nobody claims it
 * until the agent is resumed. Then it goes on with its next step.
 */
export async function setAside(turn: Turn): Promise<void> {
  const { log } = turn;
  const { task } = log.state;
  await holdWork(turn);
  log.emit({ type: 'run.parked', data: { waits: [] } });
  log.queue({ op: 'park', task });
  log.queue({ op: 'wake', task });
  await log.flush(true);
}
