import type { Adapters } from './adapters.ts';
import type { Settings } from './core/agent.ts';
import type { ModelDesk } from './core/views.ts';
import { openModels } from './models/choose.ts';
import { openDesk } from './models/desk.ts';
import { readCondition } from './conditions.ts';
import { readCron } from './cron.ts';
import { openScheduleBook } from './schedule-book.ts';
import { Dropped } from './scheduler/dropped.ts';
import { Schedules } from './scheduler/schedules.ts';
import { Triggers } from './scheduler/triggers.ts';
import type { Trust } from './scheduler/trust.ts';
import { machineZone } from './system.ts';
import { builtinTools } from './tools/builtin.ts';

/** Milliseconds a start waits for what an Ollama says of its models. */
const PATIENCE_MS = 1_500;

export type Plugged = ReturnType<typeof plugs>;

/** Tools and models follow the settings in force; they are made anew when those change. */
export function plugs(adapters: Adapters, trust: Trust, stopped: AbortSignal) {
  const make = (settings: Settings) => {
    const models = openModels({ ...adapters, settings });
    // What a server says of its models counts from when it has said it.
    const prepared = models.prepare(stopped).catch((error: unknown) => {
      if (!stopped.aborted) adapters.log.warn({ error: String(error) }, 'the models could not be looked at');
    });
    const book = openScheduleBook({ ...adapters, settings });
    return { settings, tools: builtinTools({ ...adapters, book }, settings), models, prepared };
  };
  let made = make(trust.current().settings);
  return (): typeof made => {
    const { settings } = trust.current();
    if (made.settings !== settings) made = make(settings);
    return made;
  };
}

/** Resolves once the models are known as well as they can be, or after a moment that nobody minds to wait. */
export async function prepared({ clock }: Adapters, plugged: Plugged): Promise<void> {
  const enough = new AbortController();
  const patience = clock.sleep(PATIENCE_MS, enough.signal).catch(() => undefined);
  await Promise.race([plugged().prepared, patience]);
  enough.abort();
}

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

/** The models as people look at them and set them up. */
export function deskOf(adapters: Adapters, trust: Trust, plugged: Plugged): ModelDesk {
  return openDesk({
    ...adapters,
    settings: () => trust.current().settings,
    models: () => plugged().models,
    named: () => [...trust.current().agents.values()].map((agent) => agent.model),
  });
}
