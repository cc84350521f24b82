import { resolve } from 'node:path';
import type { Problem } from '../core/agent.ts';
import { unknownText } from '../core/text/unknown.ts';
import type { SkillsPort, SkillView } from './app-port.ts';
import { asCalled } from './explain.ts';
import { CliError, oneLine, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { problemText } from './status.ts';

export interface SkillsFlags {
  json?: boolean;
  replace?: boolean;
}

const ACTIONS = ['list', 'show', 'add', 'check'] as const;

/** `ruche skills`: what there is and who uses it, one in full, a new one, and what is wrong with them. */
export async function skills(
  io: Io,
  { workspace }: Options,
  { action = 'list', what }: { action?: string | undefined; what?: string | undefined },
  flags: SkillsFlags,
): Promise<ExitCode> {
  const known = ACTIONS.find((each) => each === action);
  if (known === undefined) throw new CliError(unknownText('action', action, { known: ACTIONS }));
  const app = await io.loadApp();
  const port = await app.openSkills({ workspace, env: io.env });
  const said = (): string => {
    if (what !== undefined) return what;
    throw new CliError(
      `Name ${known === 'show' ? 'the skill' : 'the folder of the skill'}: ${io.self} skills ${known} ${known === 'show' ? 'NAME' : 'PATH'}`,
    );
  };
  if (known === 'show') return show(io, await port.list(), said(), flags);
  if (known === 'add') return add(io, port, said(), flags);
  if (known === 'check') return check(io, port, what, flags);
  const views = await port.list();
  if (flags.json) io.out(`${JSON.stringify(views.map(({ text: _text, ...view }) => view))}\n`);
  else io.out(`${asCalled(views.map((view) => lineOf(view)).join('\n'), io.self)}\n`);
  return 0;
}

function stateOf({ agents, missing, problems }: SkillView): string {
  if (problems.some(({ severity }) => severity === 'error')) return 'invalid: see `ruche skills check`';
  if (missing.length > 0) return missing.join('; ');
  return agents.length === 0 ? 'no agent uses it' : `used by ${agents.join(', ')}`;
}

const lineOf = (view: SkillView): string =>
  `${plain(view.name).padEnd(20)} ${view.source.padEnd(9)}  ${plain(stateOf(view))}\n    ${oneLine(view.description, 120)}`;

function show(io: Io, views: readonly SkillView[], name: string, { json }: SkillsFlags): ExitCode {
  const view = views.find((each) => each.name === name);
  if (!view) throw new CliError(unknownText('skill', name, { known: views.map((each) => each.name) }));
  if (json) {
    io.out(`${JSON.stringify(view)}\n`);
    return 0;
  }
  const { install, license, files, flags, problems, text } = view;
  const lines = [
    lineOf(view),
    ...(license === null ? [] : [`License: ${license}`]),
    ...(install.length === 0
      ? []
      : ['Install steps from its authors (Ruche runs none of them):', ...install.map((line) => `    ${line}`)]),
    'Files:',
    ...files.map(({ path, size }) => `    ${path}  ${size} bytes`),
    ...told(problems, flags),
    '',
    text ?? '',
  ];
  io.out(`${plain(lines.join('\n'))}\n`);
  return 0;
}

const told = (problems: readonly Problem[], flags: readonly Problem[]): string[] => [
  ...problems.map((problem) => `${problem.severity === 'error' ? '✗' : '!'} ${problemText(problem)}`),
  ...flags.map((flag) => `! Look closely: ${problemText(flag)}`),
];

async function add(io: Io, port: SkillsPort, path: string, { json, replace }: SkillsFlags): Promise<ExitCode> {
  const added = await port.add(resolve(io.cwd, path), { replace: replace === true });
  if (json) io.out(`${JSON.stringify(added)}\n`);
  else if (added.ok) {
    const commit = added.commit === null ? 'it was already there' : `commit ${added.commit.slice(0, 12)}`;
    const lines = [
      ...told(added.problems, added.flags),
      `skills/${added.name}: ${added.files} ${added.files === 1 ? 'file' : 'files'}, ${commit}.`,
      `No agent uses it yet. Read it (${io.self} skills show ${added.name}), then add skills: [${added.name}] to an AGENT.md.`,
    ];
    io.out(`${plain(lines.join('\n'))}\n`);
  } else io.err(`${plain([...told(added.problems, []), added.why].join('\n'))}\n`);
  return added.ok ? 0 : 1;
}

async function check(io: Io, port: SkillsPort, path: string | undefined, { json }: SkillsFlags): Promise<ExitCode> {
  const found = path === undefined ? await port.list() : [await port.check(resolve(io.cwd, path))];
  const wrong = found.some(({ problems }) => problems.some(({ severity }) => severity === 'error'));
  if (json) io.out(`${JSON.stringify(found.map(({ name, problems, flags }) => ({ name, problems, flags })))}\n`);
  else
    for (const { name, problems, flags } of found) {
      const lines = told(problems, flags);
      io.out(`${plain([lines.length === 0 ? `✓ ${name}` : name, ...lines.map((line) => `  ${line}`)].join('\n'))}\n`);
    }
  return wrong ? 1 : 0;
}
