import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SETTINGS_FILE } from '../core/agent.ts';
import type { SecretPlace, SecretRefused, SecretsDesk, SecretUse } from '../core/api/secrets.ts';
import type { Body } from '../core/event.ts';
import { isSecretName } from '../core/ids.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { KeptSecrets } from '../core/ports/secrets.ts';
import type { Store } from '../core/ports/store.ts';
import { errorText } from '../core/text/sentence.ts';
import { unknownText } from '../core/text/unknown.ts';
import { secretPlaces } from '../config/secret-places.ts';
import { VaultClosed } from '../secrets/key.ts';
import { openSecrets } from '../secrets/open.ts';
import { makePrivateFolder } from '../platform/private.ts';
import { systemClock, systemRandom } from '../platform/system.ts';
import { upcast } from '../journal/upcast.ts';
import { exists } from '../sandbox/folder.ts';
import { lockUnlessHeld } from './pause.ts';
import { STORE } from './store.ts';
import { agentFolders } from '../workspace/edits/watch.ts';

type EventStore = Pick<Store, 'commit' | 'read'>;
type SecretEvent = Extract<Body, { type: `secret.${string}` }>;

const STREAM = 'secrets';

const record = (store: EventStore, body: SecretEvent, actor: string, sync: boolean): Promise<unknown> =>
  store.commit({ events: [{ ...body, stream: STREAM, actor, cause: null, labels: [] }], sync });

interface DeskParts {
  home: string;
  /** Folder of the workspace. */
  root: string;
  secrets: Pick<KeptSecrets, 'vault'>;
  /** Null in a home that has no record yet. */
  store: EventStore | null;
}

/** What people do with the secrets of a home, whether a network runs on it or not. */
export function openSecretsDesk({ home, root, secrets: { vault }, store }: DeskParts): SecretsDesk {
  const places = () => placesIn(home, root);
  const unknown = (name: string): SecretRefused => ({
    ok: false,
    why: 'unknown',
    message: isSecretName(name)
      ? unknownText('secret', name, { known: vault.list().map((each) => each.name), list: 'ruche secrets list' })
      : 'This cannot be the name of a secret. List them with: ruche secrets list.',
  });
  const noted = async (body: SecretEvent): Promise<void> => {
    if (store) await record(store, body, 'owner', true);
  };
  return {
    async list() {
      await vault.retry();
      const [named, used] = [await places(), await lastUses(store)];
      const kept = vault.list();
      const secrets = kept.map((each) => ({
        ...each,
        lastUsed: used.get(each.name) ?? null,
        places: named.get(each.name) ?? [],
      }));
      const isKept = new Set(kept.map(({ name }) => name));
      const missing = [...named]
        .filter(([name]) => !isKept.has(name))
        .map(([name, where]) => ({ name, places: where }));
      const key = await vault.keyPlace().catch(() => null);
      return { secrets, missing: vault.problem() === null ? missing : [], key, problem: vault.problem() };
    },
    async set(name, value, { known }) {
      try {
        if (known && vault.problem() === null && !vault.has(name)) return unknown(name);
        const { what } = await vault.set(name, value);
        await noted({ type: 'secret.changed', data: { name, what: what === 'set' ? 'set' : 'rotated' } });
        return { ok: true, what: what === 'set' ? 'set' : 'rotated', places: (await places()).get(name) ?? [] };
      } catch (error) {
        return refused(error);
      }
    },
    async remove(name) {
      try {
        if (!(await vault.remove(name))) return unknown(name);
        await noted({ type: 'secret.changed', data: { name, what: 'removed' } });
        return { ok: true, places: (await places()).get(name) ?? [] };
      } catch (error) {
        return refused(error);
      }
    },
    async rotateKey(to) {
      try {
        const done = await vault.rotateKey(to);
        await noted({ type: 'secret.key', data: { publicKey: done.publicKey } });
        return { ok: true, ...done };
      } catch (error) {
        return refused(error);
      }
    },
  };
}

export interface SecretsHome {
  home: string;
  workspace: string;
  env: Readonly<{ [name: string]: string | undefined }>;
  /** What an older version has kept is moved first. */
  writes: boolean;
  askPassphrase?: (path: string, again: boolean) => Promise<string | null>;
}

/** The secrets of a home that nothing runs on. Null where a process does, which then has to be asked. */
export async function openOwnSecrets({ home, workspace, env, writes, askPassphrase }: SecretsHome) {
  if (writes) await makePrivateFolder(home);
  else if (!(await exists(home))) throw new Error(`There is no home at ${home}. Give another --home.`);
  const lock = lockUnlessHeld(home);
  if (lock === null) return null;
  const parts = new AsyncDisposableStack();
  parts.defer(() => lock.release());
  try {
    const secrets = await openSecrets({ env, home, clock: systemClock, ...(askPassphrase && { askPassphrase }) });
    if (writes && secrets.vault.problem() === null) await secrets.settle();
    const store = STORE.has(home)
      ? parts.adopt(
          await STORE.open({ home, clock: systemClock, random: systemRandom.bytes, boundary: () => undefined, upcast }),
          (each) => each.close(),
        )
      : null;
    const desk = openSecretsDesk({ home, root: workspace, secrets, store });
    return { desk, close: () => parts.disposeAsync() };
  } catch (error) {
    await parts.disposeAsync();
    throw error;
  }
}

function refused(error: unknown): SecretRefused {
  if (error instanceof VaultClosed) return { ok: false, why: 'refused', message: error.message };
  throw error;
}

/** Every place of the standing files where a secret is named. What a person has just saved counts, as it is about to. */
async function placesIn(home: string, root: string): Promise<Map<string, SecretPlace[]>> {
  const agents = agentFolders(root).map((name) => `agents/${name}/AGENT.md`);
  const files = [
    ...[SETTINGS_FILE, ...agents].map((file) => [file, join(root, file)] as const),
    ['models.json', join(home, 'models.json')] as const,
  ];
  const all = new Map<string, SecretPlace[]>();
  for (const [file, path] of files) {
    // What is not there names nothing, and what cannot be read is told by status and doctor.
    const text = await readFile(path, 'utf8').catch(() => null);
    if (text === null) continue;
    for (const [name, found] of secretPlaces(file, text)) all.set(name, [...(all.get(name) ?? []), ...found]);
  }
  return all;
}

/** Uses that are looked through, the newest first. */
const NEWEST = 2_000;

async function lastUses(store: EventStore | null): Promise<Map<string, SecretUse>> {
  const uses = new Map<string, SecretUse>();
  if (store === null) return uses;
  for await (const event of store.read({ stream: STREAM, types: ['secret.used'], reverse: true, limit: NEWEST }))
    if (event.type === 'secret.used' && !uses.has(event.data.name))
      uses.set(event.data.name, { at: event.at, for: event.data.for });
  return uses;
}

/** Milliseconds in which uses of one secret for one thing are one event: a turn must not get heavier by each of its calls. */
const USE_MS = 3_600_000;

/** Puts on record what secrets are read for. Returns how to stop that. */
export function noteUses(parts: {
  secrets: KeptSecrets;
  store: EventStore;
  clock: Clock;
  log: Log;
}): () => Promise<void> {
  const { secrets, store, clock, log } = parts;
  const last = new Map<string, number>();
  let writing: Promise<unknown> = Promise.resolve();
  const stop = secrets.onUse((name, forWhom) => {
    const [key, now] = [`${name} ${forWhom}`, clock.now()];
    if (now - (last.get(key) ?? -Infinity) < USE_MS) return;
    last.set(key, now);
    const body = { type: 'secret.used', data: { name, for: forWhom } } as const;
    writing = writing
      .then(() => record(store, body, 'runtime', false))
      .catch((error: unknown) => log.warn({ name, error: errorText(error) }, 'the use of a secret is not on record'));
  });
  return async () => {
    stop();
    await writing;
  };
}
