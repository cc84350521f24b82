import type { Adapters } from './adapters.ts';
import type { AgentDeps } from '../agent/run/deps.ts';
import { readCondition } from '../config/conditions.ts';
import { readCron } from '../config/cron.ts';
import type { RuntimeDeps } from '../runtime/runtime.ts';
import type { Life } from './life.ts';
import type { Channels } from '../messages/channels.ts';
import type { Messengers } from './messengers.ts';
import { expire } from '../pending/approve.ts';
import { allPending, pendingById } from '../pending/pending.ts';
import { Escalations } from '../scheduler/escalations/escalations.ts';
import { Schedules } from '../scheduler/schedules/schedules.ts';
import { Dropped } from '../scheduler/triggers/saved-files.ts';
import { Triggers } from '../scheduler/triggers/triggers.ts';
import type { Trust } from '../trust/trust.ts';
import { openRoom, type Status } from './upkeep.ts';

export interface Clockwork {
  desks: Pick<RuntimeDeps, 'schedules' | 'triggers' | 'escalations'>;
  start(): void;
  close(): Promise<void>;
}

/** What happens without being asked for: by the clock, because something else has happened, or because nobody answers. */
export function openClockwork(
  adapters: Adapters,
  trust: Trust,
  agents: AgentDeps,
  { channels }: Messengers,
  life: Life,
  status: Status,
): Clockwork {
  const { secrets, hub } = adapters;
  const schedules = new Schedules({
    ...agents,
    readCron,
    // Only where a schedule names none: it loads all there is of dates, 13 ms of a start.
    get zone() {
      return agents.zone();
    },
    maxAttempts: () => trust.current().settings.maxAttempts,
    cancel: agents.cancelTask,
    prepare: () => status.file.refresh(),
  });
  const triggers = new Triggers({
    ...agents,
    watch: adapters.watch,
    readCondition,
    secret: (ref, forWhom) => secrets.resolve(ref, forWhom),
    accepting: life.accepting,
    onWork: (listener) => hub.onWork(listener),
  });
  const dropped = new Dropped({ ...adapters, globs: () => triggers.globs() });
  const escalations = openEscalations(agents, trust, channels);
  const all = [schedules, triggers, dropped, escalations];
  const listening: (() => void)[] = [];
  return {
    desks: { schedules, triggers, escalations },
    start() {
      for (const each of all) each.start();
      for (const each of [schedules, triggers, escalations]) listening.push(trust.onChange(() => each.changed()));
      listening.push(trust.onMoved(() => triggers.moved()));
    },
    async close() {
      for (const stop of listening) stop();
      await Promise.all(all.map((each) => each.close()));
    },
  };
}

function openEscalations(agents: AgentDeps, trust: Trust, channels: Channels): Escalations {
  const { store } = agents;
  const lookForRoom = openRoom(agents);
  return new Escalations({
    ...agents,
    pending: (id) => pendingById(store, id),
    waiting: () => allPending(store),
    async deny(approval, reason) {
      // After a machine has slept, both may be due: a run that can go on is not ended.
      await lookForRoom();
      await expire({ store, answerHeld: trust.answerHeld }, approval, reason);
    },
    unreachable: (channel) =>
      channels.has(channel) ? (channels.doing(channel)?.problem ?? null) : `the channel ${channel} is not configured`,
  });
}
