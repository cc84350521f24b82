import type { Button, ChannelMessage } from '../core/ports/channel.ts';
import { conversationId, isAgentName, isSafeName } from '../core/ids.ts';
import type { Store } from '../core/ports/store.ts';
import type { Runtime } from '../core/api/runtime.ts';
import { type AnswerDeps, runAnswer, runReply } from './answers.ts';
import { beginAnew, type ChatMove, type ChatPlace, goOnWith } from './chats.ts';

export interface CommandDeps {
  store: Store;
  runtime: Pick<Runtime, 'status' | 'agents' | 'cancel'> & AnswerDeps['runtime'];
  /** The conversations that were last written in, wherever that was. */
  recent(): Promise<readonly RecentChat[]>;
}

interface RecentChat extends ChatPlace {
  title: string;
}

export interface Said {
  text: string;
  buttons?: Button[];
  /** The conversation the chat is in from now on. */
  place: ChatPlace;
}

const HELP = `Write a message, and an agent answers and works on the files of the workspace.
/new starts a new conversation
/chats continues an earlier one, from here or elsewhere
/stop stops the current work here
/status shows the state of the network
/agents lists the agents
/approve ID [NOTE], /deny ID [NOTE] and /answer ID TEXT answer what waits
/ack ID marks a notification as being handled by you`;

/** Conversations that are offered, and the characters a button can carry back. */
const OFFERED = 6;
const MAX_ACTION = 60;
const MAX_LABEL = 40;

/** What a chat command says; null for what is none. Commands cost no model. */
export async function runCommand(
  deps: CommandDeps,
  channel: string,
  message: ChannelMessage,
  place: ChatPlace,
): Promise<Said | null> {
  const by = `${channel}:${message.sender}`;
  const { answers } = message;
  const answered =
    (await runAnswer(deps, message.text, by)) ?? (answers && (await runReply(deps, answers, by))) ?? null;
  if (answered !== null) return { text: answered, place };
  const command = /^\/([a-z]+)\s*$/i.exec(message.text.trim())?.[1]?.toLowerCase();
  switch (command) {
    case 'new': {
      const begun = await beginAnew(deps.store, moveOf(channel, message), place.agent);
      const text = `New conversation (${begun.session}). The earlier one is kept.`;
      return { text, place: begun };
    }
    case 'chats':
      // The titles of conversations are nobody's business but the owner's; a group's name never begins like a person's.
      if (!message.chat.startsWith(message.sender))
        return { text: 'This works only in a private chat with me.', place };
      return { ...(await offerChats(deps, place)), place };
    case 'stop':
      return { text: await stop(deps, place, by), place };
    case 'status':
      return { text: await statusText(deps), place };
    case 'agents':
      return { text: await agentsText(deps), place };
    case 'help':
    case 'start':
      return { text: HELP, place };
    default:
      return null;
  }
}

const moveOf = (
  channel: string,
  { chat, sender, externalId }: Pick<ChannelMessage, 'chat' | 'sender' | 'externalId'>,
): ChatMove => ({ channel, chat, sender: `${channel}:${sender}`, key: `chat:${channel}:${chat}:${externalId}` });

const actionOf = ({ agent, session }: ChatPlace): string => `go:${agent}/${session}`;

async function offerChats({ recent }: CommandDeps, here: ChatPlace): Promise<{ text: string; buttons?: Button[] }> {
  const others = (await recent()).filter(
    (each) => (each.agent !== here.agent || each.session !== here.session) && actionOf(each).length <= MAX_ACTION,
  );
  if (others.length === 0) return { text: 'No other conversations.' };
  const buttons = others.slice(0, OFFERED).map((each) => ({
    label: `${each.title.slice(0, MAX_LABEL).toWellFormed()} · ${each.agent}`,
    action: actionOf(each),
  }));
  return { text: `This chat is in ${here.session}. Continue another conversation:`, buttons };
}

/** What pressing one of `offerChats` does; null for a button of another kind. */
export async function chooseChat(
  deps: CommandDeps,
  channel: string,
  press: Pick<ChannelMessage, 'chat' | 'sender' | 'externalId'> & { action: string },
): Promise<string | null> {
  const [, agent = '', session = ''] = /^go:([^/]+)\/(.+)$/.exec(press.action) ?? [];
  if (!isAgentName(agent) || !isSafeName(session)) return null;
  if ((await deps.store.version(conversationId(agent, session))) === 0) return 'This conversation no longer exists.';
  await goOnWith(deps.store, moveOf(channel, press), { agent, session });
  return `This chat now continues ${session}.`;
}

async function stop({ store, runtime }: CommandDeps, { agent, session }: ChatPlace, by: string): Promise<string> {
  const statuses = ['queued', 'running', 'waiting'] as const;
  const tasks = await store.tasks({ lane: conversationId(agent, session), statuses: [...statuses] });
  let stopped = 0;
  // The last first, so that no later one begins meanwhile.
  for (const { id } of tasks.toReversed()) if (await runtime.cancel(id, by)) stopped += 1;
  return stopped === 0 ? 'Nothing is running here.' : 'Stopped. The work done so far is on record.';
}

async function statusText({ runtime }: CommandDeps): Promise<string> {
  const { ready, notReady, model, tasks, pending } = await runtime.status();
  const works = ready ? 'Everything is running' : `Ruche takes no work now: ${notReady ?? 'it is starting'}`;
  return `${works}. Model: ${model}. ${tasks.running} running, ${tasks.queued} queued, ${pending} waiting for a person.`;
}

async function agentsText({ runtime }: CommandDeps): Promise<string> {
  const agents = await runtime.agents();
  const lines = agents.map(({ name, description, running, queued }) => {
    const state = running > 0 ? 'working' : queued > 0 ? 'has work queued' : 'idle';
    return `- **${name}** (${state})${description === '' ? '' : `: ${description}`}`;
  });
  return lines.join('\n') || 'No agents are running.';
}
