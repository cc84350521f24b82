import type { AgentTurn, Turn } from '../run/deps.ts';
import { workspacePath } from '../../core/text/paths.ts';
import { artefactOf, type TaskContent } from '../../core/task-call.ts';
import { type Opened, usualTool } from '../../core/ports/tool.ts';
import { decide } from '../../policy/decide.ts';
import { freshPaths, policyFacts } from './ready.ts';
import { land } from '../finish/land.ts';
import { loadJson } from '../run/log.ts';

export type Handed = { state: 'ready'; artefacts: string[] } | { state: 'park' } | { state: 'refused'; why: string };

/**
 * Makes each artefact `path@commit`. What the run has changed lands first, so that the receiver finds what the sender
 * means, whatever lands later.
 */
export async function handArtefacts(turn: AgentTurn, given: readonly string[]): Promise<Handed> {
  const { deps, log } = turn;
  if (given.length === 0) return { state: 'ready', artefacts: [] };
  const refuse = (why: string): Handed => ({ state: 'refused', why: `${why} The task was not made.` });
  const own = await givenTo(turn);
  const passedOn = given.filter((path) => own.includes(path));
  const paths: string[] = [];
  const tool = usualTool(deps.tools(), 'reading');
  for (const raw of given) {
    if (passedOn.includes(raw)) continue;
    if (artefactOf(raw) !== null) return refuse(`"${raw}" was not given to you: name the path alone.`);
    const checked = workspacePath(raw);
    if (!checked.ok) return refuse(`"${raw}" cannot be handed over: ${checked.reason}.`);
    const may = decide({ tool, effect: 'read', paths: [raw] }, policyFacts(turn));
    if (may.verdict !== 'allow') return refuse(`You may not read "${raw}", so you cannot hand it over: ${may.reason}`);
    paths.push(checked.path);
  }
  await freshPaths(turn, paths);
  const landed = paths.length === 0 ? 'landed' : await landNow(turn);
  if (landed === 'park') return { state: 'park' };
  if (landed !== 'landed') return refuse(landed);
  const { base } = log.state;
  const files = deps.workspace.files(base, []);
  for (const path of paths) if ((await files.stat(path)) === null) return refuse(`File "${path}" not found.`);
  return { state: 'ready', artefacts: [...passedOn, ...paths.map((path) => `${path}@${base}`)] };
}

/** Lands what the run has changed so far, and lets it go on from there. Gives why it cannot. */
async function landNow(turn: Turn): Promise<string> {
  const { deps, log } = turn;
  if (log.state.changes.size === 0) return 'landed';
  const landed = await land(turn);
  if (landed === 'park') return 'park';
  if (landed === 'think') return 'Your changes could not land on main: see the note about it.';
  if (typeof landed !== 'string') return landed.message;
  const { base, commit, landingApproval } = log.state;
  log.emit({ type: 'base.moved', data: { from: base, to: commit ?? (await deps.workspace.head()) } });
  await log.flush(true);
  if (commit !== null && landingApproval !== null) await deps.governanceLanded(commit);
  return 'landed';
}

/** What the run's task was given to read. */
async function givenTo({
  deps: { store },
  log: {
    claim: { task },
  },
}: Turn): Promise<readonly string[]> {
  return task.content === null ? [] : ((await loadJson<TaskContent>(store, task.content)).artefacts ?? []);
}

/** What `path@commit` names, if that was given to this task; null for any other path. */
export async function openArtefact(turn: Turn, path: string): Promise<Opened | null> {
  const { deps } = turn;
  const artefact = artefactOf(path);
  if (artefact === null) return null;
  const given = await givenTo(turn);
  if (given.includes(path))
    return { kind: 'file', files: deps.workspace.files(artefact.commit, []), path: artefact.path };
  const known = given.length > 0 ? ` Given to you: ${given.join(', ')}.` : '';
  return { kind: 'refused', why: `"${path}" was not given to this task.${known}` };
}
