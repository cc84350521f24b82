import { test } from 'node:test';
import { openProxy } from '../../src/net/egress/proxy.ts';
import { BOUNDS } from '../../src/net/egress/session.ts';
import { reaches } from '../../src/core/net/reach.ts';
import { fuzzOpenings, fuzzPlaces, fuzzRequests } from './egress-fuzz.ts';
import { NO_SECRETS } from './egress-support.ts';
import { realClock } from './support.ts';

// `npm run fuzz` asks for a million; here there are ten thousand.
const runs = Number(process.env['FUZZ_RUNS'] ?? 10_000);
const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

test('whatever is said first in a tunnel is read as what it is, or refused', (t) => {
  t.diagnostic(`seed ${seed}`);
  fuzzOpenings(runs * 0.4, seed);
});

test('whatever stands for a place is read in one way, or not at all', () => fuzzPlaces(runs * 0.4, seed));

test('whatever a command says to its proxy, only what its list has is dialled, and only with the token', async () => {
  const grant = {
    agent: 'a',
    run: 'r',
    forWhom: () => ({ who: 'tool:shell', agent: 'a', run: 'r', privateHosts: [], only: reaches('good.org') }),
    denied: () => null,
  };
  await fuzzRequests(runs * 0.2, seed, (dial) => {
    const session = {
      grant,
      net: { dial },
      clock: realClock,
      injection: NO_SECRETS,
      bounds: BOUNDS,
      tls: null,
      signal: new AbortController().signal,
      refused: () => undefined,
      connected: () => undefined,
      strayed: () => true,
      carried: () => true,
    };
    return {
      server: openProxy(session, 'token'),
      auth: `Proxy-Authorization: Basic ${Buffer.from('ruche:token').toString('base64')}\r\n`,
    };
  });
});
