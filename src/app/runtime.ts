import type { Adapters } from './adapters.ts';
import type { AgentDeps } from '../agent/run/deps.ts';
import type { Clockwork } from './clockwork.ts';
import type { Runtime } from '../core/api/runtime.ts';
import type { JournalExport } from '../journal/export.ts';
import type { Life } from './life.ts';
import { heldMessages } from '../messages/told.ts';
import { type Messengers, pairer } from './messengers.ts';
import type { ToolsAndModels } from './models.ts';
import type { AppOptions } from './options.ts';
import { ageProblems } from './lost.ts';
import { channelProblems, journalProblems, nowWrong, stuckProblems, vaultProblems } from './problems.ts';
import { describeAgents, describeNetwork } from '../runtime/describe.ts';
import { personOf } from '../core/recipient.ts';
import type { Standing } from '../pending/standing.ts';
import type { Pauses } from '../runtime/pauses.ts';
import { createRuntime } from '../runtime/runtime.ts';
import type { Trust } from '../trust/trust.ts';
import type { Workers } from './workers.ts';

interface Parts {
  adapters: Adapters;
  life: Life;
  trust: Trust;
  models: ToolsAndModels;
  messengers: Messengers;
  pauses: Pauses;
  standing: Standing;
  agents: AgentDeps;
  workers: Workers;
  clockwork: Clockwork;
  exporter: JournalExport;
}

/** The running network, as page, commands and messengers see it. */
export function openRuntime(options: AppOptions, parts: Parts): Runtime {
  const { adapters, life, trust, models, messengers, pauses, standing, agents, workers, clockwork, exporter } = parts;
  const { store, hub, clock, sandbox } = adapters;
  const startedAt = clock.now();
  return createRuntime({
    ...agents,
    ...clockwork.desks,
    hub,
    pauses,
    hindered: (task) => agents.hindrances.of(task, clock.now()),
    pair: pairer(adapters, messengers),
    maxAttempts: () => trust.current().settings.maxAttempts,
    answerHeld: trust.answerHeld,
    standing,
    person: (by) => personOf(trust.current().settings, by),
    accepting: life.accepting,
    traffic: adapters.sent.traffic,
    agents: () => describeAgents(trust.current(), models().models),
    situation: async () => ({
      ...describeNetwork(options, trust.current(), models().models, trust.refused(), [
        ...(await nowWrong(adapters, trust.current(), clockwork.desks, agents.hindrances.all(clock.now()))),
        ...stuckProblems(adapters.dropped.stuck()),
        ...ageProblems(options, adapters.newer, adapters.missing),
        ...vaultProblems(adapters.secrets),
        ...journalProblems(exporter.problem()),
        ...channelProblems(messengers.list()),
      ]),
      startedAt,
      sandbox: sandbox.name,
      channels: messengers.list(),
      notReady: life.notReady ?? workers.runs.problem ?? workers.sends.problem,
      held: await heldMessages(store, clock.now()),
      journal: { head: await store.head(), exported: exporter.exported() },
    }),
  });
}
