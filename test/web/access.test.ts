import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pending } from '../../src/core/api/runtime.ts';
import { whole } from '../fakes/effort.ts';
import { noBrowser as skip, withStage } from './browser.ts';
import { schedule, axe, inPage, scrollsSideways, withAxe } from './helpers.ts';
import { agent, call, Scene } from './scene.ts';

const LONG = 'averyveryveryverylongwordwithoutanyplacetobreakit'.repeat(4);

function company(): Scene {
  const scene = new Scene();
  scene.demo = false;
  const pending: Pending = {
    id: 'apr_1',
    kind: 'approval',
    run: 'run_2',
    task: 'tsk_2',
    agent: 'email',
    session: 'a',
    tool: 'shell',
    text: `shell ${LONG}`,
    reason: 'A rule asks.',
    at: Date.now(),
  };
  const list = [call({ args: `{"command":"${LONG}"}`, ok: true, ms: 12, result: LONG, labels: ['private'] })];
  const diff = {
    labels: {},
    commit: 'abcdef',
    cut: true,
    files: [
      { path: `${LONG}.md`, change: 'changed', binary: false, patch: `@@ -1 +1 @@\n-${LONG}\n+${LONG}\n` } as const,
    ],
  };
  const reply = `# Head\n\n${LONG}\n\n| a | b |\n|--|--|\n| ${LONG} | 2 |\n\n\`\`\`\n${LONG}\n\`\`\`\n\n[x](https://example.org)`;
  scene.add({ title: `Title ${LONG}`, agent: 'email', session: 'a', reply, list, diff, commit: 'abcdef' });
  scene.add({ title: 'Second', agent: 'email', session: 'a', status: 'waiting', pending: [pending], list });
  scene.add({ title: 'Third', session: 'b', status: 'failed' });
  scene.agents[1] = { ...agent('email'), description: LONG, paused: { at: Date.now(), by: 'owner', reason: LONG } };
  scene.ruled.rules = [{ id: LONG, verdict: 'ask', match: { path: `${LONG}/**` }, reason: LONG }];
  scene.schedules = [schedule('email', LONG), schedule('assistant')];
  scene.add({ title: 'Fourth', session: 'c', status: 'running', channel: 'telegram', from: 'telegram:123' });
  return scene;
}

const PLACES = [
  '/',
  '/chat/email/a',
  '/chat/email/a?steps=tsk_1',
  '/chat/assistant/new',
  '/work',
  '/work?state=failed&text=nothing',
  '/work/tsk_1',
  '/work/tsk_1/exact/none',
  '/work/none',
  '/board',
  '/agents',
  '/agents/email',
  '/inbox',
  '/models',
  '/costs',
  '/nowhere',
];

/** What axe sees: the narrow one has all that is folded away, too, and is looked at each time. */
const LOOKS = [[320, 'dark'] as const, ...(whole ? [[1280, 'light'] as const] : [])];

test(
  'axe finds nothing on any page, wide and light, narrow and dark; nothing scrolls sideways from 320 pixels on',
  { skip },
  () =>
    withStage(async ({ enter, gateway }) => {
      await enter(async ({ page }) => {
        await withAxe(page);
        const found: string[] = [];
        const look = async (what: string): Promise<void> => {
          for (const [width, colorScheme] of LOOKS) {
            await page.emulateMedia({ colorScheme });
            await page.setViewportSize({ width, height: 800 });
            for (const each of await axe(page)) found.push(`${what}, ${width} pixels, ${colorScheme}: ${each}`);
          }
          for (const width of [320, 390, 768, 1440]) {
            await page.setViewportSize({ width, height: 800 });
            if (await scrollsSideways(page)) found.push(`${what} at ${width}: scrolls sideways`);
          }
        };
        for (const path of PLACES) {
          await page.goto(gateway.url + path);
          await page.locator('main h1').first().waitFor({ state: 'attached' });
          await page.locator('.loading').first().waitFor({ state: 'detached' });
          await look(path);
        }
        await page.getByRole('button', { name: /^This browser/ }).click();
        await page.getByRole('dialog').waitFor();
        await look('this browser');
        await page.getByRole('button', { name: 'Log out of this browser' }).click();
        await page.getByText('You are not logged in').waitFor();
        await look('logged out');
        assert.deepEqual(found, []);
      });
    }, company()),
);

test('colours follow the system, and the switch, over a reload', { skip }, () =>
  withStage(async ({ open, gateway }) => {
    const paper = 'getComputedStyle(document.body).backgroundColor';
    await open(
      async ({ page }) => {
        assert.equal(await inPage(page, paper), 'rgb(23, 22, 19)');
        await page.getByRole('button', { name: /^Colours: same as the system/ }).click();
        await page.getByRole('button', { name: /^Colours: light/ }).waitFor();
        assert.equal(await inPage(page, paper), 'rgb(250, 249, 245)');
        await page.goto(`${gateway.url}/inbox`);
        assert.equal(await inPage(page, paper), 'rgb(250, 249, 245)');
        assert.match(await inPage(page, `getComputedStyle(document.documentElement).colorScheme`), /light/);
      },
      { colorScheme: 'dark', reducedMotion: 'reduce' },
    );
  }),
);

test('with the keyboard alone: skip link, a new message, its steps, the inbox, the shortcuts; no trap', { skip }, () =>
  withStage(async ({ scene, open, gateway }) => {
    scene.onMessage = (item) => scene.finish(item, 'Done so.');
    await open(async ({ page }) => {
      const focused = (): Promise<string> =>
        inPage(page, `document.activeElement.textContent || document.activeElement.id`);
      await page.getByText('Three things to try').waitFor();
      await page.keyboard.press('Tab');
      assert.equal(await focused(), 'Skip to the content');
      await page.keyboard.press('Enter');
      assert.equal(await inPage(page, 'document.activeElement.tagName'), 'MAIN');
      await page.keyboard.press('/');
      assert.equal(await inPage(page, 'document.activeElement.id'), 'composer');
      await page.keyboard.type('n is a letter here');
      await page.keyboard.press('Enter');
      await page.locator('.answer', { hasText: 'Done so.' }).waitFor();
      await page.keyboard.press('Escape');
      for (let n = 0; n < 30 && (await focused()) !== 'Steps'; n++) await page.keyboard.press('Shift+Tab');
      assert.equal(await focused(), 'Steps');
      assert.notEqual(await inPage(page, `getComputedStyle(document.activeElement).outlineStyle`), 'none');
      await page.keyboard.press('Enter');
      await page.getByRole('complementary', { name: 'Steps' }).waitFor();
      await page.keyboard.press('i');
      await page.waitForURL(`${gateway.url}/inbox`);
      await page.getByText('Nothing waits for you.').waitFor();
      await page.keyboard.press('?');
      await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
      await page.keyboard.press('Escape');
      await page.locator('dialog').waitFor({ state: 'detached' });
      await page.keyboard.press('w');
      await page.locator('.work-row').first().waitFor();
      // Through everything and round again: a trap would hold the focus.
      const seen = new Set<string>();
      for (let n = 0; n < 40; n++) {
        await page.keyboard.press('Tab');
        seen.add(await inPage(page, `document.activeElement.outerHTML.slice(0, 200)`));
      }
      assert.ok(seen.size >= 12, `only ${seen.size} places`);
    });
  }),
);
