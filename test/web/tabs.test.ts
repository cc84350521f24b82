// Several tabs of one browser, in Chromium: one stream for all of them, which outlives the tab that holds it.
import assert from 'node:assert/strict';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import type { Pending } from '../../src/core/api/runtime.ts';
import { until } from '../fakes/until.ts';
import { noBrowser as skip, withStage } from './browser.ts';
import { inPage } from './helpers.ts';
import { HandClock } from '../scheduler/worker-kit.ts';
import { Scene } from './scene.ts';

const approval = (n: number): Pending => ({
  id: `apr_${n}`,
  kind: 'approval',
  run: `run_${n}`,
  task: `tsk_${n}`,
  agent: 'assistant',
  session: `s${n}`,
  tool: 'shell',
  text: `shell make-${n}`,
  reason: 'A rule asks.',
  at: Date.now(),
});

const asks = (scene: Scene): void => {
  const n = scene.items.length + 1;
  scene.add({ title: `Build ${n}`, status: 'waiting', pending: [approval(n)] });
};

/** So many more tabs of the same browser. */
async function more(page: Page, url: string, count: number): Promise<Page[]> {
  const pages: Page[] = [];
  for (let n = 0; n < count; n++) {
    const next = await page.context().newPage();
    await next.goto(url);
    await next.locator('main h1').waitFor({ state: 'attached' });
    pages.push(next);
  }
  return pages;
}

const all = async (pages: readonly Page[], look: (page: Page) => Promise<unknown>): Promise<void> =>
  void (await Promise.all(pages.map(look)));

test(
  'seven tabs share one stream, which the next one takes over; a session that ends ends in all of them',
  { skip },
  () =>
    withStage(async ({ scene, enter, gateway }) => {
      await enter(async ({ page: first }) => {
        await first.goto(`${gateway.url}/inbox`);
        await first.getByText('Nothing waits for you.').waitFor();
        const rest = await more(first, `${gateway.url}/inbox`, 6);
        asks(scene);
        await all([first, ...rest], (page) => page.getByText('shell make-1').waitFor());
        await until(() => scene.streams() === 1, 'one stream is open');

        // A conversation in another tab is heard word by word through the same stream.
        const item = scene.add({ title: 'Count', session: 'count', status: 'running' });
        const [second, third] = rest as [Page, Page];
        await all([second, third], (page) => page.goto(`${gateway.url}/chat/assistant/count`));
        await all([second, third], (page) => page.locator('.writing').waitFor());
        scene.say(item, 'one two ');
        await all([second, third], (page) => page.locator('.writing', { hasText: /one two/ }).waitFor());
        await until(() => scene.streams() === 1, 'one stream is open');

        await first.close();
        scene.say(item, 'three');
        await all([second, third], (page) => page.locator('.writing', { hasText: /one two three/ }).waitFor());
        asks(scene);
        await all(rest.slice(2), (page) => page.getByText('shell make-3').waitFor());
        await rest[5]?.getByRole('article', { name: /shell/ }).first().getByRole('button', { name: 'Deny' }).click();
        await all(rest.slice(2, 5), (page) => page.getByText('shell make-1').waitFor({ state: 'detached' }));
        await until(() => scene.streams() === 1, 'one stream is open');

        await rest[4]?.evaluate(
          "fetch('/api/logout', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })",
        );
        await all(rest, (page) => page.getByText('You are not logged in').waitFor());
        await until(() => scene.streams() === 0, 'no stream is open');

        // The link is opened in one of them; the others find out when they are looked at.
        await second.goto(gateway.loginLink() ?? '');
        await second.getByText('Three things to try').waitFor();
        await inPage(third, "dispatchEvent(new Event('focus'))");
        await third.locator('.writing', { hasText: /one two three/ }).waitFor();
      });
    }),
);

test('a tab that has the stream and is frozen loses it to one that is looked at', { skip }, () =>
  withStage(async ({ scene, enter, gateway }) => {
    await enter(async ({ page: first }) => {
      await first.goto(`${gateway.url}/inbox`);
      await first.getByText('Nothing waits for you.').waitFor();
      await until(() => scene.streams() === 1, 'one stream is open');
      // What a frozen tab does: it holds its lock, and answers nothing.
      await inPage(first, 'BroadcastChannel.prototype.postMessage = () => undefined');
      const second = await first.context().newPage();
      await second.clock.install();
      await second.goto(`${gateway.url}/inbox`);
      await second.getByText('Nothing waits for you.').waitFor();
      await second.clock.runFor(5_000);
      asks(scene);
      await second.getByText('shell make-1').waitFor();
      await until(() => scene.streams() === 1, 'the first has let go of its stream');
    });
  }),
);

test('without locks, as over plain HTTP, each tab has a stream while it is seen', { skip }, () =>
  withStage(async ({ scene, enter, gateway }) => {
    await enter(async ({ page }) => {
      await page.addInitScript('delete Navigator.prototype.locks');
      await page.goto(`${gateway.url}/inbox`);
      await page.getByText('Nothing waits for you.').waitFor();
      await until(() => scene.streams() === 1, 'one stream is open');
      const hide = (to: string): Promise<unknown> =>
        inPage(
          page,
          `Object.defineProperty(document, 'visibilityState', { value: '${to}', configurable: true });
          document.dispatchEvent(new Event('visibilitychange'))`,
        );
      await hide('hidden');
      await until(() => scene.streams() === 0, 'no stream is open');
      asks(scene);
      await hide('visible');
      await page.getByText('shell make-1').waitFor();
      await until(() => scene.streams() === 1, 'one stream is open');
    });
  }),
);

/** A line to the gateway. `die`: what is open for a stream carries nothing any more, and nobody is told. */
async function line(port: number) {
  const streams = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    near.on('data', (bytes: Buffer) => {
      if (bytes.includes('GET /api/live')) streams.add(far);
      far.write(bytes);
    });
    far.pipe(near);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const)
      one.on('error', () => other.destroy()).on('close', () => other.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const die = (): void => {
    for (const far of streams) far.unpipe().resume();
    streams.clear();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, die, close: () => server.close() };
}

test(
  'a stream that died without a word, as over sleep, is opened again; one that is only quiet is kept',
  { skip },
  () => {
    const clock = new HandClock();
    return withStage(
      async ({ scene, enter, gateway }) => {
        const { url, die, close } = await line(gateway.port);
        try {
          await enter(async ({ page }) => {
            await page.addInitScript(`alive = 0; opened = 0; EventSource = class extends EventSource {
            constructor(...given) {
              super(...given);
              this.addEventListener('open', () => (opened += 1));
              this.addEventListener('alive', () => (alive += 1));
            }
          }`);
            await page.clock.install();
            await page.goto(`${url}/inbox`);
            await page.getByText('Nothing waits for you.').waitFor();
            await until(() => scene.streams() === 1, 'one stream is open');
            await page.clock.pauseAt(Date.now() + 600_000);
            await until(() => inPage(page, 'opened === 2'), 'the pause was long: the stream was opened again');
            for (let beats = 1; beats <= 3; beats++) {
              await page.clock.runFor(30_000);
              await clock.pass(15_000);
              await until(() => inPage(page, `alive === ${beats}`), 'the gateway is heard');
            }
            assert.equal(await inPage(page, 'opened'), 2);

            die();
            asks(scene);
            await page.clock.runFor(45_000);
            await page.getByText('shell make-1').waitFor();
            assert.equal(await inPage(page, 'opened'), 3);
          });
        } finally {
          close();
        }
      },
      new Scene(),
      clock,
    );
  },
);

test('a tab that outlives an upgrade says so, and a plain restart is none', { skip }, () =>
  withStage(async (stage) => {
    await stage.enter(async ({ page }) => {
      await page.goto(`${stage.gateway.url}/inbox`);
      const news = page.getByText('Ruche was updated, and this page is the one from before.');
      const lost = page.getByText('The connection to Ruche is lost.');
      const again = async (): Promise<void> => {
        await stage.stop();
        await lost.waitFor();
        const looked = page.waitForResponse(`${stage.gateway.url}/`);
        await stage.start();
        await (await looked).finished();
        await lost.waitFor({ state: 'detached' });
      };
      await page.getByText('Nothing waits for you.').waitFor();
      await again();
      assert.equal(await news.count(), 0);
      let upgraded = true;
      await page.route(`${stage.gateway.url}/`, async (route) => {
        const response = await route.fetch();
        const body = (await response.text()).replace(/index-[^"]+\.js/, 'index-NEWER.js');
        await (upgraded ? route.fulfill({ response, body }) : route.continue());
      });
      await again();
      await news.waitFor();
      upgraded = false;
      await page.getByRole('button', { name: 'Reload the page' }).click();
      await news.waitFor({ state: 'detached' });
    });
  }),
);

test('Approve that is clicked twice is said once', { skip }, () =>
  withStage(async ({ scene, enter, gateway }) => {
    asks(scene);
    await enter(async ({ page }) => {
      await page.goto(`${gateway.url}/inbox`);
      await page.getByRole('article', { name: /shell/ }).getByRole('button', { name: 'Approve' }).first().dblclick();
      await page.getByText('Nothing waits for you.').waitFor();
      assert.deepEqual(scene.asked, ['approve apr_1']);
    });
  }),
);
