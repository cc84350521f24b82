import type { Adapters } from './adapters.ts';
import type { AppOptions } from './app-types.ts';
import type { Settings } from './core/agent.ts';
import { openModels } from './models/choose.ts';
import type { Trust } from './scheduler/trust.ts';
import { builtinTools } from './tools/builtin.ts';

export type Plugged = ReturnType<typeof plugs>;

/** Tools and models follow the settings in force; they are made anew when those change. */
export function plugs(options: AppOptions, adapters: Adapters, trust: Trust) {
  const make = (settings: Settings) => ({
    settings,
    tools: builtinTools(adapters, settings),
    models: openModels({ ...adapters, settings, env: options.env }),
  });
  let made = make(trust.current().settings);
  return (): typeof made => {
    const { settings } = trust.current();
    if (made.settings !== settings) made = make(settings);
    return made;
  };
}
