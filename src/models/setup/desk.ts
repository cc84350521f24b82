import { NO_USAGE } from '../../core/model.ts';
import type { ModelDesk } from '../../core/api/views.ts';
import type { DeskOptions } from './parts.ts';
import { listModels } from './listing.ts';
import { setUp } from './setup.ts';
import { tryOut } from './trial.ts';

/** The models of the network: what there is, whether it works, and how to have one. */
export function openDesk(options: DeskOptions): ModelDesk {
  return {
    list: (signal) => listModels(options, signal),
    async test(ref, signal) {
      const problem = options.models().problem(ref);
      const choice = options.models().choices(ref)[0];
      if (problem !== '' || !choice) return { ref, ok: false, ms: 0, usage: NO_USAGE, costUsd: 0, said: problem };
      const { error: _error, ...tried } = await tryOut(choice, options.clock, signal);
      return { ref, ...tried };
    },
    setup: (request, signal) => setUp(options, request, signal),
  };
}
