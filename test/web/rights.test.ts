import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noBrowser as skip, withStage } from './browser.ts';
import { axe, inPage, withAxe } from './helpers.ts';
import { Scene } from './scene.ts';

function ruled(): Scene {
  const scene = new Scene();
  scene.ruled.rights = { tools: ['write', 'fetch'] };
  scene.ruled.rules = [
    { id: 'contracts', verdict: 'ask', match: { path: 'contracts/**' }, reason: 'Contracts need a person.' },
    { id: 'docs', verdict: 'allow', match: { host: 'docs.example.org' }, reason: 'Our own documentation.' },
  ];
  return scene;
}

test('the rights of an agent as a table, with file and line', { skip }, () =>
  withStage(async ({ enter, gateway }) => {
    await enter(async ({ page }) => {
      await page.goto(`${gateway.url}/agents`);
      await page.getByRole('article', { name: 'email' }).getByRole('link', { name: 'Rights' }).click();
      await page.getByRole('heading', { name: 'Rights of email' }).waitFor();
      const row = (text: string): Promise<string | null> =>
        page.getByRole('row').filter({ hasText: text }).textContent();
      assert.match(
        (await row('contracts/**')) ?? '',
        /^Asks.*any.*contracts.*ruche\.yaml:7.*Contracts need a person\.$/,
      );
      assert.match((await row('docs.example.org')) ?? '', /^Allowed/);
      assert.match((await row('any other host')) ?? '', /^Asks.*builtin:public-network/);
      assert.match((await row('tell')) ?? '', /^Denied.*builtin:agent-tools.*agents\/email\/AGENT\.md:7/);
    });
  }, ruled()),
);

test(
  'the simulator: with the keyboard alone, a verdict with its reason and what would change it, heard and without fault',
  { skip },
  () =>
    withStage(async ({ enter, gateway }) => {
      await enter(async ({ page }) => {
        await withAxe(page);
        await page.goto(`${gateway.url}/agents/email`);
        await page.getByLabel('Tool', { exact: true }).focus();
        await page.keyboard.type('fetch');
        await page.keyboard.press('Tab');
        await page.keyboard.type('https://docs.example.org/guide');
        await page.keyboard.press('Enter');
        const told = page.getByRole('status').filter({ hasText: 'docs' });
        await told.getByText('Our own documentation.').waitFor();
        assert.match((await told.textContent()) ?? '', /^Allowed docs ruche\.yaml:7/);
        // Two fields on: what the run has read.
        for (const key of ['Tab', 'Tab', 'Space', 'Tab', 'Space', 'Tab', 'Enter']) await page.keyboard.press(key);
        await told.getByText('builtin:rule-of-two').first().waitFor();
        await told.getByText('with an approved value of url').waitFor();
        assert.equal(await inPage(page, 'document.activeElement.textContent'), 'Ask the rules');
        assert.deepEqual(await axe(page), []);
        await page.getByLabel('Tool', { exact: true }).selectOption('write');
        await page.getByLabel(/^Command/).fill('ruche.yaml');
        await page.keyboard.press('Enter');
        await page.getByText('ruche.yaml is protected (it governs the network)').waitFor();
        await page.getByLabel(/^Command/).fill('{"path": 1}');
        await page.keyboard.press('Enter');
        await page.locator('.bad', { hasText: 'The arguments of write do not fit' }).waitFor();
      });
    }, ruled()),
);
