import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isAgentName } from '../core/ids.ts';
import type { Log } from '../core/ports/log.ts';
import { upcast } from '../journal/upcast.ts';
import { makePrivateFolder } from '../platform/private.ts';
import { systemClock as clock, systemRandom } from '../platform/system.ts';
import { Pauses } from '../runtime/pauses.ts';
import { openSecrets } from '../secrets/open.ts';
import { HomeLocked, lockHome } from '../store/sqlite/lock.ts';
import type { Trust } from '../trust/trust.ts';
import { agentFolders } from '../workspace/edits/watch.ts';
import { STORE } from './store.ts';

/** Who pauses from a terminal of this machine, as over the gateway. */
const OWNER = 'owner';

export interface ChangePauses {
  home: string;
  workspace: string;
  env: Readonly<Record<string, string | undefined>>;
  verb: 'pause' | 'resume';
  /** Null: every agent. */
  agent: string | null;
  reason: string;
}

/**
 * Pauses agents of a home that nothing runs on, or lets them go on: on record before it resolves, so that the next start
 * takes up none of their runs. Null where a process runs on the home, which then has to be asked.
 */
export async function changePauses({ home, workspace, env, verb, agent, reason }: ChangePauses) {
  const made = await agentsOf(workspace);
  // A name that is mistyped must not make a home.
  if (!STORE.has(home) && (agent === null ? made.length === 0 : !made.includes(agent)))
    return { known: made, changes: [] };
  await makePrivateFolder(home);
  const lock = lockUnlessHeld(home);
  if (lock === null) return null;
  try {
    const secrets = await openSecrets({ env, home, clock });
    const store = await STORE.open({ home, clock, random: systemRandom.bytes, boundary: () => undefined, upcast });
    try {
      const pauses = await Pauses.open(
        store,
        (text) => secrets.redact(text),
        () => undefined,
      );
      const known = [...new Set([...made, ...pauses.names()])];
      const chosen = agent === null ? known : known.filter((name) => name === agent);
      const changes: { agent: string; changed: boolean }[] = [];
      for (const name of chosen) {
        const changed = verb === 'pause' ? pauses.pause(name, OWNER, reason) : pauses.resume(name, OWNER);
        changes.push({ agent: name, changed: await changed });
      }
      return { known, changes };
    } finally {
      await store.close();
    }
  } finally {
    lock.release();
  }
}

export function lockUnlessHeld(home: string) {
  try {
    return lockHome(home);
  } catch (error) {
    if (error instanceof HomeLocked) return null;
    throw error;
  }
}

/** By the files alone: an agent whose file is broken can be paused, too. */
async function agentsOf(workspace: string): Promise<string[]> {
  const names = agentFolders(workspace).filter(isAgentName);
  const made = names.map((name) => stat(join(workspace, 'agents', name, 'AGENT.md')).catch(() => null));
  return (await Promise.all(made)).flatMap((found, at) => (found ? (names[at] ?? []) : []));
}

/** Pauses every agent before anything is taken up, and each that comes to be later: so starts who wants to look first. */
export async function startPaused(trust: Pick<Trust, 'current' | 'onChange'>, pauses: Pauses, log: Log) {
  const seen = new Set<string>();
  const pause = async (): Promise<void> => {
    const fresh = [...trust.current().agents.keys()].filter((name) => !seen.has(name));
    for (const name of fresh) seen.add(name);
    await Promise.all(fresh.map((name) => pauses.pause(name, OWNER, 'started with --paused')));
  };
  await pause();
  return trust.onChange(() => {
    pause().catch((error: unknown) => log.error({ error: String(error) }, 'a new agent could not be paused'));
  });
}

/** Whether a process works on a home. Where none ever did, nothing is left behind. */
export async function isHeld(home: string): Promise<boolean> {
  if ((await stat(join(home, 'lock')).catch(() => null)) === null) return false;
  const lock = lockUnlessHeld(home);
  lock?.release();
  return lock === null;
}
