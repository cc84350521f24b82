import assert from 'node:assert/strict';
import { test } from 'node:test';
import { away, duration, money, timeAgo } from '../../web/lib/format.ts';
import { providerOf } from '../../web/lib/keys.ts';
import { allWork, href, parse, type Route } from '../../web/lib/route.ts';

test('every place has an address that leads back to it', () => {
  const places: Route[] = [
    { name: 'home' },
    { name: 'chat', agent: 'email', session: 'telegram-1', steps: null },
    { name: 'chat', agent: 'a b/c', session: 'x?y#z', steps: 'tsk_1' },
    allWork(),
    { name: 'work', agent: 'email', state: 'failed', text: 'a & b', probes: 'show' },
    { name: 'board', agent: '' },
    { name: 'board', agent: 'email' },
    { name: 'agents' },
    { name: 'item', task: 'tsk_1' },
    { name: 'exact', task: 'tsk_1', hash: 'abc-_' },
    { name: 'inbox' },
    { name: 'models' },
    { name: 'costs' },
  ];
  for (const place of places) {
    const url = new URL(href(place), 'http://127.0.0.1');
    assert.deepEqual(parse(url.pathname, url.search), place);
  }
  for (const path of ['/x', '/chat', '/chat/a', '/work/a/b', '/inbox/x', '/work/a/exact/b/c', '/chat/%E0%A4%A/b/c'])
    assert.equal(parse(path, '').name, 'nowhere', path);
});

test('times, money and keys in words', () => {
  const now = new Date(2026, 10, 22, 15, 0).getTime();
  assert.equal(timeAgo(now - 10_000, now), 'just now');
  assert.equal(timeAgo(now - 5 * 60_000, now), '5 minutes ago');
  assert.equal(timeAgo(now - 3 * 3_600_000, now), '12:00');
  assert.equal(timeAgo(now - 20 * 3_600_000, now), 'yesterday 19:00');
  assert.equal(timeAgo(now - 10 * 86_400_000, now), '12 Nov');
  assert.deepEqual(
    [-60_000, 45 * 60_000, 3_600_000, 86_400_000, 6 * 86_400_000].map((ms) => away(now + ms, now)),
    ['1 minute ago', 'in 45 minutes', 'in 1 hour', 'in 24 hours', 'in 6 days'],
  );
  assert.deepEqual([duration(90), duration(2_340), duration(61_000)], ['90 ms', '2.3 s', '1 min 1 s']);
  assert.deepEqual([money(0), money(0.00001), money(0.0042), money(1.5)], ['', 'under $0.0001', '$0.0042', '$1.50']);
  assert.deepEqual(['sk-ant-x', 'AIzaX', ' sk-proj', 'other', ''].map(providerOf), [
    'anthropic',
    'gemini',
    'openai',
    null,
    null,
  ]);
});
