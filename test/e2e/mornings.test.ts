import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { RuntimeStatus } from '../../src/core/api/runtime.ts';
import type { ScheduleState } from '../../src/core/schedule.ts';
import { systemClock } from '../../src/platform/system.ts';
import { ANNA, startTelegram } from '../fakes/telegram/telegram.ts';
import { until } from '../fakes/until.ts';

const TOKEN = 'a-token-of-the-mornings-0123456789';
const HOUR = 3_600_000;

/** One process after another on one home, as days go by. */
class Days {
  readonly dir = mkdtempSync(join(tmpdir(), 'ruche-mornings-'));
  readonly #env: Record<string, string>;
  #now: number;
  #child: ChildProcess | null = null;
  #url = '';

  constructor(start: number, files: Record<string, string>, env: Record<string, string>) {
    this.#now = start;
    this.#env = env;
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(this.dir, 'template', path, '..'), { recursive: true });
      writeFileSync(join(this.dir, 'template', path), text);
    }
  }

  async start(): Promise<void> {
    const env = { PATH: process.env['PATH'], DIR: this.dir, NOW: String(this.#now), TOKEN, ...this.#env };
    const child = spawn(process.execPath, ['--no-warnings', join(import.meta.dirname, 'clocked-child.ts')], {
      env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const died = once(child, 'exit').then(() => Promise.reject(new Error('the process did not start')));
    const [ready] = (await Promise.race([once(child, 'message'), died])) as [{ url: string }];
    died.catch(() => undefined);
    this.#url = ready.url;
    this.#child = child;
  }

  /** The clock goes on by so much at once, as of a machine that slept, or while nothing runs. */
  async pass(ms: number): Promise<void> {
    if (this.#child === null) {
      this.#now += ms;
      return;
    }
    const heard = once(this.#child, 'message');
    this.#child.send(ms);
    const [{ now }] = (await heard) as [{ now: number }];
    this.#now = now;
  }

  /** To a time of the day, `08:14` UTC, today or tomorrow. */
  passTo(time: string): Promise<void> {
    const [hour = 0, minute = 0] = time.split(':').map(Number);
    const at = new Date(this.#now).setUTCHours(hour, minute, 0, 0);
    return this.pass((at > this.#now ? at : at + 24 * HOUR) - this.#now);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  async api<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#url}${path}`, { headers: { authorization: `Bearer ${TOKEN}` } });
    return (await response.json()) as T;
  }

  async last(): Promise<ScheduleState['last']> {
    const { schedules } = await this.api<{ schedules: ScheduleState[] }>('/api/schedules');
    return schedules[0]?.last ?? null;
  }
}

test('"every weekday at 8:15 send me the report", said in Telegram, arrives there once each working day, after a kill and a night asleep too', async () => {
  const telegram = await startTelegram({ clock: systemClock });
  // A Monday evening.
  const days = new Days(
    Date.UTC(2026, 10, 30, 20),
    {
      'ruche.yaml': `channels:\n  telegram: { owners: ["${ANNA}"], apiRoot: "${telegram.url}" }\ntimezone: UTC\n`,
      'agents/assistant/AGENT.md': '---\ndescription: helps\n---\nYou help.\n',
      'report.md': 'All is well.\n',
    },
    { TELEGRAM_BOT_TOKEN: telegram.token },
  );
  const reports = (): string[] =>
    telegram
      .said(ANNA)
      .map(({ text }) => text)
      .filter((text) => text.includes('All is well.'));
  // What is on its way when the clock leaps has waited for days: it is sent again, and a run has had its time.
  const calm = async (): Promise<boolean> => {
    const { queued, running } = (await days.api<RuntimeStatus>('/api/status')).tasks;
    return queued + running === 0;
  };
  const arrived = async (count: number): Promise<void> => {
    await until(() => reports().length >= count, `report ${count}`);
    await until(calm, `all of report ${count} is on record`);
  };
  try {
    await days.start();
    telegram.write({ text: 'every weekday at 08:15: read report.md' });
    await until(() => telegram.shown(ANNA).some(({ buttons }) => buttons.includes('Approve')), 'it is asked');
    telegram.press(ANNA, 'Approve');
    await until(() => telegram.said(ANNA).some(({ text }) => text.includes('Made weekdays-0815')), 'it is made');
    // A draft says so before the file has landed.
    const agent = join(days.dir, 'workspace/agents/assistant/AGENT.md');
    await until(() => readFileSync(agent, 'utf8').includes('to: telegram:123456789'), 'it stands in the file');
    await until(
      async () => (await days.api<{ schedules: unknown[] }>('/api/schedules')).schedules.length === 1,
      'it counts',
    );

    // Killed at night, and again in the morning while Telegram is away and the report waits to be sent.
    await days.kill();
    await days.start();
    await days.passTo('08:14');
    assert.equal(await days.last(), null);
    await telegram.down();
    await days.passTo('08:15');
    await until(async () => (await days.last())?.status === 'done', 'it has run');
    await days.kill();
    await telegram.up();
    await days.start();
    await arrived(1);

    // The next night the machine sleeps until it is opened at half past nine.
    await days.pass(25 * HOUR + HOUR / 4);
    await arrived(2);
    // Killed in its sleep the night after that.
    await days.kill();
    await days.pass(24 * HOUR);
    await days.start();
    await arrived(3);
    await days.passTo('08:15');
    await arrived(4);

    // Friday was the last: the weekend is quiet, and Monday has its own.
    await days.pass(48 * HOUR);
    await days.passTo('08:15');
    await arrived(5);
    assert.equal(reports().length, 5);
  } finally {
    await days.kill();
    await telegram.close();
    await rm(days.dir, { recursive: true, force: true, maxRetries: 5 });
  }
});
