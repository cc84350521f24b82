import { statSync } from 'node:fs';
import { Command, CommanderError, Help, Option } from 'commander';
import { CliError, type Io } from './io.ts';
import { resolveOptions, type Flags as PlaceFlags, type Options } from './options.ts';
import type { AskFlags } from './ask.ts';
import type { LogFlags } from './log-filter.ts';
import type { AgentsFlags } from './pause.ts';
import type { ModelsFlags } from './models.ts';
import type { PolicyFlags } from './policy.ts';
import type { SecretsFlags } from './secrets.ts';
import type { SimulateFlags } from './simulate.ts';
import type { SkillsFlags } from './skills.ts';
import type { ApproveFlags, EndorseFlags } from './standing.ts';
import type { TasksFlags } from './tasks.ts';
import type { TriggersFlags } from './triggers.ts';
import type { UpFlags } from './up.ts';
import { asCalled, explain } from './explain.ts';

/** Runs one command line and gives its exit code. Each command's module is loaded only when it is used. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const result = { code: 0 };
  const program = build(io, result);
  try {
    await program.parseAsync(args, { from: 'user' });
    return result.code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode; // it has said what is wrong
    io.err(`ruche: ${hinted(explain(error), io)}\n`);
    if (io.env['RUCHE_DEBUG'] && error instanceof Error) io.err(`${error.stack ?? ''}\n`);
    return error instanceof CliError ? error.exitCode : 1;
  }
}

/** Under `npm start` options come behind two dashes. */
const hinted = (text: string, { self, env }: Io): string =>
  asCalled(
    env['npm_lifecycle_event'] === 'start'
      ? text.replace('with --port (0 takes any free one)', 'with: npm start -- --port 0 (0 takes any free one)')
      : text,
    self,
  );

/** Every option of every command, as commander hands them over. */
type Flags = PlaceFlags &
  ApproveFlags &
  EndorseFlags &
  AskFlags &
  LogFlags &
  ModelsFlags &
  TasksFlags &
  PolicyFlags &
  SecretsFlags &
  SkillsFlags &
  AgentsFlags &
  TriggersFlags &
  UpFlags;

const TERM = new Help();

type Act = (options: Options) => Promise<number>;

function build(io: Io, result: { code: number }): Command {
  const program = new Command('ruche')
    .description('A self-hosted runtime for a network of AI agents that share one Git workspace.')
    .version(io.version, '-V, --version')
    .showHelpAfterError(`(for help: ${io.self} --help)`)
    .configureOutput({
      writeOut: (text) => io.out(text),
      writeErr: (text) => io.err(text.replace(/^error:/, 'ruche:')),
    })
    .exitOverride();

  // The help of a command that says how it is used shows that, and not what is parsed.
  program.configureHelp({
    subcommandTerm: (each) => (each.name() === 'ask' ? 'ask [options] [agent] <text>' : TERM.subcommandTerm(each)),
  });
  const command = (usage: string, description: string): Command =>
    program
      .command(usage)
      .description(description)
      .showHelpAfterError(`(for help: ${io.self} ${usage.split(' ')[0]} --help)`)
      .option('--home <dir>', 'where Ruche keeps its data (RUCHE_HOME, else ~/.ruche)')
      .option(
        '--workspace <dir>',
        'the Git repository agents and people share (RUCHE_WORKSPACE, else <home>/workspace)',
      );
  const act = async (flags: Flags, what: Act): Promise<void> => {
    result.code = await what(resolveOptions(flags, { ...io, isFolder }));
  };

  serving(command, act, io);
  talking(command, act, io);
  agreeing(command, act, io);
  looking(command, act, io);
  ruling(command, act, io);
  steering(command, act, io);
  keeping(command, act, io);
  playing(program, result, io);
  return program;
}

type MakeCommand = (usage: string, description: string) => Command;
type MakeAct = (flags: Flags, what: Act) => Promise<void>;

function serving(command: MakeCommand, act: MakeAct, io: Io): void {
  command('up', 'start the network and its gateway')
    .option('--template <name>', 'template for a new workspace: network or solo (network)')
    .option('--host <address>', 'address to listen on (127.0.0.1)')
    .option('--port <number>', 'port to listen on (RUCHE_PORT, else 4747; 0 takes any free one)')
    .option('--accept-loss', 'start without the events or the workspace that a refused start said are gone')
    .option('--paused', 'start with every agent paused')
    .action((flags: Flags) => act(flags, async (options) => (await import('./up.ts')).up(io, options, flags)));
  command('down', 'stop the running network, and wait until it has ended').action((flags: Flags) =>
    act(flags, async (options) => (await import('./down.ts')).down(io, options)),
  );
  command('init [dir]', 'create a workspace from a template; with dir, create dir/home and dir/workspace')
    .option('--template <name>', 'the template: network or solo (network)')
    .action((dir: string | undefined, flags: Flags) =>
      act(flags, async (options) => (await import('./init.ts')).init(io, options, dir)),
    );
}

function talking(command: MakeCommand, act: MakeAct, io: Io): void {
  const asking = (usage: string, description: string): Command =>
    command(usage, description)
      .option('--json', 'print {task, run, session, status, text, commit}')
      .option('--timeout <seconds>', 'stop waiting after this time; the run goes on');
  asking(
    'ask [agent] [text]',
    'send a message and print the answer; without an agent it goes to the front desk (exit 0 answered, 1 failed, 2 no gateway, 3 waiting)',
  )
    .usage('[options] [agent] <text>')
    .option('--session <id>', 'continue this conversation')
    .argument('[more...]')
    .action((first: string | undefined, second: string | undefined, more: string[], flags: Flags) => {
      if (first === undefined)
        throw new CliError(`What do you want to ask? Put the text in quotes: ${io.self} ask "TEXT"`);
      if (more.length > 0) {
        const said = [second, ...more].join(' ');
        throw new CliError(`Put the text in quotes: ${io.self} ask ${first} "${said}"`);
      }
      const [agent, text] = second === undefined ? [undefined, first] : [first, second];
      return act(flags, async (options) => (await import('./ask.ts')).ask(io, options, agent, text, flags));
    });
  asking('answer <id> <text>', 'answer a question from an agent').action((id: string, text: string, flags: Flags) =>
    act(flags, async (options) => (await import('./ask.ts')).answer(io, options, id, text, flags)),
  );
  const several = (value: string, before: readonly string[] = []): string[] => [...before, value];
  asking('approve <id>', 'approve the request with this id')
    .option('--note <text>', 'words for the agent')
    .option('--for-task', 'let calls of the same kind through until its task ends')
    .option('--standing', 'let calls of the same kind through from now on; see grants')
    .option('--expires <time>', 'standing: end after this time, such as 7d (30d unless given)')
    .option('--count <number>', 'standing: end after this many uses')
    .option('--match <name=pattern>', 'standing: also values that fit, such as to=*@example.org', several)
    .option('--vouch <name>', 'vouch for this value of the call from now on; see endorsements', several)
    .action((id: string, flags: Flags) =>
      act(flags, async (options) => (await import('./ask.ts')).decide(io, options, id, 'approve', flags)),
    );
  asking('deny <id> [reason...]', 'deny the request with this id; the agent is told the reason')
    .option('--note <text>', 'the same as a reason')
    .action((id: string, reason: string[], flags: Flags) =>
      act(flags, async (options) =>
        (await import('./ask.ts')).decide(io, options, id, 'deny', flags, reason.join(' ').trim() || flags.note),
      ),
    );
  command('chat [agent]', 'talk to an agent in the terminal')
    .option('--session <id>', 'continue this conversation')
    .option('--verdicts', 'take the lines yes and no from a pipe as verdicts on approvals')
    .action((agent: string | undefined, flags: Flags) =>
      act(flags, async (options) => (await import('./chat.ts')).chat(io, options, agent, flags)),
    );
}

function looking(command: MakeCommand, act: MakeAct, io: Io): void {
  command('tasks [action] [id]', 'list tasks (list), or show, cancel or retry one')
    .option('--agent <name>', 'only tasks of this agent')
    .option(
      '--status <status>',
      'only these states, separated by commas: queued, running, waiting, done, failed, dead, cancelled',
    )
    .option(
      '--from <kind>',
      'only from person, schedule, trigger, agent, file …; "!schedule" leaves out work by the clock',
    )
    .option('--all', 'also runs of scripts by the clock that found nothing new')
    .option('--limit <number>', 'show this many, newest first (50)')
    .option('--json', 'print JSON')
    .action((action: string | undefined, id: string | undefined, flags: Flags) =>
      act(flags, async (options) => (await import('./tasks.ts')).tasks(io, options, action ?? 'list', id, flags)),
    );
  command('login', 'print a link that logs one browser in to the web page, once')
    .option('--json', 'print JSON')
    .action((flags: Flags) => act(flags, async (options) => (await import('./login.ts')).login(io, options, flags)));
  command('pair <channel>', 'print a one-time code; the person who sends it to the bot becomes an owner')
    .option('--json', 'print JSON')
    .action((channel: string, flags: Flags) =>
      act(flags, async (options) => (await import('./login.ts')).pair(io, options, channel, flags)),
    );
  command('status', 'show the state of the running network')
    .option('--json', 'print JSON')
    .action((flags: Flags) => act(flags, async (options) => (await import('./status.ts')).status(io, options, flags)));
  command('models', 'list the models with price, context window and abilities')
    .option('--use <server>', 'use a server that was found on this machine, such as ollama')
    .option('--test', 'ask each model for a short answer (costs a few hundred tokens)')
    .option('--json', 'print JSON')
    .action((flags: Flags) => act(flags, async (options) => (await import('./models.ts')).models(io, options, flags)));
  command('doctor', 'find problems and say how to fix them')
    .option('--security', 'name each default that was weakened, and what to write instead')
    .option('--json', 'print JSON')
    .action((flags: Flags & { security?: boolean }) =>
      act(flags, async (options) =>
        flags.security === true
          ? (await import('./security.ts')).security(io, options, flags)
          : (await import('./doctor.ts')).doctor(io, options, flags),
      ),
    );
  command('log', 'show the journal')
    .option('-f, --follow', 'keep printing new events')
    .option('--run <id>', 'only this run')
    .option('--task <id>', 'only this task and its runs')
    .option('--agent <name>', 'only this agent')
    .option('--type <types>', 'only these types, separated by commas; "run." means all types that start with it')
    .option('--since <time>', 'only events since then: 10m, 2h, 3d, or a date')
    .option('--limit <number>', 'show this many of the newest (200; 0 means all)')
    .option('--json', 'print one JSON object per line, with contents')
    .action((flags: Flags) => act(flags, async (options) => (await import('./log.ts')).log(io, options, flags)));
  command('net', 'show what left over the network: for whom, where to and how much')
    .option('--agent <name>', 'only this agent')
    .option('--since <time>', 'everything since then: 10m, 2h, 3d, or a date; the newest 50 unless given')
    .option('--json', 'print JSON')
    .action((flags: Flags) => act(flags, async (options) => (await import('./net.ts')).net(io, options, flags)));
  command('show <path>', 'show where a file of the workspace came from: its labels, who set them and who cleared them')
    .option('--json', 'print JSON')
    .action((path: string, flags: Flags) =>
      act(flags, async (options) => (await import('./show.ts')).show(io, options, path, flags)),
    );
  command('agents [action] [name]', 'list the agents (list), or pause NAME, resume NAME')
    .option('--reason <text>', 'pause: the reason, for the record')
    .option('--all', 'pause or resume every agent')
    .option('--json', 'print JSON')
    .action((action: string | undefined, name: string | undefined, flags: Flags) =>
      act(flags, async (options) => (await import('./agents.ts')).agents(io, options, { action, name }, flags)),
    );
  command('skills [action] [what]', 'list skills (list), or show NAME, add PATH, check [PATH]')
    .option('--replace', 'add: replace a skill of the same name')
    .option('--json', 'print JSON')
    .action((action: string | undefined, what: string | undefined, flags: Flags) =>
      act(flags, async (options) => (await import('./skills.ts')).skills(io, options, { action, what }, flags)),
    );
  command('verify', 'check that journal, queue, journal.git and workspace agree (exit 1 if not)')
    .option('--json', 'print JSON')
    .action((flags: Flags) => act(flags, async (options) => (await import('./verify.ts')).verify(io, options, flags)));
}

/** What waits for people, and what they agree to beyond a single call. */
function agreeing(command: MakeCommand, act: MakeAct, io: Io): void {
  command('approvals', 'list what waits for you')
    .option('--json', 'print JSON')
    .action((flags: Flags) =>
      act(flags, async (options) => (await import('./approvals.ts')).approvals(io, options, flags)),
    );
  command('grants [action] [id]', 'list what agents may do without asking again (list), or revoke one')
    .option('--all', 'include those that are over')
    .option('--json', 'print JSON')
    .action((action: string | undefined, id: string | undefined, flags: Flags) =>
      act(flags, async (options) =>
        (await import('./standing.ts')).standing(io, options, 'grant', { action: action ?? 'list', id }, flags),
      ),
    );
  command('endorse <value>', 'vouch for an address, a URL, a number or a file, wherever it came from')
    .option('--kind <kind>', 'address, url, number, file or text; recognised by its form unless given')
    .option('--name <argument>', 'only for this argument of a call, such as to or amount')
    .option('--note <text>', 'why, for the record')
    .option('--json', 'print JSON')
    .action((value: string, flags: Flags) =>
      act(flags, async (options) => (await import('./standing.ts')).endorse(io, options, value, flags)),
    );
  command('endorsements [action] [id]', 'list the values that you vouch for (list), or revoke one')
    .option('--all', 'include those that were revoked')
    .option('--json', 'print JSON')
    .action((action: string | undefined, id: string | undefined, flags: Flags) =>
      act(flags, async (options) =>
        (await import('./standing.ts')).standing(io, options, 'endorsement', { action: action ?? 'list', id }, flags),
      ),
    );
}

/** What the rules say, and what it costs. */
function ruling(command: MakeCommand, act: MakeAct, io: Io): void {
  command(
    'costs [action]',
    'show what was spent, the projection for the month and what is left of each budget; correct: correct a wrong price',
  )
    .option('--by <what>', 'agent (the default), model, task, day, person or queue')
    .option('--since <time>', 'from then on: 12h, 30d, or a date; from the beginning of the month unless given')
    .option('--model <name>', 'correct: the model, as PROVIDER/MODEL')
    .option('--input <usd>', 'correct: dollars for a million tokens of input')
    .option('--output <usd>', 'correct: dollars for a million tokens of output')
    .option('--cached <usd>', 'correct: dollars for a million tokens of input that was cached')
    .option('--json', 'print JSON')
    .action((action: string | undefined, flags: Flags) =>
      act(flags, async (options) => (await import('./costs.ts')).costs(io, options, action, flags)),
    );
  command(
    'policy <action> [words...]',
    'explain AGENT "shell: git push": the verdict and why; test FILE: check the rules against cases; rehearse: decide the past again under changed rules; stats: count how often each rule asked',
  )
    .option('--labels <list>', 'explain: the run has these labels: untrusted, private')
    .option('--sender <who>', 'explain: who gave the work: owner, CHANNEL:ADDRESS, agent:NAME …')
    .option('--queue <name>', 'explain: the task is in this queue')
    .option(
      '--at <what>',
      'explain: the time of the call, such as 2026-11-23T08:15; rehearse: the rules to try, a file, folder or commit',
    )
    .option('--since <time>', 'rehearse, stats: decisions from then on: 12h, 30d (the default), or a date')
    .option('--cost <usd>', 'explain: the run has cost this much')
    .option('--vouched <names>', 'explain: a person has approved the values of these arguments, such as url')
    .option('--json', 'print JSON')
    .action((action: string, words: string[], flags: Flags) =>
      act(flags, async (options) => (await import('./policy.ts')).policy(io, options, [action, ...words], flags)),
    );
}

/** What happens without being asked. */
function steering(command: MakeCommand, act: MakeAct, io: Io): void {
  command('schedules [action] [id]', 'list schedules (list), or run, pause or resume AGENT/NAME')
    .option('--json', 'print JSON')
    .action((action: string | undefined, id: string | undefined, flags: Flags) =>
      act(flags, async (options) => {
        const { changeSchedule, schedules } = await import('./schedules.ts');
        if (action === undefined || action === 'list') return schedules(io, options, flags);
        return changeSchedule(io, options, action, id, flags);
      }),
    );
  command('triggers [action] [id]', 'list triggers (list), or show, run, pause or resume AGENT/NAME')
    .option('--event <json>', 'run: the event to pass, e.g. {"path": "shared/a.md"}')
    .option('--json', 'print JSON')
    .action((action: string | undefined, id: string | undefined, flags: Flags) =>
      act(flags, async (options) => (await import('./triggers.ts')).triggers(io, options, action ?? 'list', id, flags)),
    );
  command('escalations [action] [id]', 'list open escalations (list), or show or ack one')
    .option('--all', 'include closed ones')
    .option('--json', 'print JSON')
    .action((action: string | undefined, id: string | undefined, flags: Flags) =>
      act(flags, async (options) =>
        (await import('./escalations.ts')).escalations(io, options, action ?? 'list', id, flags),
      ),
    );
}

/** What the owner keeps for the network. */
function keeping(command: MakeCommand, act: MakeAct, io: Io): void {
  command(
    'secrets [action] [name] [more...]',
    'list the secrets (list), or set, rotate, remove or show-use NAME, or rotate-key; a value is asked for, or comes from a pipe',
  )
    .usage('[options] [action] [name]')
    .option('--from-file <path>', 'set, rotate: the file the value is in')
    .option('--key-file <path>', 'rotate-key: keep the key in this file from now on')
    .option('--command <line>', 'rotate-key: take the key from what this command prints')
    .option('--credential <name>', 'rotate-key: take the key from this credential of systemd')
    .option('--passphrase', 'rotate-key: lock the key file with a passphrase, which is asked for')
    .option('--json', 'print JSON')
    .action((action: string | undefined, name: string | undefined, more: string[], flags: Flags) => {
      const words = [action, name, ...more].filter((word) => word !== undefined);
      return act(flags, async (options) => (await import('./secrets.ts')).secrets(io, options, words, flags));
    });
}

function playing(program: Command, result: { code: number }, io: Io): void {
  const option = (flags: string, what: string): Option => new Option(flags, what);
  program
    .command('simulate')
    .description('simulate a week with scripted models, clock and channel, and check that nothing was lost or repeated')
    .option('--days <number>', 'number of days (7)')
    .option('--seed <number>', 'number that decides what happens (1)')
    .option('--keep <dir>', 'keep home and workspace in this empty folder')
    .option('--break <name>', 'plant a bug that must be noticed; "list" shows them')
    .option('--json', 'print JSON')
    .addOption(option('--life <dir>', 'one process of a play').hideHelp())
    .action(async (flags: SimulateFlags) => {
      result.code = await (await import('./simulate.ts')).simulate(io, flags);
    });
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
