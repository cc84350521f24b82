// Where a person is on the page is kept, in Chromium: what is read, what is filtered, what has the focus.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import type { Pending } from '../../src/core/api/runtime.ts';
import { until } from '../fakes/until.ts';
import { noBrowser as skip, withStage } from './browser.ts';
import { inPage } from './helpers.ts';
import { Scene } from './scene.ts';

const focused = (page: Page): Promise<string> =>
  inPage(page, "document.activeElement.tagName + ' ' + document.activeElement.textContent");

/** A conversation of so many messages, each with an answer. */
function talk(scene: Scene, count: number): void {
  for (let n = 1; n <= count; n++) scene.add({ title: `question ${n}.`, session: 'long', reply: `answer ${n}.` });
}

test(
  'what is read stays in its place while earlier messages come in; one’s own message is shown, and the newest is a click away',
  { skip },
  () => {
    const scene = new Scene();
    talk(scene, 80);
    return withStage(async ({ enter, gateway }) => {
      await enter(async ({ page }) => {
        await page.goto(`${gateway.url}/chat/assistant/long`);
        const end = page.getByText('answer 80.', { exact: true });
        await end.waitFor();
        const newest = page.getByRole('button', { name: 'Go to the newest message' });
        assert.equal(await newest.count(), 0);
        await inPage(page, "document.querySelector('.scroll').scrollTop = 0");
        await newest.waitFor();
        const first = page.getByText('question 61.', { exact: true });
        const before = await first.boundingBox();
        await page.getByRole('button', { name: 'Earlier messages' }).click();
        await page.getByText('question 41.', { exact: true }).waitFor({ state: 'attached' });
        const after = await first.boundingBox();
        // The button above it may have gone.
        assert.ok(before && after && Math.abs(after.y - before.y) < 2, `from ${before?.y} to ${after?.y}`);

        await newest.click();
        await newest.waitFor({ state: 'detached' });
        const inView = (text: string): Promise<boolean> =>
          inPage(
            page,
            `(() => {
            const found = [...document.querySelectorAll('.entry')].find((each) => each.textContent.includes('${text}')).getBoundingClientRect();
            const box = document.querySelector('.scroll').getBoundingClientRect();
            return found.top < box.bottom && found.bottom > box.top;
          })()`,
          );
        assert.ok(await inView('answer 80.'));
        await inPage(page, "document.querySelector('.scroll').scrollTop = 0");
        await newest.waitFor();
        await page.getByRole('textbox', { name: 'Write to assistant' }).fill('my own words');
        await page.keyboard.press('Enter');
        await page.locator('.said', { hasText: 'my own words' }).waitFor();
        await newest.waitFor({ state: 'detached' });
        assert.ok(await inView('my own words'));
      });
    }, scene);
  },
);

test('back in the list of work are its filter, its place and the row that was opened', { skip }, () => {
  const scene = new Scene();
  for (let n = 1; n <= 150; n++) scene.add({ title: `job ${n}`, agent: n % 2 === 0 ? 'email' : 'assistant' });
  return withStage(async ({ enter, gateway }) => {
    await enter(async ({ page }) => {
      await page.goto(`${gateway.url}/work?agent=email`);
      await page.getByText('75 tasks found').waitFor();
      const list = "document.querySelector('.rows-scroll')";
      await inPage(page, `${list}.scrollTop = 1500`);
      const row = page.locator('.work-row', { hasText: /^job 76\D/ });
      await row.waitFor();
      const top = (): Promise<number> => inPage(page, `${list}.scrollTop`);
      for (const back of [() => page.goBack(), () => page.locator('.crumbs a').click()]) {
        await row.click();
        await page.getByRole('heading', { name: 'job 76' }).waitFor();
        await back();
        await page.waitForURL(/\/work\?agent=email$/);
        await row.waitFor();
        assert.ok(Math.abs((await top()) - 1500) < 5, `at ${await top()}`);
        assert.match(await focused(page), /^A job 76/);
      }
      await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Inbox' }).click();
      await page.getByText('Nothing waits for you.').waitFor();
      await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Work' }).click();
      await page.getByText('150 tasks').waitFor();
      assert.equal(await top(), 0);
    });
  }, scene);
});

test('after an answer by keyboard the focus is on what comes next', { skip }, () => {
  const scene = new Scene();
  for (let n = 1; n <= 2; n++) {
    const pending: Pending = {
      id: `apr_${n}`,
      kind: 'approval',
      run: `run_${n}`,
      task: `tsk_${n}`,
      agent: 'email',
      session: `s${n}`,
      tool: 'shell',
      text: `make ${n}`,
      reason: 'A rule asks.',
      at: Date.now(),
    };
    scene.add({ title: `Mail ${n}`, agent: 'email', status: 'waiting', pending: [pending] });
  }
  return withStage(async ({ enter, gateway }) => {
    await enter(async ({ page }) => {
      await page.goto(`${gateway.url}/inbox`);
      const cards = page.getByRole('article', { name: /^Approval/ });
      await cards.nth(1).waitFor();
      await cards.first().getByRole('button', { name: 'Approve exactly this' }).focus();
      await page.keyboard.press('Enter');
      await page.getByText('make 1').waitFor({ state: 'detached' });
      assert.match(await focused(page), /^A Mail 2/);
      await cards.first().getByRole('button', { name: 'Deny' }).focus();
      await page.keyboard.press('Enter');
      await page.getByText('Nothing waits for you.').waitFor();
      assert.match(await focused(page), /^MAIN /);
    });
  }, scene);
});

test(
  'more than a hundred conversations can be reached, by more and by words; a new one is no error in the console',
  { skip },
  () => {
    const scene = new Scene();
    for (let n = 1; n <= 230; n++) scene.add({ title: `talk about ${n === 7 ? 'the harvest' : `item ${n}`}` });
    return withStage(async ({ enter, gateway }) => {
      await enter(async ({ page }) => {
        const failed: string[] = [];
        page.on('response', (answer) => answer.status() >= 400 && failed.push(answer.url()));
        await page.goto(gateway.url);
        const list = page.getByRole('navigation', { name: 'Conversations' });
        const more = list.getByRole('button', { name: 'Older conversations' });
        await list.getByText('talk about item 230').waitFor();
        assert.equal(await list.getByRole('listitem').count(), 100);
        await more.click();
        await list.getByText('talk about item 31', { exact: true }).waitFor();
        await more.click();
        await list.getByText('talk about item 1', { exact: true }).waitFor();
        assert.equal(await more.count(), 0);
        await list.getByRole('searchbox', { name: 'Search conversations' }).fill('harvest');
        await list.getByText('talk about item 230').waitFor({ state: 'detached' });
        await list.getByText('talk about the harvest').click();
        await page.getByRole('heading', { name: 'talk about the harvest' }).waitFor();
        assert.equal(await list.getByRole('searchbox').inputValue(), 'harvest');

        await list.getByRole('link', { name: 'New chat' }).click();
        await page.getByRole('textbox', { name: 'Write to assistant' }).fill('hello');
        await page.keyboard.press('Enter');
        await page.locator('.said .bubble:not(.unsent)', { hasText: 'hello' }).waitFor();
        assert.deepEqual(failed, []);
      });
    }, scene);
  },
);

test(
  'what comes to wait while no tab is in view is notified, if a person has turned that on, and only then',
  { skip },
  () => {
    const scene = new Scene();
    const asks = (n: number): void => {
      const at = { run: `run_${n}`, task: `tsk_${n}`, agent: 'email', session: `s${n}`, at: Date.now() };
      const pending: Pending = {
        id: `apr_${n}`,
        kind: 'approval',
        tool: 'shell',
        text: `make ${n}`,
        reason: 'A rule.',
        ...at,
      };
      scene.add({ title: `Mail ${n}`, agent: 'email', status: 'waiting', pending: [pending] });
    };
    return withStage(async ({ enter, gateway }) => {
      await enter(async ({ page }) => {
        await page.addInitScript(`
          globalThis.told = [];
          globalThis.asked = 0;
          globalThis.Notification = class extends EventTarget {
            static permission = 'default';
            static async requestPermission() { asked += 1; this.permission = 'granted'; return 'granted'; }
            constructor(title, { body, tag }) { super(); told.push([title, body, tag].join(' | ')); globalThis.last = this; }
            close() {}
          };`);
        await page.goto(gateway.url);
        await page.getByText('Three things to try').waitFor();
        const see = (to: string): Promise<unknown> =>
          inPage(
            page,
            `Object.defineProperty(document, 'visibilityState', { value: '${to}', configurable: true });
            document.dispatchEvent(new Event('visibilitychange'))`,
          );
        const count = (n: number) =>
          until(() => inPage<boolean>(page, `document.title.startsWith('(${n}) ')`), `${n} in the title`);
        await see('hidden');
        asks(1);
        await count(1);
        assert.deepEqual(await inPage(page, '[asked, ...told]'), [0], 'nobody has asked for it');
        await see('visible');
        await page.getByRole('button', { name: /^This browser/ }).click();
        await page.getByRole('button', { name: 'Turn on notifications' }).click();
        await page.getByRole('button', { name: 'Turn off notifications' }).waitFor();
        asks(2);
        await count(2);
        await see('hidden');
        asks(3);
        await until(() => inPage<boolean>(page, 'told.length > 0'), 'a notification');
        assert.deepEqual(await inPage(page, '[asked, ...told]'), [1, 'email asks for approval | make 3 | apr_3']);
        await inPage(page, "last.dispatchEvent(new Event('click'))");
        await page.waitForURL(/\/inbox$/);
      });
    }, scene);
  },
);

test(
  'a paste of 100 kB is one folded message, whole when it is asked for, and the rest is not laid out',
  { skip },
  () =>
    withStage(async ({ enter, gateway }) => {
      await enter(async ({ page }) => {
        await page.goto(gateway.url);
        const paste = Array.from({ length: 2_000 }, (_, n) => `${n} ${'word '.repeat(9)}`).join('\n');
        const field = page.getByRole('textbox', { name: 'Write to assistant' });
        await field.waitFor();
        // Chromium's own insertion of many lines, by which fill() types, takes it seconds in any field.
        await inPage(
          page,
          `(() => {
          const field = document.getElementById('composer');
          field.value = ${JSON.stringify(paste)};
          field.dispatchEvent(new Event('input', { bubbles: true }));
        })()`,
        );
        await field.press('Enter');
        const sent = page.locator('.said', { hasText: '0 word word' });
        const show = sent.getByRole('button', { name: /^Show all \(2,000 lines, 100,889 characters\)$/ });
        await show.waitFor();
        const box = async (): Promise<number> => (await sent.boundingBox())?.height ?? 0;
        assert.ok((await box()) < 700, `${await box()} px`);
        // Once the record holds it, it is another element.
        await sent.getByRole('link', { name: 'Steps' }).or(page.locator('.answer')).first().waitFor();
        await show.click();
        await sent.getByRole('button', { name: 'Show less' }).waitFor();
        assert.equal((await sent.locator('.words').textContent())?.trim(), paste.trim(), 'nothing of it is lost');
        await sent.getByRole('button', { name: 'Show less' }).click();
        await show.waitFor();
        // What is folded is not laid out.
        assert.ok(((await sent.locator('.words').textContent()) ?? '').length <= 1_001);
      });
    }),
);
