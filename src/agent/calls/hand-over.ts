import { conversationId } from '../../core/ids.ts';
import { note } from '../run/notes.ts';
import type { AgentDeps } from '../run/deps.ts';
import type { ReadyCall } from './ready.ts';
import { giveText, refuse } from './results.ts';
import type { RunLog } from '../run/log.ts';

/** Moves the conversation to another agent: its next message goes there, and finds the brief. The run itself goes on. */
export function handOver(deps: AgentDeps, log: RunLog, { call, input }: ReadyCall): void {
  const { agent: to, brief } = input as { agent: string; brief: string };
  const { agents } = deps.governance();
  const { agent, session, run } = log.state;
  if (to === agent) return refuse(log, call, 'This conversation is yours already.');
  if (!agents.has(to)) return refuse(log, call, `There is no agent "${to}". Agents: ${[...agents.keys()].join(', ')}.`);
  const stream = conversationId(to, session);
  const words = note(`${agent} has handed this conversation over to you. What you should know:\n${brief}`);
  const told = deps.store.putBlob(Buffer.from(deps.redact(JSON.stringify(words))), stream);
  const data = { agent, session, to, run, brief: log.put({ text: brief }) };
  log.emit({ type: 'conversation.moved', data }, null, { stream: log.subject });
  log.emit({ type: 'history.given', data: { messages: [told] } }, null, { stream });
  const text = `The next message of this conversation goes to ${to}, with your brief. Finish your answer.`;
  giveText(deps, log, call, { ok: true, text, labels: [] });
}
