import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { EscalationState } from '../../src/core/escalation.ts';
import { systemClock } from '../../src/platform/system.ts';
import { Home } from '../fakes/home.ts';
import { ANNA, startTelegram } from '../fakes/telegram/telegram.ts';
import { until } from '../fakes/until.ts';

// The real process with a fake Bot API and a webhook: who is told, who is passed over, and what an answer does.

const SECRET = 'hook-Secret-0123456789';

interface Post {
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
}

async function startHook() {
  const posts: Post[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      posts.push({ headers: request.headers, body: JSON.parse(text) as Post['body'] });
      response.writeHead(request.url === '/gone' ? 410 : 204).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { posts, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

const settings = (apiRoot: string, hook: string): string => `channels:
  telegram: { owners: ["${ANNA}"], apiRoot: "${apiRoot}" }
escalation:
  owner:
    - { after: 0m, to: 'telegram:999' }
    - { after: 10m, to: 'webhook:${hook}/gone', secret: 'env:HOOK_SECRET' }
    - { after: 20m, to: 'telegram:${ANNA}' }
    - { after: 1d, to: 'agent:helper' }
  short:
    - { after: 0m, to: 'telegram:${ANNA}' }
    - { after: 0m, to: 'webhook:${hook}/told' }
    - { after: 2s, to: deny }
policy:
  rules: [{ id: asked, ask: { tool: write, path: 'asked/**' }, reason: A person looks first. }]
`;

test('an approval goes up past whom it cannot reach; acknowledged, approved by button; without an answer denied, though killed', async () => {
  const telegram = await startTelegram({ clock: systemClock });
  const hook = await startHook();
  const home = await Home.up({
    beside: [telegram, hook],
    env: { TELEGRAM_BOT_TOKEN: telegram.token, HOOK_SECRET: SECRET },
    files: {
      'ruche.yaml': settings(telegram.url, hook.url),
      'agents/assistant/AGENT.md': '---\ndescription: helps\n---\nYou help.\n',
      'agents/helper/AGENT.md': '---\ndescription: helps too\nescalation: short\n---\nYou help.\n',
    },
  });
  try {
    const said = (what: RegExp): Promise<string> =>
      until(() => telegram.said(ANNA).find(({ text }) => what.test(text))?.text, `${what} in Telegram`);
    const state = (id: string): Promise<EscalationState> => home.api(`/api/escalations/${id}`);

    const first = await home.say('write asked/first.md: one');
    await said(/assistant asks for approval/);
    const [approval] = await home.pending();
    const id = `esc_${approval?.id}`;
    const climbed = await state(id);
    assert.deepEqual(
      climbed.levels.map(({ to, reached }) => [to.split(':')[0], reached?.status ?? null]),
      [
        ['telegram', 'dead'],
        ['webhook', 'dead'],
        ['telegram', 'done'],
        ['agent', null],
        ['deny', null],
      ],
    );
    const [refused] = hook.posts;
    assert.equal(refused?.headers.authorization, `Bearer ${SECRET}`);
    assert.deepEqual([refused?.body['about'], refused?.body['level'], hook.posts.length], [approval?.id, 2, 1]);

    // Acknowledged, it waits on; the other buttons keep their use.
    telegram.press(ANNA, 'Acknowledge');
    await until(async () => (await state(id)).acknowledged !== null, 'the acknowledgement');
    assert.deepEqual([(await state(id)).next, (await home.pending()).length], [null, 1]);
    assert.match(
      (await home.cli('escalations')).out,
      new RegExp(`^${id} {2}approval of assistant[^]*acknowledged by telegram:${ANNA}`),
    );
    assert.match((await home.cli('escalations', 'ack', id)).out, /was already acknowledged/);
    telegram.press(ANNA, 'Approve');
    await until(async () => (await home.settled(first)).status === 'done', 'the end of the first');
    assert.equal(home.read('asked/first.md'), 'one');
    assert.equal((await state(id)).ended?.why, 'answered');

    // A question is answered in words, in a chat that it was not asked in.
    const second = await home.say('ask me: which one?');
    await said(/assistant asks\b[^]*which one/);
    const [question] = await home.pending();
    telegram.write({ text: `/answer ${question?.id} the blue one` });
    const answered = async (): Promise<boolean> => /the blue one/.test((await home.settled(second)).text);
    await until(answered, 'the answer has arrived');

    // Killed while it waits: told once, denied once.
    const third = await home.say('write asked/third.md: three', 'third', 'helper');
    const put = await said(/helper asks for approval/);
    const short = `esc_${/apr_[\w-]+/.exec(put)?.[0]}`;
    // Not before the receipt: what may have arrived or not is sent again, marked as a repeat.
    await until(async () => (await state(short)).levels[0]?.reached?.status === 'done', 'the receipt');
    await home.end('SIGKILL');
    await home.start();
    const denied = await until(async () => {
      const outcome = await home.settled(third);
      return outcome.waits.length === 0 ? outcome : undefined;
    }, 'the denial');
    assert.match(denied.text, /Nobody answered in time/);
    const end = (id: string | undefined, word: string): Promise<true | undefined> =>
      until(
        () =>
          telegram
            .said(ANNA)
            .some(
              ({ text, buttons }) => id && text.includes(id) && text.endsWith(`→ ${word}`) && buttons.length === 0,
            ) || undefined,
        `the buttons are gone: ${word}`,
      );
    await end(short.slice('esc_'.length), 'Denied');
    const fourth = await home.say('write asked/fourth.md: four');
    const [wait] = await until(async () => {
      const waits = await home.pending();
      return waits.length > 0 ? waits : undefined;
    }, 'it waits');
    await until(() => telegram.said(ANNA).some(({ text }) => wait && text.includes(wait.id)), 'it is told');
    assert.equal((await home.cli('approve', wait?.id ?? '')).code, 0);
    await until(async () => (await home.settled(fourth)).status === 'done', 'the end of the fourth');
    await end(wait?.id, 'Approved');
    const told = telegram.said(ANNA).filter(({ text }) => /helper asks for approval/.test(text));
    assert.equal(told.length, 1);
    const keys = hook.posts
      .filter(({ body }) => body['level'] === 2 && body['agent'] === 'helper')
      .map(({ headers }) => headers['idempotency-key']);
    assert.deepEqual([keys.length > 0, new Set(keys).size], [true, 1]);
    const events = await home.events();
    const denials = events.filter(({ type, data }) => type === 'escalation.reached' && data['to'] === 'deny');
    assert.deepEqual(
      denials.map(({ data }) => [data['escalation'], data['outcome']]),
      [[short, 'denies']],
    );
    assert.equal((await state(short)).ended?.why, 'denied');
    assert.ok(!home.log().includes(SECRET) && !JSON.stringify(events).includes(SECRET));
    assert.deepEqual((await home.verify()).findings, []);
  } finally {
    await home.close();
  }
});
