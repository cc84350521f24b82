import { openAdapters } from './adapters.ts';
import { openAgents } from './agents.ts';
import type { App, AppOptions } from './options.ts';
import { openFaces } from './web.ts';
import { startGateway } from '../gateway/server.ts';
import { startExport } from '../journal/export.ts';
import { describeAgents, describeNetwork } from '../runtime/describe.ts';
import { nowWrong } from './problems.ts';
import { createRuntime } from '../runtime/runtime.ts';
import { openEscalations } from './escalations.ts';
import { openMessengers } from './messengers.ts';
import { startTrust } from '../trust/trust.ts';
import { record } from '../scheduler/worker.ts';
import { deskOf, plugs, prepared } from './models.ts';
import { openClockwork } from './clockwork.ts';
import { takeUp } from './recover.ts';
import { startUpkeep } from './upkeep.ts';
import { openWorkers } from './workers.ts';

/** Conversations that a messenger offers to go on with. */
const RECENT = 10;
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

async function compose(options: AppOptions, parts: AsyncDisposableStack): Promise<App> {
  const adapters = await openAdapters(options, parts);
  const { store, repository, hub, clock, log } = adapters;
  const startedAt = clock.now();
  let state: 'starting' | 'ready' | 'stopping' = 'starting';
  const redact = (text: string): string => adapters.secrets.redact(text);
  const onChange = (): void => void (state === 'ready' && [channels.sync(), byItself.changed(), escalations.changed()]);
  const onMoved = (): void => void (state === 'ready' && byItself.moved());
  const trust = await startTrust({ ...adapters, redact, onChange, onMoved });
  parts.defer(() => trust.close());
  const stopped = new AbortController();
  parts.defer(() => stopped.abort());
  const plugged = plugs(adapters, trust, stopped.signal);
  const cancel = (task: string, by: string): Promise<boolean> => runtime.cancel(task, by);
  const recent = () => faces.views.conversations(RECENT);
  const { channels, drafts, pair } = openMessengers(options, adapters, trust, () => runtime, recent);
  const { agents, pauses } = await openAgents(adapters, trust, plugged, channels, cancel);

  const { runs, sends } = openWorkers(adapters, agents, pauses, trust, { channels, drafts });
  const byItself = openClockwork(adapters, trust, { cancel, accepting: () => state === 'ready' });
  const escalations = openEscalations(agents, adapters, trust, channels);
  const exporter = await startExport({ store, repository, clock, log });
  parts.defer(() => exporter.close());

  const runtime = createRuntime({
    ...agents,
    hub,
    pair,
    ...byItself.desks,
    escalations,
    pauses,
    maxAttempts: () => trust.current().settings.maxAttempts,
    answerHeld: (approval, verdict, by) => trust.answerHeld(approval, verdict, by),
    accepting: () => state === 'ready',
    stopTask: (task) => runs.cancel(task),
    agents: () => describeAgents(trust.current(), plugged().models),
    situation: async () => ({
      ...describeNetwork(
        options,
        trust.current(),
        plugged().models,
        trust.refused(),
        await nowWrong(adapters, trust.current(), byItself.desks),
      ),
      startedAt,
      sandbox: adapters.sandbox.name,
      notReady: state === 'ready' ? (runs.problem ?? sends.problem) : `It is ${state}.`,
      journal: { head: await store.head(), exported: exporter.exported() },
    }),
  });
  const faces = openFaces(options, adapters, agents.pushes, (agent) => pauses.of(agent), parts);
  const desk = deskOf(adapters, trust, plugged);
  const gateway = await startGateway({ ...options, ...adapters, ...faces, desk, runtime });
  parts.defer(() => gateway.close());
  await takeUp(agents, adapters, options.version);
  await prepared(adapters, plugged);
  await startUpkeep(adapters, agents, () => pauses.names(), parts);
  for (const each of [runs, sends, byItself, escalations]) each.start();
  state = 'ready';
  await drafts.resume();
  channels.sync();

  return {
    gateway,
    runtime,
    made: adapters.made,
    async close(reason) {
      state = 'stopping';
      channels.stop();
      await Promise.all([byItself.close(), escalations.close()]);
      await Promise.all([runs.stop(GRACE_MS), sends.stop(GRACE_MS), drafts.close()]);
      // A disk that takes nothing more keeps nobody from stopping.
      await record(store, { type: 'gateway.stopped', data: { reason } }).catch((error: unknown) =>
        log.error({ error: String(error) }, 'the end could not be recorded'),
      );
      await parts.disposeAsync();
    },
  };
}
