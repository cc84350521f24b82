import { join } from 'node:path';
import type { Adapters } from './adapters.ts';
import type { AppOptions } from './options.ts';
import type { GatewayOptions } from '../gateway/server.ts';
import { sessionsFile } from '../gateway/http/logins.ts';
import { privateFile } from '../platform/replace.ts';

/** What the gateway needs for the web page beside the views: sessions of browsers, and the page itself. */
export function openPage(
  options: AppOptions,
  { log, random }: Adapters,
): Required<Pick<GatewayOptions, 'sessions' | 'web'>> {
  return {
    sessions: { keep: sessionsFile(privateFile(join(options.home, 'sessions.json')), log), bytes: random.bytes },
    // Templates and what is built lie in the same package.
    web: join(options.template, '../../dist/web'),
  };
}
