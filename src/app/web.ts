import { join } from 'node:path';
import type { Adapters } from './adapters.ts';
import type { AppOptions } from './options.ts';
import type { Paused } from '../core/api/runtime.ts';
import type { GatewayOptions } from '../gateway/server.ts';
import { sessionsFile } from '../gateway/http/sessions-file.ts';
import { openViews } from '../views/open.ts';

/** What the gateway needs for the web page: views of the journal, sessions of browsers, and the page itself. */
export function openFaces(
  options: AppOptions,
  { store, workspace, clock, log, random }: Adapters,
  pushes: (channel: string) => boolean,
  paused: (agent: string) => Paused | null,
  parts: AsyncDisposableStack,
): Required<Pick<GatewayOptions, 'views' | 'sessions' | 'web'>> {
  const views = parts.adopt(openViews({ store, workspace, clock, log, pushes, paused }), (each) => each.close());
  return {
    views,
    sessions: { keep: sessionsFile(options.home, log), bytes: random.bytes },
    // Templates and what is built lie in the same package.
    web: join(options.template, '../../dist/web'),
  };
}
