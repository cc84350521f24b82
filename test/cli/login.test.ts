import assert from 'node:assert/strict';
import { test } from 'node:test';
import { echo, realClock } from '../gateway/help.ts';
import { NO_APP, withDesk } from './help.ts';

test('login prints a link that works once, and nothing else where a program reads', async () => {
  await withDesk(echo, async (desk) => {
    assert.equal(await desk.ruche('login'), 0);
    const link = desk.out().trim();
    assert.match(link, /^http:\/\/127\.0\.0\.1:\d+\/login#[\w-]{22}$/);
    assert.match(desk.err(), /works once, within 10 minutes/);
    const { origin, hash } = new URL(link);
    const enter = (): Promise<Response> =>
      fetch(`${origin}/api/sessions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ code: hash.slice(1) }),
      });
    assert.equal((await enter()).status, 200);
    assert.equal((await enter()).status, 401);
    assert.equal(await desk.ruche('login', '--json'), 0);
    const { url, seconds } = JSON.parse(desk.out().trim().split('\n').at(-1) ?? '') as { url: string; seconds: number };
    assert.match(url, /\/login#/);
    assert.equal(seconds, 600);
    await desk.stop();
    assert.equal(await desk.ruche('login'), 2);
  });
});

test('down does not wait without end for a process that does not go', async () => {
  const sent: unknown[] = [];
  let slept = 0;
  const clock = { ...realClock, sleep: async (ms: number) => void (slept += ms) };
  const kill = (pid: number, signal: 'SIGTERM' | 0): boolean => sent.push(signal) > 0 && pid === process.pid;
  await withDesk(
    echo,
    async (desk) => {
      assert.equal(await desk.ruche('down'), 1);
      assert.match(desk.err(), new RegExp(`^ruche: Process ${process.pid} has not ended after 30 s`));
      assert.deepEqual(sent.slice(0, 2), ['SIGTERM', 0]);
      assert.equal(slept, 30_000);
    },
    { clock, kill },
  );
});

test('down waits for a process that stops already, and does not say that it is stopped while it is not', async () => {
  for (const [looks, code, said] of [
    [3, 0, /^Stopped\.\n$/],
    [Infinity, 1, /^ruche: A process holds \S+ and does not answer\. /],
  ] as const) {
    let left: number = looks;
    const clock = { ...realClock, sleep: () => Promise.resolve() };
    const loadApp = async () => ({ ...NO_APP, isHeld: () => Promise.resolve((left -= 1) > 0) });
    await withDesk(
      echo,
      async (desk) => {
        await desk.stop();
        assert.equal(await desk.ruche('down'), code);
        assert.match(desk.err(), said);
      },
      { clock, loadApp },
    );
  }
});
