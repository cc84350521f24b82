import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Governance } from '../../src/core/agent.ts';
import type { Event, EventOf } from '../../src/core/event.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { startTrust } from '../../src/trust/trust.ts';
import type { Trust } from '../../src/trust/trust.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { openWatch } from '../../src/workspace/edits/watch.ts';
import { makeWorkspace, quiet, write } from '../workspace/govern-kit.ts';
import type { TestWorkspace } from '../workspace/govern-kit.ts';

export interface Scene extends TestWorkspace {
  store: Store;
  readonly trust: Trust;
  changes: Governance[];
  warnings: string[];
  /** Time passes until the watch has looked often enough to take a saved file in. */
  look(times?: number): Promise<void>;
  start(): Promise<void>;
  /** Types of the workspace's events, without the first `config.applied`. */
  told(): Promise<string[]>;
  last<T extends Event['type']>(type: T): Promise<EventOf<T>>;
  text(hash: string): Promise<string>;
}

export async function scene(
  t: { after(done: () => Promise<void>): void },
  files?: Record<string, string>,
): Promise<Scene> {
  const kit = await makeWorkspace(files);
  const store = openMemoryStore({ clock: kit.clock, random: (n) => randomBytes(n) });
  const changes: Governance[] = [];
  const warnings: string[] = [];
  let made = 0;
  const events = async (): Promise<Event[]> => {
    const found: Event[] = [];
    for await (const event of store.read({ stream: 'workspace' })) found.push(event);
    return found;
  };
  let trust: Trust | null = null;
  const it: Scene = {
    ...kit,
    store,
    changes,
    warnings,
    get trust() {
      assert.ok(trust, 'it has been started');
      return trust;
    },
    async start() {
      const watch = openWatch({ git: kit.workspace.git, clock: kit.clock, log: quiet });
      const starting = startTrust({
        redact: (text) => text.replaceAll('a-known-secret', '[redacted]'),
        store,
        reader: kit.reader,
        workspace: kit.workspace,
        watch,
        clock: kit.clock,
        ids: { next: (kind) => `${kind}_${(made += 1)}` },
        log: { ...quiet, warn: (_fields, message) => void warnings.push(message) },
      });
      trust = await kit.clock.during(starting);
      it.trust.onChange(() => void changes.push(it.trust.current()));
      await kit.clock.sleeping(1);
    },
    async look(times = 4) {
      for (let at = 0; at < times; at += 1) await kit.clock.step(200);
      await it.trust.settled();
    },
    told: async () => (await events()).slice(1).map((event) => event.type),
    async last(type) {
      const found = (await events()).findLast((event) => event.type === type);
      assert.ok(found, `no ${type}`);
      return found as EventOf<typeof type>;
    },
    async text(hash) {
      const bytes = await store.getBlob({ hash });
      return (JSON.parse(Buffer.from(bytes ?? []).toString('utf8')) as { text: string }).text;
    },
  };
  await it.start();
  t.after(async () => {
    await it.trust.close();
    await store.close();
    await kit.remove();
  });
  return it;
}

export const steps = (s: Scene): number => s.trust.current().settings.concurrency;

/** Somebody else's commit on a clone, to be fetched from `<root>/other`. */
export async function elsewhere(s: Scene, files: Record<string, string>): Promise<void> {
  const other = join(s.root, 'other');
  await rm(other, { recursive: true, force: true, maxRetries: 5 });
  await s.git('clone', '-q', s.dir, other);
  for (const [path, text] of Object.entries(files)) await write(other, path, text);
  await s.git('-C', other, 'add', '-A');
  await s.git('-C', other, 'commit', '-q', '-m', 'From elsewhere');
}
