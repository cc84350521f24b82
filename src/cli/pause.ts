import { unknownText } from '../core/text/unknown.ts';
import { agentNamed, agentNames } from './unknown.ts';
import { CliError, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { talk } from './talk.ts';

export interface AgentsFlags {
  json?: boolean;
  reason?: string;
  /** Every agent. */
  all?: boolean;
}

type Verb = 'pause' | 'resume';

/** `ruche agents pause|resume NAME`, or `--all` of them. Holds at once, and where nothing runs from the next start. */
export async function changePauses(
  io: Io,
  options: Options,
  verb: Verb,
  name: string | undefined,
  flags: AgentsFlags,
): Promise<ExitCode> {
  if ((name === undefined) !== (flags.all === true))
    throw new CliError(`Name an agent, or give --all: ${io.self} agents ${verb} NAME`);
  const { changes, stopped } = await running(io, options, verb, name, flags);
  if (flags.json) io.out(`${JSON.stringify(flags.all ? changes : changes[0])}\n`);
  else for (const each of changes) io.out(`${changeText(verb, each, stopped)}\n`);
  return 0;
}

interface Changes {
  changes: readonly { agent: string; changed: boolean }[];
  /** No process runs on the home: it holds from the next start. */
  stopped: boolean;
}

/** Asks the gateway; where none runs, the record is changed here, so that the next start finds it so. */
async function running(
  io: Io,
  options: Options,
  verb: Verb,
  name: string | undefined,
  flags: AgentsFlags,
): Promise<Changes> {
  const gateway = talk(io, options, new AbortController().signal);
  let names: string[];
  try {
    names = await agentNames(gateway);
  } catch (error) {
    if (!(error instanceof CliError) || error.exitCode !== 2) throw error;
    const changes = await stopped(io, options, verb, name, flags);
    // A process that starts or stops holds the home and does not answer yet, or any more.
    if (changes === null) throw error;
    return { changes, stopped: true };
  }
  if (name !== undefined) agentNamed(names, name);
  const body = verb === 'pause' && flags.reason ? { reason: flags.reason } : {};
  const changes: { agent: string; changed: boolean }[] = [];
  for (const agent of name === undefined ? names : [name]) {
    const path = `/api/agents/${encodeURIComponent(agent)}/${verb}`;
    changes.push({ agent, changed: (await gateway.call<{ changed: boolean }>(path, body)).changed });
  }
  return { changes, stopped: false };
}

async function stopped(
  io: Io,
  { home, workspace }: Options,
  verb: Verb,
  name: string | undefined,
  { reason = '' }: AgentsFlags,
): Promise<Changes['changes'] | null> {
  const app = await io.loadApp();
  const done = await app.changePauses({ home, workspace, env: io.env, verb, agent: name ?? null, reason });
  if (done === null) return null;
  const { known, changes } = done;
  if (name !== undefined && changes.length === 0) throw new CliError(unknownText('agent', name, { known }));
  if (changes.length === 0) throw new CliError(`There are no agents in ${workspace}. Give another --workspace.`);
  return changes;
}

function changeText(verb: Verb, { agent, changed }: Changes['changes'][number], isStopped: boolean): string {
  const name = plain(agent);
  if (!changed) return `${name} ${verb === 'pause' ? 'is already paused' : 'was not paused'}.`;
  if (verb === 'resume') return `${name} is resumed${isStopped ? ', from the next start' : ''}.`;
  if (isStopped) return `${name} is paused: the next start takes up none of its work.`;
  return `${name} is paused. Its run stops at the next step, and queued tasks wait.`;
}
