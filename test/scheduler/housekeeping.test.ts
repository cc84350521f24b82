import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startHousekeeping } from '../../src/core/time/waker.ts';
import { HandClock, calm, recorder } from './worker-kit.ts';

function open(job: () => Promise<void>) {
  const clock = new HandClock();
  const { log, told } = recorder();
  const upkeep = startHousekeeping({ job, everyMs: 1_000, clock, log });
  return { clock, told, upkeep };
}

test('upkeep is done every time the interval has passed, and not at once', async () => {
  let done = 0;
  const { clock, upkeep } = open(async () => void (done += 1));
  await calm();
  assert.equal(done, 0);
  await clock.pass(999);
  assert.equal(done, 0);
  await clock.pass(1);
  assert.equal(done, 1);
  await clock.pass(1_000);
  assert.equal(done, 2);
  await upkeep.close();
});

test('upkeep that fails is reported, and the next time comes', async () => {
  let tries = 0;
  const { clock, told, upkeep } = open(() => {
    tries += 1;
    return Promise.reject(new Error('no space'));
  });
  await clock.pass(1_000);
  await clock.pass(1_000);
  assert.equal(tries, 2);
  const line = { level: 'warn', fields: { error: 'Error: no space' }, message: 'upkeep failed' };
  assert.deepEqual(told, [line, line]);
  await upkeep.close();
});

test('close waits for upkeep that is being done, and there is no more afterwards', async () => {
  const gate = Promise.withResolvers<void>();
  let done = 0;
  const { clock, upkeep } = open(async () => {
    await gate.promise;
    done += 1;
  });
  await clock.pass(1_000);
  let closed = false;
  const closing = upkeep.close().then(() => {
    closed = true;
  });
  await calm();
  assert.equal(closed, false);
  gate.resolve();
  await closing;
  await clock.pass(10_000);
  assert.equal(done, 1);
  assert.equal(clock.sleeping, 0);
});

test('close does not wait for the interval', async () => {
  let done = 0;
  const { clock, upkeep } = open(async () => void (done += 1));
  await upkeep.close();
  await clock.pass(1_000);
  assert.equal(done, 0);
});
