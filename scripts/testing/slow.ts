// The slow proofs: many tries, many kills, days of simulation. `npm test` runs each of them in a quick form, so that everyday work sees what it breaks;
// `npm run test:all` runs them whole. A test asks test/fakes/effort.ts how much is asked of it; a file `*.slow.test.ts` has no quick form.

export interface Suite {
  name: string;
  /** Folders and files, below the root. */
  paths: readonly string[];
  /** Of a processor, in which all of it should be done. More is printed, and is no failure: machines differ. */
  seconds: number;
}

/** Set to `all` where the slow proofs run whole. */
export const EFFORT = 'RUCHE_TEST_EFFORT';

export const SUITES: readonly Suite[] = [
  {
    name: 'crash',
    paths: ['test/crash', 'test/e2e/openai-client.test.ts', 'test/e2e/schedule-kills.test.ts'],
    seconds: 220,
  },
  { name: 'network', paths: ['test/e2e/outgoing.test.ts'], seconds: 30 },
  { name: 'page', paths: ['test/web/access.test.ts'], seconds: 40 },
  // Two days, a week that is decided again, and for each planted bug some hours in which it strikes: a process is started for every life of the network.
  { name: 'simulation', paths: ['test/simulate/play.slow.test.ts', 'test/simulate/rehearse.test.ts'], seconds: 180 },
  {
    // Nearly all of it is Git's own: some processes of it for each of thousands of steps, which is what is to be proven.
    name: 'git',
    paths: [
      'test/agent/crowd.test.ts',
      'test/trust/trust-foreign.test.ts',
      'test/workspace/concurrent.test.ts',
      'test/workspace/governance-protected.test.ts',
      'test/workspace/journal-repository.test.ts',
      'test/workspace/person-random.test.ts',
      'test/workspace/windows.test.ts',
    ],
    seconds: 240,
  },
  {
    name: 'random',
    paths: [
      'test/accounts/mail/property.test.ts',
      'test/agent/file-labels.test.ts',
      'test/agent/random.test.ts',
      'test/agent/task-trees.test.ts',
      'test/channels/telegram-split.test.ts',
      'test/core/firing.test.ts',
      'test/core/markdown.test.ts',
      'test/core/untrusted.test.ts',
      'test/gateway/safety.test.ts',
      'test/e2e/adaptive.slow.test.ts',
      'test/e2e/canary-surfaces.slow.test.ts',
      'test/journal/export.test.ts',
      'test/models/cut.test.ts',
      'test/models/turns.test.ts',
      'test/policy/properties.test.ts',
      'test/core/reach.property.test.ts',
      'test/scheduler/escalation-property.test.ts',
      'test/scheduler/schedules-property.test.ts',
      'test/scheduler/triggers-property.test.ts',
      'test/secrets/vault.test.ts',
      'test/skills/csv-report.test.ts',
      'test/store/known.property.test.ts',
      'test/store/queue.property.test.ts',
      'test/views/agreement.test.ts',
      'test/workspace/settings.test.ts',
    ],
    seconds: 250,
  },
];

export const isBelow = (path: string, file: string): boolean => file === path || file.startsWith(`${path}/`);

export const suiteOf = (file: string): Suite | undefined =>
  SUITES.find(({ paths }) => paths.some((path) => isBelow(path, file)));

export const hasQuickForm = (file: string): boolean => !file.endsWith('.slow.test.ts');
