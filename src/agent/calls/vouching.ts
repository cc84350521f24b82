import type { BlobRef } from '../../core/blob.ts';
import { conversationId, kindOf, runStream } from '../../core/ids.ts';
import type { CriticalValue, DecisionRecord } from '../../core/policy.ts';
import { addressOf, OWNER, ownerAddresses } from '../../core/recipient.ts';
import { scheduleId } from '../../core/schedule.ts';
import { triggerId } from '../../core/trigger.ts';
import type { Task, TaskContent } from '../../core/task.ts';
import { readJson, readText } from '../../core/records/json-blob.ts';
import type { Vouchers, Words } from '../../policy/vouch.ts';
import type { AgentTurn } from '../run/deps.ts';
import { messageOf } from '../run/log.ts';
import type { CallState } from '../run/call.ts';

/** Messages of a conversation in which a value may stand. */
const MAX_MESSAGES = 100;

/** All that may vouch for a value in this run. Read only where it matters: once the run carries labels. */
export async function vouchersOf(turn: AgentTurn, call: CallState, pays: boolean): Promise<Vouchers> {
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
    made: pays ? await madeBefore(turn, call) : [],
    endorsed: (name, value) => deps.standing.vouchedBy(name, value),
  };
}

/** The critical values of calls of this tool that have begun before this one. */
async function madeBefore({ deps, log }: AgentTurn, { id, tool }: CallState): Promise<CriticalValue[][]> {
  const facts = new Map<string, BlobRef>();
  const begun = new Set<string>();
  const types = ['decision.made', 'tool.started'] as const;
  for await (const event of deps.store.read({ stream: runStream(log.state.run), types })) {
    if (event.type === 'tool.started') begun.add(event.data.call);
    else if (event.type === 'decision.made' && event.data.tool === tool && event.data.facts)
      facts.set(event.data.call, event.data.facts);
  }
  begun.delete(id);
  const made = [...facts].filter(([call]) => begun.has(call));
  const records = await Promise.all(made.map(([, ref]) => readJson<DecisionRecord>(deps.store, ref)));
  return records.map((record) => [...(record?.facts.critical ?? [])]);
}

/** The chat that asked: what is told there does not go anywhere else. */
async function chatOf({ deps, log }: AgentTurn): Promise<string[]> {
  const message = await messageOf(deps.store, log.claim.task);
  if (message === null || !deps.pushes(message.data.channel)) return [];
  const { channel, replyTo, chat = replyTo } = message.data;
  return [addressOf({ channel, to: chat })];
}

/** What owners typed in the conversation, but for what came with a file, or holds words of somebody else. */
async function ownersWords({ deps, log }: AgentTurn, { id, agent, session }: Task): Promise<Words[]> {
  const now = [id, ...log.state.absorbed];
  const owners = ownerAddresses(deps.governance().settings.channels);
  const said: Words[] = [];
  const stream = conversationId(agent, session);
  let left = MAX_MESSAGES;
  for await (const event of deps.store.read({ stream, types: ['message.received'], reverse: true })) {
    if (left-- === 0) break;
    if (event.type !== 'message.received' || event.labels.length > 0) continue;
    const { from, content } = event.data;
    if (from !== OWNER && kindOf(from) !== 'person' && !owners.includes(from)) continue;
    said.push({
      text: (await readText(deps.store, content)) ?? '',
      by: event.id,
      earlier: !now.includes(event.data.task),
    });
  }
  return said;
}

/**
 * The words of a schedule or trigger as its file has them, without what an event has put into them; those of a task that a
 * person made, or put into an inbox. What was made by a run that had read text from outside has its labels, and vouches for nothing.
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
  if ((kind !== 'person' && kind !== 'file') || task.content === null || task.labels.length > 0) return [];
  const given = await readJson<TaskContent>(deps.store, task.content);
  const text = [given?.title, given?.text].filter(Boolean).join('\n');
  return [{ text, by: task.id }];
}
