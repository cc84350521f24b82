import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Sandbox } from '../../src/core/ports/sandbox.ts';
import { openBwrap } from '../../src/sandbox/bwrap.ts';
import { bwrapHere, limits, machine, realClock, sandboxHome, type SandboxHome } from '../fakes/sandbox-home.ts';

// Each probe of the starter network for real: in the sandbox, with inputs of the test's own.

const { features, skip } = await bwrapHere();
const SCRIPTS = join(import.meta.dirname, '../../templates/network/scripts');
const AT = 1_700_000_000;

let home: SandboxHome;
let sandbox: Sandbox;
let count = 0;

const cpu = (busy: number, idle: number): string => `cpu  ${busy} 0 0 ${idle} 0 0 0 0 0 0\ncpu0 1 2 3\n`;
const df = (percent: string): string =>
  `Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/x y 100 50 50 ${percent} /\n`;
const memory = (total: string, free: string): string =>
  `MemTotal: ${total} kB\nMemFree: 1 kB\nMemAvailable: ${free} kB\n`;

const FILES: Record<string, string> = {
  'in/stat.0': cpu(100, 900),
  'in/stat.idle': cpu(150, 1850),
  'in/stat.busy': cpu(1000, 990),
  'in/stat.full': cpu(1100, 900),
  'in/stat.broken': 'cpu  1 x 3\n',
  'in/pressed/pressure/cpu': 'some avg10=1.00 avg60=2.00 avg300=91.17 total=12\n',
  'in/calm/pressure/cpu': 'some avg10=99.00 avg60=99.00 avg300=0.00 total=12\n',
  'in/odd/pressure/cpu': 'some nonsense\n',
  'in/calm/meminfo': memory('1000', '500'),
  'in/pressed/meminfo': memory('1000', '120'),
  'in/full/meminfo': memory('1000', '20'),
  'in/odd/meminfo': memory('many', '20'),
  'in/none/meminfo': '',
  'in/calm/loadavg': '9.00 9.00 0.08 1/2 3\n',
  'in/calm/cpuinfo': 'processor\t: 0\nprocessor\t: 1\n',
  'in/pressed/loadavg': '0.00 0.00 3.50 1/2 3\n',
  'in/pressed/cpuinfo': 'processor\t: 0\nprocessor\t: 1\n',
  'in/full/loadavg': '0.00 0.00 8.09 1/2 3\n',
  'in/full/cpuinfo': 'processor\t: 0\nprocessor\t: 1\n',
  'in/odd/loadavg': 'x\n',
  'in/df.ok': df('40%'),
  'in/df.warn': df('85%'),
  'in/df.full': df('100%'),
  'in/df.odd': 'df: cannot read\n',
};

const STATUS = [
  `at ${AT}`,
  // It is morning far in the east.
  'time 2026-11-22T23:15:00.000Z',
  'day 2026-11-23',
  'queued 2',
  'oldest_queued_seconds 12',
  'failed_1h 0',
  'done_24h 5',
  'failed_24h 1',
  'agent billing 5 1 0.1000',
  'waits billing tsk_w',
  'failure 2026-11-23T02:00:00.000Z billing tsk_1 model.rate',
];

before(async () => {
  if (!features) return;
  home = await sandboxHome();
  sandbox = await openBwrap({ dir: home.shells, boundary: () => {}, clock: realClock, features, machine });
});
after(() => home?.remove());

interface Ran {
  exit: number;
  out: string;
}

/** Runs command lines in one sandbox each; `status` is what the runtime says of itself, null for nothing. */
async function run(command: string, status: readonly string[] | null = STATUS): Promise<Ran> {
  const key = `probe-${(count += 1)}`;
  const checkout = await home.checkout(key);
  await cp(SCRIPTS, join(checkout.dir, 'scripts'), { recursive: true });
  // Packages do not keep modes; the template makes them programs again.
  execFileSync('chmod', ['-R', 'a+x', join(checkout.dir, 'scripts')]);
  for (const [path, text] of Object.entries(FILES)) {
    await mkdir(dirname(join(checkout.dir, path)), { recursive: true });
    await writeFile(join(checkout.dir, path), text);
  }
  await writeFile(join(home.shells, '.status'), status === null ? '' : `${status.join('\n')}\n`);
  const job = { key, command: `export NOW=${AT + 60}\n${command}`, checkout, limits, network: null };
  const { exit, output } = await sandbox.exec(job, () => {}, AbortSignal.timeout(20_000));
  return { exit, out: Buffer.from(output).toString().trim() };
}

/** What single lines say and end with, in one sandbox for speed. */
async function each(
  cases: readonly [command: string, said: string, exit: number][],
  status?: readonly string[] | null,
) {
  const lines = cases.map(([command]) => `${command} 2>&1; echo "exit $?"`).join('\n');
  const { out } = await run(lines, status);
  assert.equal(out, cases.map(([, said, exit]) => `${said}\nexit ${exit}`).join('\n'));
}

test(
  'processors, memory, disk and load: ok, warn and critical by bounds, and broken inputs are told',
  { skip },
  async () => {
    const probe = './scripts/probes';
    await each([
      [`${probe}/cpu.sh in/stat.0 in/stat.idle`, 'ok: processor use', 0],
      [`${probe}/cpu.sh in/stat.0 in/stat.busy`, 'warn: processor use is at 85 % or more', 1],
      [`${probe}/cpu.sh in/stat.0 in/stat.full`, 'critical: processor use is at 98 % or more', 2],
      [`${probe}/cpu.sh in/stat.0 in/stat.0`, 'unknown: processor use cannot be read', 3],
      [`${probe}/cpu.sh in/stat.0 in/stat.broken`, 'unknown: processor use cannot be read', 3],
      [`${probe}/cpu.sh in/nothing in/stat.0`, 'unknown: processor use cannot be read', 3],
      [`PROC_ROOT=in/calm ${probe}/cpu.sh`, 'ok: processor use', 0],
      [`PROC_ROOT=in/pressed ${probe}/cpu.sh`, 'warn: processor use is at 85 % or more', 1],
      [`PROC_ROOT=in/odd ${probe}/cpu.sh`, 'unknown: processor use cannot be read', 3],
      [`PROC_ROOT=in/calm ${probe}/memory.sh`, 'ok: memory use', 0],
      [`PROC_ROOT=in/pressed ${probe}/memory.sh`, 'warn: memory use is at 85 % or more', 1],
      [`PROC_ROOT=in/full ${probe}/memory.sh`, 'critical: memory use is at 95 % or more', 2],
      [`PROC_ROOT=in/odd ${probe}/memory.sh`, 'unknown: memory use cannot be read', 3],
      [`PROC_ROOT=in/none ${probe}/memory.sh`, 'unknown: memory use cannot be read', 3],
      [`${probe}/disk.sh in/df.ok`, 'ok: disk use', 0],
      [`${probe}/disk.sh in/df.warn`, 'warn: disk use is at 85 % or more', 1],
      [`DISK_WARN=90 ${probe}/disk.sh in/df.warn`, 'ok: disk use', 0],
      [`${probe}/disk.sh in/df.full`, 'critical: disk use is at 95 % or more', 2],
      [`${probe}/disk.sh in/df.odd`, 'unknown: disk use cannot be read', 3],
      [`${probe}/disk.sh in/nothing`, 'unknown: disk use cannot be read', 3],
      [`PROC_ROOT=in/calm ${probe}/load.sh`, 'ok: load per processor', 0],
      [`PROC_ROOT=in/pressed ${probe}/load.sh`, 'warn: load per processor is at 150 % or more', 1],
      [`PROC_ROOT=in/full ${probe}/load.sh`, 'critical: load per processor is at 300 % or more', 2],
      [`PROC_ROOT=in/odd ${probe}/load.sh`, 'unknown: load per processor cannot be read', 3],
      [`PROC_ROOT=in/none ${probe}/load.sh`, 'unknown: load per processor cannot be read', 3],
      [
        `PROC_ROOT=in/full ${probe}/run.sh memory nothing load`,
        'critical: memory use is at 95 % or more\nunknown: probe nothing not found\ncritical: load per processor is at 300 % or more',
        3,
      ],
    ]);
    const real = await run(`PROBE_SECONDS=0.2 ${probe}/run.sh cpu memory disk load`);
    assert.match(real.out, /^(?:ok|warn|critical): processor use.*\n\w+: memory use.*\n\w+: disk use.*\n\w+: load per/);
    assert.doesNotMatch(real.out, /unknown/);
  },
);

test('addresses, certificates and the runtime, from what the runtime says of itself', { skip }, async () => {
  const probe = './scripts/probes';
  const checks = [
    'check ok 200 90 https://a.example/',
    'check down 503 20 https://b.example/',
    'check down - 6 https://c.example/ cannot be reached',
    'check ok 200 -1 https://d.example/',
    'check down - - https://e.example/ no',
    String.raw`check refused - - http://10.0.0.1/\nok: It is a private address.`,
  ];
  await each(
    [
      [
        `${probe}/http.sh`,
        [
          'ok: https://a.example/ answers',
          'critical: https://b.example/ does not answer correctly (HTTP 503)',
          'critical: https://c.example/ does not answer correctly (no answer)',
          'ok: https://d.example/ answers',
          'critical: https://e.example/ does not answer correctly (no answer)',
          String.raw`warn: http://10.0.0.1/\nok: may not be requested: It is a private address.`,
        ].join('\n'),
        2,
      ],
      [
        `${probe}/certificates.sh`,
        [
          'ok: the certificate of https://a.example/',
          'warn: the certificate of https://b.example/ expires in less than 21 days',
          'critical: the certificate of https://c.example/ expires in less than 7 days',
          'critical: the certificate of https://d.example/ has expired',
          'unknown: the certificate of https://e.example/ is unknown',
        ].join('\n'),
        3,
      ],
      [`${probe}/runtime.sh`, 'ok: the longest wait of a task\nok: the number of runs that failed within an hour', 0],
      [
        `QUEUE_WARN=10 ${probe}/runtime.sh`,
        'warn: the longest wait of a task is at 10 s or more\nok: the number of runs that failed within an hour',
        1,
      ],
      [`NOW=${AT + 901} ${probe}/http.sh`, 'critical: the runtime has reported no status for 15 minutes or more', 2],
    ],
    [...STATUS, ...checks],
  );
  await each([
    [`${probe}/http.sh`, 'ok: no addresses to check (add some to checks in ruche.yaml)', 0],
    [`${probe}/certificates.sh`, 'ok: no certificates to check (add addresses to checks in ruche.yaml)', 0],
  ]);
  const silent = 'unknown: the runtime reports no status (/run/status)';
  await each(
    ['http', 'certificates', 'runtime'].map((name) => [`${probe}/${name}.sh`, silent, 3]),
    null,
  );
  const broken = ['at soon', 'check', 'check odd', 'oldest_queued_seconds 99999999999999999999'];
  await each([[`${probe}/http.sh`, silent, 3]], broken);
  await each(
    [
      [
        `${probe}/runtime.sh`,
        'unknown: the longest wait of a task cannot be read\nunknown: the number of runs that failed within an hour cannot be read',
        3,
      ],
    ],
    [`at ${AT}`, ...broken.slice(1)],
  );
});

test('the facts of the morning report, also where the runtime says nothing', { skip }, async () => {
  const { exit, out } = await run('./scripts/report.sh; cat shared/reports/2026-11-23.md', [
    ...STATUS,
    'check down 503 20 https://b.example/',
  ]);
  assert.equal(exit, 0);
  assert.match(out, /^shared\/reports\/2026-11-23\.md\n/);
  for (const said of [
    '# Report for 2026-11-23\n\nFacts as of 2026-11-22T23:15:00.000Z.',
    '- critical: https://b.example/ does not answer correctly (HTTP 503)',
    '## What waits for a person\n\n- billing tsk_w',
    '## Failures of the last 24 hours\n\n- 2026-11-23T02:00:00.000Z billing tsk_1 model.rate',
    '- done: 5, failed: 1,',
    '- billing 5 1 0.1000',
    '- ok: the longest wait of a task',
  ])
    assert.ok(out.includes(said), `${said}\n\n${out}`);
  const cost = [
    ['0.0000', /\n- cost: unknown \(/],
    ['0.1000', /\n- cost: at least 0\.1000 USD \([^\n]*: 2\)\n/],
  ] as const;
  for (const [usd, said] of cost) {
    const unpriced = [...STATUS, `cost_usd_24h ${usd}`, 'unpriced_24h 2', 'unpriced billing 2'];
    const { out: report } = await run('./scripts/report.sh; cat shared/reports/2026-11-23.md', unpriced);
    assert.match(report, said);
    assert.match(report, /## Runs whose cost is not fully known, by agent\n\n- billing 2\n/);
  }
  const bare = await run('./scripts/report.sh && cat shared/reports/*', null);
  assert.match(bare.out, /- unknown: the runtime reports no status[^]*## Failures of the last 24 hours\n\nNothing\./);
});
