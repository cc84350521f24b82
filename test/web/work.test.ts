import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noBrowser as skip, PATIENCE, withStage } from './browser.ts';
import { until } from '../fakes/until.ts';
import { inPage } from './helpers.ts';
import { Scene } from './scene.ts';

const COUNT = 5_000;

function busyCompany(count = COUNT): Scene {
  const scene = new Scene();
  const from = Date.now() - count * 60_000;
  for (let n = 0; n < count; n++) {
    const status = n % 500 === 7 ? 'failed' : 'done';
    const agent = n % 10 === 0 ? 'email' : 'assistant';
    scene.add({ title: `Job ${n}`, agent, status, queuedAt: from + n * 60_000, endedAt: from + n * 60_000 + 900 });
  }
  return scene;
}

test('5,000 tasks: scrolled to the end, filtered, searched and live, with no more drawn than is seen', { skip }, () =>
  withStage(async ({ scene, enter, gateway }) => {
    await enter(async ({ page }) => {
      await page.goto(`${gateway.url}/work`);
      await page.getByText('5,000 tasks').waitFor();
      await page.getByText('Job 4999', { exact: true }).waitFor();
      const bottom = `(() => { const list = document.querySelector('.rows-scroll'); list.scrollTop = list.scrollHeight; return list.scrollHeight; })()`;
      const last = page.getByText('Job 0', { exact: true });
      const reached = async (): Promise<boolean> => {
        await inPage(page, bottom);
        return (await last.count()) > 0;
      };
      await until(reached, 'the oldest task', 2 * PATIENCE);
      assert.ok((await page.locator('.work-row').count()) < 80, 'more rows are drawn than can be seen');
      assert.equal(await page.locator('.row-slot').last().getAttribute('aria-posinset'), String(COUNT));

      await page.getByRole('button', { name: 'Failed' }).click();
      await page.getByText('10 tasks found').waitFor();
      await page.waitForURL(/state=failed/);
      await page.getByLabel('Agent').selectOption('email');
      await page.getByText('No tasks match these filters.').waitFor();
      await page.getByRole('button', { name: 'Show all' }).click();
      await page.getByLabel('Search the work').fill('job 123');
      await page.getByText('11 tasks found').waitFor();
      await page.reload();
      await page.getByText('11 tasks found').waitFor();
      assert.equal(await page.getByLabel('Search the work').inputValue(), 'job 123');

      await page.getByLabel('Search the work').fill('');
      await page.getByText('5,000 tasks').waitFor();
      const item = scene.add({ title: 'Just now', status: 'running' });
      await page.locator('.work-row', { hasText: 'Just now' }).getByText('Working').waitFor();
      scene.finish(item, 'done');
      await page.locator('.work-row', { hasText: 'Just now' }).getByText('Done').waitFor();

      await page.getByText('Just now', { exact: true }).click();
      await page.waitForURL(/\/work\/tsk_5001/);
      await page.goBack();
      await page.getByText('5,001 tasks').waitFor();
    });
  }, busyCompany()),
);

test('a further page that is asked for while the list is refreshed comes all the same', { skip }, () =>
  withStage(async ({ scene, enter, gateway }) => {
    await enter(async ({ page }) => {
      let held = 0;
      await page.route(/\/runs\?.*after=[^&]/, async (route) => {
        held += 1;
        if (held === 1) {
          const refreshed = page.waitForResponse(/\/runs\?(?!.*after=[^&])/);
          scene.add({ title: 'Meanwhile' });
          await refreshed;
          await page.getByText('151 tasks').waitFor();
        }
        await route.continue();
      });
      await page.goto(`${gateway.url}/work`);
      await page.getByText('150 tasks').waitFor();
      const bottom = `(() => { const list = document.querySelector('.rows-scroll'); list.scrollTop = list.scrollHeight; })()`;
      await inPage(page, bottom);
      await page.getByText('151 tasks').waitFor();
      await until(
        async () => {
          await inPage(page, bottom);
          return (await page.getByText('Job 0', { exact: true }).count()) > 0;
        },
        'the oldest task',
        PATIENCE,
      );
      assert.ok(held > 0, 'no further page was asked for');
    });
  }, busyCompany(150)),
);

test('what is searched for is kept with what is clicked meanwhile, and never leads back to the list', { skip }, () =>
  withStage(async ({ enter, gateway }) => {
    await enter(async ({ page }) => {
      await page.clock.install();
      await page.goto(`${gateway.url}/work`);
      await page.getByText('150 tasks').waitFor();
      await page.clock.pauseAt(Date.now() + 60_000);
      const search = page.getByLabel('Search the work');
      await search.fill('job 7');
      await page.getByRole('button', { name: 'Failed' }).click();
      await page.waitForURL(/state=failed/);
      await search.fill('job 7x');
      await page.clock.runFor(1_000);
      await page.waitForURL(/state=failed.*text=job\+7x|text=job\+7x.*state=failed/);
      await search.fill('job 7');
      await page.clock.runFor(1_000);
      await page.getByText('1 task found').waitFor();
      await search.fill('job');
      await page.getByRole('link', { name: 'Inbox' }).first().click();
      await page.getByRole('heading', { name: 'Inbox' }).waitFor();
      await page.clock.runFor(1_000);
      assert.equal(page.url(), `${gateway.url}/inbox`);
    });
  }, busyCompany(150)),
);

test('F13 scripts by the clock that found nothing new do not bury the work, and are one switch away', { skip }, () => {
  const scene = new Scene();
  scene.add({ title: 'Write the letter' });
  for (let n = 1; n <= 40; n++)
    scene.add({ title: `probe ${n}`, agent: 'email', from: 'schedule:email/probe', model: 'script' });
  return withStage(async ({ enter, gateway }) => {
    await enter(async ({ page }) => {
      await page.goto(`${gateway.url}/work`);
      await page.getByText('1 task · 40 scripts by the clock found nothing new').waitFor();
      assert.equal(await page.locator('.work-row').count(), 1);
      const too = page.getByRole('button', { name: 'By the clock too' });
      await too.click();
      await page.getByText('41 tasks').waitFor();
      await page.waitForURL(/probes=show/);
      await page.reload();
      await page.getByText('41 tasks').waitFor();
      await page.getByRole('button', { name: 'By the clock too', pressed: true }).click();
      await page.getByText('1 task · 40 scripts').waitFor();
      await page.getByLabel('Agent').selectOption('email');
      await page.getByText('No tasks match these filters.').waitFor();
      await too.click();
      await page.getByText('40 tasks found').waitFor();
      await page.waitForURL(/agent=email.*probes=show/);
    });
  }, scene);
});
