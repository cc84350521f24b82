import { type Problem, WORKSPACE } from '../core/agent.ts';
import type { ChannelState, GatewayState, ServerOffer } from '../core/api/runtime.ts';
import type { Diagnosis } from './app-port.ts';
import { capital, fileFault } from '../core/text/file-fault.ts';
import { shellWord } from '../core/text/paths.ts';
import { channelText, offerText, problemText, refusedText } from './status.ts';

/** What doctor knows, gathered before anything is judged. */
export interface Facts extends Diagnosis {
  node: string;
  home: string;
  /** Whether there is one yet. */
  homeMade: boolean;
  /** Its rights; null if there is none yet, or the system knows no such rights. */
  homeMode: number | null;
  /** Error code of a write in the home, or where it would be made; null if it works. */
  homeProblem: string | null;
  /** Mode of `<home>/token`, null if there is none yet. */
  token: number | null;
  tokenGiven: boolean;
  /** Bytes free where the home is, null if unknown. */
  diskFree: number | null;
  /** The same where the workspace is, if that is another disk. */
  workspaceFree?: number | null;
  /** Milliseconds since the epoch. */
  now: number;
  gateway: { state: 'running' | 'stopped' | 'odd'; detail: string };
  /** A model server that was found and is not used; null if there is none, or no gateway that has looked. */
  offer: ServerOffer | null;
  /** The messengers of the gateway that runs. */
  channels?: readonly ChannelState[];
  /** Where it listens, and what it has refused. */
  listens?: GatewayState | undefined;
  /** Tokens that are assumed of models, by name. */
  assumed: Readonly<Record<string, number>>;
  /** The command line that starts it. */
  start: string;
}

export interface Finding {
  level: 'ok' | 'warning' | 'broken';
  subject: string;
  text: string;
  /** What to do; '' where nothing is wrong. */
  mend: string;
}

type Check = (facts: Facts) => Finding[];

const ok = (subject: string, text: string): Finding => ({ level: 'ok', subject, text, mend: '' });
const warning = (subject: string, text: string, mend: string): Finding => ({ level: 'warning', subject, text, mend });
const broken = (subject: string, text: string, mend: string): Finding => ({ level: 'broken', subject, text, mend });

/** Everything that was looked at, in a fixed order. */
export const findings = (facts: Facts): Finding[] => CHECKS.flatMap((check) => check(facts));

const checkNode: Check = ({ node }) =>
  Number(node.split('.')[0]) >= 24
    ? [ok('Node', node)]
    : [broken('Node', `${node} is too old`, 'Install Node 24 or newer from https://nodejs.org.')];

const checkGit: Check = ({ git }) => {
  const mend = 'Install Git 2.38 or newer: `apt-get install git`, `dnf install git` or `brew install git`.';
  if (git === null) return [broken('Git', 'it is not installed', mend)];
  const [major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(git)?.slice(1) ?? []).map(Number);
  return major > 2 || (major === 2 && minor >= 38) ? [ok('Git', git)] : [broken('Git', `${git} is too old`, mend)];
};

/** Of an agent whose image cannot be run, no command runs. */
const checkImages: Check = ({ images = [] }) =>
  images.map(({ image, ok: works, why, mend }) => {
    const subject = image === null ? 'Containers' : `Image ${image.slice(0, image.indexOf('@') + 20)}…`;
    return works ? ok(subject, why) : broken(subject, `${why} Commands of its agents do not run.`, mend);
  });

/** Not broken: without it every command is asked for. */
const checkSandbox: Check = ({ sandbox }) => [
  sandbox.ok
    ? { ...ok('Sandbox', sandbox.why), mend: sandbox.mend }
    : warning('Sandbox', `${sandbox.why} Ruche asks you before each shell command.`, sandbox.mend),
];

const checkHome: Check = ({ home, homeMade, homeMode, homeProblem }) => {
  if (homeProblem === null && homeMode !== null && (homeMode & 0o077) !== 0)
    return [
      warning(
        'Home',
        `other users can enter ${home} (mode ${homeMode.toString(8)}), where messages and keys are`,
        `Run: chmod 700 ${shellWord(home)}`,
      ),
    ];
  if (homeProblem === null) return [ok('Home', home)];
  const theirs: [string, string] = homeMade
    ? ['is not writable for this user', `Make it yours: sudo chown -R "$USER" ${shellWord(home)}`]
    : [
        'cannot be created by this user',
        `Choose another --home, or create it: sudo install -d -o "$USER" ${shellWord(home)}`,
      ];
  if (homeProblem === 'EACCES' || homeProblem === 'EPERM') return [broken('Home', `${home} ${theirs[0]}`, theirs[1])];
  const fault = fileFault(homeProblem);
  if (fault === null) return [broken('Home', `${home} cannot be written (${homeProblem})`, 'Choose another --home.')];
  return [broken('Home', `${home}: ${fault.wrong}`, `${capital(fault.mend)}, or choose another --home.`)];
};

const MEGABYTE = 1024 * 1024;

function checkFree(subject: string, free: number | null, where: string): Finding {
  if (free === null) return warning(subject, 'the free space is unknown', 'Check with: df -h');
  const text = `${Math.round(free / MEGABYTE)} MB free`;
  const mend = `Free at least 500 MB where the ${where} is.`;
  if (free < 50 * MEGABYTE) return broken(subject, `only ${text}`, mend);
  return free < 500 * MEGABYTE ? warning(subject, `only ${text}`, mend) : ok(subject, text);
}

const checkDisk: Check = ({ diskFree, workspaceFree }) => [
  checkFree('Disk', diskFree, 'home'),
  ...(workspaceFree === undefined ? [] : [checkFree('Disk of the workspace', workspaceFree, 'workspace')]),
];

/** Before this was written nothing can have run. */
const EARLIEST = Date.UTC(2026, 0, 1);

const checkClock: Check = ({ now, newestEvent }) => {
  const time = new Date(now).toISOString();
  const mend = 'Set the clock, preferably with NTP: `timedatectl set-ntp true`.';
  if (now < EARLIEST) return [broken('Clock', `it shows ${time}, which is in the past`, mend)];
  if (newestEvent !== null && newestEvent > now + 60_000)
    return [
      warning(
        'Clock',
        `it shows ${time}, but the journal has an event from ${new Date(newestEvent).toISOString()}`,
        mend,
      ),
    ];
  return [ok('Clock', time)];
};

const checkToken: Check = ({ token, tokenGiven, home }) => {
  if (tokenGiven) return [ok('Token', 'given in RUCHE_TOKEN')];
  if (token === null) return [ok('Token', 'none yet; the first start creates one')];
  if ((token & 0o077) === 0) return [ok('Token', `${home}/token`)];
  const mode = token.toString(8);
  return [
    broken(
      'Token',
      `${home}/token can be read by others (mode ${mode})`,
      'Delete it; the next start creates a new one.',
    ),
  ];
};

const checkSecrets: Check = ({ vault = null, gateway }) => {
  if (vault === null) return [];
  const { problem, locked, secrets, key, open } = vault;
  if (problem === null)
    return [ok('Secrets', `${secrets === 1 ? '1 secret' : `${secrets} secrets`}; the key is ${key ?? 'unknown'}`)];
  if (locked && open !== false)
    return [
      ok('Secrets', gateway.state === 'running' ? 'locked with a passphrase' : 'the next start needs their passphrase'),
    ];
  // Each says what to do itself.
  if (open) return [warning('Secrets', `the running network has them open, but this terminal cannot: ${problem}`, '')];
  return [broken('Secrets', problem, '')];
};

const checkKeys: Check = ({ keys, start }) =>
  keys.map(({ provider, name, present }) =>
    present
      ? ok('Key', `${name} for ${provider} is set`)
      : broken(
          'Key',
          `${name} for ${provider} is not set`,
          `Set the environment variable ${name} before \`${start}\`.`,
        ),
  );

const checkDatabase: Check = ({ database }) => {
  if (database === null) return [];
  // An older home is well, and says itself that the next start converts it.
  if (database.includes('to bring it up to date'))
    return [warning('Database', database, 'Make a backup first (docs/upgrade.md).')];
  const mend =
    'Restore a backup, or use the version of Ruche that wrote it. Without a backup, `ruche verify` names what can still be read.';
  return [broken('Database', database, mend)];
};

const checkLost: Check = ({ lost }) =>
  lost.map(({ what, mend, safe }) => (safe ? warning : broken)('Record', what, mend));

const checkConfig: Check = ({ workspace, config, lost }) => {
  if (workspace !== null) return [broken('Workspace', workspace, 'Do what the message says, then run doctor again.')];
  if (config === null && lost.some(({ safe }) => !safe)) return [];
  if (config === null) return [ok('Workspace', 'none yet; the first start creates one from a template')];
  const stuck = config.problems.filter(({ file }) => file === WORKSPACE);
  const wrong = config.problems.filter(({ file }) => file !== WORKSPACE);
  return [...stuck.map(workspaceFinding), ...configFindings(wrong)];
};

const workspaceFinding = ({ message, severity }: Problem): Finding =>
  severity === 'error'
    ? broken('Workspace', message, 'What waits goes on by itself once that is mended.')
    : warning('Workspace', message, '');

const CONFIGURATION = 'Configuration';

function configFindings(problems: readonly Problem[]): Finding[] {
  // What to do is the same for all files, and said once.
  const last = problems.findLastIndex(inFile);
  const found = problems.map((problem, index) => ({
    level: problem.severity === 'error' ? ('broken' as const) : ('warning' as const),
    subject: subjectOf(problem),
    text: problemText(problem),
    mend: index === last ? 'Correct the file; a saved change applies within a second.' : '',
  }));
  if (found.some(({ subject }) => subject === CONFIGURATION)) return found;
  return [ok(CONFIGURATION, 'ruche.yaml and every agent are valid'), ...found];
}

/** What is wrong is written in a file that its owner can correct. */
const inFile = ({ file, live }: Problem): boolean =>
  live !== true && /^(?:ruche\.yaml|(?:agents|skills)(?:\/|$))/.test(file);

function subjectOf({ file, key, live }: Problem): string {
  if (file === 'journal.git') return 'Record';
  return live === true && key.startsWith('channels.') ? 'Channel' : CONFIGURATION;
}

/** With such a ref Git can neither clean up nor be copied whole. */
const checkRefs: Check = ({ refs, start }) =>
  refs.map((ref) =>
    broken(
      'Workspace',
      `${ref} names work of a run that Git has removed, so \`git gc\` and \`git push --mirror\` fail`,
      `The next start keeps what is left of it: \`${start}\`. Or remove it, in the workspace: git update-ref -d ${shellWord(ref)}`,
    ),
  );

const checkOffer: Check = ({ offer }) => (offer === null ? [] : [ok('Model', offerText(offer))]);

const checkWindows: Check = ({ assumed }) =>
  Object.entries(assumed).map(([model, window]) =>
    warning(
      'Model',
      `nobody says how many tokens ${model} holds, so ${window} are assumed`,
      `Set it in ruche.yaml: models.providers.${model.slice(0, model.indexOf('/'))}.window`,
    ),
  );

const checkGateway: Check = ({ gateway, start }) => {
  if (gateway.state === 'running') return [ok('Gateway', 'running')];
  if (gateway.state === 'stopped') return [ok('Gateway', `not running; start it with: ${start}`)];
  return [warning('Gateway', gateway.detail, `Start it again with: ${start}`)];
};

/** A proxy's machine may be another one than ours, so with a public address that has TLS it is a reminder. */
const checkAddress: Check = ({ listens }) => {
  if (listens?.exposed !== true) return [];
  const { url, publicUrl } = listens;
  if (publicUrl?.startsWith('https:'))
    return [ok('Address', `${url} is plain HTTP: let only the proxy of ${publicUrl} reach it`)];
  return [
    warning(
      'Address',
      `${url} serves plain HTTP to other machines, so tokens and messages can be read on the way`,
      'Leave out --host, or put a proxy with TLS before it and set publicUrl in ruche.yaml (docs/proxy.md)',
    ),
  ];
};

/** Nobody but the owner's senders knows the name of a hook. What comes to others is noise. */
const checkHooks: Check = ({ listens, now }) =>
  (listens?.refused ?? []).map((each) =>
    each.hook === null || (each.accepted ?? -1) >= each.at
      ? ok('Webhook', refusedText(each, now))
      : warning(
          'Webhook',
          refusedText(each, now),
          'Compare secret and signature at the sender with its trigger (docs/triggers.md)',
        ),
  );

/** What keeps one from working stands among the problems of the settings. */
const checkChannels: Check = ({ channels = [], now }) =>
  channels.filter(({ problem }) => problem === null).map((each) => ok('Channel', channelText(each, now)));

const CHECKS: readonly Check[] = [
  checkNode,
  checkGit,
  checkSandbox,
  checkImages,
  checkHome,
  checkDisk,
  checkClock,
  checkToken,
  checkSecrets,
  checkDatabase,
  checkLost,
  checkConfig,
  checkRefs,
  checkKeys,
  checkOffer,
  checkWindows,
  checkGateway,
  checkAddress,
  checkHooks,
  checkChannels,
];
