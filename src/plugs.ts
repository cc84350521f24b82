import type { Adapters } from './adapters.ts';
import type { Settings } from './core/agent.ts';
import { openModels } from './models/choose.ts';
import type { Trust } from './scheduler/trust.ts';
import { builtinTools } from './tools/builtin.ts';

export type Plugged = ReturnType<typeof plugs>;

/** Tools and models follow the settings in force; they are made anew when those change. */
export function plugs(adapters: Adapters, trust: Trust, stopped: AbortSignal) {
  const make = (settings: Settings) => {
    const models = openModels({ ...adapters, settings });
    // Nothing waits for it: what a server says of its models counts from when it has said it.
    models.prepare(stopped).catch((error: unknown) => {
      if (!stopped.aborted) adapters.log.warn({ error: String(error) }, 'the models could not be looked at');
    });
    return { settings, tools: builtinTools(adapters, settings), models };
  };
  let made = make(trust.current().settings);
  return (): typeof made => {
    const { settings } = trust.current();
    if (made.settings !== settings) made = make(settings);
    return made;
  };
}
