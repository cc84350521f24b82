import type { ChannelMessage } from '../core/channel.ts';
import type { Runtime } from '../core/runtime.ts';
import { conversationId } from '../core/ids.ts';
import type { Store } from '../core/ports.ts';
import { beginAnew, type ChatPlace } from './chats.ts';

export interface CommandDeps {
  store: Store;
  runtime: Pick<Runtime, 'status' | 'agents' | 'cancel'>;
}

const HELP = `I answer what you write here, and work on the files of the workspace.
/new begins a new conversation
/stop stops what is being worked on here
/status says how things stand
/agents lists the agents`;

/** What a chat command says; null for what is none. Commands cost no model. */
export async function runCommand(
  deps: CommandDeps,
  channel: string,
  message: ChannelMessage,
  place: ChatPlace,
): Promise<{ text: string; place: ChatPlace } | null> {
  const command = /^\/([a-z]+)\s*$/i.exec(message.text.trim())?.[1]?.toLowerCase();
  const say = (text: string, at = place): { text: string; place: ChatPlace } => ({ text, place: at });
  switch (command) {
    case 'new': {
      const { chat, externalId } = message;
      const sender = `${channel}:${message.sender}`;
      const begun = await beginAnew(deps.store, { channel, chat, sender, externalId }, place.agent);
      return say(`This is a new conversation (${begun.session}); the earlier one stays on record.`, begun);
    }
    case 'stop':
      return say(await stop(deps, place, `${channel}:${message.sender}`));
    case 'status':
      return say(await statusText(deps));
    case 'agents':
      return say(await agentsText(deps));
    case 'help':
    case 'start':
      return say(HELP);
    default:
      return null;
  }
}

async function stop({ store, runtime }: CommandDeps, { agent, session }: ChatPlace, by: string): Promise<string> {
  const statuses = ['queued', 'running', 'waiting'] as const;
  const tasks = await store.tasks({ lane: conversationId(agent, session), statuses: [...statuses] });
  let stopped = 0;
  // The last first, so that no later one begins meanwhile.
  for (const { id } of tasks.toReversed()) if (await runtime.cancel(id, by)) stopped += 1;
  return stopped === 0 ? 'Nothing is being worked on here.' : 'Stopped. What it had done stays on record.';
}

async function statusText({ runtime }: CommandDeps): Promise<string> {
  const { ready, notReady, model, tasks, pending } = await runtime.status();
  const works = ready ? 'Everything runs' : `It takes no work now: ${notReady ?? 'it is starting'}`;
  return `${works}. Model: ${model}. ${tasks.running} being worked on, ${tasks.queued} queued, ${pending} waiting for a person.`;
}

async function agentsText({ runtime }: CommandDeps): Promise<string> {
  const agents = await runtime.agents();
  const lines = agents.map(({ name, description, running, queued }) => {
    const state = running > 0 ? 'working' : queued > 0 ? 'has work queued' : 'idle';
    return `- **${name}** (${state})${description === '' ? '' : `: ${description}`}`;
  });
  return lines.join('\n') || 'There are no agents.';
}
