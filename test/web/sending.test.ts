// What a person writes is not lost and not sent without end, in Chromium: busy gateways, sessions that end, files, drafts.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect, createServer, type AddressInfo } from 'node:net';
import { noBrowser as skip, withStage } from './browser.ts';
import { HandClock } from '../scheduler/worker-kit.ts';
import { inPage } from './helpers.ts';
import { Scene } from './scene.ts';

const FILE = { name: 'plan.md', mimeType: 'text/markdown', buffer: Buffer.from('# x') };

test(
  'a gateway that stays busy is asked ten times in minutes, which is told, and the text goes back to its field',
  { skip },
  () =>
    withStage(async ({ open, gateway }) => {
      await open(async ({ page }) => {
        await page.clock.install();
        // A stream that opens at once: a real one takes time that this clock, which jumps, does not know.
        await page.addInitScript(`EventSource = class extends EventTarget {
          static CONNECTING = 0;
          readyState = 1;
          constructor() { super(); queueMicrotask(() => this.dispatchEvent(new Event('open'))); }
          close() {}
        }`);
        await page.goto(gateway.url);
        let posts = 0;
        const busy = { status: 429, json: { error: { code: 'busy', message: 'Too much to do.' } } };
        await page.route(/\/api\/messages/, (route) => {
          posts += 1;
          return route.fulfill(busy);
        });
        const field = page.getByRole('textbox', { name: 'Write to assistant' });
        await field.fill('hello');
        await page.clock.pauseAt(Date.now() + 60_000);
        await page.keyboard.press('Enter');
        await page.getByText('Not sent yet: Too much to do. Next attempt in 1 s.').waitFor();
        assert.equal(posts, 1);
        const end = page.getByText('Not sent: Too much to do. It was tried 10 times.');
        for (let n = 2; n <= 10; n++) {
          const pause = Math.min(2 ** (n - 2), 60);
          // Up to before it is due, then second by second: the next pause, which begins with an answer, is longer than that.
          await page.clock.runFor(Math.max(0, pause - 2) * 1_000);
          assert.equal(posts, n - 1);
          while (posts < n) await page.clock.runFor(1_000);
          await page.getByText('Next attempt').or(end).waitFor();
          assert.equal(posts, n);
        }
        await end.waitFor();
        await page.clock.runFor(600_000);
        assert.equal(posts, 10);
        await page.reload();
        await end.waitFor();
        await page.getByRole('button', { name: 'Edit' }).click();
        assert.equal(await field.inputValue(), 'hello');
        assert.equal(await page.locator('.unsent').count(), 0);
        assert.equal(posts, 10);
      });
    }),
);

test('a message into a session that has ended is kept, and sent once after the next login', { skip }, () =>
  withStage(async ({ scene, open, gateway }) => {
    await open(async ({ page, requests }) => {
      const context = page.context();
      const field = page.getByRole('textbox', { name: 'Write to assistant' });
      await field.fill('pay the bill');
      await context.clearCookies();
      await page.keyboard.press('Enter');
      await page.getByText('You are not logged in').waitFor();
      await page.getByText('What you wrote is kept in this tab').waitFor();
      const posts = (): number => requests.filter((each) => each.endsWith('/api/messages')).length;
      assert.equal(posts(), 1);
      assert.deepEqual(scene.asked, []);
      const other = await context.newPage();
      await other.goto(gateway.loginLink() ?? '');
      await other.getByText('Three things to try').waitFor();
      await inPage(page, "dispatchEvent(new Event('focus'))");
      await page.locator('.said .bubble:not(.unsent)', { hasText: 'pay the bill' }).waitFor();
      assert.deepEqual(scene.asked, ['deliver pay the bill']);
      assert.equal(posts(), 2);
    });
  }),
);

test('what a proxy answers in its own way is said in words, and the text can be had back', { skip }, () =>
  withStage(async ({ enter, gateway, scene }) => {
    await enter(async ({ page }) => {
      const answers = [
        [413, 'Not sent: This is larger than a proxy between this page and Ruche lets through (413).'],
        [200, 'Not sent: The answer does not come from Ruche but from something in between'],
      ] as const;
      let status = 0;
      const body = '<html><h1>nginx</h1></html>';
      await page.route(/\/api\/messages/, (route) => route.fulfill({ status, contentType: 'text/html', body }));
      await page.goto(gateway.url);
      const field = page.getByRole('textbox', { name: 'Write to assistant' });
      for (const [answered, words] of answers) {
        status = answered;
        await field.fill(`pay ${answered}`);
        await page.keyboard.press('Enter');
        await page.getByText(words).waitFor();
        await page.getByRole('button', { name: 'Edit' }).click();
        await page.getByText(words).waitFor({ state: 'detached' });
        assert.equal(await field.inputValue(), `pay ${answered}`);
      }
      assert.deepEqual(scene.asked, []);
    });
  }),
);

test('chosen files stay while other places are looked at; a reload says which to choose again', { skip }, () =>
  withStage(async ({ open, scene }) => {
    await open(async ({ page }) => {
      const field = page.getByRole('textbox', { name: 'Write to assistant' });
      await field.fill('look at this');
      const chosen = page.getByRole('list', { name: 'Files to send' });
      await page.getByLabel('Files', { exact: true }).setInputFiles(FILE);
      await chosen.getByText('plan.md').waitFor();
      await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Inbox' }).click();
      await page.getByText('Nothing waits for you.').waitFor();
      await page.goBack();
      await chosen.getByText('plan.md').waitFor();
      assert.equal(await field.inputValue(), 'look at this');
      await page.reload();
      const lost = page.getByText('The page was reloaded, and the browser keeps no files. Choose again: plan.md.');
      await lost.waitFor();
      assert.equal(await field.inputValue(), 'look at this');
      await page.getByLabel('Files', { exact: true }).setInputFiles(FILE);
      await lost.waitFor({ state: 'detached' });
      await page.getByRole('button', { name: 'Send' }).click();
      await page.locator('.said .bubble:not(.unsent)').waitFor();
      assert.deepEqual([...scene.files.keys()], ['plan.md']);
    });
  }),
);

test('an Enter that only confirms what an input method composes sends nothing, as Safari tells it too', { skip }, () =>
  withStage(async ({ scene, open }) => {
    await open(async ({ page }) => {
      const field = page.getByRole('textbox', { name: 'Write to assistant' });
      await field.fill('日本');
      const enter = (how: string): Promise<boolean> =>
        inPage(
          page,
          `document.querySelector('#composer').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ${how} }))`,
        );
      // True: nobody has taken the key for himself.
      assert.equal(await enter('keyCode: 229'), true);
      assert.equal(await enter('isComposing: true'), true);
      assert.equal(await field.inputValue(), '日本');
      assert.equal(await enter('keyCode: 13'), false);
      await page.locator('.said .bubble:not(.unsent)', { hasText: '日本' }).waitFor();
      assert.deepEqual(scene.asked, ['deliver 日本']);
    });
  }),
);

test('an answer is copied where the browser has no clipboard, and else it is said', { skip }, () =>
  withStage(async ({ scene, enter, gateway }) => {
    scene.add({ title: 'Ask', session: 'copy', reply: 'The answer is 42.' });
    await enter(async ({ page }) => {
      await page.addInitScript('delete Navigator.prototype.clipboard');
      await page.goto(`${gateway.url}/chat/assistant/copy`);
      const copy = page.getByRole('button', { name: 'Copy this answer' });
      await copy.click();
      const field = page.getByRole('textbox', { name: 'Write to assistant' });
      await field.focus();
      await page.keyboard.press('Control+v');
      assert.equal(await field.inputValue(), 'The answer is 42.');
      await inPage(page, "document.execCommand = () => { throw new Error('not allowed'); }");
      await copy.click();
      await page.locator('.answer .bad', { hasText: 'The browser did not allow copying.' }).waitFor();
    });
  }),
);

test('text that was copied with a picture of itself is pasted as text, and a picture alone as a file', { skip }, () =>
  withStage(async ({ open, gateway }) => {
    await open(async ({ page }) => {
      await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: gateway.url });
      const field = page.getByRole('textbox', { name: 'Write to assistant' });
      // As Word, Excel and LibreOffice put it; then as a browser puts a picture of a page.
      const copy = (plain: string, html: string): Promise<unknown> =>
        inPage(
          page,
          `(async () => {
            const canvas = document.createElement('canvas');
            const picture = await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
            const parts = { 'text/html': new Blob([${JSON.stringify(html)}], { type: 'text/html' }), 'image/png': picture };
            const plain = ${JSON.stringify(plain)};
            if (plain !== '') parts['text/plain'] = new Blob([plain], { type: 'text/plain' });
            await navigator.clipboard.write([new ClipboardItem(parts)]);
          })()`,
        );
      await copy('Item\tPrice\nBolt\t3', '<table><tr><td>Item<td>Price<tr><td>Bolt<td>3</table>');
      await field.focus();
      await page.keyboard.press('Control+v');
      await page.getByRole('button', { name: 'Send' }).and(page.locator(':enabled')).waitFor();
      assert.equal(await field.inputValue(), 'Item\tPrice\nBolt\t3');
      const chosen = page.getByRole('list', { name: 'Files to send' });
      assert.equal(await chosen.count(), 0);

      await copy('', '<img src="https://example.org/a.png">');
      await page.keyboard.press('Control+v');
      await chosen.getByText('image.png').waitFor();
      assert.equal(await field.inputValue(), 'Item\tPrice\nBolt\t3');
    });
  }),
);

test('of what is dropped, a folder and what is too much are named, and the rest is added', { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ruche-drop-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'invoices'));
  await writeFile(join(folder, 'big.bin'), Buffer.alloc(25_000_001));
  await writeFile(join(folder, 'empty.txt'), '');
  await writeFile(join(folder, 'plan.md'), '# x');
  await withStage(async ({ open, scene }) => {
    await open(async ({ page, errors }) => {
      await page.getByRole('textbox', { name: 'Write to assistant' }).waitFor();
      const files = ['invoices', 'big.bin', 'empty.txt', 'plan.md'].map((name) => join(folder, name));
      const devtools = await page.context().newCDPSession(page);
      for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
        await devtools.send('Input.dispatchDragEvent', {
          type,
          x: 500,
          y: 300,
          data: { items: [], files, dragOperationsMask: 1 },
        });
      const chosen = page.getByRole('list', { name: 'Files to send' });
      await chosen.getByText('plan.md').waitFor();
      const told = await page.getByRole('alert').textContent();
      assert.equal(
        told,
        'invoices was not added: the browser cannot read it. Of a folder, choose the files in it. ' +
          'big.bin was not added: a message can have 20 files, 25.0 MB in all.',
      );
      await page.getByRole('button', { name: 'Send' }).click();
      await page.locator('.said .bubble:not(.unsent)').waitFor();
      assert.deepEqual(
        [...scene.files].map(([name, { bytes }]) => [name, bytes.length]),
        [
          ['empty.txt', 0],
          ['plan.md', 3],
        ],
      );
      assert.deepEqual(errors, []);
    });
  });
});

/** A line over which the browser's bytes go on in pieces, each of which takes a second of the gateway's clock. */
async function slowLine(port: number, bytesPerSecond: number, clock: HandClock) {
  const seconds = { passed: 0 };
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    far.pipe(near);
    far.on('error', () => near.destroy());
    near.on('error', () => far.destroy());
    void (async () => {
      for await (const chunk of near as AsyncIterable<Buffer>)
        for (let at = 0; at < chunk.length; at += bytesPerSecond) {
          const piece = chunk.subarray(at, at + bytesPerSecond);
          await new Promise<void>((resolve) => far.write(piece, () => resolve()));
          if (chunk.length < 10_000) continue; // what is no upload
          seconds.passed += piece.length / bytesPerSecond;
          await clock.pass((piece.length / bytesPerSecond) * 1_000);
        }
      far.end();
    })().catch(() => far.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seconds, server };
}

test('a file of 4 MB over a line of 100 kB/s arrives, though it takes most of a minute', { skip }, () => {
  const clock = new HandClock();
  const scene = new Scene();
  return withStage(
    async ({ enter, gateway }) => {
      await enter(async ({ page }) => {
        const { url, seconds, server } = await slowLine(gateway.port, 100_000, clock);
        try {
          await page.goto(url);
          const bytes = Buffer.alloc(4_000_000, 7);
          const file = { name: 'plan.bin', mimeType: 'application/octet-stream', buffer: bytes };
          await page.getByLabel('Files', { exact: true }).setInputFiles(file);
          await page.getByRole('list', { name: 'Files to send' }).getByText('plan.bin').waitFor();
          await page.getByRole('button', { name: 'Send' }).click();
          await page.locator('.said .bubble:not(.unsent)').waitFor();
          assert.ok(seconds.passed > 50, `it took ${seconds.passed} s`);
          assert.equal(scene.files.get('plan.bin')?.bytes.length, 4_000_000);
        } finally {
          server.close();
        }
      });
    },
    scene,
    clock,
  );
});
