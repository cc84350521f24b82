// Work that nobody can do, or that nobody could hold: it is refused at the door, or those who need to know are told.
import assert from 'node:assert/strict';
import { createReadStream, readFileSync, truncateSync } from 'node:fs';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { AGENT, Home } from '../fakes/home.ts';
import { until } from '../fakes/until.ts';

const SIZE = 50_000_000;
const SECRET = 'a-secret-of-the-tests-42';
/** An engine that goes back takes longer for each letter: sixteen seconds for 27 of them. */
const SLUG = '^([a-z0-9]+-?)+$';
/** Kilobytes that a body or file which is refused may cost: what was read until then, and what is not collected yet. */
const COST_KB = 80_000;

let home: Home;
before(async () => {
  home = await Home.up({
    files: {
      'ruche.yaml': `queues:
  email: { state: paused }
  emai: { concurrency: 1 }
  slugs: { input: { type: object, properties: { slug: { type: string, pattern: '${SLUG}' } } } }
`,
      'agents/assistant/AGENT.md': AGENT,
      'agents/email/AGENT.md': AGENT,
      'agents/slugs/AGENT.md': `---
description: names things
triggers: [{ name: named, on: webhook, hook: slugs, auth: bearer, secret: env:HOOK_SECRET, task: "list {{body.slug}}" }]
---
You name things.
`,
      'agents/Email/AGENT.md': AGENT,
    },
    env: { HOOK_SECRET: SECRET },
  });
});
after(() => home.close());

const inbox = (queue: string, name: string, text: string): void => home.write(`tasks/${queue}/inbox/${name}`, text);
const reason = (queue: string, name: string): Promise<string> =>
  until(() => {
    const path = `tasks/${queue}/rejected/${name}.reason.txt`;
    return home.exists(path) ? home.read(path) : null;
  }, `${queue}/${name} is refused`);
const peak = (): number => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${home.pid}/status`, 'utf8'))?.[1]);

test('an agent nobody knows, a queue of nobody, names that differ in case: said at the start, and refused', async () => {
  assert.match(home.out, /queues\.emai\): unknown agent "emai".*[Dd]id you mean "?email/);
  assert.match(home.out, /agents\/Email: differs from agents\/email only in case/);
  assert.match((await home.ask('ask nobody to: list the files')).text, /Unknown agent "nobody"/);
  assert.match((await home.cli('ask', 'nobody', 'hello')).err, /Unknown agent "nobody"/);
  for (const queue of ['nobody', 'emai', 'Email']) inbox(queue, 'a.json', '{"text":"list the files"}');
  inbox('assistant', 'circle.json', '{"text":"x","after":["tsk_circle"]}');
  for (const queue of ['nobody', 'emai', 'Email'])
    assert.match(await reason(queue, 'a.json'), new RegExp(`no agent "${queue}"`));
  assert.match(await reason('assistant', 'circle.json'), /"after" names tsk_circle, which is no task/);
});

test('50 MB of JSON, in an inbox and over HTTP, are refused at the door and cost no memory', async () => {
  const before = peak();
  inbox('assistant', 'big.json', '{"text":"');
  truncateSync(home.path('tasks/assistant/inbox/big.json'), SIZE);
  assert.match(await reason('assistant', 'big.json'), /50000000 bytes, and a task may have 1,000,000/);
  const rejected = home.path('tasks/assistant/rejected/big.json');
  for (const path of ['/api/messages', '/v1/chat/completions', '/api/questions/qst_x'])
    for (const chunked of [false, true]) {
      const { status, said } = await send(path, rejected, chunked);
      assert.ok(status === 413 && /larger than \d+ bytes/.test(said), `${path}: ${status} ${said}`);
    }
  const cost = peak() - before;
  assert.ok(cost < COST_KB, `${cost} kB`);
});

test('an input that a pattern would go over again and again holds nobody up', async () => {
  const slug = `${'a'.repeat(60)}!`;
  inbox('slugs', 'slow.json', JSON.stringify({ text: 'list', input: { slug } }));
  const hook = await fetch(`${home.url}/hooks/slugs`, {
    method: 'POST',
    body: JSON.stringify({ slug }),
    headers: { 'content-type': 'application/json', authorization: `Bearer ${SECRET}` },
  });
  assert.equal(hook.status, 202);
  assert.match(await reason('slugs', 'slow.json'), /queue slugs: input\.slug must match \^\(\[a-z0-9\]/);
  const why = async () =>
    (await home.api<{ firings: { why: string | null }[] }>('/api/triggers/slugs/named')).firings[0]?.why;
  assert.match(await until(why, 'the trigger says why'), /queue slugs: input\.slug must match/);
  assert.equal((await fetch(`${home.url}/healthz`, { signal: AbortSignal.timeout(10_000) })).status, 200);
});

/** Sends a file as it is read, as far as it is taken. */
function send(path: string, file: string, chunked: boolean): Promise<{ status: number; said: string }> {
  const headers = {
    authorization: `Bearer ${home.token}`,
    'content-type': 'application/json',
    ...(chunked ? {} : { 'content-length': SIZE }),
  };
  return new Promise((resolve, reject) => {
    const sending = request(home.url + path, { method: 'POST', headers }, (response) => {
      let said = '';
      response.on('data', (piece: Buffer) => (said += piece.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, said }));
    });
    // It answers and hangs up while the rest is still being sent.
    sending.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') reject(error);
    });
    createReadStream(file).on('error', reject).pipe(sending);
  });
}

test('an agent is removed while tasks wait for it: their giver hears of it, and so does the owner', async () => {
  inbox('email', 'a.json', '{"text":"list the files"}');
  const asked = await home.say('ask email to: list the files');
  const queued = async (): Promise<number> => (await home.status()).tasks.queued;
  await until(async () => (await queued()) === 2, 'two tasks wait for email');
  home.git('mv', 'agents/email', 'agents/mail');
  home.write('ruche.yaml', '');
  home.git('add', 'ruche.yaml');
  home.commit('email is called mail now');
  const told = await home.settled(asked);
  assert.match(told.text, /The agent "email" is missing or invalid/);
  const matters = await until(async () => {
    // What tests before this one have put aside waits, too.
    const pending = (await home.pending()).filter(({ text }) => text.startsWith('email, '));
    return pending.length === 2 ? pending : null;
  }, 'the owner hears about both');
  for (const { text, reason: why } of matters) {
    assert.match(text, /^email, tsk_\S+: .*The agent "email" is missing or invalid/);
    assert.match(why, /Its agent is gone.*ruche tasks retry/);
  }
  const { tasks } = await home.status();
  assert.deepEqual([tasks.queued, tasks.running, tasks.failed], [0, 0, 2]);
  const failed = /tsk_[\w-]+/.exec(matters[0]?.text ?? '')?.[0] ?? '';
  home.git('mv', 'agents/mail', 'agents/email');
  home.commit('email is back');
  await until(async () => (await home.cli('agents')).out.includes('email'), 'email is back');
  assert.equal((await home.cli('tasks', 'retry', failed)).code, 0);
  await until(async () => (await home.status()).tasks.done >= tasks.done + 1, 'it is done after all');
  assert.deepEqual((await home.verify()).findings, []);
});
