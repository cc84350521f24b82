import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelProblems, journalProblems } from '../../src/app/problems.ts';
import type { Problem } from '../../src/core/agent.ts';
import { asCalled } from '../../src/cli/explain.ts';
import { echo } from '../gateway/help.ts';
import { withDesk } from './help.ts';
import { findings, type Facts, type Finding } from '../../src/cli/findings.ts';

const well: Facts = {
  node: '26.10.0',
  git: '2.39.5',
  sandbox: { ok: true, why: 'bubblewrap works.', mend: '' },
  keys: [{ provider: 'local', name: 'LOCAL_KEY', present: true }],
  config: { problems: [] },
  workspace: null,
  refs: [],
  newestEvent: Date.UTC(2026, 10, 1),
  database: null,
  lost: [],
  home: '/h',
  homeMade: true,
  homeMode: 0o700,
  offer: null,
  assumed: {},
  homeProblem: null,
  token: 0o600,
  tokenGiven: false,
  diskFree: 9e9,
  now: Date.UTC(2026, 10, 22),
  gateway: { state: 'running', detail: '' },
  start: 'ruche up',
};

const of = (change: Partial<Facts>, subject: string): Finding => {
  const found = findings({ ...well, ...change }).find((finding) => finding.subject === subject);
  assert.ok(found, subject);
  return found;
};

test('A machine that is well has nothing to mend', () => {
  const found = findings(well);
  assert.ok(found.length >= 10);
  assert.ok(found.every((finding) => finding.level === 'ok' && finding.mend === ''));
});

test('The vault: how many secrets and where its key is, what keeps it closed, and that a passphrase is asked for', () => {
  const vault = { problem: null, locked: false, secrets: 2, key: '/h/secrets.key' };
  const shown = (more: object, change: Partial<Facts> = {}): string => {
    const { level, text } = of({ ...change, vault: { ...vault, ...more } }, 'Secrets');
    return `${level} ${text}`;
  };
  assert.equal(shown({}), 'ok 2 secrets; the key is /h/secrets.key');
  assert.equal(shown({ problem: 'It is damaged.' }), 'broken It is damaged.');
  assert.equal(
    shown({ problem: 'None is given.', open: true }),
    'warning the running network has them open, but this terminal cannot: None is given.',
  );
  const stopped = { gateway: { state: 'stopped', detail: '' } } as const;
  assert.equal(shown({ problem: 'x', locked: true }, stopped), 'ok the next start needs their passphrase');
  assert.equal(shown({ problem: 'x', locked: true, open: true }), 'ok locked with a passphrase');
  assert.equal(
    shown({ problem: 'It needs its passphrase.', locked: true, open: false }),
    'broken It needs its passphrase.',
  );
  assert.ok(findings({ ...well, vault: null }).every(({ subject }) => subject !== 'Secrets'));
});

test('A window that nobody knows is told, with where to say it', () => {
  const found = of({ assumed: { 'lan/org/qwen3': 8_192 } }, 'Model');
  assert.equal(found.level, 'warning');
  assert.match(
    `${found.text} ${found.mend}`,
    /lan\/org\/qwen3 holds, so 8192 are assumed.*models\.providers\.lan\.window/,
  );
});

test('F15 plain HTTP that other machines reach is a warning, and a reminder where a proxy has the TLS', () => {
  const at = { url: 'http://0.0.0.0:4747', exposed: true, publicUrl: null, refused: [] };
  const open = of({ listens: at }, 'Address');
  assert.equal(open.level, 'warning');
  assert.match(`${open.text} ${open.mend}`, /0\.0\.0\.0:4747 serves plain HTTP.*docs\/proxy\.md/);
  assert.equal(of({ listens: { ...at, publicUrl: 'http://lan.example' } }, 'Address').level, 'warning');
  const proxied = of({ listens: { ...at, publicUrl: 'https://ruche.example.org' } }, 'Address');
  assert.equal(proxied.level, 'ok');
  assert.match(proxied.text, /let only the proxy of https:\/\/ruche\.example\.org reach it/);
  const inside = { ...at, url: 'http://127.0.0.1:4747', exposed: false };
  assert.ok(findings({ ...well, listens: inside }).every(({ subject }) => subject !== 'Address'));
});

test('F15 webhooks that were refused are told until one is accepted; guesses of names are noise', () => {
  const each = { hook: 'h', count: 2, at: well.now - 60_000, why: 'it came without X-Gitlab-Token', accepted: null };
  const told = (more: object): Finding =>
    of({ listens: { url: 'u', exposed: false, publicUrl: null, refused: [{ ...each, ...more }] } }, 'Webhook');
  assert.equal(told({}).level, 'warning');
  assert.match(told({}).text, /^2 refused at the hook h, the last 1 min ago: it came without X-Gitlab-Token$/);
  assert.deepEqual([told({ accepted: well.now }).level, told({ hook: null }).level], ['ok', 'ok']);
});

test('A first start on a bare machine is not broken', () => {
  const fresh = findings({
    ...well,
    token: null,
    config: null,
    newestEvent: null,
    keys: [],
    gateway: { state: 'stopped', detail: '' },
  });
  assert.ok(fresh.every((finding) => finding.level === 'ok'));
});

test('What to do about files that are wrong is said once, and commands as they are called here', () => {
  const problem = { file: 'ruche.yaml', line: 3, key: 'models', message: 'unknown key', severity: 'error' } as const;
  const mends = findings({ ...well, config: { problems: [problem, problem, problem] } }).map(({ mend }) => mend);
  assert.equal(mends.filter((mend) => mend.startsWith('Correct the file')).length, 1);
  const text = 'See `ruche approvals`, "ruche up", or add one with: ruche skills add PATH; another ruche is running.';
  const called =
    'See `npx ruche approvals`, "npx ruche up", or add one with: npx ruche skills add PATH; another ruche is running.';
  assert.equal(asCalled(text, 'npx ruche'), called);
  assert.equal(asCalled(text, 'ruche'), text);
});

test('each command that the help lists is named as it is called here', () =>
  withDesk(echo, async ({ ruche, out }) => {
    await ruche('--help');
    const names = [...out().matchAll(/^ {2}([a-z]+)(?= |$)/gm)]
      .map(([, name]) => name)
      .filter((name) => name !== 'help');
    assert.ok(names.length > 20, names.join());
    for (const name of names) assert.equal(asCalled(`Run: ruche ${name} x`, 'npx ruche'), `Run: npx ruche ${name} x`);
  }));

test('A problem that no file causes is not called one of the configuration, and nobody is sent to a file for it', () => {
  const advice = (problems: readonly Problem[]): [string, boolean][] =>
    findings({ ...well, config: { problems } })
      .filter(({ level }) => level !== 'ok')
      .map(({ subject, mend }) => [subject, mend.startsWith('Correct the file')]);
  const live = [
    ...journalProblems('the disk is full'),
    ...channelProblems([{ name: 'tg', title: 'Telegram', problem: 'no connection' }]),
    { file: 'workspace', line: null, key: '', message: 'Remove index.lock.', severity: 'error' },
  ] as const;
  assert.deepEqual(advice(live), [
    ['Workspace', false],
    ['Record', false],
    ['Channel', false],
  ]);
  const problem = {
    file: 'ruche.yaml',
    line: 3,
    key: 'channels.tg',
    message: 'unknown key',
    severity: 'error',
  } as const;
  assert.deepEqual(advice([problem, ...live]), [
    ['Workspace', false],
    ['Configuration', true],
    ['Record', false],
    ['Channel', false],
  ]);
});

const IMAGE = `tools@sha256:${'e'.repeat(64)}`;

test('An image that can be run is told, and what could run one', () => {
  const told = (image: string | null, why: string) =>
    findings({ ...well, images: [{ image, ok: true, why, mend: '' }] })
      .filter(({ text }) => text === why)
      .map(({ subject, level }) => [subject, level]);
  assert.deepEqual(told(IMAGE, 'podman works.'), [[`Image tools@sha256:${'e'.repeat(12)}…`, 'ok']]);
  assert.deepEqual(told(null, 'podman 5 is here.'), [['Containers', 'ok']]);
});

test('Each thing that is wrong is named with its mend', () => {
  const problem = { file: 'ruche.yaml', line: 3, key: 'models', message: 'unknown key', severity: 'error' } as const;
  const cases: [Partial<Facts>, string, Finding['level'], RegExp][] = [
    [{ node: '22.1.0' }, 'Node', 'broken', /too old.*nodejs\.org/s],
    [{ git: null }, 'Git', 'broken', /not installed.*2\.38/s],
    [{ git: '2.37.9' }, 'Git', 'broken', /2\.37\.9 is too old/],
    [{ git: '1.99.0' }, 'Git', 'broken', /too old/],
    [
      { sandbox: { ok: false, why: 'bubblewrap is missing.', mend: 'Install it.' } },
      'Sandbox',
      'warning',
      /missing.*Install/s,
    ],
    [
      { images: [{ image: IMAGE, ok: false, why: 'It is not there.', mend: 'Fetch it.' }] },
      `Image tools@sha256:${'e'.repeat(12)}…`,
      'broken',
      /not there\. Commands of its agents do not run.*Fetch/s,
    ],
    [{ homeMode: 0o755 }, 'Home', 'warning', /other users can enter .*mode 755.*chmod 700/s],
    [{ homeProblem: 'EROFS' }, 'Home', 'broken', /read-only.*Mount it/s],
    [{ homeProblem: 'ENOSPC' }, 'Home', 'broken', /full.*Free/s],
    [{ homeProblem: 'EACCES' }, 'Home', 'broken', /is not writable.*chown/s],
    [{ homeProblem: 'EACCES', homeMade: false }, 'Home', 'broken', /cannot be created.*--home.*install -d/s],
    [{ homeProblem: 'ESTRANGE' }, 'Home', 'broken', /ESTRANGE.*--home/s],
    [{ diskFree: 1e6 }, 'Disk', 'broken', /1 MB.*Free/s],
    [{ diskFree: 2e8 }, 'Disk', 'warning', /191 MB/],
    [{ diskFree: null }, 'Disk', 'warning', /unknown/],
    [{ now: 0 }, 'Clock', 'broken', /1970.*NTP/s],
    [{ newestEvent: well.now + 3_600_000 }, 'Clock', 'warning', /journal has an event from 2026-11-22T01/],
    [{ token: 0o644 }, 'Token', 'broken', /mode 644.*Delete/s],
    [{ keys: [{ provider: 'p', name: 'P_KEY', present: false }] }, 'Key', 'broken', /P_KEY.*Set/s],
    [{ database: 'It is of a newer version.' }, 'Database', 'broken', /newer/],
    [
      { database: 'Run `ruche up` once to bring it up to date' },
      'Database',
      'warning',
      /^(?!.*Restore).*Make a backup first/s,
    ],
    [{ lost: [{ what: 'Events are lost.', mend: 'Put it back.' }] }, 'Record', 'broken', /lost\. Put/],
    [{ workspace: 'the branch is "master"' }, 'Workspace', 'broken', /master/],
    [{ config: { problems: [problem] } }, 'Configuration', 'broken', /ruche\.yaml:3 \(models\): unknown key/],
    [{ config: { problems: [{ ...problem, severity: 'warning' }] } }, 'Configuration', 'warning', /unknown key/],
    [{ refs: ['refs/ruche/unlanded/run_1'] }, 'Workspace', 'broken', /unlanded\/run_1.*git gc.*update-ref -d/s],
    [{ gateway: { state: 'odd', detail: 'It is silent.' } }, 'Gateway', 'warning', /silent/],
  ];
  for (const [change, subject, level, text] of cases) {
    const finding = of(change, subject);
    assert.equal(finding.level, level, JSON.stringify(change));
    assert.match(`${finding.text} ${finding.mend}`, text);
    assert.notEqual(finding.mend, '', subject);
  }
});

test('Git 2.38 is new enough, whatever the vendor adds', () => {
  for (const git of ['2.38.0', '2.39.5 (Apple Git-154)', '3.0.0', '2.100.1.windows.2'])
    assert.equal(of({ git }, 'Git').level, 'ok', git);
});

test('What is wrong with the workspace itself stands by itself, and so does its disk where it is another', () => {
  const lock = { file: 'workspace', line: null, key: '', message: 'Remove index.lock.', severity: 'error' } as const;
  const branch = { ...lock, message: 'It shows "side".', severity: 'warning' } as const;
  const found = findings({ ...well, config: { problems: [lock, branch] }, workspaceFree: 1000 });
  assert.deepEqual(
    found.filter(({ subject }) => subject === 'Workspace').map(({ level, text }) => [level, text]),
    [
      ['broken', 'Remove index.lock.'],
      ['warning', 'It shows "side".'],
    ],
  );
  assert.equal(of({ config: { problems: [lock] } }, 'Configuration').level, 'ok');
  assert.equal(of({ workspaceFree: 1000 }, 'Disk of the workspace').level, 'broken');
  assert.equal(of({ workspaceFree: 9e9 }, 'Disk of the workspace').level, 'ok');
  assert.ok(!findings(well).some(({ subject }) => subject === 'Disk of the workspace'));
});
