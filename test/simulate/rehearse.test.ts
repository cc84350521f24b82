// A week that was played, decided again under other rules: what changes is worked out here from what the models asked for.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openRecord } from '../../src/app/record.ts';
import { openPolicy } from '../../src/app/policy-files.ts';
import { run } from '../../src/cli/program.ts';
import type { EventOf } from '../../src/core/event.ts';
import { readJson } from '../../src/core/records/json-blob.ts';
import type { ChangedDecision, Rehearsal } from '../../src/trace/rehearse.ts';
import { ioOf, NO_APP } from '../cli/help.ts';
import { effort } from '../fakes/effort.ts';
import { inFolder, PATH, playing } from './playing.ts';

interface Answered {
  parts: { type: string; tool?: string; args?: string }[];
}

/** Every decision with the path that the model named in the call it is about. */
async function decisionsOf(dir: string): Promise<{ event: EventOf<'decision.made'>; path: string }[]> {
  const env = { PATH, HOME: dir };
  const record = await openRecord({ home: join(dir, 'home'), workspace: join(dir, 'workspace'), env });
  try {
    const paths = new Map<string, string>();
    const found: { event: EventOf<'decision.made'>; path: string }[] = [];
    for await (const event of record.store.read({ types: ['model.answered', 'decision.made'] })) {
      if (event.type === 'decision.made')
        found.push({ event, path: paths.get(`${event.stream} ${event.data.call}`) ?? '' });
      if (event.type !== 'model.answered') continue;
      const answer = await readJson<Answered>(record.store, event.data.answer);
      const calls = (answer?.parts ?? []).filter(({ type }) => type === 'call');
      for (const [at, { args = '{}' }] of calls.entries()) {
        const { path = '' } = JSON.parse(args) as { path?: string };
        paths.set(`${event.stream} s${event.data.step}c${at + 1}`, path);
      }
    }
    return found;
  } finally {
    await record.close();
  }
}

/** `ruche policy rehearse` on what a play has left. */
async function rehearsed(dir: string, ...args: string[]) {
  let out = '';
  const io = ioOf(dir, {
    out: (text) => void (out += text),
    err: (text) => void (out += text),
    env: { PATH, HOME: dir },
    // The channel of a play is in no file.
    loadApp: async () => ({ ...NO_APP, openPolicy: (options) => openPolicy({ ...options, channels: ['chat'] }) }),
  });
  const where = ['--home', join(dir, 'home'), '--workspace', join(dir, 'workspace'), '--since', '2000-01-01'];
  const code = await run(['policy', 'rehearse', ...where, ...args], io);
  return { code, out };
}

test('under one tightened rule exactly the decisions change that it is about; under the same rules none does', () =>
  inFolder(async (folder) => {
    const dir = join(folder, 'play');
    await playing({ days: effort(2 / 24, 7), keep: dir });
    const decisions = await decisionsOf(dir);
    assert.ok(decisions.length >= 10, `${decisions.length} decisions`);
    const json = async (...args: string[]): Promise<{ changes: ChangedDecision[]; summary: Rehearsal }> => {
      const { code, out } = await rehearsed(dir, '--json', ...args);
      assert.match(out, /^\{/);
      const told = JSON.parse(out) as { changes: ChangedDecision[]; summary: Rehearsal };
      assert.equal(code, told.changes.length === 0 ? 0 : 1);
      return told;
    };

    const same = await json();
    assert.deepEqual(same.changes, []);
    assert.deepEqual(same.summary.unjudged, {});
    assert.equal(same.summary.judged, decisions.length);

    const rules = readFileSync(join(dir, 'workspace', 'ruche.yaml'), 'utf8');
    const tight = join(folder, 'tight.yaml');
    writeFileSync(
      tight,
      `${rules}    - { id: bills, ask: { tool: edit, path: shared/billing.md }, reason: Bills need a person. }\n`,
    );
    const expected = decisions.filter(({ event, path }) => event.data.tool === 'edit' && path === 'shared/billing.md');
    assert.ok(expected.length > 0, 'the play has such a call');
    const { changes, summary } = await json('--at', tight);
    assert.deepEqual(
      changes.map(({ event }) => event),
      expected.map(({ event }) => event.id),
    );
    for (const { was, now, run: of } of changes) {
      assert.deepEqual([was.verdict, now.verdict, now.rule], ['allow', 'ask', 'bills']);
      assert.match(of ?? '', /^run_/);
    }
    const counted = Object.values(summary.agents).reduce((sum, agent) => sum + (agent.changes['allow→ask'] ?? 0), 0);
    assert.equal(counted, expected.length);

    // The same rules once they are saved in the workspace, and in words.
    writeFileSync(join(dir, 'workspace', 'ruche.yaml'), readFileSync(tight));
    const { code, out } = await rehearsed(dir);
    assert.equal(code, 1);
    assert.match(out, new RegExp(`^${expected.length} of ${decisions.length} decisions would change\\.$`, 'm'));
    assert.match(out, /allow \(builtin:workspace-files\) → ask \(bills\): Bills need a person\./);
    const committed = await json('--at', 'main');
    assert.deepEqual(committed.changes, []);
  }));
