import { openAdapters, type Adapters } from './adapters.ts';
import { openAccounts } from './accounts.ts';
import { openAgents, openStanding } from './agents.ts';
import { openClockwork } from './clockwork.ts';
import { Life } from './life.ts';
import { openMessengers, startMessengers } from './messengers.ts';
import { modelsKnown, openModelSetup, openToolsAndModels } from './models.ts';
import { type App, type AppOptions, plainly } from './options.ts';
import { startPaused } from './pause.ts';
import { openLivePolicy } from './policy.ts';
import { noteUses, openSecretsDesk } from './secrets.ts';
import { openRuntime } from './runtime.ts';
import { openStatus, startUpkeep } from './upkeep.ts';
import { openWorkers, recover } from './workers.ts';
import { startGateway, type GatewayOptions } from '../gateway/server.ts';
import { startExport } from '../journal/export.ts';
import { Pauses } from '../runtime/pauses.ts';
import { record } from '../scheduler/worker.ts';
import { openCosts } from '../spend/costs.ts';
import { startTrust } from '../trust/trust.ts';
import { openViews } from '../views/open.ts';
import { join } from 'node:path';
import { sessionsFile } from '../gateway/http/logins.ts';
import { privateFile } from '../platform/replace.ts';

/** Milliseconds that running steps have at the end; the rest of the promised ten seconds is for closing. */
const GRACE_MS = 6_000;

/** Puts the network together and starts it. Rejects with advice for a person, and leaves nothing open then. */
export async function startApp(options: AppOptions): Promise<App> {
  const parts = new AsyncDisposableStack();
  try {
    return await compose(options, parts);
  } catch (error) {
    await parts.disposeAsync();
    throw error;
  }
}

/** Each step is made of those before it, and knows nothing of those after. What it has opened is closed with `parts`, the last first. */
async function compose(options: AppOptions, parts: AsyncDisposableStack): Promise<App> {
  const { wrap = {} } = options;
  const life = new Life();
  const adapters = await openAdapters(options, parts);
  const { store, hub, log, redact } = adapters;
  const trust = await (wrap.trust ?? plainly)(async () =>
    parts.adopt(await startTrust(adapters), (each) => each.close()),
  );
  adapters.govern(() => trust.current().settings.secrets ?? []);
  const accounts = openAccounts(adapters, trust, parts);
  const models = openToolsAndModels(options, adapters, trust, accounts, parts);
  const messengers = openMessengers(options, adapters, trust);
  const pauses = await Pauses.open(store, redact, () => hub.work());
  if (options.paused) parts.defer(await startPaused(trust, pauses, log));
  const standing = parts.adopt(await openStanding(adapters), (each) => each.close());
  const agents = (wrap.agents ?? plainly)(() => openAgents(adapters, trust, models, messengers, pauses, standing));
  const workers = openWorkers(adapters, agents, pauses, messengers);
  const status = openStatus(adapters, agents, pauses);
  const clockwork = openClockwork(adapters, trust, agents, messengers, life, status);
  const exporter = parts.adopt(await startExport(adapters), (each) => each.close());
  // What has left by then reaches the readable journal, too.
  parts.defer(() => adapters.sent.flush());
  const made = { adapters, life, trust, models, messengers, pauses, standing, agents, workers, clockwork, exporter };
  const runtime = openRuntime(options, made);
  const { hindrances, clock } = agents;
  const live = {
    paused: (agent: string) => pauses.of(agent),
    hindered: (task: string) => hindrances.of(task, clock.now()),
  };
  const views = parts.adopt(openViews({ ...agents, ...live }), (each) => each.close());
  const setup = openModelSetup(adapters, trust, models);
  const page = openPage(options, adapters);
  const vault = openSecretsDesk({ ...adapters, home: options.home, root: options.workspace });
  parts.defer(noteUses(adapters));
  const policy = openLivePolicy(adapters, agents);
  const publicUrl = (): string | null => trust.current().settings.publicUrl ?? null;
  const costs = openCosts(agents);
  const served = { ...options, ...adapters, ...page, views, desk: setup, policy, costs, vault, runtime, publicUrl };
  const gateway = await startGateway(served);
  parts.defer(() => gateway.close());

  await recover(agents, adapters, options.version);
  await modelsKnown(adapters, models);
  await startUpkeep(adapters, agents, status, parts);
  for (const each of [workers.runs, workers.sends, clockwork]) each.start();
  life.begin();
  accounts.start();
  const stopReceiving = await startMessengers(messengers, adapters, trust, runtime, views);

  return {
    gateway,
    runtime,
    views,
    made: adapters.made,
    async close(reason) {
      life.end();
      stopReceiving();
      // First: a second signal ends the process at once, and must not count as a crash against the tasks under way. A full
      // disk keeps nobody from stopping.
      await record(store, { type: 'gateway.stopped', data: { reason } }).catch((error: unknown) =>
        log.error({ error: String(error) }, 'the end could not be recorded'),
      );
      await clockwork.close();
      await Promise.all([workers.runs.stop(GRACE_MS), workers.sends.stop(GRACE_MS), messengers.drafts.close()]);
      await parts.disposeAsync();
    },
  };
}

/** What the gateway needs for the web page beside the views: sessions of browsers, and the page itself. */
function openPage(options: AppOptions, { log, random }: Adapters): Required<Pick<GatewayOptions, 'sessions' | 'web'>> {
  return {
    sessions: { keep: sessionsFile(privateFile(join(options.home, 'sessions.json')), log), bytes: random.bytes },
    // Templates and what is built lie in the same package.
    web: join(options.template, '../../dist/web'),
  };
}
