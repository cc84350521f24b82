import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RunStep } from '../../src/core/api/views.ts';
import { noBrowser as skip, withStage } from './browser.ts';
import { call } from './scene.ts';
import { inPage } from './helpers.ts';

const steps = (task: string): RunStep[] => [
  {
    kind: 'model',
    step: 1,
    purpose: 'turn',
    at: 0,
    provider: 'scripted',
    model: 'large',
    ms: 640,
    finish: 'stop',
    usage: { input: 1_240, output: 310, cacheRead: 1_000, cacheWrite: 0 },
    costUsd: 0.0123,
    text: '',
    reasoning: '',
    error: null,
    request: `request_${task}`,
    answer: null,
  },
  call({
    args: '{"command":"wc -c notes.md"}',
    decision: { verdict: 'allow', rule: 'builtin:shell', reason: 'The sandbox holds it.' },
    ms: 80,
    ok: true,
    result: '5 notes.md',
  }),
];

test(
  'the tour: first use, a key, something to try, the answer as it is written, its steps to the exact request',
  { skip },
  () =>
    withStage(async ({ scene, open }) => {
      await open(async ({ page, errors }) => {
        await page.getByText('Ruche is running').waitFor();
        await page.getByText('/home/ann/company').waitFor();
        assert.equal(await page.locator('.try').count(), 3);

        scene.offer = { kind: 'ollama', title: 'Ollama', baseUrl: 'http://127.0.0.1:11434', model: 'qwen3:8b' };
        await page.reload();
        await page.getByText('it will read every conversation').waitFor();
        assert.equal(scene.setups.length, 0, 'an Ollama that was found is not used by itself');
        await page.getByRole('button', { name: 'Use Ollama' }).waitFor();

        await page.getByLabel('Key', { exact: true }).fill('sk-ant-wrong');
        await page.getByText('Looks like Anthropic’s.').waitFor();
        await page.getByRole('button', { name: 'Test and save' }).click();
        await page.getByText('The provider refused this key.').waitFor();
        assert.equal(await inPage(page, 'document.activeElement.name'), 'key');
        await page.getByLabel('Key', { exact: true }).fill('sk-ant-right');
        await page.getByRole('button', { name: 'Test and save' }).click();
        await page.getByText('What would you like done?').waitFor();
        assert.deepEqual(scene.setups.at(-1), { kind: 'key', provider: 'anthropic', key: 'sk-ant-right' });

        await page.locator('.try').nth(1).click();
        const field = page.getByRole('textbox', { name: 'Write to assistant' });
        assert.match(await field.inputValue(), /haiku/);
        await field.press('Enter');
        await page.waitForURL(/\/chat\/assistant\/web-/);
        await page.getByText('Working', { exact: true }).first().waitFor();
        const [item] = scene.items;
        assert.ok(item);
        scene.say(item, 'Five **byt');
        await page.locator('.writing', { hasText: 'Five **byt' }).waitFor();
        scene.say(item, 'es** in it.');
        await page.locator('.writing strong', { hasText: 'bytes' }).waitFor();
        const exact = '{"model":"large","system":"You help.\\nBe brief.","messages":[]}';
        scene.exact.set(`request_${item.task}`, exact);
        const diff = {
          labels: {},
          commit: 'abcdef0123',
          cut: false,
          files: [{ path: 'notes.md', change: 'added', binary: false, patch: '@@ -0,0 +1 @@\n+hello\n' } as const],
        };
        scene.finish(item, 'Five **bytes** in it.', { list: steps(item.task), commit: 'abcdef0123', diff });
        await page.locator('.answer:not(.writing) strong', { hasText: 'bytes' }).waitFor();
        assert.equal(await page.locator('.writing').count(), 0);

        await page.getByRole('link', { name: 'Steps' }).click();
        const beside = page.getByRole('complementary', { name: 'Steps' });
        await beside.getByText('wc -c notes.md').first().click();
        await beside.getByText('The sandbox holds it.').waitFor();
        await beside.locator('.plus', { hasText: '+hello' }).waitFor();
        await beside.getByText('$0.01').first().waitFor();
        await beside.locator('summary', { hasText: 'Asked' }).click();
        await beside.getByText('1.2 k in (1.0 k from the cache), 310 out').waitFor();
        await beside.getByRole('link', { name: 'Exact request' }).click();
        await page.getByText('Be brief.').waitFor();
        await page.getByRole('button', { name: 'Raw' }).click();
        await page.getByText(exact).waitFor();
        await page.goBack();
        await beside.waitFor();
        assert.deepEqual(errors, []);
      });
    }),
);

test('a reload in the middle of a stream shows the same as without one', { skip }, () =>
  withStage(async ({ scene, enter, gateway }) => {
    const item = scene.add({ title: 'Count to ten', session: 'count', status: 'running' });
    await enter(async ({ page }) => {
      await page.goto(`${gateway.url}/chat/assistant/count`);
      await page.locator('.writing').waitFor();
      scene.say(item, 'one two ');
      scene.emit(item, { kind: 'tool.started', call: 's1c1', tool: 'shell', args: '{"command":"sleep 1"}' });
      scene.say(item, 'three ', 2);
      await page.locator('.writing', { hasText: 'three' }).waitFor();
      const before = await page.locator('.writing').innerText();
      await page.reload();
      await page.locator('.writing', { hasText: 'three' }).waitFor();
      assert.equal(await page.locator('.writing').innerText(), before);
      scene.say(item, 'four', 2);
      await page.locator('.writing', { hasText: 'three four' }).waitFor();
      assert.equal(await page.getByText('The beginning is missing here').count(), 0);
      scene.finish(item, 'one two three four');
      await page.locator('.answer:not(.writing)', { hasText: 'one two three four' }).waitFor();
    });
  }),
);

test(
  'a lost connection is said, loses nothing that was typed or sent, and what was written meanwhile is there',
  { skip },
  () =>
    withStage(async (stage) => {
      const { scene } = stage;
      const item = scene.add({ title: 'Begin', session: 'lost', status: 'running' });
      await stage.enter(async ({ page }) => {
        await page.goto(`${stage.gateway.url}/chat/assistant/lost`);
        scene.say(item, 'before, ');
        await page.locator('.writing', { hasText: 'before,' }).waitFor();
        await stage.stop();
        await page.getByText('The connection to Ruche is lost.').waitFor();
        const field = page.getByRole('textbox', { name: 'Write to assistant' });
        await field.fill('sent while away');
        await field.press('Enter');
        await page.getByText('It will be sent when the connection is back.').waitFor();
        await field.fill('half a thought');
        await page.reload().catch(() => undefined); // nobody answers: the browser says so
        await page.waitForURL(/^chrome-error:/);
        scene.say(item, 'meanwhile, ');
        await stage.start();
        await page.goto(`${stage.gateway.url}/chat/assistant/lost`);
        await page.locator('.writing', { hasText: 'before, meanwhile,' }).waitFor();
        assert.equal(await field.inputValue(), 'half a thought');
        await page.locator('.said', { hasText: 'sent while away' }).waitFor();
        await page.locator('.unsent').waitFor({ state: 'detached' });
        scene.say(item, 'after');
        await page.locator('.writing', { hasText: 'before, meanwhile, after' }).waitFor();
        assert.deepEqual(
          scene.asked.filter((each) => each.startsWith('deliver')),
          ['deliver sent while away'],
        );
      });
    }),
);

test('without a reload the page finds its way back: at once when told to, else by itself', { skip }, () =>
  withStage(async (stage) => {
    const { scene } = stage;
    const item = scene.add({ title: 'Begin', session: 'back', status: 'running' });
    await stage.enter(async ({ page }) => {
      await page.clock.install();
      await page.goto(`${stage.gateway.url}/chat/assistant/back`);
      scene.say(item, 'before ');
      await page.locator('.writing', { hasText: 'before' }).waitFor();
      const lost = page.getByText('The connection to Ruche is lost.');
      // While its clock stands still, nothing but the button tries again.
      await page.clock.pauseAt(Date.now() + 60_000);
      await stage.stop();
      await lost.waitFor();
      await stage.start();
      await page.getByRole('button', { name: 'Reconnect now' }).click();
      await lost.waitFor({ state: 'detached' });
      await page.clock.resume();
      scene.say(item, 'after ');
      await page.locator('.writing', { hasText: 'before after' }).waitFor();

      await stage.stop();
      await lost.waitFor();
      await stage.start();
      await lost.waitFor({ state: 'detached' });
      scene.say(item, 'all');
      await page.locator('.writing', { hasText: 'before after all' }).waitFor();
      await page.getByRole('button', { name: 'Stop', exact: true }).click();
      await page.locator('.why', { hasText: 'Stopped' }).waitFor();
      assert.deepEqual(scene.asked, [`cancel ${item.task}`]);
    });
  }),
);

test('files are added by drop, paste and button, and can be taken away again', { skip }, () =>
  withStage(async ({ scene, open }) => {
    await open(async ({ page }) => {
      await page.getByRole('textbox', { name: 'Write to assistant' }).waitFor();
      await inPage(
        page,
        `(() => {
          const dropped = new DataTransfer();
          dropped.items.add(new File(['drop'], 'drop.txt', { type: 'text/plain' }));
          document.dispatchEvent(new DragEvent('drop', { dataTransfer: dropped, bubbles: true, cancelable: true }));
          const pasted = new DataTransfer();
          pasted.items.add(new File(['paste'], 'paste.png', { type: 'image/png' }));
          document.querySelector('#composer').dispatchEvent(new ClipboardEvent('paste', { clipboardData: pasted, bubbles: true, cancelable: true }));
        })()`,
      );
      await page.locator('.chosen li').nth(1).waitFor();
      await page
        .getByLabel('Files', { exact: true })
        .setInputFiles({ name: 'chosen.md', mimeType: 'text/markdown', buffer: Buffer.from('# x') });
      await page.locator('.chosen li').nth(2).waitFor();
      await page.getByRole('button', { name: 'Remove drop.txt' }).click();
      await page.getByRole('button', { name: 'Send' }).click();
      await page.waitForURL(/\/chat\//);
      await page.locator('.said .bubble:not(.unsent)').waitFor();
      assert.deepEqual([...scene.files.keys()].sort(), ['chosen.md', 'paste.png']);
      assert.equal(Buffer.from(scene.files.get('chosen.md')?.bytes ?? []).toString(), '# x');
    });
  }),
);

test('what the gateway does not take for now is sent again after a while, not all the time', { skip }, () =>
  withStage(async ({ scene, open, gateway }) => {
    await open(async ({ page }) => {
      await page.clock.install();
      await page.goto(gateway.url);
      let refused = 0;
      const busy = { status: 503, json: { error: { code: 'busy', message: 'Too much to do.' } } };
      await page.route(/\/api\/messages/, (route) => (refused++ === 0 ? route.fulfill(busy) : route.continue()));
      await page.getByRole('textbox', { name: 'Write to assistant' }).fill('hello');
      await page.clock.pauseAt(Date.now() + 60_000);
      await page.keyboard.press('Enter');
      await page.getByText('Not sent yet: Too much to do.').waitFor();
      await page.request.get(`${gateway.url}/api/me`);
      assert.equal(refused, 1);
      assert.deepEqual(scene.asked, []);
      await page.clock.runFor(2_000);
      await page.locator('.said .bubble:not(.unsent)').waitFor();
      assert.deepEqual(scene.asked, ['deliver hello']);
    });
  }),
);
