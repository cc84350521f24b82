import type { SecretBinding } from '../core/agent.ts';
import type { Injection } from '../core/ports/injection.ts';
import type { Log } from '../core/ports/log.ts';
import type { KeptSecrets } from '../core/ports/secrets.ts';
import type { Store } from '../core/ports/store.ts';
import { putJson } from '../core/records/json-blob.ts';
import { matterRaised, misdirectedText } from '../core/records/matter.ts';
import { type Misdirected, openInjection } from '../secrets/injection.ts';

export interface BoundSecrets {
  injection: Injection;
  /** Says what is bound, as it is at each moment. Until then nothing is. */
  govern(bindings: () => readonly SecretBinding[]): void;
  /** Whether a credential has gone out for this run: what came back is the owner's own business. */
  usedSecret(run: string): boolean;
}

/** Hosts of one run that the owner hears of: a run that is steered could name thousands. */
const MAX_HOSTS = 5;
/** Runs that are remembered for that. */
const MAX_RUNS = 1_000;

/** The secrets of `ruche.yaml` by destination; a misdirected placeholder waits for the owner in the Inbox. */
export function openBoundSecrets(
  parts: { store: Store; secrets: KeptSecrets; log: Log },
  key: Uint8Array,
): BoundSecrets {
  const { store, secrets, log } = parts;
  const told = new Map<string, Set<string>>();
  let bindings: () => readonly SecretBinding[] = () => [];
  const raise = async ({ agent, run, names, host }: Misdirected): Promise<void> => {
    const hosts = told.get(run) ?? new Set<string>();
    if (hosts.has(host) || hosts.size >= MAX_HOSTS) return;
    told.set(run, hosts.add(host));
    const [oldest] = told.keys();
    if (told.size > MAX_RUNS && oldest !== undefined) told.delete(oldest);
    const shown = misdirectedText(agent, run, names, host);
    try {
      const matter = matterRaised({ kind: 'secret', about: `${run}@${host}`, shown }, (words) =>
        putJson(store, words, 'secrets', secrets.redact),
      );
      // One of before a restart is the same matter.
      await store.commit({ events: [{ ...matter, actor: 'runtime', cause: null, labels: [] }], sync: true });
    } catch (error) {
      // The next try of the run is told instead.
      hosts.delete(host);
      throw error;
    }
  };
  const used = new Set<string>();
  const sent = (run: string): void => {
    used.add(run);
    const [oldest] = used;
    if (used.size > MAX_RUNS && oldest !== undefined) used.delete(oldest);
  };
  const injection = openInjection({
    sent,
    bindings: () => bindings(),
    resolve: (ref, forWhom) => secrets.resolve(ref, forWhom),
    peek: (ref, forWhom) => secrets.peek(ref, forWhom),
    hide: secrets.hide,
    key,
    misdirected: (what) =>
      void raise(what).catch((error: unknown) =>
        log.error(
          { error: String(error) },
          'the Inbox does not show a misdirected secret, because that could not be recorded',
        ),
      ),
  });
  return {
    injection,
    usedSecret: (run) => used.has(run),
    govern(current) {
      bindings = current;
    },
  };
}
