import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AppPort, RunningApp } from '../../src/cli/app-port.ts';
import { welcome } from '../../src/cli/up.ts';
import { echo, realClock } from '../gateway/help.ts';
import { until } from '../fakes/until.ts';
import { NO_APP, withDesk } from './help.ts';

const app = (change: Partial<RunningApp> = {}): RunningApp => ({
  url: 'http://127.0.0.1:4747',
  loginLink: 'http://127.0.0.1:4747/login#a-code',
  tokenFile: '/h/token',
  model: 'demo/demo',
  demo: true,
  offer: null,
  sandbox: 'bwrap',
  agents: ['assistant'],
  workspace: '/h/workspace',
  created: false,
  problems: [],
  close: async () => undefined,
  ...change,
});

const port =
  (startApp: AppPort['startApp']): (() => Promise<AppPort>) =>
  async () => ({ ...NO_APP, startApp });

test('up closes the network at a signal, also at one that comes while it starts', async () => {
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    const closed: string[] = [];
    const started = Promise.withResolvers<RunningApp>();
    const starting = Promise.withResolvers<void>();
    await withDesk(
      echo,
      async (desk) => {
        const up = desk.ruche('up');
        await starting.promise;
        desk.signal(name);
        started.resolve(app({ close: async (reason) => void closed.push(reason) }));
        assert.equal(await up, 0);
        assert.deepEqual(closed, [name]);
      },
      {
        loadApp: port(() => {
          starting.resolve();
          return started.promise;
        }),
      },
    );
  }
});

test('A second signal ends up at once; one that npm passes on in the same moment is the first', async () => {
  let now = 1_000;
  const exits: number[] = [];
  const closing = Promise.withResolvers<void>();
  await withDesk(
    echo,
    async (desk) => {
      const up = desk.ruche('up');
      await until(() => desk.out() !== '');
      desk.signal('SIGINT');
      await until(() => desk.err().includes('Stopping'));
      now += 100;
      desk.signal('SIGINT');
      assert.deepEqual(exits, []);
      now += 1_000;
      desk.signal('SIGINT');
      assert.deepEqual(exits, [130]);
      closing.resolve();
      assert.equal(await up, 0);
      assert.deepEqual(exits, [130, 0]);
    },
    {
      loadApp: port(async () => app({ close: () => closing.promise })),
      exit: (code) => void exits.push(code),
      clock: { ...realClock, now: () => now },
    },
  );
});

const OPTIONS = {
  home: '/u/.ruche',
  workspace: '/w',
  template: 'solo',
  host: '',
  port: 0,
  acceptLoss: false,
  token: null,
  again: '',
};

test('The welcome says how to talk to it, which model answers, and what is wrong', () => {
  const options = { ...OPTIONS, home: "/h's" };
  const here = { self: 'ruche', userHome: '/u' };
  const demo = welcome(app(), options, here);
  assert.match(demo, /the built-in demo, not a language model/);
  assert.match(demo, /works once[^]*ruche login --home[^]*\n {2}http:\/\/127\.0\.0\.1:4747\/login#a-code\n/);
  assert.match(demo, /Sandbox {4}bwrap\n/);
  assert.match(
    demo,
    /another terminal:\n {2}ruche chat --home[^]* ruche ask assistant "list the files" --home '\/h'\\''s'\n/,
  );
  assert.match(demo, /\$\(cat \/h\/token\)/);
  const problem = {
    file: 'agents/x/AGENT.md',
    line: 2,
    key: 'model',
    message: 'unknown\x1b[2J',
    severity: 'error',
  } as const;
  const held = welcome(app({ problems: [problem, { ...problem, applied: false }] }), options, here);
  assert.match(
    held,
    /\nNot applied; the last valid settings stay in force:\n {2}error: agents[^]*\nProblems:\n {2}error: agents/,
  );
  assert.doesNotMatch(held, /Warning/);
  const real = welcome(
    app({ demo: false, model: 'local/qwen3', tokenFile: null, agents: [], problems: [problem] }),
    options,
    here,
  );
  assert.doesNotMatch(real, /demo/);
  assert.match(
    real,
    /local\/qwen3[^]*RUCHE_TOKEN[^]*none running[^]*agents\/x\/AGENT\.md:2 \(model\): unknown\\u\{1b\}/,
  );
});

test('Under npm the welcome gives commands that npm finds; the usual home needs no flag', () => {
  const options = OPTIONS;
  const everywhere = { url: 'http://0.0.0.0:99', loginLink: 'http://0.0.0.0:99/login#c', agents: [], sandbox: 'none' };
  const said = welcome(app(everywhere), options, { self: 'npx ruche', userHome: '/u' });
  assert.match(said, /in this folder:\n {2}npx ruche chat\n {2}npx ruche ask AGENT "list the files"\n/);
  assert.match(said, /Sandbox {4}none: Ruche asks you before each shell command \("npx ruche doctor"/);
  assert.match(
    said,
    /listens at http:\/\/0\.0\.0\.0:99\n[^]*base URL http:\/\/127\.0\.0\.1:99\/v1[^]*curl http:\/\/127\.0\.0\.1:99\/v1/,
  );
  assert.match(said, /\n {2}http:\/\/127\.0\.0\.1:99\/login#c\n/);
  const behind = welcome(app({ loginLink: 'https://ruche.example.org/login#c' }), options, {
    self: 'ruche',
    userHome: '/u',
  });
  assert.match(
    behind,
    /\n {2}https:\/\/ruche\.example\.org\/login#c\n {2}\(on this machine also http:\/\/127\.0\.0\.1:4747\/login#c\)\n/,
  );
  const both = welcome(app({ url: 'http://192.168.1.5:99', loginLink: 'https://ruche.example.org/login#c' }), options, {
    self: 'ruche',
    userHome: '/u',
  });
  assert.match(
    both,
    /Warning: http:\/\/192\.168\.1\.5:99 is plain HTTP.*only the proxy of https:\/\/ruche\.example\.org /,
  );
  assert.doesNotMatch(behind, /Warning/);
  assert.match(said, /Warning: http:\/\/0\.0\.0\.0:99 serves plain HTTP to every network.*TLS/);
  assert.match(said, /Agents {5}none: create agents\/NAME\/AGENT\.md/);
});
