import {
  type Agent,
  type Problem,
  type SecretBinding,
  type Settings,
  SETTINGS_FILE,
  WORKSPACE,
} from '../core/agent.ts';
import { type Trouble, type Workspace, WorkspaceUnavailable } from '../core/ports/workspace.ts';
import type { DroppedFiles } from '../core/ports/governance.ts';
import type { ChannelState } from '../core/api/runtime.ts';
import type { ScheduleState } from '../core/schedule.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { KeptSecrets } from '../core/ports/secrets.ts';
import { errorText, sentence } from '../core/text/sentence.ts';
import { visibleLine } from '../core/text/untrusted.ts';
import type { Git } from '../git/git.ts';
import { hookSecrets, type ReadSecret } from '../scheduler/triggers/hooks.ts';
import { whyNotTaken } from '../workspace/edits/watch.ts';

interface Looked {
  reader: { hindrances(commit: string, agents: ReadonlyMap<string, Agent>): Promise<Problem[]> };
  workspace: Pick<Workspace, 'head' | 'troubles'> & { git: Pick<Git, 'neutral'> };
  secrets: { peek: ReadSecret };
  clock: Pick<Clock, 'now'>;
}

/** What is wrong now although every file is in order: scripts that are not there, secrets that are not given. */
export async function liveProblems(
  { reader, workspace, secrets, clock }: Looked,
  agents: ReadonlyMap<string, Agent>,
  bound: readonly SecretBinding[] = [],
): Promise<Problem[]> {
  const [scripts, hooks, unbound] = await Promise.all([
    // What keeps it from being read is told by itself.
    workspace.head().then((head) => reader.hindrances(head, agents).catch(ifUnavailable), ifUnavailable),
    Promise.all([...agents.values()].map((agent) => hookProblems(agent, (...of) => secrets.peek(...of)))),
    Promise.all(bound.map((binding) => missingSecret(binding, (...of) => secrets.peek(...of)))),
  ]);
  return [...(await notInForce({ workspace, clock })), ...scripts, ...hooks.flat(), ...unbound.flat()];
}

/** What requests to the host of a secret are refused for. */
async function missingSecret({ name, value }: SecretBinding, peek: ReadSecret): Promise<Problem[]> {
  try {
    await peek(value, `secrets.${name} in ruche.yaml`);
    return [];
  } catch (error) {
    const message = errorText(error);
    return [
      { file: SETTINGS_FILE, line: null, key: `secrets.${name}.value`, message, severity: 'warning', live: true },
    ];
  }
}

function ifUnavailable(error: unknown): Problem[] {
  if (error instanceof WorkspaceUnavailable) return [];
  throw error;
}

const CONSEQUENCES: Readonly<Record<Trouble['stops'], string>> = {
  work: 'Until then no run goes on.',
  landings: 'Until then what agents change waits, and so does what you save.',
};

/** What is wrong with the workspace itself, and what runs wait for: `waiting` gives each reason with the number of runs. */
export async function workspaceProblems(
  { workspace }: Pick<Looked, 'workspace'>,
  waiting: ReadonlyMap<string, number>,
): Promise<Problem[]> {
  const troubles = await workspace.troubles();
  const seen = troubles.map(({ what, stops }) => ({
    message: `${sentence(what)} ${CONSEQUENCES[stops]}${runsWait(waiting.get(what))}`,
    severity: 'error' as const,
  }));
  const known = new Set(troubles.map(({ what }) => what));
  const others = [...waiting].filter(([why]) => !known.has(why));
  const met = others.map(([why, runs]) => ({
    message: `${sentence(why)}${runsWait(runs)}`,
    severity: 'error' as const,
  }));
  return [...seen, ...met].map((problem) => ({ file: WORKSPACE, line: null, key: '', ...problem }));
}

const runsWait = (runs = 0): string =>
  runs === 0
    ? ''
    : ` ${runs === 1 ? '1 run waits' : `${runs} runs wait`} and will go on by ${runs === 1 ? 'itself' : 'themselves'}.`;

/** A rule that somebody has saved and believes in force. Where nothing can be read, that is told instead. */
async function notInForce({ workspace, clock }: Pick<Looked, 'workspace' | 'clock'>): Promise<Problem[]> {
  if ((await workspace.troubles()).some(({ stops }) => stops === 'work')) return [];
  const why = whyNotTaken(workspace.git, clock.now());
  const message = `What is saved in ruche.yaml and agents/ is not in force yet: ${why}.`;
  return why === null ? [] : [{ applied: false, file: '.git', line: null, key: '', message, severity: 'warning' }];
}

/** The same where a network runs, which knows what has fired. */
export async function nowWrong(
  looked: Looked,
  { agents, settings }: { agents: ReadonlyMap<string, Agent>; settings: Pick<Settings, 'secrets'> },
  { schedules }: { schedules: { list(): Promise<readonly ScheduleState[]> } },
  waiting: ReadonlyMap<string, number>,
): Promise<Problem[]> {
  const any = [...agents.values()].some(({ schedules: own }) => own.length > 0);
  const states = any ? await schedules.list() : [];
  return [
    ...(await workspaceProblems(looked, waiting)),
    ...(await liveProblems(looked, agents, settings.secrets)),
    ...lostMoments(states),
    ...silent(states),
  ];
}

/** The vault cannot be opened: what needs a secret of it waits, and all else goes on. */
export const vaultProblems = ({ vault }: Pick<KeptSecrets, 'vault'>): Problem[] => {
  const problem = vault.problem();
  if (problem === null) return [];
  return [{ file: 'secrets.age', line: null, key: '', message: problem, severity: 'error', live: true }];
};

/** The readable journal is behind for a reason that somebody has to mend. */
export const journalProblems = (problem: string | null): Problem[] =>
  problem === null
    ? []
    : [
        {
          file: 'journal.git',
          line: null,
          key: '',
          message: `the readable journal could not be written; it is tried again: ${problem}`,
          severity: 'warning',
          live: true,
        },
      ];

/** Files that people have put where a trigger waits for them, and that cannot be taken in. */
export const stuckProblems = (stuck: ReturnType<DroppedFiles['stuck']>): Problem[] =>
  stuck.map(({ path, why }) => ({
    file: WORKSPACE,
    line: null,
    key: '',
    message: `${visibleLine(path)}, which a trigger names, ${why}`,
    severity: 'warning',
    live: true,
  }));

/** Messengers that neither bring nor take messages now. */
export const channelProblems = (channels: readonly ChannelState[]): Problem[] =>
  channels.flatMap(({ name, title, problem }): Problem[] =>
    problem === null
      ? []
      : [
          {
            file: 'ruche.yaml',
            line: null,
            key: `channels.${name}`,
            message: `${title} does not work: ${problem}`,
            severity: 'error',
            live: true,
          },
        ],
  );

/** Schedules that wait for a time which a clock that was ahead has shown before. */
const silent = (states: readonly ScheduleState[]): Problem[] =>
  states.flatMap(({ id, agent, name, silentUntil }) => {
    if (silentUntil === undefined) return [];
    const until = new Date(silentUntil).toISOString();
    const message = `does not fire before ${until}: the clock was ahead, and it has fired for the times up to then. To have it count from now: ruche schedules pause ${id}, then ruche schedules resume ${id}`;
    const at = { file: `agents/${agent}/AGENT.md`, line: null, key: `schedules.${name}` };
    return [{ ...at, message, severity: 'warning', live: true }];
  });

/** Schedules of one moment that was past before anybody knew of them. */
function lostMoments(states: readonly ScheduleState[]): Problem[] {
  return states.flatMap(({ agent, name, when, paused, next, last }) => {
    if (!when.startsWith('at ') || paused || next !== null || last !== null) return [];
    const message = `${when.slice('at '.length)} is past, and it has never fired: write a moment that is yet to come`;
    return [
      { file: `agents/${agent}/AGENT.md`, line: null, key: `schedules.${name}.at`, message, severity: 'warning' },
    ];
  });
}

async function hookProblems({ name, triggers = [] }: Agent, secret: ReadSecret): Promise<Problem[]> {
  const found = await Promise.all(
    triggers.map(async ({ name: trigger, source }): Promise<Problem[]> => {
      if (source.on !== 'webhook') return [];
      const { values, lacking } = await hookSecrets(source.auth, source.hook, secret);
      if (lacking === null) return [];
      const at = { file: `agents/${name}/AGENT.md`, line: null, key: `triggers.${trigger}.secret` };
      return [{ ...at, message: lacking, severity: values.length === 0 ? 'error' : 'warning', live: true }];
    }),
  );
  return found.flat();
}
