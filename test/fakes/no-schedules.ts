import type { EscalationDesk } from '../../src/core/escalation.ts';
import type { ScheduleDesk } from '../../src/core/schedule.ts';
import type { TriggerDesk } from '../../src/core/trigger.ts';

/** A network in which nothing happens by the clock. */
export const noSchedules: ScheduleDesk = {
  list: async () => [],
  run: async () => null,
  pause: async () => false,
  resume: async () => false,
  nextFiring: () => null,
};

/** A network in which nothing happens because something else has. */
export const noTriggers: TriggerDesk = {
  list: async () => [],
  show: async () => null,
  lacking: async () => null,
  run: async () => null,
  pause: async () => false,
  resume: async () => false,
  hook: async () => null,
  deliver: async () => ({ ok: false, why: 'stopping', message: 'nothing listens' }),
};

/** A network in which nobody hears about what waits. */
export const noEscalations: EscalationDesk = {
  list: async () => [],
  get: async () => null,
  acknowledge: async () => null,
};
