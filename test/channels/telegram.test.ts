import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelContract } from '../contracts/channel.ts';
import { ANNA } from '../fakes/telegram/telegram.ts';
import { openLab } from './kit.ts';

const STRANGER = 987654321;

const counts = channelContract('telegram', {}, async (t, factor) => {
  const { fake, open } = await openLab(t, factor);
  fake.person(STRANGER, 'Anna');
  return {
    open,
    person: String(ANNA),
    stranger: String(STRANGER),
    limit: 4096,
    says: (text) => void fake.write({ text }),
    strangerSays: (text) => void fake.write({ text, from: STRANGER }),
    sendsFile: (name, bytes, text) => void fake.write({ document: { name, bytes }, text }),
    presses: (label) => void fake.press(ANNA, label),
    pressed: () => fake.answers.at(-1)?.text ?? '',
    kept: () => fake.pending().length,
    shown: () => fake.said(ANNA),
    slow: () => fake.fail('sendMessage', { kind: 'slow', ms: 20_000 }),
    loseAnswer: () => fake.fail('sendMessage', { kind: 'lost' }),
    throttle: (seconds) => fake.fail('sendMessage', { kind: 'status', code: 429, retryAfter: seconds }),
    down: () => fake.down(),
    up: () => fake.up(),
  };
});

test('Telegram runs the whole contract', () => assert.deepEqual(counts, { run: 24, skipped: 0 }));
