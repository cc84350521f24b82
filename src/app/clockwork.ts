import type { Adapters } from './adapters.ts';
import { readCondition } from '../config/conditions.ts';
import { readCron } from '../config/cron.ts';
import { Dropped } from '../scheduler/triggers/saved-files.ts';
import { Schedules } from '../scheduler/schedules/schedules.ts';
import { Triggers } from '../scheduler/triggers/triggers.ts';
import type { Trust } from '../trust/trust.ts';
import { machineZone } from '../platform/system.ts';

export interface Clockwork {
  desks: { schedules: Schedules; triggers: Triggers };
  start(): void;
  close(): Promise<void>;
  /** What governs has changed. */
  changed(): void;
  /** `main` is somewhere else. */
  moved(): void;
}

/** What agents do without being asked: by the clock, and when something happens. */
export function openClockwork(
  adapters: Adapters,
  trust: Trust,
  { cancel, accepting }: { cancel(task: string, by: string): Promise<boolean>; accepting(): boolean },
): Clockwork {
  const { secrets, hub } = adapters;
  const common = {
    ...adapters,
    governance: () => trust.current(),
    redact: (text: string) => secrets.redact(text),
  };
  const schedules = new Schedules({
    ...common,
    readCron,
    // Only where a schedule names none: it loads all there is of dates, 13 ms of a start.
    get zone() {
      return machineZone();
    },
    maxAttempts: () => trust.current().settings.maxAttempts,
    cancel,
  });
  const triggers = new Triggers({
    ...common,
    readCondition,
    secret: (ref, forWhom) => secrets.resolve(ref, forWhom),
    accepting,
    onWork: (listener) => hub.onWork(listener),
  });
  const dropped = new Dropped({ ...adapters, globs: () => triggers.globs() });
  const both = [schedules, triggers];
  const all = [...both, dropped];
  return {
    desks: { schedules, triggers },
    start: () => all.forEach((each) => each.start()),
    close: async () => void (await Promise.all(all.map((each) => each.close()))),
    changed: () => both.forEach((each) => each.changed()),
    moved: () => triggers.moved(),
  };
}
