import { imapAccount } from '../accounts/mail/imap-account.ts';
import { telegramMessenger } from '../channels/telegram/messenger.ts';
import type { AccountParts, AccountType } from '../config/accounts.ts';
import type { ChannelParts, Messenger } from '../config/channels.ts';
import type { Known } from '../config/settings.ts';
import type { AccountSettings, ChannelSettings, SandboxChoice } from '../core/agent.ts';
import type { Account } from '../core/ports/account.ts';
import type { Channel } from '../core/ports/channel.ts';
import type { Secrets } from '../core/ports/secrets.ts';
import type { AnyTool, ToolDeclaration, ToolParts } from '../core/ports/tool.ts';
import { anthropicProvider } from '../models/anthropic/model.ts';
import { compatibleProvider } from '../models/chat/model.ts';
import { demoProvider } from '../models/demo/model.ts';
import { geminiProvider } from '../models/gemini/model.ts';
import { ollamaProvider } from '../models/ollama/model.ts';
import { openaiProvider } from '../models/responses/model.ts';
import type { Provider } from '../models/wire/provider.ts';
import { containers } from '../sandbox/container/container.ts';
import { ChosenSandboxes } from '../sandbox/chosen.ts';
import { unconfined } from '../sandbox/none.ts';
import { bubblewrap } from '../sandbox/probe.ts';
import type { Boundary } from '../core/ports/boundary.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { ProbeOptions, Sandbox, SandboxKind } from '../core/ports/sandbox.ts';
import { ruleProblem } from '../policy/rules.ts';
import { askTool } from '../tools/ask.ts';
import { editTool } from '../tools/edit.ts';
import { escalateTool } from '../tools/escalate.ts';
import { extractTool } from '../tools/extract.ts';
import { fetchTool } from '../tools/fetch.ts';
import { handOverTool } from '../tools/hand-over.ts';
import { listTool } from '../tools/list.ts';
import { mailDo } from '../tools/mail-do.ts';
import { mail } from '../tools/mail.ts';
import { readTool } from '../tools/read.ts';
import { schedule } from '../tools/schedule.ts';
import { searchTool } from '../tools/search.ts';
import { shell } from '../tools/shell.ts';
import { taskTool } from '../tools/task.ts';
import { tellTool } from '../tools/tell.ts';
import { writeTool } from '../tools/write.ts';

/** What a network can be made of. Each part declares itself in its own file; a line here is all that plugs it in. */
export interface Builtin {
  /** Models see them in this order. An agent that names no tools has all of them. */
  tools: readonly ToolDeclaration[];
  messengers: readonly Messenger[];
  accounts: readonly AccountType[];
  /** Where nothing is configured, the first that the environment offers is used. */
  providers: readonly Provider[];
  /** The strictest first: of those that need no image, the first that works on the machine is used unless one is picked. */
  sandboxes: readonly SandboxKind[];
}

export const BUILTIN: Builtin = {
  tools: [
    readTool,
    writeTool,
    editTool,
    listTool,
    searchTool,
    shell,
    fetchTool(),
    extractTool,
    askTool,
    taskTool,
    handOverTool,
    escalateTool,
    schedule,
    tellTool,
    mail,
    mailDo,
  ],
  messengers: [telegramMessenger],
  accounts: [imapAccount],
  providers: [anthropicProvider, openaiProvider, geminiProvider, ollamaProvider, compatibleProvider, demoProvider],
  sandboxes: [containers, bubblewrap, unconfined],
};

export const openTools = ({ tools }: Builtin, parts: ToolParts): ReadonlyMap<string, AnyTool> =>
  new Map(tools.map((each) => [each.name, 'open' in each ? each.open(parts) : each]));

/** The strictest that works on this machine, and behind it those that an agent may pick. */
export async function openSandbox(
  { sandboxes }: Pick<Builtin, 'sandboxes'>,
  options: ProbeOptions & { boundary: Boundary; clock: Clock },
): Promise<Sandbox> {
  const standard = await strictest(sandboxes, options);
  const open = (name: string): Promise<Sandbox> | null => {
    const kind = sandboxes.find((each) => each.name === name);
    if (kind === undefined) return null;
    return kind.picked?.open(options) ?? Promise.resolve(standard);
  };
  return new ChosenSandboxes({ dir: options.dir, standard, open });
}

/** Whether commands are confined that run in what an agent has picked. One that cannot be had is no reason to do without: nothing runs then. */
export const isConfined = (
  { sandboxes }: Pick<Builtin, 'sandboxes'>,
  standard: Pick<Sandbox, 'confined'>,
  choice: SandboxChoice | undefined,
): boolean => sandboxes.find(({ name }) => name === choice?.kind)?.picked?.confined ?? standard.confined;

async function strictest(
  sandboxes: readonly SandboxKind[],
  { boundary, clock, ...options }: ProbeOptions & { boundary: Boundary; clock: Clock },
): Promise<Sandbox> {
  for (const kind of sandboxes) {
    if (kind.image === true) continue;
    const probe = await kind.probe(options);
    if (probe.ok) return probe.open({ boundary, clock });
  }
  throw new Error('no sandbox works on this machine');
}

/** Rejects with what a person has to mend. */
export async function openChannel(
  { messengers }: Builtin,
  { name, type, secrets, settings }: ChannelSettings,
  parts: ChannelParts & { secrets: Pick<Secrets, 'resolve'> },
): Promise<Channel> {
  const messenger = messengers.find((each) => each.type === type);
  if (messenger === undefined) throw new Error(`the channel ${name} has the type ${type}, which is none`);
  const { net, clock, log, random } = parts;
  const values: Record<string, string> = {};
  for (const [key, reference] of Object.entries(secrets))
    values[key] = await parts.secrets.resolve(reference, `the channel ${name}`);
  return messenger.open({ name, secrets: values, settings, net, clock, log, random });
}

/** Rejects with what a person has to mend. Connects nothing, and looks up its secrets when it does. */
export async function openAccount(
  { accounts }: Builtin,
  { name, type, secrets: references, settings }: AccountSettings,
  parts: AccountParts & { secrets: Pick<Secrets, 'resolve'> },
): Promise<Account> {
  const kind = accounts.find((each) => each.type === type);
  if (kind === undefined) throw new Error(`the account ${name} has the type ${type}, which is none`);
  const { secrets, ...rest } = parts;
  const secret = (key: string): Promise<string> => secrets.resolve(references[key] ?? '', `the account ${name}`);
  return kind.open({ ...rest, name, settings, secret });
}

/** What the settings and agents of a network that is made of these may name. */
export const knownOf = ({ tools, messengers, accounts, providers, sandboxes }: Builtin): Known => ({
  tools,
  sandboxes,
  messengers,
  accountTypes: accounts,
  providers: providers.map(({ name }) => name),
  providerKinds: providers,
  ruleProblem,
});
