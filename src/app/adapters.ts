import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { BUILTIN, knownOf, openAccount, openChannel, openSandbox } from './builtin.ts';
import { openGovernance } from './governance.ts';
import { findMissing, findNewer, refuseLostEvents, refuseLostWorkspace, refuseNoDatabase } from './lost.ts';
import { type AppOptions, plainly, type System } from './options.ts';
import type { Known } from '../config/settings.ts';
import type { AccountSettings, ChannelSettings } from '../core/agent.ts';
import type { Account } from '../core/ports/account.ts';
import type { Boundary } from '../core/ports/boundary.ts';
import type { Channel } from '../core/ports/channel.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { KeptSecrets, PrivateFile } from '../core/ports/secrets.ts';
import { errorText } from '../core/text/sentence.ts';
import type { Store } from '../core/ports/store.ts';
import { upcast } from '../journal/upcast.ts';
import { openFileLabels } from '../journal/file-labels.ts';
import { Hub, observed } from '../messages/hub.ts';
import { openBoundSecrets } from './injection.ts';
import { homeKey } from '../platform/home-key.ts';
import { openFound } from '../models/choice/found.ts';
import { openKept, usedServers } from '../models/choice/kept.ts';
import { readAuthorities } from '../net/authorities.ts';
import { openEgress } from '../net/egress/egress.ts';
import { openNet } from '../net/guard.ts';
import { openSentLog } from '../net/sent.ts';
import { ENVIRONMENT } from '../sandbox/system.ts';
import { STATUS_FILE } from '../sandbox/jobs.ts';
import { makePrivateFolder } from '../platform/private.ts';
import { privateFile } from '../platform/replace.ts';
import { openSecrets } from '../secrets/open.ts';
import { readBundled } from '../skills/judge.ts';
import { openGate } from '../skills/gate.ts';
import { lockHome } from '../store/sqlite/lock.ts';
import { makeRoom } from './room.ts';
import { STORE } from './store.ts';
import { systemClock, systemIds, systemRandom } from '../platform/system.ts';
import { openCheckouts } from '../workspace/checkouts/checkouts.ts';
import { openDropped } from '../workspace/edits/saved.ts';
import { openJournalRepository } from '../git/journal.ts';
import { ensureWorkspace } from '../workspace/init.ts';
import { addOwner } from '../workspace/edits/owner.ts';
import { openTaskFiles } from '../workspace/task-files.ts';
import { openWatch } from '../workspace/edits/watch.ts';
import { openWorkspace } from '../workspace/workspace.ts';

export type Adapters = Awaited<ReturnType<typeof openAdapters>>;

/** Opens everything that touches the machine. What was opened is closed with `parts`, the last first. */
export async function openAdapters(options: AppOptions, parts: AsyncDisposableStack) {
  const { home, env, log, token, boundary = () => undefined, wrap = {}, builtin = BUILTIN } = options;
  const { clock, ids, random } = options.system ?? { clock: systemClock, ids: systemIds, random: systemRandom };
  await makePrivateFolder(home);
  parts.adopt(lockHome(home), (lock) => lock.release());
  await makeRoom(home);
  await refuseNoDatabase(options, env);
  const hub = new Hub();
  const opened = await (wrap.store ?? plainly)(async () =>
    parts.adopt(await STORE.open({ home, clock, random: random.bytes, boundary, upcast }), (each) => each.close()),
  );
  const store = observed(opened, hub);
  // The probe starts processes of its own and need not wait for Git's.
  // Commands live by the machine's time, whatever clock the network goes by.
  const probing = (wrap.sandbox ?? plainly)(() =>
    openSandbox(builtin, {
      dir: join(home, 'shells'),
      path: env.PATH ?? '',
      platform: options.platform,
      machine: options.machine,
      env,
      boundary,
      clock: systemClock,
    }),
  );
  probing.catch(() => undefined);
  // Nor has the journal's repository to wait for the workspace's.
  const opening = (wrap.journal ?? plainly)(() => {
    const repository = openJournalRepository({ dir: join(home, 'journal.git'), env, boundary, log });
    const close = (): Promise<void> => repository.then((each) => each.close());
    parts.defer(() => close().catch(() => undefined));
    return repository;
  });
  const journal = opening.then(async (repository) => ({
    repository,
    givenUp: await refuseLostEvents(options, { store, repository, log }),
  }));
  journal.catch(() => undefined);
  const inHome = (name: string): PrivateFile => privateFile(join(home, name));
  const secrets = options.secrets ?? (await openSecrets({ env, values: [token()], home, clock, boundary }));
  await settled(secrets, log);
  const kept = await openKept(inHome('models.json'), builtin.providers);
  const ways = await openWays(options, { store, secrets, log, clock, random }, parts);
  const { net } = ways;
  const { providers: kinds } = builtin;
  const found = openFound({ env, kept, net, secrets, kinds, used: await usedServers(store, kinds) });
  const fixed = options.channels?.({ net, secrets, log }) ?? [];
  const known = { ...knownOf(builtin), channels: fixed.map(({ channel }) => channel.name) };
  // Nothing in the workspace is touched, or made, for a record that is not whole.
  const { repository, givenUp } = await journal;
  await refuseLostWorkspace(options, store);
  const folder = await openFolder(options, { clock, boundary, known }, parts);
  const newer = await findNewer(folder.workspace.git, store, options.acceptLoss);
  if (newer?.accepted === false) log.warn({ newer }, 'the home is older than its workspace');
  const missing = options.acceptLoss === true ? null : await findMissing(folder.workspace.git, store);
  if (missing !== null) log.warn({ missing }, 'the workspace is older than its home');
  const hasVariable = (name: string): boolean => (env[name] ?? '') !== '';
  const gate = openGate({ platform: options.platform, path: ENVIRONMENT['PATH'] ?? '', hasVariable, clock });
  const channelOf = (channel: ChannelSettings): Promise<Channel> =>
    openChannel(builtin, channel, { net, clock, log, secrets, random: random.number });
  const redact = (text: string): string => secrets.redact(text);
  const machine = { clock, ids, random, log, boundary, secrets, redact, ...ways };
  const accountOf = (account: AccountSettings): Promise<Account> =>
    openAccount(builtin, account, { net, clock, log, secrets, random: random.number });
  const network = { store, hub, builtin, found, fixed, openChannel: channelOf, openAccount: accountOf, gate };
  return {
    ...folder,
    ...machine,
    ...network,
    worker: ids.next('wrk'),
    fileLabels: await openFileLabels(store),
    repository,
    givenUp,
    newer,
    missing,
    sandbox: await probing,
    statusFile: inHome(join('shells', STATUS_FILE)),
  };
}

/** The ways out, and the credentials that are put in there. */
async function openWays(
  { home, wrap = {} }: AppOptions,
  made: { store: Store; secrets: KeptSecrets; log: Log; clock: Clock; random: System['random'] },
  parts: AsyncDisposableStack,
) {
  const { log, clock, random } = made;
  const key = await homeKey(privateFile(join(home, 'run.key')), random.bytes);
  const ca = await readAuthorities(join(home, 'ca.pem'));
  const bound = openBoundSecrets(made, key);
  const { injection } = bound;
  const sent = parts.adopt(openSentLog(made), (each) => each.close());
  const { record } = sent;
  const net = (wrap.net ?? plainly)(() =>
    parts.adopt(openNet({ clock, log, ca, injection, record }), (each) => each.close()),
  );
  // Commands live by the machine's time.
  const egress = openEgress({ dir: join(home, 'egress'), key, net, clock: systemClock, injection, ca });
  parts.adopt(egress, (each) => each.close());
  const mark = (name: string): string =>
    createHmac('sha256', key).update(`untrusted ${name}`).digest('hex').slice(0, 16);
  const fingerprint = (header: Uint8Array): string =>
    createHmac('sha256', key).update('mail ').update(header).digest('hex').slice(0, 32);
  return { ...bound, net, sent, egress, mark, fingerprint };
}

/** What cannot be moved stays where it was, and is read from there. */
const settled = (secrets: KeptSecrets, log: Log): Promise<void> =>
  secrets.settle().catch((error: unknown) => log.warn({ error: errorText(error) }, 'the secrets stay as they were'));

/** The workspace, and what looks after its files. */
async function openFolder(
  options: AppOptions,
  { clock, boundary, known }: { clock: Clock; boundary: Boundary; known: Known },
  parts: AsyncDisposableStack,
) {
  const { home, workspace: root, env, log, wrap = {} } = options;
  const made = await ensureWorkspace({ ...options, clock });
  const workspace = await (wrap.workspace ?? plainly)(async () =>
    parts.adopt(await openWorkspace({ dir: root, env, clock, boundary }), (each) => each.close()),
  );
  const mended = await workspace.recover();
  if (mended !== null) log.warn({ mended }, 'the workspace was mended');
  const checkouts = await openCheckouts({
    workspace,
    dir: join(home, 'checkouts'),
    boundary,
    clock: systemClock,
  });
  parts.defer(() => checkouts.close());
  const bundled = options.skills === undefined ? new Map() : await readBundled(options.skills);
  const { git } = workspace;
  return {
    made,
    workspace,
    checkouts,
    reader: openGovernance(workspace, { known, bundled, clock }),
    watch: openWatch({ git, clock, log }),
    dropped: openDropped({ git, log }),
    taskFiles: openTaskFiles({ root, clock, boundary }),
    addOwner: (channel: string, sender: string) => addOwner({ root, temp: git.neutral.dir, channel, sender, known }),
  };
}
