import { hostKind, parseTarget } from '../../src/core/net/host.ts';
import { type ForWhom, type Net, NetError, type NetRequest } from '../../src/core/ports/net.ts';
import { openNet } from '../../src/net/guard.ts';
import { systemClock } from '../../src/platform/system.ts';

const quiet = (): void => undefined;
const silent = { debug: quiet, info: quiet, warn: quiet, error: quiet };

export interface FakeNet extends Net {
  readonly asked: { request: NetRequest; forWhom: ForWhom }[];
}

/** `fetch` of a public name must fail at once here, and not only where there is no network. */
async function here(url: string): Promise<void> {
  const host = URL.parse(url)?.hostname ?? '';
  if (parseTarget(url).ok && hostKind(host.replace(/^\[|\]$/g, '')) !== 'loopback')
    throw new NetError('blocked', `${host} is not on this machine`);
}

/**
 * The guard for this machine, which remembers what was asked of it. It is no second guard: what that one refuses would one
 * day not be refused here.
 */
export function fakeNet(): FakeNet {
  const asked: FakeNet['asked'] = [];
  const guard = openNet({ clock: systemClock, log: silent, resolve: () => Promise.resolve(['127.0.0.1']) });
  return {
    ...guard,
    asked,
    request: async (request, forWhom) => {
      asked.push({ request, forWhom });
      await here(request.url);
      return guard.request(request, forWhom);
    },
  };
}
