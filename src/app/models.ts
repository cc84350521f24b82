import type { Adapters } from './adapters.ts';
import type { Settings } from '../core/agent.ts';
import type { ModelDesk } from '../core/api/views.ts';
import type { MailAccess } from '../core/ports/tool.ts';
import { openModels } from '../models/choice/choose.ts';
import { openDesk } from '../models/setup/desk.ts';
import { openScheduleBook } from '../config/schedule-book.ts';
import { type AppOptions, plainly } from './options.ts';
import type { Trust } from '../trust/trust.ts';
import { machineZone } from '../platform/system.ts';
import { openTools } from './builtin.ts';

/** Milliseconds a start waits for what an Ollama says of its models. */
const PATIENCE_MS = 1_500;

export type ToolsAndModels = ReturnType<typeof openToolsAndModels>;

/** Tools and models follow the settings in force; they are made anew when those change. */
export function openToolsAndModels(
  { wrap = {} }: AppOptions,
  adapters: Adapters,
  trust: Trust,
  accounts: MailAccess,
  parts: AsyncDisposableStack,
) {
  const stopping = new AbortController();
  parts.defer(() => stopping.abort());
  const told = new Set<string>();
  const make = (settings: Settings) => {
    const models = (wrap.models ?? plainly)(() => openModels({ ...adapters, settings }));
    // What a server says of its models counts from when it has said it.
    const named = [...trust.current().agents.values()].map(({ model }) => model);
    const prepared = models
      .prepare(stopping.signal, named)
      .then(() => {
        for (const [model, window] of Object.entries(models.assumed()))
          if (!told.has(model)) {
            told.add(model);
            adapters.log.warn({ model, window }, 'nobody says how many tokens this model holds: set its window');
          }
      })
      .catch((error: unknown) => {
        if (!stopping.signal.aborted) adapters.log.warn({ error: String(error) }, 'the models could not be looked at');
      });
    const book = openScheduleBook({ ...adapters, settings, zone: () => settings.timezone ?? machineZone() });
    return {
      settings,
      tools: openTools(adapters.builtin, { ...adapters, accounts, book, limits: settings.limits }),
      models,
      prepared,
    };
  };
  let made = make(trust.current().settings);
  return (): typeof made => {
    const { settings } = trust.current();
    if (made.settings !== settings) made = make(settings);
    return made;
  };
}

/** Resolves once the models are known as well as they can be, or after a moment that nobody minds to wait. */
export async function modelsKnown({ clock }: Adapters, current: ToolsAndModels): Promise<void> {
  const enough = new AbortController();
  const patience = clock.sleep(PATIENCE_MS, enough.signal).catch(() => undefined);
  await Promise.race([current().prepared, patience]);
  enough.abort();
}

/** The models as people look at them and set them up. */
export function openModelSetup(adapters: Adapters, trust: Trust, current: ToolsAndModels): ModelDesk {
  return openDesk({
    ...adapters,
    settings: () => trust.current().settings,
    models: () => current().models,
    named: () => [...trust.current().agents.values()].map((agent) => agent.model),
  });
}
