// The whole of it: the process as a person starts it, with the demo model, and the page it serves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Home } from '../fakes/home.ts';
import { chunk, DONE, modelServer } from '../fakes/model-server.ts';
import { builtWeb, noBrowser as skip, visit } from './browser.ts';

const say = (content: string): string => chunk({ role: 'assistant', content });
const USAGE = { usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 } };
const END = chunk({}, 'stop', USAGE);

const link = async (home: Home): Promise<string> =>
  home.url + (await home.api<{ path: string }>('/api/logins', {})).path;

test(
  'with the demo: the tour, an approval, a question, a crash in the middle; then with a server given on the page, a reload in mid-stream',
  { skip },
  async () => {
    builtWeb();
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const counting = [say('one '), say('two '), gates[0].promise, say('three '), gates[1].promise, say('four')];
    const server = await modelServer(({ body }) => {
      const asked = JSON.stringify((body['messages'] as unknown[]).at(-1));
      return { pieces: [...(asked.includes('count') ? counting : [say('This is **real**.')]), END, DONE] };
    });
    const home = await Home.up({ beside: [server] });
    try {
      await visit(await link(home), async ({ page, requests, errors }) => {
        await page.getByText('Ruche is running').waitFor();
        await page.locator('.try').nth(1).click();
        await page.getByRole('button', { name: 'Send' }).click();
        const answer = page.locator('.answer:not(.writing)');
        await answer.getByText('5 notes.md').waitFor();
        assert.equal(home.read('notes.md'), 'hello');
        await page.getByRole('link', { name: 'Steps and changes' }).click();
        const beside = page.getByRole('complementary', { name: 'Steps' });
        await beside.locator('.plus', { hasText: '+hello' }).waitFor();
        await beside.getByText('wc -c notes.md').first().click();
        await beside.locator('summary', { hasText: 'Asked' }).first().click();
        await beside.getByRole('link', { name: 'Exact request' }).first().click();
        await page.getByText('write notes.md: hello, then run: wc -c notes.md').first().waitFor();
        await page.goBack();

        const field = page.getByRole('textbox', { name: /^(Write|Your answer) to assistant/ });
        await field.fill('write contracts/rent.md: 900 a month');
        await field.press('Enter');
        const card = page.getByRole('article', { name: 'Approval: write' });
        await card.getByText('contracts/rent.md').first().waitFor();
        await card.getByText('In this task it has read nothing from outside').waitFor();
        assert.equal(home.exists('contracts/rent.md'), false);
        await card.getByRole('button', { name: 'Approve exactly this' }).click();
        await answer.getByText('Created contracts/rent.md').waitFor();
        assert.equal(home.read('contracts/rent.md'), '900 a month');

        await field.fill('ask me: which colour?');
        await field.press('Enter');
        await page.getByRole('article', { name: 'Question' }).getByText('which colour?').waitFor();
        await field.fill('blue');
        await field.press('Enter');
        await answer.getByText('blue').waitFor();
        await page.getByText('Answers “which colour?”').waitFor();

        await field.fill('run: sleep 1 && echo over');
        await field.press('Enter');
        await page.locator('.writing').waitFor();
        await home.end('SIGKILL');
        await page.getByText('The connection to Ruche is lost.').waitFor();
        await home.start();
        await answer.getByText('over', { exact: false }).last().waitFor();
        await page.getByText('The connection to Ruche is lost.').waitFor({ state: 'detached' });
        await page.getByRole('link', { name: 'demo model' }).click();
        await page.getByLabel('Another server').check();
        await page.getByLabel('Address', { exact: true }).fill(server.baseUrl);
        await page.getByLabel('Model', { exact: true }).fill('large');
        await page.getByRole('button', { name: 'Test and save' }).click();
        await page.getByText('It works:').waitFor();
        await page.getByRole('link', { name: 'Chat' }).first().click();
        await page.getByText('What would you like done?').waitFor();
        await field.fill('hello');
        await field.press('Enter');
        await answer.locator('strong', { hasText: 'real' }).waitFor();

        await field.fill('count');
        await field.press('Enter');
        await page.locator('.writing', { hasText: 'one two' }).waitFor();
        await page.reload();
        await page.locator('.writing', { hasText: 'one two' }).waitFor();
        gates[0].resolve();
        await page.locator('.writing', { hasText: 'one two three' }).waitFor();
        gates[1].resolve();
        await page.locator('.answer:not(.writing)', { hasText: 'one two three four' }).waitFor();

        assert.deepEqual(
          requests.filter((url) => !url.startsWith(`${home.url}/`)),
          [],
        );
        assert.deepEqual(errors, []);
      });
    } finally {
      await home.close();
    }
  },
);
