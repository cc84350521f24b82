import type { ScheduleDesk } from '../../src/core/schedule.ts';

/** A network in which nothing happens by the clock. */
export const noSchedules: ScheduleDesk = {
  list: async () => [],
  run: async () => null,
  pause: async () => false,
  resume: async () => false,
  nextFiring: () => null,
};
