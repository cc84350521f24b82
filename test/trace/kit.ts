import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { NewEvent } from '../../src/core/event.ts';
import type { JournalRepository } from '../../src/core/ports/journal.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { startExport } from '../../src/journal/export.ts';
import { verify, type Verification } from '../../src/trace/verify.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { openJournalRepository } from '../../src/git/journal.ts';
import { openLandedHistory } from '../../src/git/landed.ts';
import { makeWorkspace, quiet, type TestWorkspace } from '../workspace/govern-kit.ts';

export interface Scene extends TestWorkspace {
  store: Store;
  /** The store anew, after its file was tampered with. */
  reopen(): Promise<Store>;
  database: string;
  journal: JournalRepository;
  /** A whole run: it lands a file and the journal says so; `recorded`: also that a tool has written it. */
  run(run: string, recorded?: boolean): Promise<string>;
  add(...events: NewEvent[]): Promise<void>;
  export(): Promise<void>;
  check(with_?: Partial<{ store: Store; journal: JournalRepository }>): Promise<Verification>;
}

export const agent = { actor: 'agent:assistant', cause: null, labels: [] };

export async function scene(t: { after(done: () => Promise<void>): void }): Promise<Scene> {
  const kit = await makeWorkspace();
  const { clock, workspace } = kit;
  const database = join(kit.root, 'ruche.sqlite');
  const open = () => openSqliteStore({ path: database, clock, random: (n) => randomBytes(n), boundary: () => {} });
  let store: Store = await open();
  const env = { PATH: process.env['PATH'] };
  const journal = await openJournalRepository({
    dir: join(kit.root, 'journal.git'),
    env,
    boundary: () => {},
    log: quiet,
  });
  const scene: Scene = {
    ...kit,
    store,
    database,
    journal,
    async reopen() {
      store = await open();
      scene.store = store;
      return store;
    },
    async add(...events) {
      const result = await store.commit({ events, sync: true });
      assert.ok(result.ok);
    },
    async run(run, recorded = false) {
      const stream = `run:${run}`;
      const base = await workspace.head();
      const putJson = (value: object) => store.putBlob(Buffer.from(JSON.stringify(value)), 'conv:assistant/main');
      const put = (text: string) => putJson({ text });
      const { oid, stored } = workspace.objects.put('blob', Buffer.from(run));
      await stored;
      const changes = [{ path: `${run}.md`, mode: '100644' as const, oid, was: null }];
      if (recorded) {
        const about = { call: 'call_1', tool: 'write', ok: true, labels: [], ms: 1, reconciled: false };
        const data = { ...about, result: putJson({ ok: true, text: '', full: null, changes, seen: {} }) };
        await scene.add({ type: 'tool.returned', stream, ...agent, data });
      }
      await scene.add(
        { type: 'note.added', stream, ...agent, data: { note: put(`about ${run}`) } },
        { type: 'landing.started', stream, ...agent, data: { base, paths: 1, message: put(`add ${run}`) } },
      );
      const provenance = { run, task: 'tsk_1', agent: 'assistant', model: 'demo/demo', costUsd: 0, labels: [] };
      const landed = await workspace.land({ base, changes, subject: `add ${run}`, provenance, at: clock.now() });
      assert.ok(landed.state === 'landed');
      await scene.add({ type: 'landing.finished', stream, ...agent, data: { commit: landed.commit, paths: 1 } });
      return landed.commit;
    },
    async export() {
      const exporter = await startExport({ store, repository: journal, clock, log: quiet });
      await exporter.close();
    },
    check: (over = {}) => verify({ store, journal, history: openLandedHistory(workspace.git), ...over }),
  };
  await scene.add({
    type: 'config.applied',
    stream: 'workspace',
    actor: 'runtime',
    cause: null,
    labels: [],
    data: { commit: await workspace.head() },
  });
  t.after(async () => {
    await store.close();
    journal.close();
    await kit.remove();
  });
  return scene;
}

export const said = ({ findings }: Verification): string[] =>
  findings.map(({ event, where, message }) => `${event} ${where}: ${message}`);
