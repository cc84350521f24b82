import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { addOwner } from '../../src/workspace/edits/owner.ts';
import { parseSettings } from '../../src/config/settings.ts';
import { KNOWN } from '../fakes/known.ts';

/** What `ruche.yaml` says after somebody was paired; null for no file before. */
async function paired(before: string | null, sender = '42', channel = 'telegram'): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'ruche-owner-'));
  try {
    if (before !== null) await writeFile(join(root, 'ruche.yaml'), before);
    await addOwner({ root, temp: root, channel, sender, known: KNOWN });
    assert.deepEqual(await readdir(root), ['ruche.yaml']);
    return await readFile(join(root, 'ruche.yaml'), 'utf8');
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

const ownersIn = (text: string): readonly string[] =>
  parseSettings(text, 'ruche.yaml', KNOWN).settings?.channels[0]?.owners ?? [];

test('an owner is added, and everything else stays as it was written', async () => {
  const before = '# ours\nconcurrency: 7 # few\nchannels:\n  telegram:\n    owners: ["1"] # me\n    agent: a\n';
  const after = await paired(before);
  assert.deepEqual(ownersIn(after), ['1', '42']);
  for (const kept of ['# ours', 'concurrency: 7 # few', '# me', 'agent: a']) assert.ok(after.includes(kept), after);
  assert.deepEqual(ownersIn(await paired(null)), ['42']);
  assert.deepEqual(ownersIn(await paired('concurrency: 7\n')), ['42']);
  assert.deepEqual(ownersIn(await paired('channels:\n  telegram: { agent: a }\n')), ['42']);
  assert.deepEqual(ownersIn(await paired('channels: { telegram: { owners: [ 42 ] } }\n')), ['42']);
  // Begun and left empty.
  assert.deepEqual(ownersIn(await paired('channels:\nconcurrency: 7\n')), ['42']);
  assert.deepEqual(ownersIn(await paired('channels:\n  telegram:\n')), ['42']);
  assert.deepEqual(ownersIn(await paired('channels:\n  telegram:\n    owners:\n')), ['42']);
});

test('a file that is wrong, or would be, is left alone', async () => {
  await assert.rejects(paired('a: [\n'), /ruche\.yaml cannot be read/);
  await assert.rejects(paired('unknown: 1\n'), /ruche\.yaml, line 1: unknown/);
  await assert.rejects(paired('', 'not-a-number'), /must be the numeric id/);
});
