import { EXTRA_FILES } from '../../core/agent.ts';
import { type Agent, type Governance, type Problem, type Settings, SETTINGS_FILE } from '../../core/agent.ts';
import type { Change } from '../../core/files.ts';
import { NO_SCRIPTS } from '../../core/skill.ts';
import { readReceiver } from '../../core/escalation.ts';
import { isAgentName } from '../../core/ids.ts';
import { commonReach, reachText } from '../../core/net/reach.ts';
import type { Difference, GovernanceReader, SavedFile } from '../../core/ports/governance.ts';
import { nameProblem, parseAgent } from '../../config/agent.ts';
import { FOLDER, readTree, textOf as textOfName, type TreeEntry } from '../../git/trees.ts';
import type { Git } from '../../git/git.ts';
import {
  describeProtected,
  joined,
  mayBeProtected,
  placeOf,
  type Explain,
  type LineDiff,
  type Side,
  type Touched,
} from './protected.ts';
import { Scripts, hindrances } from './script-changes.ts';
import { describeSkills, mayConcernSkills, type RawChange, type SkillViews } from './skill-changes.ts';
import { pinnedOver, readSkills, type SkillSupport, withSkillTools } from './skills.ts';
import { parseSettings, recipientsOf, type Known, type KnownToAgent } from '../../config/settings.ts';
import { lostHooks } from '../../config/triggers.ts';
import { lostQueues } from '../../config/queues.ts';
import { didYouMean } from '../../core/text/unknown.ts';
import { MAX_FILE, decodeText, parseYaml, problem } from '../../config/yaml-source.ts';

const KEEP_REF = 'refs/ruche/governance';

interface Entry extends TreeEntry {
  path: string;
}

export interface GovernanceOptions extends Known {
  git: Git;
  /** What a schedule means by the clock, for the person who approves it; null if that cannot be told. */
  explain: Explain;
  /** The name of a schedule whose only moment has passed; null for any other. */
  over: Explain;
  skills: SkillSupport;
}

type ParsedAgent = ReturnType<typeof parseAgent>;
/** Agents of the last load, by all that they were made of: agents that write beside their AGENT.md cause many loads. */
type ParsedAgents = Map<string, ParsedAgent>;

type Loaded = { ok: true; governance: Governance } | { ok: false; problems: Problem[] };

/** What is looked at without governing by it. */
interface Foresight {
  /** What would govern if this commit did, with what stands saved over it. */
  foresee(commit: string, saved: readonly SavedFile[]): Promise<Loaded>;
  /** Schedules and triggers whose script is not there at a commit, or may not be run. */
  hindrances(commit: string, agents: Governance['agents']): Promise<Problem[]>;
}

/** Reads `ruche.yaml` and every AGENT.md at a commit, through Git objects only: nothing of the work tree counts. */
export function openGovernanceReader(options: GovernanceOptions): GovernanceReader & Foresight {
  const { git } = options;
  const scripts = new Scripts(git, options.skills.trees);
  let last: { key: string; loaded: Loaded } | null = null;
  const parsed: ParsedAgents = new Map();
  let looked: { commit: string; agents: Governance['agents']; found: Promise<Problem[]> } | null = null;

  const load = async (commit: string): Promise<Loaded> => {
    if (!(await exists(git, commit)))
      return {
        ok: false,
        problems: [problem(SETTINGS_FILE, null, '', `the commit ${commit} is not in the repository`)],
      };
    const settings = await git.resolve(`${commit}:${SETTINGS_FILE}`);
    const agents = await git.resolve(`${commit}:agents`);
    const skills = await git.resolve(`${commit}:skills`);
    const key = `${settings ?? ''} ${agents ?? ''} ${skills ?? ''}`;
    if (last?.key !== key) last = { key, loaded: await read(options, commit, parsed) };
    const { loaded } = last;
    if (!loaded.ok) return loaded;
    // Scripts lie anywhere in the tree, so what was read before says nothing about them.
    const pins = await scripts.pin(commit, loaded.governance.agents);
    return { ok: true, governance: { ...loaded.governance, commit, scripts: pins } };
  };

  return {
    load,
    exists: (commit) => exists(git, commit),
    async protectedDiff(from, to) {
      if (from === to) return null;
      const changes = parseDiff(
        await git.run(['diff-tree', '-r', '-z', '--no-renames', '--no-abbrev', oid(from), oid(to)]),
      );
      const tree = (commit: string): string => `${oid(commit)}^{tree}`;
      // What comes from outside is known again by its words, which therefore must not change with the day.
      return describe({ ...options, scripts, explain: () => null, governing: true }, changes, {
        before: tree(from),
        after: tree(to),
        overlay: false,
      });
    },
    async protectedChanges(base, changes) {
      const runs = await scripts.counter(oid(base), changes);
      const named = changes.filter(({ path, mode }) => {
        const modes = [mode, '120000'];
        return mayBeProtected(path, modes) || mayConcernSkills(path) || runs(path, modes);
      });
      if (named.length === 0) return null;
      const tree = `${oid(base)}^{tree}`;
      const before = await entriesAt(
        git,
        tree,
        named.map((change) => change.path),
      );
      const raw = named.map((change) => overlayChange(change, before));
      const views = { before: tree, after: tree, overlay: true };
      const governing = await load(base);
      const zone = governing.ok ? governing.governance.settings.timezone : undefined;
      const { explain, over } = noticing(options, zone);
      const found = await describe({ ...options, explain, scripts, governing: false }, raw, views);
      return found === null || over.size === 0 ? found : { ...found, over: [...over] };
    },
    pinned: async (base, skills, pins) => [
      ...(await scripts.over(oid(base), pins)),
      ...(await pinnedOver(options.skills, git, oid(base), skills)),
    ],
    check: (path, bytes, beside) => checkSaved(options, path, bytes, beside),
    foresee: async (commit, saved) =>
      (await exists(git, commit)) ? read(options, commit, new Map(), saved) : load(commit),
    hindrances(commit, agents) {
      if (looked?.commit !== commit || looked.agents !== agents)
        looked = { commit, agents, found: hindrances(git, oid(commit), agents) };
      return looked.found;
    },
    async keep(commit) {
      await git.run(['update-ref', KEEP_REF, oid(commit)]);
    },
  };
}

/** Explains schedules, and keeps the names of those whose only moment has passed. */
function noticing(options: GovernanceOptions, zone: string | undefined): { explain: Explain; over: Set<string> } {
  const over = new Set<string>();
  const explain: Explain = (agent, schedule) => {
    const name = options.over(agent, schedule, zone);
    if (name !== null) over.add(name);
    return options.explain(agent, schedule, zone);
  };
  return { explain, over };
}

/** An object id and nothing that Git could take for an option or a revision. */
function oid(commit: string): string {
  if (!/^[0-9a-f]{40,64}$/.test(commit)) throw new Error(`"${commit}" is not the id of a commit`);
  return commit;
}

const exists = async (git: Git, commit: string): Promise<boolean> =>
  (await git.info(`${oid(commit)}^{commit}`)) !== null;

/** What stands at the root under the very name that is looked for; a file in place of `agents` is reported elsewhere. */
const isOwn = ({ path, mode }: Entry): boolean =>
  path === SETTINGS_FILE || path === 'agents' || (path === 'skills' && mode === FOLDER);

async function read(
  options: GovernanceOptions,
  commit: string,
  parsed: ParsedAgents,
  saved: readonly SavedFile[] = [],
): Promise<Loaded> {
  const { git } = options;
  const root = await listTree(git, commit);
  const odd = root
    .filter((entry) => !isOwn(entry) && placeOf(entry.path, [entry.mode]) === 'odd')
    .map((entry) =>
      problem(entry.path, null, '', `is named like ruche.yaml, agents or skills, but is not that: rename it`),
    );
  const file = root.find((entry) => entry.path === SETTINGS_FILE);
  const standing = saved.find(({ path, bytes }) => path === SETTINGS_FILE && bytes !== null)?.bytes;
  const text = standing ? { ok: true as const, bytes: standing } : await textOf(git, file, SETTINGS_FILE);
  if (!text.ok) return { ok: false, problems: [text.problem, ...odd] };
  const { settings, problems } = parseSettings(text.bytes, SETTINGS_FILE, options);
  if (!settings) return { ok: false, problems: [...problems, ...odd] };
  const found = await readAgents(
    options,
    root.find((entry) => entry.path === 'agents'),
    settings,
    parsed,
  );
  layOver(options, found, settings, saved);
  const agents = deskFirst(found.agents, settings);
  const skills = await readSkills(options.skills, git, commit, agents);
  const lost = [
    ...lostBindings(agents, settings),
    ...lostHooks(agents),
    ...lostQueues(agents, settings, SETTINGS_FILE),
    ...lostLevels(agents, settings, text.bytes),
    ...lostSecrets(agents, settings, text.bytes),
    ...lostReaches(agents, settings),
  ];
  const all = [...problems, ...lost, ...odd, ...found.problems, ...skills.problems];
  return {
    ok: true,
    governance: {
      commit,
      settings,
      agents: withSkillTools(agents, skills.skills, options.tools),
      skills: skills.skills,
      scripts: NO_SCRIPTS,
      problems: all,
    },
  };
}

/** What a person has saved, in the place of what is committed. One that is refused leaves the committed agent at work. */
function layOver(
  options: GovernanceOptions,
  found: { agents: Map<string, Agent>; problems: Problem[] },
  settings: Settings,
  saved: readonly SavedFile[],
): void {
  for (const { path, bytes } of saved) {
    const [, name = '', file] = path.split('/');
    if (file === undefined || bytes === null) continue;
    found.problems = found.problems.filter((problem) => problem.file !== path);
    if (file !== 'AGENT.md') {
      found.problems.push(...checkSaved(options, path, bytes, settings));
      continue;
    }
    const { agent, problems } = parseAgent(bytes, path, name, known(options, settings));
    found.problems.push(...problems);
    if (agent) found.agents.set(name, agent);
  }
}

/** The front desk is the first agent of every list. */
function deskFirst(agents: Map<string, Agent>, { bindings }: Settings): Map<string, Agent> {
  const desk = bindings.find(({ channel, chat }) => channel === null && chat === null)?.agent;
  const first = desk === undefined ? undefined : agents.get(desk);
  return first ? new Map([[first.name, first], ...agents]) : agents;
}

/** Bindings that lead nowhere: a person who writes there is answered by another agent. */
const lostBindings = (agents: ReadonlyMap<string, Agent>, { bindings }: Settings): Problem[] =>
  bindings.flatMap(({ agent }, index) => {
    if (agents.has(agent)) return [];
    const said = `there is no agent "${agent}", so nothing is bound to it.${didYouMean(agent, agents.keys())}`;
    return [problem(SETTINGS_FILE, null, `bindings.${index}.agent`, said, 'warning')];
  });

/** Levels that lead to nobody: they are passed over. */
function lostLevels(agents: ReadonlyMap<string, Agent>, { escalation }: Settings, file: Uint8Array): Problem[] {
  return Object.entries(escalation).flatMap(([chain, levels]) =>
    levels.flatMap(({ to }, index) => {
      const receiver = readReceiver(to);
      if (receiver?.kind !== 'agent' || agents.has(receiver.agent)) return [];
      const path = ['escalation', chain, index, 'to'];
      const said = `there is no agent "${receiver.agent}", so this level is passed over.${didYouMean(receiver.agent, agents.keys())}`;
      return [problem(SETTINGS_FILE, lineIn(file, path), path.join('.'), said, 'warning')];
    }),
  );
}

/** Agents that are to send a secret and that there are not. */
const lostSecrets = (agents: ReadonlyMap<string, Agent>, { secrets = [] }: Settings, file: Uint8Array): Problem[] =>
  secrets.flatMap((secret) =>
    secret.for.flatMap((agent, index) => {
      if (agents.has(agent)) return [];
      const path = ['secrets', secret.name, 'for', index];
      const said = `there is no agent "${agent}", so no request of it carries this secret.${didYouMean(agent, agents.keys())}`;
      return [problem(SETTINGS_FILE, lineIn(file, path), path.join('.'), said, 'warning')];
    }),
  );

/** Entries of agents that the list of `ruche.yaml` leaves nothing of. */
const lostReaches = (agents: ReadonlyMap<string, Agent>, { network }: Settings): Problem[] =>
  [...agents.values()].flatMap(({ name, network: own }) =>
    (own ?? []).flatMap((reach, index) => {
      if (network === undefined || commonReach([reach], network)?.length !== 0) return [];
      const said = `${reachText(reach)} is not in the network list of ruche.yaml, so the agent never reaches it`;
      return [problem(`agents/${name}/AGENT.md`, null, `network.${index}`, said, 'warning')];
    }),
  );

function lineIn(file: Uint8Array, path: (string | number)[]): number | null {
  const decoded = decodeText(file, SETTINGS_FILE);
  return decoded.ok ? parseYaml(decoded.text, SETTINGS_FILE).lineOf(path) : null;
}

async function readAgents(
  options: GovernanceOptions,
  folder: Entry | undefined,
  settings: Settings,
  parsed: ParsedAgents,
): Promise<{ agents: Map<string, Agent>; problems: Problem[] }> {
  const agents = new Map<string, Agent>();
  if (!folder) return { agents, problems: [] };
  if (folder.mode !== FOLDER)
    return { agents, problems: [problem('agents', null, '', 'is not a folder, so there are no agents')] };
  const names = (await listTree(options.git, folder.oid)).filter((entry) => entry.mode === FOLDER).map((e) => e.path);
  const wanted = names.flatMap((name) => ['AGENT.md', ...EXTRA_FILES].map((file) => `${name}/${file}`));
  const files = await entriesAt(options.git, folder.oid, wanted);
  const problems: Problem[] = [];
  const used: ParsedAgents = new Map();
  for (const name of names) {
    if (!files.has(`${name}/AGENT.md`)) continue;
    const twin = names.find((other) => other !== name && other.toLowerCase() === name.toLowerCase());
    if (!isAgentName(name)) {
      problems.push(nameProblem(`agents/${name}/AGENT.md`, name));
      if (twin !== undefined)
        problems.push(
          problem(`agents/${name}`, null, '', `differs from agents/${twin} only in case: rename or remove one`),
        );
      continue;
    }
    const ids = ['AGENT.md', ...EXTRA_FILES]
      .map((file) => files.get(`${name}/${file}`))
      .map((e) => e && `${e.mode} ${e.oid}`);
    const { providers, chains, accounts, recipients, sandbox = null } = known(options, settings);
    const told = recipients.channels.map(({ name: channel, type, owners }) => [channel, type, owners]);
    const key = JSON.stringify([name, ids, providers, chains, accounts, told, sandbox]);
    const agent = parsed.get(key) ?? (await readAgent(options, name, files, settings));
    used.set(key, agent);
    problems.push(...agent.problems);
    if (agent.agent) agents.set(name, agent.agent);
  }
  parsed.clear();
  for (const [key, agent] of used) parsed.set(key, agent);
  return { agents, problems };
}

async function readAgent(
  options: GovernanceOptions,
  name: string,
  files: ReadonlyMap<string, Entry>,
  settings: Settings,
): Promise<ParsedAgent> {
  const file = `agents/${name}/AGENT.md`;
  const main = await textOf(options.git, files.get(`${name}/AGENT.md`), file);
  if (!main.ok) return { agent: null, problems: [main.problem] };
  const { agent, problems } = parseAgent(main.bytes, file, name, known(options, settings));
  if (!agent) return { agent, problems };
  const prose = [agent.instructions];
  for (const extra of EXTRA_FILES) {
    const entry = files.get(`${name}/${extra}`);
    if (!entry) continue;
    const path = `agents/${name}/${extra}`;
    const found = await textOf(options.git, entry, path);
    const decoded = found.ok ? decodeText(found.bytes, path) : found;
    if (!decoded.ok) return { agent: null, problems: [...problems, decoded.problem] };
    prose.push(decoded.text.trim());
  }
  const instructions = prose.filter((part) => part !== '').join('\n\n');
  return { agent: { ...agent, instructions }, problems };
}

const known = (options: GovernanceOptions, settings: Settings): KnownToAgent => ({
  providers: [...new Set([...settings.providers.map((provider) => provider.name), ...options.providers])],
  chains: Object.keys(settings.escalation),
  accounts: (settings.accounts ?? []).map(({ name }) => name),
  recipients: recipientsOf(settings.channels, options),
  ...(settings.sandbox === undefined ? {} : { sandbox: settings.sandbox }),
  tools: options.tools,
  sandboxes: options.sandboxes,
  ruleProblem: options.ruleProblem,
});

/** Bytes of a file, which must be a plain one: a link is never followed. */
async function textOf(
  git: Git,
  entry: Entry | undefined,
  file: string,
): Promise<{ ok: true; bytes: Uint8Array } | { ok: false; problem: Problem }> {
  const refuse = (message: string): { ok: false; problem: Problem } => ({
    ok: false,
    problem: problem(file, null, '', message),
  });
  if (!entry) return refuse('is missing; write one, an empty file means the defaults');
  if (entry.mode !== '100644' && entry.mode !== '100755') return refuse('must be a plain file, not a link or a folder');
  const size = (await git.info(entry.oid))?.size ?? 0;
  if (size > MAX_FILE) return refuse(`the file has ${size} bytes; ${MAX_FILE} are allowed`);
  const object = await git.object(entry.oid);
  return object
    ? { ok: true, bytes: object.bytes }
    : refuse('its content is missing from the repository; run: git fsck');
}

function checkSaved(options: GovernanceOptions, path: string, bytes: Uint8Array | null, beside: Settings): Problem[] {
  if (path === SETTINGS_FILE) {
    if (bytes === null) return [problem(path, null, '', 'is missing; write one, an empty file means the defaults')];
    return parseSettings(bytes, path, options).problems;
  }
  const parts = path.split('/');
  const name = parts[1] ?? '';
  if (bytes === null) return [];
  if (parts[2] === 'AGENT.md') return parseAgent(bytes, path, name, known(options, beside)).problems;
  const decoded = decodeText(bytes, path);
  return decoded.ok ? [] : [decoded.problem];
}

// ── Git's output ─────────────────────────────────────────────────────────────────────────────────────────────────

const items = (output: Buffer): string[] =>
  output
    .toString('utf8')
    .split('\0')
    .filter((item) => item !== '');

const listTree = async (git: Git, tree: string): Promise<Entry[]> =>
  [...(await readTree(git, `${tree.replace(/\^\{tree\}$/, '')}^{tree}`))].map(([name, entry]) => ({
    ...entry,
    path: textOfName(name),
  }));

/** Entries at these paths, by path. Through the one process that reads objects: starting others is most of a start. */
async function entriesAt(git: Git, tree: string, paths: readonly string[]): Promise<Map<string, Entry>> {
  const folders = new Map<string, Promise<Entry[]>>();
  const inside = (folder: string, id: string): Promise<Entry[]> => {
    const listed = folders.get(folder) ?? listTree(git, id);
    folders.set(folder, listed);
    return listed;
  };
  const found = new Map<string, Entry>();
  for (const path of paths) {
    const parts = path.split('/');
    let entry: Entry | undefined = { mode: FOLDER, oid: tree, path: '' };
    for (const [depth, part] of parts.entries()) {
      const above = parts.slice(0, depth).join('/');
      entry = entry?.mode === FOLDER ? (await inside(above, entry.oid)).find((each) => each.path === part) : undefined;
    }
    if (entry) found.set(path, { ...entry, path });
  }
  return found;
}

function parseDiff(result: { stdout: Buffer }): RawChange[] {
  const parts = items(result.stdout);
  const changes: RawChange[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const [oldMode = '', newMode = '', oldId = '', newId = ''] = (parts[at] ?? '').slice(1).split(' ');
    const side = (mode: string, id: string): RawChange['was'] => (/^0+$/.test(mode) ? null : { mode, oid: id });
    changes.push({ path: parts[at + 1] ?? '', was: side(oldMode, oldId), now: side(newMode, newId) });
  }
  return changes;
}

/** A run's change over what its base holds: `was` of the change itself is only what the run had seen. */
function overlayChange(change: Change, before: ReadonlyMap<string, Entry>): RawChange {
  const entry = before.get(change.path);
  const was = entry && entry.mode !== FOLDER ? { mode: entry.mode, oid: entry.oid } : null;
  return { path: change.path, was, now: change.oid === null ? null : { mode: change.mode, oid: change.oid } };
}

async function describe(
  { git, skills, scripts, explain, governing }: GovernanceOptions & { scripts: Scripts; governing: boolean },
  changes: readonly RawChange[],
  views: SkillViews,
): Promise<Difference | null> {
  const touched: Touched[] = [];
  for (const { path, was, now } of changes) {
    const modes = [was?.mode, now?.mode].filter((mode) => mode !== undefined);
    if (!mayBeProtected(path, modes)) continue;
    touched.push({ path, was: await sideOf(git, was), now: await sideOf(git, now) });
  }
  const lines: LineDiff = (was, now) => lineDiff(git, was, now);
  const parts = { git, rules: skills.rules, lines, sideOf: (side: RawChange['was']) => sideOf(git, side) };
  return joined([
    await describeProtected(touched, { lines, explain, governing }),
    await describeSkills(parts, changes, views),
    await scripts.describe(parts, changes, views),
  ]);
}

async function sideOf(git: Git, side: RawChange['was']): Promise<Side | null> {
  if (!side) return null;
  // A sub-module's commit is in another repository.
  const info = side.mode === '160000' ? null : await git.info(side.oid);
  const fits = info !== null && info.size <= MAX_FILE;
  const bytes = fits ? (await git.object(side.oid))?.bytes : undefined;
  if (bytes !== undefined) return { ...side, bytes };
  const instead = { ...side, bytes: Buffer.from(`(${info?.size ?? 0} bytes, object ${side.oid})`) };
  return side.mode === '160000' ? instead : { ...instead, unread: true };
}

async function lineDiff(git: Git, was: Side | null, now: Side | null): Promise<string> {
  if (!was || !now) {
    const sign = now ? '+' : '-';
    const text = Buffer.from((now ?? was)?.bytes ?? []).toString('utf8');
    return text
      .replace(/\n$/, '')
      .split('\n')
      .map((line) => `${sign}${line}`)
      .join('\n');
  }
  const flags = ['--no-color', '--no-ext-diff', '--no-textconv', '--text', '--src-prefix=', '--dst-prefix='];
  const output = await git.text(['diff', ...flags, was.oid, now.oid]);
  const start = output.indexOf('\n@@');
  return start < 0 ? output : output.slice(start + 1);
}
