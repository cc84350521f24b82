import type { AgentTurn, Turn } from '../run/deps.ts';
import type { Change } from '../../core/files.ts';
import { workspacePath } from '../../core/text/paths.ts';
import { artefactOf, type TaskContent } from '../../core/task.ts';
import { type Opened, usualTool } from '../../core/ports/tool.ts';
import { decide } from '../../policy/decide.ts';
import { freshPaths, policyFacts } from './ready.ts';
import { land, landingSaid } from '../finish/land.ts';
import { note } from '../run/conversation.ts';
import { loadJson } from '../run/log.ts';
import type { Placed } from '../run/blobs.ts';

export type Handed = { state: 'ready'; artefacts: string[] } | { state: 'park' } | { state: 'refused'; why: string };

/**
 * Lands what the run has changed, so that the receiver finds it, and makes each artefact `path@commit`: the receiver reads
 * what the sender means, whatever lands later.
 */
export async function handArtefacts(turn: AgentTurn, given: readonly string[]): Promise<Handed> {
  const { deps, log } = turn;
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
  if (paths.length > 0) await freshPaths(turn, paths);
  const landed = await landNow(turn);
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
  const { changes, conflicts, placed } = log.state;
  if (changes.size === 0) return 'landed';
  const came = [...changes.values()].filter(({ path }) => placed.has(path));
  const landed = await land(turn);
  if (landed === 'park') return 'park';
  if (landed === 'think') {
    // Some of it can never land and was left out: the rest may.
    const some = log.state.conflicts === conflicts && log.state.changes.size < changes.size;
    const rest = some ? await landNow(turn) : 'Your changes could not land on main: see the note about it.';
    if (rest === 'landed') await placeAgain(turn, came);
    return rest;
  }
  if (typeof landed !== 'string') {
    // It does not wait for that: the model hears of it and goes on.
    deps.hindrances.clear(log.state.task);
    return landed.message;
  }
  const { base, commit, landingApproval } = log.state;
  const said = landingSaid(log.state);
  log.emit({ type: 'base.moved', data: { from: base, to: commit ?? (await deps.workspace.head()) } });
  if (said !== null) log.emit({ type: 'note.added', data: { note: log.put(note(said)) } });
  await log.flush(true);
  if (commit !== null && landingApproval !== null) await deps.governanceLanded(commit);
  return 'landed';
}

/** Files that came with messages and cannot come to main stay where the run can work with them. */
async function placeAgain({ deps, log }: Turn, came: readonly Change[]): Promise<void> {
  const files = deps.workspace.files(log.state.base, [...log.state.changes.values()]);
  const placed: Placed = { changes: [] };
  for (const change of came) if ((await files.stat(change.path)) === null) placed.changes.push(change);
  if (placed.changes.length === 0) return;
  const data = { files: placed.changes.length, detail: log.put(placed) };
  log.emit({ type: 'files.placed', data }, placed);
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
