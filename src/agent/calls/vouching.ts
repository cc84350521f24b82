import { conversationId, kindOf } from '../../core/ids.ts';
import { addressOf, OWNER, ownerAddresses } from '../../core/recipient.ts';
import { scheduleId } from '../../core/schedule.ts';
import { triggerId } from '../../core/trigger.ts';
import type { Task, TaskContent } from '../../core/task.ts';
import { readJson, readText } from '../../core/records/json-blob.ts';
import type { Vouchers, Words } from '../../policy/vouch.ts';
import type { AgentTurn } from '../run/deps.ts';
import { messageOf } from '../run/log.ts';

/** Messages of a conversation in which a value may stand. */
const MAX_MESSAGES = 100;

/** All that may vouch for a value in this run. Read only where it matters: once the run carries labels. */
export async function vouchersOf(turn: AgentTurn): Promise<Vouchers> {
  const { deps, log } = turn;
  const { task } = log.claim;
  const root = task.origin === undefined ? null : await deps.store.task(task.origin.root);
  const works = root === null ? [task] : [task, root];
  const owner = await Promise.all(works.map((each) => ownersWords(turn, each)));
  const constants = await Promise.all(works.map((each) => writtenByPeople(turn, each)));
  return {
    owner: owner.flat(),
    constants: constants.flat(),
    contacts: [...(deps.governance().settings.contacts ?? []), ...(await chatOf(turn))],
    records: log.state.records,
    endorsed: (name, value) => deps.standing.vouchedBy(name, value),
  };
}

/** The chat that asked: what is told there does not go anywhere else. */
async function chatOf({ deps, log }: AgentTurn): Promise<string[]> {
  const message = await messageOf(deps.store, log.claim.task);
  if (message === null || !deps.pushes(message.data.channel)) return [];
  const { channel, replyTo, chat = replyTo } = message.data;
  return [addressOf({ channel, to: chat })];
}

/** What owners typed in the conversation, but for what came with a file, or holds words of somebody else. */
async function ownersWords({ deps }: AgentTurn, { agent, session }: Task): Promise<Words[]> {
  const owners = ownerAddresses(deps.governance().settings.channels);
  const said: Words[] = [];
  const stream = conversationId(agent, session);
  let left = MAX_MESSAGES;
  for await (const event of deps.store.read({ stream, types: ['message.received'], reverse: true })) {
    if (left-- === 0) break;
    if (event.type !== 'message.received' || event.labels.length > 0) continue;
    const { from, content } = event.data;
    if (from !== OWNER && kindOf(from) !== 'person' && !owners.includes(from)) continue;
    said.push({ text: (await readText(deps.store, content)) ?? '', by: event.id });
  }
  return said;
}

/**
 * The words of a schedule or trigger as its file has them, without what an event has put into them; those of a task that a
 * person made. What was made by a run that had read text from outside has its labels, and vouches for nothing.
 */
async function writtenByPeople({ deps }: AgentTurn, task: Task): Promise<Words[]> {
  const { agent, from } = task;
  const kind = kindOf(from);
  const { schedules = [], triggers = [] } = deps.governance().agents.get(agent) ?? {};
  const rule =
    kind === 'schedule'
      ? schedules.find(({ name }) => `schedule:${scheduleId(agent, name)}` === from)
      : triggers.find(({ name }) => `trigger:${triggerId(agent, name)}` === from);
  if (rule !== undefined && (kind === 'trigger' || task.labels.length === 0))
    return rule.work.kind === 'task' ? [{ text: rule.work.text, by: from }] : [];
  if (kind !== 'person' || task.content === null || task.labels.length > 0) return [];
  const given = await readJson<TaskContent>(deps.store, task.content);
  const text = [given?.title, given?.text].filter(Boolean).join('\n');
  return [{ text, by: task.id }];
}
