import { test } from 'node:test';
import { Home } from '../fakes/home.ts';
import { chunk, DONE, modelServer } from '../fakes/model-server.ts';
import { builtForRoot, noBrowser as skip, visit } from './browser.ts';

const say = (content: string): string => chunk({ role: 'assistant', content });

test('a reload in the middle of a stream of a real process', { skip, timeout: 40_000 }, async () => {
  builtForRoot();
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  const server = await modelServer(() => ({
    pieces: [
      say('one '),
      say('two '),
      gates[0].promise,
      say('three '),
      gates[1].promise,
      say('four'),
      chunk({}, 'stop'),
      DONE,
    ],
  }));
  const env = { OPENAI_API_KEY: 'sk-x', OPENAI_MODEL: 'm', OPENAI_BASE_URL: server.baseUrl };
  const home = await Home.up({ env, beside: [server] });
  try {
    const { path } = await home.api<{ path: string }>('/api/logins', {});
    await visit(home.url + path, async ({ page }) => {
      await page.getByRole('textbox').fill('count');
      await page.getByRole('button', { name: 'Send' }).click();
      await page.locator('.writing', { hasText: 'one two' }).waitFor();
      await page.reload();
      await page.locator('.writing', { hasText: 'one two' }).waitFor();
      gates[0].resolve();
      await page.locator('.writing', { hasText: 'one two three' }).waitFor();
      gates[1].resolve();
      await page.locator('.answer:not(.writing)', { hasText: 'one two three four' }).waitFor();
    });
  } finally {
    await home.close();
  }
});
