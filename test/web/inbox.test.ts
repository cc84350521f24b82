import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pending } from '../../src/core/api/runtime.ts';
import { noBrowser as skip, withStage } from './browser.ts';
import { call } from './scene.ts';

const approval: Pending = {
  id: 'apr_1',
  kind: 'approval',
  run: 'run_1',
  task: 'tsk_1',
  agent: 'assistant',
  session: 's1',
  tool: 'fetch',
  text: 'fetch {"url": "https://example.org/\u202egnp.exe"}',
  reason: 'builtin:network: The public network is asked for.',
  at: Date.now() - 90_000,
};
const question: Pending = {
  ...approval,
  id: 'qst_1',
  kind: 'question',
  task: 'tsk_2',
  session: 's2',
  tool: null,
  text: 'Which colour?',
  reason: '',
};

test(
  'the inbox: an approval with its exact call and sources, a question, a failure; each is answered in place',
  { skip },
  () =>
    withStage(async ({ scene, open, gateway }) => {
      scene.add({
        title: 'Look it up',
        status: 'waiting',
        pending: [approval],
        list: [call({ tool: 'read', args: '{"path":"inbox/letter.md"}', ok: true, labels: ['untrusted'] })],
      });
      scene.add({ title: 'Paint it', status: 'waiting', pending: [question] });
      scene.add({ title: 'Back up', status: 'failed' });
      await open(async ({ page }) => {
        await page.getByRole('link', { name: 'Inbox 3 waiting for you' }).first().click();
        await page.waitForFunction(`document.title.startsWith('(3)')`);
        const card = page.getByRole('article', { name: 'Approval: fetch' });
        await card.getByText('U+202E').waitFor();
        await card.getByText('The public network is asked for.').waitFor();
        await card.getByText('inbox/letter.md').waitFor();
        await card.getByText('anyone may have written it').waitFor();
        assert.match((await card.locator('time').getAttribute('title')) ?? '', /\d{4}/);
        await card.getByRole('button', { name: 'Approve exactly this' }).click();
        await card.waitFor({ state: 'detached' });

        await page.getByLabel('Your answer').fill('bl');
        await page.goto(`${gateway.url}/inbox`); // what was typed is kept
        assert.equal(await page.getByLabel('Your answer').inputValue(), 'bl');
        await page.getByLabel('Your answer').fill('blue');
        await page.getByRole('button', { name: 'Answer' }).click();
        await page.getByRole('article', { name: 'Question' }).waitFor({ state: 'detached' });

        await page.getByText('The model refused the key.').waitFor();
        await page.getByRole('button', { name: 'Retry' }).click();
        await page.getByText('Nothing waits for you.').waitFor();
        await page.waitForFunction(`document.title === 'Inbox · Ruche'`);
        assert.deepEqual(scene.asked, ['approve apr_1', 'answer blue', 'retry tsk_3']);
      });
    }),
);

test('a budget is raised, and what belongs to no agent is told by Ruche', { skip }, () =>
  withStage(async ({ scene, open }) => {
    const raise = { ...approval, tool: 'budget', text: 'Raise the budget: 2.00 USD today.' };
    scene.add({ title: 'Look it up', status: 'waiting', pending: [raise] });
    const open80 = {
      ...question,
      run: null,
      agent: null,
      task: null,
      session: null,
      text: '80 % of the budget is spent.',
    };
    scene.add({ title: 'Nothing', status: 'waiting', pending: [open80] });
    await open(async ({ page }) => {
      await page
        .getByRole('link', { name: /^Inbox/ })
        .first()
        .click();
      const card = page.getByRole('article', { name: 'Approval: budget' });
      await card.getByText('needs a larger budget:').waitFor();
      assert.equal(await card.getByText('In this task').count(), 0);
      const item = page.getByRole('article', { name: 'Open item' });
      assert.match(await item.innerText(), /^Ruche\b/);
      await card.getByRole('button', { name: 'Raise the budget' }).click();
      await card.waitFor({ state: 'detached' });
      assert.deepEqual(scene.asked, ['approve apr_1']);
    });
  }),
);

test(
  'an approval says who vouches for what, and takes a note, a scope and a value to vouch for; a grant is revoked',
  { skip },
  () =>
    withStage(async ({ scene, open }) => {
      const about: Pending['about'] = {
        rule: 'mail',
        reason: '',
        labels: ['untrusted'],
        sources: [],
        values: [
          { name: 'to', value: 'eve@x.org', vouched: null },
          { name: 'cc', value: 'anna@x.org', vouched: 'owner' },
        ],
        costUsd: 0.25,
      };
      scene.add({ title: 'Mail it', status: 'waiting', pending: [{ ...approval, about, approved: 3 }] });
      const two = { ...approval, id: 'apr_2', approvers: { needed: 2, have: ['chat:1'] } };
      scene.add({ title: 'Pay it', status: 'waiting', pending: [{ ...two, about: { ...about, labels: [] } }] });
      scene.grants = [
        {
          id: 'grt_1',
          scope: 'standing',
          agent: 'assistant',
          tool: 'mail',
          values: [{ name: 'to', glob: '*@x.org' }],
          labels: [],
          task: null,
          until: null,
          count: 5,
          used: 2,
          lastUsed: null,
          at: Date.now(),
          by: 'owner',
          approval: null,
          state: 'active',
        },
      ];
      await open(async ({ page }) => {
        await page
          .getByRole('link', { name: /^Inbox 2/ })
          .first()
          .click();
        const card = page.getByRole('article', { name: 'Approval: fetch' }).first();
        await card.getByText('nobody vouches for it').waitFor();
        await card.getByText('you wrote it').waitFor();
        await card.getByText('It has cost $0.25 so far.').waitFor();
        await card.getByRole('button', { name: 'Approve for 30 days' }).waitFor();
        await card.getByLabel('Note for the agent').fill('Only today.');
        await card.getByLabel('Vouch for this to from now on').check();
        await card.getByRole('button', { name: 'Approve for this task' }).click();
        await page.getByRole('button', { name: 'Approve for this task' }).waitFor({ state: 'detached' });
        const pay = page.getByRole('article', { name: 'Approval: fetch' });
        await pay.getByText('1 of 2 persons have approved: chat:1.').waitFor();
        await page.getByText('to like *@x.org').waitFor();
        await page.getByRole('button', { name: 'Revoke' }).click();
        await page.getByText('to like *@x.org').waitFor({ state: 'detached' });
        const answering = { note: 'Only today.', scope: 'task', vouch: ['to'] };
        assert.deepEqual(scene.asked, [`approve apr_1 ${JSON.stringify(answering)}`, 'revoke grt_1']);
      });
    }),
);

test('for a message without an answer the conversation says why, and lets a person act', { skip }, () =>
  withStage(async ({ scene, enter, gateway }) => {
    scene.add({ title: 'Look it up', status: 'waiting', pending: [approval], session: 's1' });
    scene.add({ title: 'And then this', status: 'queued', session: 's1' });
    scene.add({ title: 'Back up', status: 'failed', session: 's3' });
    await enter(async ({ page }) => {
      await page.goto(`${gateway.url}/chat/assistant/s1`);
      const queued = page.locator('.why-queued');
      await queued.locator('summary').click();
      await queued.getByText('It starts in a moment.').waitFor();
      await page.getByRole('button', { name: 'Deny' }).click();
      await page.getByRole('button', { name: 'Deny' }).waitFor({ state: 'detached' });
      await page.goto(`${gateway.url}/chat/assistant/s3`);
      await page.getByText('The model refused the key.').waitFor();
      await page.getByRole('button', { name: 'Retry' }).click();
      await page.locator('.why-working').waitFor();
      assert.deepEqual(scene.asked, ['deny apr_1', 'retry tsk_3']);
    });
  }),
);

test(
  'what is not there is said once; a person who is not logged in is told how to, and asks no further',
  { skip },
  () =>
    withStage(async ({ open, gateway }) => {
      await open(async ({ page }) => {
        await page.goto(`${gateway.url}/work/tsk_nope`);
        await page.getByText('This task does not exist.').waitFor();
        assert.equal(await page.getByText(/could not load/i).count(), 0);
        assert.equal(await page.title(), 'Work · Ruche');
        // The page before asks nothing more from here on, and no clock but the test's moves the next one.
        await page.goto('about:blank');
        await page.clock.install();
        await page.context().clearCookies();
        const asked: string[] = [];
        page.on('request', (request) => {
          const { pathname } = new URL(request.url());
          if (pathname.startsWith('/api/')) asked.push(pathname);
        });
        await page.goto(`${gateway.url}/work`);
        await page.getByText('You are not logged in').waitFor();
        await page.clock.runFor('10:00');
        await page.getByText('ruche up').first().waitFor();
        assert.deepEqual(asked, ['/api/me']);
        assert.equal(await page.title(), 'logged out · Ruche');
      });
    }),
);

test('loading, empty and failed look different', { skip }, () =>
  withStage(async ({ scene, enter, gateway }) => {
    const waiting = Promise.withResolvers<void>();
    const { runs } = scene.views;
    let fail = true;
    scene.views.runs = async (query) => {
      await waiting.promise;
      if (fail) throw new Error('planted');
      return runs(query);
    };
    await enter(async ({ page }) => {
      // The live stream would have the list read again by itself.
      await page.route(/\/api\/live/, (route) => route.abort());
      await page.goto(`${gateway.url}/work`);
      await page.getByText('Loading the work…').waitFor();
      assert.equal(await page.getByText('No agent has done anything yet.').count(), 0);
      waiting.resolve();
      await page.getByText('Could not load the work').waitFor();
      fail = false;
      await page.getByRole('button', { name: 'Retry' }).click();
      await page.getByText('No agent has done anything yet.').waitFor();
    });
  }),
);
