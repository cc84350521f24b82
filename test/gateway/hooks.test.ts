import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import type { HookAuth, Trigger } from '../../src/core/trigger.ts';
import type { RefusedHooks, RuntimeStatus } from '../../src/core/api/runtime.ts';
import { prove } from '../../src/gateway/api/hooks.ts';
import { until } from '../fakes/until.ts';
import { Scene, trigger } from '../scheduler/trigger-kit.ts';
import { realClock, withGateway, type Rig } from './help.ts';
import { withPage } from './views-kit.ts';

const SECRET = 'a-secret-of-the-tests';
const NOW = 1_800_000_000_000;

const hooked = (kind: HookAuth['kind'], more: Partial<Trigger> = {}, secret = 'env:S'): Trigger =>
  trigger(
    { on: 'webhook', hook: 'h', auth: { kind, secret, windowMs: 300_000 } },
    { work: { kind: 'task', text: 'Read {{body.title}}' }, ...more },
  );

const sign = (text: string, secret = SECRET): string =>
  `sha256=${createHmac('sha256', secret).update(text).digest('hex')}`;

interface Door extends Rig {
  scene: Scene;
  post(body: unknown, headers: Record<string, string>, path?: string): Promise<{ status: number; text: string }>;
}

/** A gateway before real triggers, a minute of ours behind it. */
async function withDoor(triggers: readonly Trigger[], run: (door: Door) => Promise<void>, limits = {}): Promise<void> {
  const scene = new Scene(triggers);
  await scene.start();
  const clock = { ...realClock, now: () => NOW };
  const body = async (rig: Rig): Promise<void> => {
    rig.runtime.triggers = scene.triggers;
    const post: Door['post'] = async (given, headers, path = '/hooks/h') => {
      const response = await fetch(rig.gateway.url + path, {
        method: 'POST',
        body: typeof given === 'string' ? given : JSON.stringify(given),
        headers: { 'content-type': 'application/json', ...headers },
      });
      return { status: response.status, text: await response.text() };
    };
    await run({ ...rig, scene, post });
  };
  try {
    await withGateway(async () => '', body, { clock, limits });
  } finally {
    await scene.close();
  }
}

const bearer = (secret = SECRET): Record<string, string> => ({ authorization: `Bearer ${secret}` });
const signed = (body: unknown, time = NOW / 1000, secret = SECRET): Record<string, string> => ({
  'webhook-timestamp': String(time),
  'webhook-signature': sign(`${time}.${typeof body === 'string' ? body : JSON.stringify(body)}`, secret),
});

test('GitHub’s own example is right, and nothing near it', () => {
  const hook = { name: 'h', auth: { kind: 'github' as const, windowMs: 0 }, secrets: ["It's a Secret to Everybody"] };
  const right = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
  const headers = { 'x-hub-signature-256': right, 'x-github-delivery': 'd-1', 'x-github-event': 'ping' };
  const body = Buffer.from('Hello, World!');
  assert.deepEqual(prove(hook, { headers, body }, 0), { id: 'd-1', seal: null, signature: right, name: 'ping' });
  const { 'x-github-delivery': _id, ...nameless } = headers;
  assert.deepEqual(prove(hook, { headers: nameless, body }, 0), {
    id: null,
    seal: right,
    signature: right,
    name: 'ping',
  });
  assert.equal(prove(hook, { headers, body: Buffer.from('Hello, World') }, 0), null);
  assert.equal(prove({ ...hook, secrets: ['other'] }, { headers, body }, 0), null);
  for (const wrong of ['', 'sha256=', right.slice(7), right.replace('sha256', 'sha1'), `${right}0`, right.slice(0, -1)])
    assert.equal(prove(hook, { headers: { ...headers, 'x-hub-signature-256': wrong }, body }, 0), null, wrong);
});

test('A50 a hook with no, a short or a wrong secret, and one that is not there, give one and the same answer', async () => {
  await withDoor([hooked('bearer')], async ({ scene, post, log }) => {
    const answers = [
      await post({}, {}),
      await post({}, bearer('wrong')),
      await post({}, bearer('')),
      await post({}, bearer(), '/hooks/none'),
      await post('{', bearer('wrong')),
    ];
    scene.secrets = {};
    answers.push(await post({}, bearer()), await post({}, bearer('')));
    scene.secrets = { 'env:S': 'short' };
    answers.push(await post({}, bearer('short')));
    const [{ note } = {}] = await scene.triggers.list();
    assert.match(note ?? '', /the hook h answers nobody: S has fewer than 16 characters/);
    assert.equal(answers.length, 8);
    for (const each of answers) assert.deepEqual(each, answers[0]);
    assert.equal(answers[0]?.status, 401);
    assert.deepEqual(await scene.of('webhook.received'), []);
    assert.doesNotMatch(JSON.stringify([scene.told.told, log.lines]), /a-secret-of/);
    assert.match(JSON.stringify(scene.told.told), /fewer than 16 characters.*/);
  });
});

test('A51 a replay is the first delivery, under whichever name; an old one, or one of the future, is refused', async () => {
  const body = { title: 'x' };
  await withDoor([hooked('hmac')], async ({ scene, post }) => {
    const first = await post(body, signed(body));
    assert.equal(first.status, 202);
    assert.deepEqual(await post(body, signed(body)), { status: 200, text: first.text });
    assert.deepEqual(await post(body, { ...signed(body), 'idempotency-key': 'new' }), {
      status: 200,
      text: first.text,
    });
    for (const minutes of [-10, -5.1, 5.1, 10])
      assert.equal((await post(body, signed(body, NOW / 1000 + minutes * 60))).status, 401, `${minutes} minutes`);
    // The time is signed, too.
    assert.equal(
      (await post(body, { ...signed(body, NOW / 1000 - 600), 'webhook-timestamp': String(NOW / 1000) })).status,
      401,
    );
    assert.equal((await post(body, { ...signed(body), 'webhook-timestamp': 'NaN' })).status, 401);
    assert.equal((await post(body, signed(body, NOW / 1000 + 1))).status, 202);
    assert.equal((await scene.tasks()).length, 2);
  });
  await withDoor([hooked('github')], async ({ scene, post }) => {
    const headers = { 'x-hub-signature-256': sign(JSON.stringify(body)), 'x-github-delivery': '1' };
    const first = await post(body, headers);
    assert.equal(first.status, 202);
    assert.deepEqual(await post(body, headers), { status: 200, text: first.text });
    // The name is not signed: a replay under another one, or none, is the same delivery.
    const { 'x-github-delivery': _id, ...nameless } = headers;
    const replays = [{ ...headers, 'x-github-delivery': '2' }, { ...headers, 'idempotency-key': 'k' }, nameless];
    for (const replay of replays) assert.deepEqual(await post(body, replay), { status: 200, text: first.text });
    assert.equal((await post(body, { ...headers, 'x-github-delivery': '3', 'x-github-event': 'push' })).status, 409);
    // So it is for a day, over the midnight between; the name of what GitHub sends again counts for good.
    const start = scene.clock.time;
    const at = async (hours: number, delivery: string): Promise<number> => {
      scene.clock.time = start + hours * 3_600_000;
      return (await post(body, { ...headers, 'x-github-delivery': delivery })).status;
    };
    assert.deepEqual(
      [await at(12, '4'), await at(23.9, '5'), await at(24.1, '1'), await at(24.1, '6')],
      [200, 200, 200, 202],
    );
    assert.equal((await scene.tasks()).length, 2);
    const fresh = { title: 'y' };
    const other = { 'x-hub-signature-256': sign(JSON.stringify(fresh)), 'x-github-delivery': '7' };
    assert.equal((await post(fresh, other)).status, 202);
  });
});

test('while one secret takes the place of another both are taken, and a sender may sign with both', async () => {
  const [fresh, stale] = [`${SECRET}-new`, `${SECRET}-old`];
  const both = (kind: HookAuth['kind']): Trigger =>
    hooked(kind, {
      source: {
        on: 'webhook',
        hook: 'h',
        auth: { kind, secret: 'env:NEW', others: ['env:OLD'], windowMs: 300_000 },
      },
    });
  const body = { title: 'x' };
  await withDoor([both('hmac')], async ({ scene, post }) => {
    scene.secrets = { 'env:NEW': fresh, 'env:OLD': stale };
    const time = NOW / 1000;
    const [one, two] = [signed(body, time, fresh), signed(body, time, stale)];
    const first = await post(body, one);
    assert.equal(first.status, 202);
    // However it is signed, it is the same delivery.
    const signatures = [one['webhook-signature'] ?? '', two['webhook-signature'] ?? ''];
    for (const given of [
      signatures[1] ?? '',
      signatures.join(' '),
      signatures.toReversed().join(','),
      `sha256=00, ${signatures[1]}`,
    ])
      assert.deepEqual(await post(body, { ...one, 'webhook-signature': given }), { status: 200, text: first.text });
    assert.equal((await post(body, signed(body, time, SECRET))).status, 401);
    // One that is gone takes nothing from the other.
    scene.secrets = { 'env:NEW': fresh };
    assert.equal((await post(body, signed(body, time + 1, fresh))).status, 202);
    assert.equal((await post(body, signed(body, time + 2, stale))).status, 401);
    const [{ note } = {}] = await scene.triggers.list();
    assert.match(note ?? '', /takes only what is left of its secrets: OLD was not set/);
  });
  for (const kind of ['bearer', 'github', 'gitlab'] as const)
    await withDoor([both(kind)], async ({ scene, post }) => {
      scene.secrets = { 'env:NEW': fresh, 'env:OLD': stale };
      const headers = (secret: string): Record<string, string> => ({
        authorization: `Bearer ${secret}`,
        'x-gitlab-token': secret,
        'x-hub-signature-256': sign(JSON.stringify(body), secret),
      });
      assert.equal((await post(body, headers(fresh))).status, 202);
      // The body alone is signed for GitHub, so there it is the same delivery.
      const again = await post(body, { ...headers(stale), 'idempotency-key': 'k' });
      assert.equal(again.status, kind === 'github' ? 200 : 202);
      assert.equal((await post(body, headers(SECRET))).status, 401);
    });
});

test('Standard Webhooks and GitLab prove themselves as they do', async () => {
  // The example of the specification.
  const hook = {
    name: 'h',
    auth: { kind: 'standard' as const, windowMs: 300_000 },
    secrets: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
  };
  const headers = {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  };
  const body = Buffer.from('{"test": 2432232314}');
  const at = 1_614_265_330_000;
  const right = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', seal: null, name: '' };
  assert.deepEqual(prove(hook, { headers, body }, at), right);
  const two = `v1,AAAA ${headers['webhook-signature']}`;
  assert.deepEqual(prove(hook, { headers: { ...headers, 'webhook-signature': two }, body }, at), right);
  assert.equal(prove(hook, { headers, body }, at + 301_000), null);
  assert.equal(prove(hook, { headers: { ...headers, 'webhook-id': 'msg_2' }, body }, at), null);
  assert.equal(prove(hook, { headers, body: Buffer.from('{}') }, at), null);
  await withDoor([hooked('standard')], async ({ scene, post }) => {
    // Long enough as text, and a key of a few bytes, or of none.
    for (const weak of ['whsec_!!!!!!!!!!!!!!!!!!!!!!', 'whsec_c2hvcnQ=', `whsec_${'A'.repeat(20)}`]) {
      scene.secrets = { 'env:S': weak };
      const key = Buffer.from(weak.slice(6), 'base64');
      const time = String(NOW / 1000);
      const mac = createHmac('sha256', key).update(`m.${time}.{}`).digest('base64');
      const given = { 'webhook-id': 'm', 'webhook-timestamp': time, 'webhook-signature': `v1,${mac}` };
      assert.equal((await post('{}', given)).status, 401, weak);
      assert.match((await scene.triggers.list())[0]?.note ?? '', /S is not whsec_ and at least 16 bytes in base64/);
    }
  });
  await withDoor([hooked('gitlab')], async ({ scene, post }) => {
    const given = { 'x-gitlab-token': SECRET, 'x-gitlab-event': 'Push Hook', 'x-gitlab-event-uuid': 'u-1' };
    const first = await post({ title: 'x' }, given);
    assert.deepEqual([first.status, await post({ title: 'x' }, given)], [202, { status: 200, text: first.text }]);
    assert.equal((await post({ title: 'x' }, { ...given, 'x-gitlab-token': 'wrong' })).status, 401);
    assert.equal((await scene.tasks()).length, 1);
  });
});

test('what is below /hooks/ is no place of the page: a proxy that passes only that shows nothing', async () => {
  const body = async ({ gateway }: Rig): Promise<void> => {
    assert.equal((await fetch(`${gateway.url}/somewhere`)).status, 200, 'the page is there');
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])
      for (const path of ['/hooks/h', '/hooks/none', '/hooks/', '/hooks/a/b']) {
        const response = await fetch(gateway.url + path, { method });
        assert.deepEqual([response.status, response.headers.get('allow')], [405, 'POST'], `${method} ${path}`);
        assert.doesNotMatch(await response.text(), /<html/i);
      }
    assert.equal((await fetch(`${gateway.url}/hooks`)).status, 401);
  };
  await withPage((page) => withGateway(async () => '', body, page));
});

test('an idempotency key: the same body is the same task, another body is refused', async () => {
  await withDoor([hooked('bearer')], async ({ scene, post }) => {
    const key = { ...bearer(), 'idempotency-key': 'k1' };
    const first = await post({ title: 'x' }, key);
    assert.equal(first.status, 202);
    const { task, tasks } = JSON.parse(first.text) as { task: string; tasks: string[] };
    assert.deepEqual(tasks, [task]);
    assert.deepEqual(await post({ title: 'x' }, key), { status: 200, text: first.text });
    assert.equal((await post({ title: 'y' }, key)).status, 409);
    assert.equal((await post({ title: 'y' }, { ...bearer(), 'idempotency-key': 'a b' })).status, 400);
    // Without a key a bearer's request is one of its own each time.
    for (let n = 0; n < 2; n++) assert.equal((await post({ title: 'x' }, bearer())).status, 202);
    assert.equal((await scene.tasks()).length, 3);
    const [made] = await scene.tasks();
    assert.deepEqual([made?.id, made?.labels, made?.from], [task, ['untrusted'], 'trigger:a/t']);
  });
});

test('A52 a hook of which two triggers disagree who may send is nobody’s', async () => {
  const other = { ...hooked('bearer', {}, 'env:T'), name: 'u' };
  await withDoor([hooked('bearer')], async ({ scene, post }) => {
    scene.secrets = { 'env:S': SECRET, 'env:T': `${SECRET}-too` };
    await scene.edit({ a: [hooked('bearer')], b: [other] });
    for (const secret of [SECRET, `${SECRET}-too`]) assert.equal((await post({}, bearer(secret))).status, 401);
    await scene.edit({ a: [hooked('bearer')], b: [{ ...hooked('bearer'), name: 'u' }] });
    const both = await post({ title: 'x' }, bearer());
    assert.equal((JSON.parse(both.text) as { tasks: string[] }).tasks.length, 2);
  });
});

test('what a hook takes is bounded, in size, form and number', async () => {
  const limits = { hookBytes: 1_000, hooks: { burst: 3, perSecond: 0.001 }, failures: { burst: 40, perSecond: 0.001 } };
  const run = async ({ post, call }: Door): Promise<void> => {
    assert.equal((await post({ long: 'x'.repeat(1_000) }, bearer())).status, 413);
    assert.equal((await post('{"a": ', bearer())).status, 400);
    assert.equal((await post({}, { ...bearer(), 'content-type': 'text/plain' })).status, 415);
    assert.equal((await post({}, bearer())).status, 202);
    assert.equal((await post({}, bearer())).status, 429);
    // The token of the API opens no hook, and a hook's secret nothing else.
    assert.equal((await call('/hooks/h', { body: {} })).status, 401);
    assert.equal((await call('/api/status', { headers: bearer() })).status, 401);
  };
  await withDoor([hooked('bearer')], run, limits);
});

test('A09 a stranger behind the same proxy is told off, and keeps nobody else out', async () => {
  const limits = { failures: { burst: 3, perSecond: 0.001 }, unproved: 2 };
  await withDoor(
    [hooked('bearer')],
    async ({ post, call, gateway, scene }) => {
      const answers = [];
      for (const path of ['/hooks/h', '/hooks/none', '/hooks/h', '/hooks/none', '/hooks/h'])
        answers.push((await post({}, bearer('wrong'), path)).status);
      assert.deepEqual(answers, [401, 401, 401, 429, 429]);
      assert.equal((await post({}, bearer())).status, 202);
      // Bodies that never end hold some places, and not those of the API.
      const { createConnection } = await import('node:net');
      const slow = [1, 2].map(() => createConnection(gateway.port, '127.0.0.1'));
      for (const socket of slow)
        socket.write('POST /hooks/h HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n');
      await until(async () => (await post({}, bearer())).status === 503, 'the places are taken');
      assert.equal((await call('/api/status')).status, 200);
      for (const socket of slow) socket.destroy();
      await until(async () => (await post({}, bearer())).status === 202, 'the places are free');
      // A hook that cannot answer says so once.
      scene.secrets = {};
      const lines = scene.told.told.length;
      for (let n = 0; n < 3; n++) await post({}, bearer());
      assert.equal(scene.told.told.length, lines + 1);
    },
    limits,
  );
});

test('A51 a replay whose signature is written otherwise is the same delivery', async () => {
  const body = { title: 'x' };
  const shout = (given: string): string => given.replace(/^sha256=/, 'SHA256=').toUpperCase();
  await withDoor([hooked('github')], async ({ scene, post }) => {
    const right = sign(JSON.stringify(body));
    const first = await post(body, { 'x-hub-signature-256': right });
    const again = await post(body, { 'x-hub-signature-256': shout(right) });
    assert.deepEqual([first.status, again], [202, { status: 200, text: first.text }]);
    assert.equal((await scene.tasks()).length, 1);
  });
  await withDoor([hooked('hmac')], async ({ scene, post }) => {
    const headers = signed(body);
    const first = await post(body, headers);
    const again = await post(body, { ...headers, 'webhook-signature': shout(headers['webhook-signature'] ?? '') });
    assert.deepEqual([first.status, again], [202, { status: 200, text: first.text }]);
    assert.equal((await scene.tasks()).length, 1);
  });
});

test('what is no plain object, or names a prototype, or looks like a secret, is data as any other', async () => {
  const said = hooked('bearer', {
    work: { kind: 'task', text: '{{body.__proto__}} {{body.constructor.x}} {{body.n}}' },
  });
  await withDoor([said], async ({ scene, post }) => {
    // A secret of digits only must not turn a number into what is no JSON.
    scene.redact = (text) => text.replaceAll('31415926', '[redacted]');
    const bodies = [
      '{"__proto__": {"x": 1}, "constructor": {"x": "own"}, "n": 1, "n": 2}',
      '[1]',
      'null',
      '{"n": 31415926, "31415926": "31415926"}',
      '{"n": 9}',
      '{"__proto__": null, "constructor": {"x": null}, "n": 31415926}',
    ];
    for (const body of bodies) assert.equal((await post(body, bearer())).status, 202, body);
    assert.deepEqual(await scene.texts(), ['"{\\"x\\":1}" own 2', '(none) (none) "[redacted]"']);
    // A text whose parts are not all there is nothing that anybody ordered.
    const { firings } = (await scene.triggers.show('a/t')) ?? { firings: [] };
    assert.deepEqual(
      firings.map(({ status }) => status),
      ['queued', 'placeholder', 'placeholder', 'placeholder', 'placeholder', 'queued'],
    );
    assert.equal(({} as { x?: number }).x, undefined);
  });
});

test('what comes through a tunnel under another name is judged by its proof alone', async () => {
  await withDoor([hooked('bearer')], async ({ gateway, scene }) => {
    const { raw } = await import('./help.ts');
    const head =
      `POST /hooks/h HTTP/1.1\r\nHost: tunnel.example\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n`.replace(
        'Content-Length: 2',
        'Content-Length: 11',
      );
    assert.match(
      await raw(gateway.port, `${head}Authorization: Bearer ${SECRET}\r\n\r\n{"title":1}`),
      /^HTTP\/1.1 202/,
    );
    assert.match(await raw(gateway.port, `${head}\r\n{"title":1}`), /^HTTP\/1.1 401/);
    assert.equal((await scene.tasks()).length, 1);
  });
});

test('triggers over HTTP: list, show, run, pause, resume', async () => {
  await withDoor([hooked('bearer')], async ({ call, scene, post }) => {
    await post({ title: 'x' }, bearer());
    const list = (await (await call('/api/triggers')).json()) as { triggers: { id: string; on: string }[] };
    assert.deepEqual(
      list.triggers.map(({ id, on }) => [id, on]),
      [['a/t', 'webhook h (bearer)']],
    );
    const shown = (await (await call('/api/triggers/a%2Ft')).json()) as { firings: { status: string; what: string }[] };
    assert.deepEqual(
      shown.firings.map(({ status, what }) => [status, what]),
      [['queued', 'hook:h received a webhook on h (delivery msg_t1)']],
    );
    assert.equal((await call('/api/triggers/a/t/run', { body: { event: 'no' } })).status, 400);
    const wrong = await call('/api/triggers/a/t/run', { body: { event: { bdy: 1 } } });
    assert.equal(wrong.status, 400);
    assert.match(await wrong.text(), /This trigger needs body\.title; you gave bdy\./);
    assert.equal(
      (await call('/api/triggers/a/t/run', { body: { event: { body: { title: 'by hand' } } } })).status,
      200,
    );
    assert.deepEqual(await scene.texts(), ['Read x', 'Read "by hand"']);
    assert.equal((await call('/api/triggers/a/t/pause', { body: {} })).status, 200);
    const quiet = await post({ title: 'y' }, bearer());
    assert.deepEqual([quiet.status, (JSON.parse(quiet.text) as { task: null }).task], [202, null]);
    assert.equal((await call('/api/triggers/a/t/resume', { body: {} })).status, 200);
    assert.equal((await scene.tasks()).length, 2);
    for (const path of ['a/none', 'a/none/run', 'a/none/pause'])
      assert.equal((await call(`/api/triggers/${path}`, path === 'a/none' ? {} : { body: {} })).status, 404);
  });
});

test('F15 a webhook that was refused is in the log, in status, and beside its trigger, with why', async () => {
  await withDoor([hooked('hmac')], async ({ scene, post, call, log }) => {
    const refused = async (): Promise<unknown> => {
      const { gateway } = (await (await call('/api/status')).json()) as RuntimeStatus;
      return gateway?.refused;
    };
    const body = { title: 'x' };
    assert.deepEqual(await refused(), []);
    const cases = [
      [{}, /without Webhook-Signature and Webhook-Timestamp/],
      [signed(body, NOW / 1000, 'another-secret-of-ours'), /signature does not fit: the secrets differ/],
      [signed(body, NOW / 1000 - 3600), /Webhook-Timestamp is not within 5m of this machine's clock/],
      [{ ...signed(body), 'content-type': 'text/plain' }, /Send JSON/],
    ] as const;
    for (const [index, [headers, why]] of cases.entries()) {
      await post(body, headers);
      const [only, ...others] = (await refused()) as RefusedHooks[];
      assert.deepEqual([only?.hook, only?.count, only?.at, only?.accepted], ['h', index + 1, NOW, null]);
      assert.match(only?.why ?? '', why);
      assert.deepEqual(others, []);
    }
    assert.equal(log.lines.filter(({ message }) => message === 'a webhook was refused').length, cases.length);
    // The same once more within a minute is counted, and not another line.
    await post(body, { ...signed(body), 'content-type': 'text/plain' });
    assert.equal(log.lines.filter(({ message }) => message === 'a webhook was refused').length, cases.length);
    // Strangers who guess names take up one line of it, however many they guess.
    for (const name of ['a', 'b', 'c']) await post({}, bearer(), `/hooks/${name}`);
    assert.equal((await post(body, signed(body))).status, 202);
    const [known, unknown, ...more] = (await refused()) as RefusedHooks[];
    assert.deepEqual([known?.count, known?.accepted, unknown?.hook, unknown?.count, more], [5, NOW, null, 3, []]);
    const id = (await scene.triggers.list())[0]?.id ?? '';
    const shown = (await (await call(`/api/triggers/${id}`)).json()) as { refused?: RefusedHooks };
    assert.equal(shown.refused?.count, 5);
    assert.doesNotMatch(JSON.stringify([await refused(), log.lines]), /-secret-of/);
  });
});
