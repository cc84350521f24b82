// One conversation over every face: begun in the browser, gone on with from Telegram and the terminal, while the maker of
// the model changes and the process dies.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { LLMock } from '@copilotkit/aimock';
import { systemClock } from '../../src/platform/system.ts';
import { AGENT, Home } from '../fakes/home.ts';
import { ANNA, startTelegram, type TelegramFake } from '../fakes/telegram/telegram.ts';
import { until } from '../fakes/until.ts';
import { builtWeb, noBrowser, visit } from '../web/browser.ts';

const KEY = 'sk-ant-Faces-0123456789abcdef';
const STORY = Array.from({ length: 120 }, (_, n) => `sentence ${n + 1}`).join(', ');

const settings = (apiRoot: string, more = ''): string => `${more}channels:
  telegram: { owners: ["${ANNA}"], apiRoot: "${apiRoot}" }
policy:
  rules:
    - { id: ask-shell, ask: { tool: shell }, reason: "Commands need a person." }
`;

let mock: LLMock;
let telegram: TelegramFake;
let home: Home;
before(async () => {
  builtWeb();
  mock = new LLMock({ port: 0, logLevel: 'silent' });
  const usage = { input_tokens: 1_500, output_tokens: 40 };
  const command = JSON.stringify({ command: 'printf one > report.md; wc -c report.md' });
  mock.on(
    { userMessage: 'write the report', hasToolResult: false },
    { toolCalls: [{ name: 'shell', arguments: command }], usage },
  );
  mock.on({ userMessage: 'write the report', hasToolResult: true }, { content: 'The report has **3** bytes.', usage });
  mock.onMessage('what did you do', { content: 'I wrote report.md.' });
  mock.onMessage('is it done', { content: 'It is done.' });
  mock.onMessage('who are you now', { content: 'Another mind, the same memory.' });
  mock.onMessage('tell me a story', { content: `${STORY}, the end` }, { latency: 45, chunkSize: 12 });
  mock.onMessage('Are you there', { content: 'Yes.' });
  await mock.start();
  telegram = await startTelegram({ clock: systemClock });
  home = await Home.up({
    beside: [{ close: () => mock.stop() }, telegram],
    env: { TELEGRAM_BOT_TOKEN: telegram.token, GEMINI_API_KEY: 'gemini-Faces-0123456789', GEMINI_BASE_URL: mock.url },
    files: {
      'ruche.yaml': settings(telegram.url, 'models: { standard: [demo/demo] }\n'),
      'agents/assistant/AGENT.md': AGENT,
    },
  });
});
after(() => home.close());

const said = (): string[] => telegram.said(ANNA).map(({ text }) => text);
const hears = (what: RegExp): Promise<string> =>
  until(() => said().find((text) => what.test(text)), `${what} in Telegram`);
const write = (text: string): number => telegram.write({ text });

/** Sends lines to `ruche chat` and gives what it printed. */
async function chat(session: string, ...lines: string[]): Promise<string> {
  const command = ['chat', 'assistant', '--session', session, '--home', home.home, '--workspace', home.workspace];
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../bin/ruche.js'), ...command], {
    env: home.env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stdin.end(`${lines.join('\n')}\n`);
  await once(child, 'close');
  return out;
}

test(
  'a key in the browser, an approval, then Telegram, the terminal and another maker: one conversation',
  { skip: noBrowser },
  async () => {
    const link = /\S+\/login#\S+/.exec(home.out)?.[0];
    assert.ok(link, `no link in: ${home.out}`);
    let session = '';
    await visit(link, async ({ page }) => {
      await page.goto(`${home.url}/models`);
      await page.getByLabel('Key', { exact: true }).fill(KEY);
      await page.getByText('Other model or address').click();
      await page.getByLabel('Address').fill(mock.url);
      await page.getByRole('button', { name: 'Test and save' }).click();
      await page.getByText('It works:').waitFor();
      // What ruche.yaml names goes before what was found: from here on it names nothing.
      home.write('ruche.yaml', settings(telegram.url));
      await until(async () => (await home.status()).model.startsWith('anthropic/'), 'the new model is in force');

      await page.goto(`${home.url}/`);
      const field = page.getByRole('textbox', { name: /^Write to assistant/ });
      await field.fill('write the report');
      await field.press('Enter');
      const card = page.getByRole('article', { name: 'Approval: shell' });
      await card.getByText('printf one > report.md').first().waitFor();
      assert.equal(home.exists('report.md'), false);
      await card.getByRole('button', { name: 'Approve exactly this' }).click();
      await page.locator('.answer:not(.writing)').getByText('The report has 3 bytes.').waitFor();
      await page.getByRole('link', { name: 'Steps and changes' }).click();
      const beside = page.getByRole('complementary', { name: 'Steps' });
      await beside.locator('.plus', { hasText: '+one' }).waitFor();
      await beside
        .getByText(/\$0\.0\d+/)
        .first()
        .waitFor();
      session = decodeURIComponent(/assistant\/([^/?#]+)/.exec(page.url())?.[1] ?? '');
    });
    assert.equal(home.read('report.md'), 'one');
    assert.match(home.git('log', '-1', '--format=%B'), /^Ruche-Model: anthropic\//m);

    write('/chats');
    await hears(/Continue another conversation/);
    const [button = ''] = telegram.said(ANNA).at(-1)?.buttons ?? [];
    assert.match(button, /write the report/);
    telegram.press(ANNA, button);
    await until(() => telegram.answers.some(({ text }) => text.includes(session)), 'the chat goes on there');
    write('what did you do?');
    await hears(/I wrote report\.md/);

    assert.match(await chat(session, 'is it done?'), /It is done\./);

    home.write('ruche.yaml', settings(telegram.url, 'models: { standard: [gemini/gemini-3.5-flash] }\n'));
    await until(async () => (await home.status()).model === 'gemini/gemini-3.5-flash', 'the other maker is in force');
    write('who are you now?');
    await hears(/Another mind, the same memory/);
    const last = mock.getRequests().findLast(({ path }) => path.includes('gemini-3.5-flash'));
    const wire = JSON.stringify(last?.body ?? '');
    for (const known of [
      'write the report',
      'printf one > report.md',
      '3 report.md',
      'I wrote report.md',
      'It is done',
    ])
      assert.ok(wire.includes(known), `the next mind is not told "${known}": ${wire}`);

    const received = (await home.events('message.received')).map(
      ({ data }) => `${String(data['channel'])} ${String(data['session'])}`,
    );
    assert.deepEqual(
      received,
      ['http', 'telegram', 'http', 'telegram'].map((channel) => `${channel} ${session}`),
    );
    assert.deepEqual((await home.verify()).findings, []);
  },
);

test('killed while a reply to Telegram is being written: it arrives whole, and nothing half stands unmarked', async () => {
  write('tell me a story');
  await hears(/sentence 3/);
  assert.ok(!said().some((text) => text.includes('the end')), 'it was killed too late to prove anything');
  await home.end('SIGKILL');
  await home.start();
  const whole = `${STORY}, the end`;
  await until(() => said().some((text) => text.endsWith('the end')), 'the whole story');
  const stories = said().filter((text) => text.includes('sentence 3'));
  const complete = stories.filter((text) => text.endsWith(whole));
  assert.ok(complete.length >= 1);
  for (const again of complete.slice(1)) assert.match(again, /may be a repeat/);
  for (const half of stories.filter((text) => !text.endsWith('the end'))) assert.match(half, /✍ …$/);
  assert.deepEqual((await home.verify()).findings, []);
});
