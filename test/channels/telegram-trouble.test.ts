import assert from 'node:assert/strict';
import { test } from 'node:test';
import { troubleOf } from '../../src/channels/telegram/api.ts';

const refused = (seconds: unknown): number | null => {
  const error = Object.assign(new Error('no'), {
    error_code: 429,
    description: 'Too Many Requests',
    parameters: { retry_after: seconds },
  });
  const trouble = troubleOf(error);
  return trouble.kind === 'refused' ? trouble.retryAfter : null;
};

test('however long a server says to wait, it is a wait that ends', () => {
  assert.deepEqual([3, 1e300, 'soon', -5, null].map(refused), [3_000, 3_600_000, 1_000, 1_000, 1_000]);
});
