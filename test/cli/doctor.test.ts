import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AppPort, Diagnosis } from '../../src/cli/app-port.ts';
import { echo } from '../gateway/help.ts';
import { NO_APP, withDesk } from './help.ts';

const diagnosis: Diagnosis = {
  git: '2.39.5',
  sandbox: { ok: true, why: 'bubblewrap works.', mend: '' },
  keys: [{ provider: 'cloud', name: 'CLOUD_KEY', present: false }],
  config: { problems: [] },
  workspace: null,
  refs: [],
  newestEvent: null,
  database: null,
  lost: [],
};
const app: AppPort = { ...NO_APP, diagnose: async () => diagnosis, freeBytes: async () => 1e12 };

test('Whether a key is set is asked of the running gateway: its environment counts, not this terminal’s', async () => {
  await withDesk(
    echo,
    async (desk) => {
      assert.equal(await desk.ruche('doctor'), 0, desk.out());
      assert.match(desk.out(), /✓ Key: CLOUD_KEY for cloud is set\n[^]*✓ Gateway: running/);
      await desk.stop();
      await rm(join(desk.home, 'gateway.json'));
      assert.equal(await desk.ruche('doctor'), 1);
      assert.match(desk.out(), /✗ Key: CLOUD_KEY for cloud is not set\n[^]*not running; start it with: ruche up\n$/);
    },
    { loadApp: async () => app },
  );
});

test('Behind a passphrase, what the next start will read is not called missing; what is wrong in a file still is', async () => {
  const problem = { file: 'ruche.yaml', line: null, severity: 'error' } as const;
  const problems = [
    { ...problem, key: 'models.providers.x.apiKey', message: 'the secret "x" cannot be read' },
    { ...problem, key: 'models.providers.y.apiKey', message: 'must name where the key is' },
  ];
  const of = (locked: boolean): AppPort => ({
    ...app,
    diagnose: async () => ({
      ...diagnosis,
      keys: [],
      config: { problems },
      vault: { problem: 'It needs its passphrase.', locked, secrets: 0, key: null },
    }),
  });
  for (const locked of [true, false])
    await withDesk(
      echo,
      async (desk) => {
        await desk.stop();
        await rm(join(desk.home, 'gateway.json'));
        assert.equal(await desk.ruche('doctor'), 1);
        assert.match(desk.out(), /must name where the key is/);
        assert.equal(/cannot be read/.test(desk.out()), !locked, desk.out());
      },
      { loadApp: async () => of(locked) },
    );
});
