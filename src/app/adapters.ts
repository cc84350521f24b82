import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BUILTIN, knownOf, openChannel } from './builtin.ts';
import type { AppOptions } from './options.ts';
import type { ChannelSettings } from '../core/agent.ts';
import type { Channel } from '../core/ports/channel.ts';
import type { PrivateFile } from '../core/ports/secrets.ts';
import { upcast } from '../journal/upcast.ts';
import { Hub, observed } from '../messages/hub.ts';
import { explainSchedule } from '../config/schedule-words.ts';
import { openFound } from '../models/choice/found.ts';
import { openKept } from '../models/choice/kept.ts';
import { openNet } from '../net/guard.ts';
import { ENVIRONMENT } from '../sandbox/system.ts';
import { STATUS_FILE } from '../sandbox/jobs.ts';
import { openSandbox } from '../sandbox/probe.ts';
import { privateFile } from '../platform/replace.ts';
import { openSecrets } from '../secrets/open.ts';
import { readBundled, skillRules } from '../skills/judge.ts';
import { openGate } from '../skills/gate.ts';
import { lockHome } from '../store/sqlite/lock.ts';
import { openSqliteStore } from '../store/sqlite/store.ts';
import { machineZone, systemClock, systemIds, systemRandom } from '../platform/system.ts';
import { openCheckouts } from '../workspace/checkouts/checkouts.ts';
import { openDropped } from '../workspace/edits/saved.ts';
import { openGovernanceReader } from '../workspace/governance/reader.ts';
import { openJournalRepository } from '../git/journal.ts';
import { ensureWorkspace } from '../workspace/init.ts';
import { addOwner } from '../workspace/edits/owner.ts';
import { openTaskFiles } from '../workspace/task-files.ts';
import { openWatch, standingFiles } from '../workspace/edits/watch.ts';
import { openWorkspace } from '../workspace/workspace.ts';

export type Adapters = Awaited<ReturnType<typeof openAdapters>>;

/** Opens everything that touches the machine. What was opened is closed with `parts`, the last first. */
export async function openAdapters(options: AppOptions, parts: AsyncDisposableStack) {
  const { home, env, log, token, boundary = () => undefined, wrap = {}, builtin = BUILTIN } = options;
  const { clock, ids, random } = options.system ?? { clock: systemClock, ids: systemIds, random: systemRandom };
  await mkdir(home, { recursive: true, mode: 0o700 });
  parts.adopt(lockHome(home), (lock) => lock.release());
  const hub = new Hub();
  const path = join(home, 'ruche.sqlite');
  const opened = await openSqliteStore({ path, clock, random: random.bytes, boundary, upcast });
  parts.defer(() => opened.close());
  const store = observed(wrap.store?.(opened) ?? opened, hub);
  // The probe starts processes of its own and need not wait for Git's.
  // Commands live by the machine's time, whatever clock the network goes by.
  const probing = openSandbox({ ...options, path: env.PATH ?? '', boundary, clock: systemClock });
  probing.catch(() => undefined);
  // Nor has the journal's repository to wait for the workspace's.
  const opening = openJournalRepository({ dir: join(home, 'journal.git'), env, boundary, log });
  parts.defer(() =>
    opening.then(
      (each) => each.close(),
      () => undefined,
    ),
  );
  const made = await ensureWorkspace({ ...options, clock });
  const folder = await openWorkspace({ dir: options.workspace, env, clock, boundary });
  parts.defer(() => folder.close());
  const workspace = wrap.workspace?.(folder) ?? folder;
  await workspace.recover();
  const repository = await opening;
  const inHome = (name: string): PrivateFile => privateFile(join(home, name));
  const secrets = options.secrets ?? (await openSecrets({ env, values: [token], keys: inHome('keys.json') }));
  const kept = await openKept(inHome('models.json'));
  const guard = parts.adopt(openNet({ clock, log }), (each) => each.close());
  const net = wrap.net?.(guard) ?? guard;
  const found = openFound({ env, kept, net, secrets });
  const checkouts = await openCheckouts({ workspace, dir: join(home, 'checkouts'), boundary });
  parts.defer(() => checkouts.close());
  const rules = skillRules(options.skills === undefined ? new Map() : await readBundled(options.skills));
  const { git } = workspace;
  const skills = { ...workspace, rules };
  const fixed = options.channels?.({ net, secrets, log }) ?? [];
  const known = { ...knownOf(builtin), channels: fixed.map(({ channel }) => channel.name) };
  const reader = openGovernanceReader({ git, skills, explain: explainSchedule(clock, machineZone), ...known });
  const hasVariable = (name: string): boolean => (env[name] ?? '') !== '';
  const gate = openGate({ platform: options.platform, path: ENVIRONMENT['PATH'] ?? '', hasVariable, clock });
  const watch = openWatch({ git: workspace.git, clock, log });
  const dropped = openDropped({ git: workspace.git, log });
  const taskFiles = openTaskFiles({ root: options.workspace, clock, boundary });
  const channelOf = (channel: ChannelSettings): Promise<Channel> =>
    openChannel(builtin, channel, { net, clock, log, secrets, random: random.number });
  const owner = (channel: string, sender: string): Promise<void> =>
    addOwner({ root: options.workspace, temp: git.neutral.dir, channel, sender, known });
  const sandbox = await probing;
  const redact = (text: string): string => secrets.redact(text);
  const common = { store, workspace, net, clock, ids, log, boundary, redact, worker: ids.next('wrk') };
  return {
    standing: () => standingFiles(git),
    ...common,
    builtin,
    hub,
    random,
    made,
    repository,
    secrets,
    found,
    checkouts,
    statusFile: inHome(join('shells', STATUS_FILE)),
    reader,
    watch,
    dropped,
    taskFiles,
    fixed,
    openChannel: channelOf,
    addOwner: owner,
    sandbox,
    gate,
  };
}
