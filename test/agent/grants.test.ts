import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Rule } from '../../src/core/policy.ts';
import type { Tool } from '../../src/core/ports/tool.ts';
import type { Standing } from '../../src/pending/standing.ts';
import { approve } from '../../src/pending/approve.ts';
import { Mortal } from '../fakes/mortal.ts';
import { type Loop, testTools } from '../fakes/loop.ts';
import { calls, says } from '../fakes/scripted-model.ts';
import { until } from '../fakes/until.ts';
import { onDisk, withLoop } from './with-loop.ts';

const MAIL: Rule = { id: 'mail', verdict: 'ask', match: { tool: 'mail' }, reason: 'Mail is checked.' };

/** A tool that writes to somebody, and names to whom. */
function mailTool(log: string[]): Tool {
  const { once } = testTools(log);
  return {
    ...once,
    name: 'mail',
    effect: 'send',
    critical: ['to'],
    facts: () => ({}),
    run: async (input) => {
      const { to, text } = input as { to: string | string[]; text: string };
      log.push(`mail ${String(to)}: ${text}`);
      return { ok: true, text: 'sent', labels: [], changes: [] };
    },
  };
}

const mail = (to: string | string[], text = 'hello') => ['mail', { to, text }] as const;

type Body = (loop: Loop, log: string[], requests: () => string) => Promise<void>;
const withMail = (
  script: Parameters<typeof withLoop>[0],
  body: Body,
  options: Partial<Parameters<typeof withLoop>[1]> = {},
): Promise<void> => {
  const log: string[] = [];
  return withLoop(script, { rules: [MAIL], tools: [mailTool(log)], ...options }, (loop, _, model) =>
    body(loop, log, () => JSON.stringify(model.requests.at(-1)?.messages)),
  );
};

const waitOf = (outcome: { waits: readonly { id: string }[] }): string => outcome.waits[0]?.id ?? '';

test('a note of the person who approves reaches the agent with the result', () =>
  withMail([calls(mail('a@x.org')), says('done')], async (loop, log, last) => {
    const waiting = await loop.send('go');
    await loop.runtime.approve(waitOf(waiting), 'approve', 'owner', { note: 'Only this once, she is on leave.' });
    assert.equal((await loop.settled(waiting.task)).text, 'done');
    assert.deepEqual(log, ['mail a@x.org: hello']);
    assert.match(last(), /The owner approved this call and says: Only this once, she is on leave\./);
  }));

test('a call that was denied is not put to anybody again; after a reason once, since it may be met by then', () => {
  const [her, him] = [calls(mail('a@x.org')), calls(mail('b@x.org'))];
  return withMail([her, her, him, him, him, says('I gave up')], async (loop, log, last) => {
    const waiting = await loop.send('go');
    const seen = [waitOf(waiting)];
    const next = async (): Promise<string> => {
      const asked = await until(async () => (await loop.runtime.pending()).find(({ id }) => !seen.includes(id)));
      seen.push(asked.id);
      return asked.text;
    };
    await loop.runtime.approve(seen[0] ?? '', 'deny', 'owner');
    assert.match(await next(), /b@x\.org/, 'her no more');
    await loop.restart();
    await loop.runtime.approve(seen[1] ?? '', 'deny', 'owner', { note: 'Ask him first.' });
    assert.match(await next(), /b@x\.org/);
    await loop.runtime.approve(seen[2] ?? '', 'deny', 'owner', { note: 'Still not.' });
    assert.equal((await loop.settled(waiting.task)).text, 'I gave up');
    assert.equal(last().match(/Denied by rule builtin:denied-before: A person has denied this very call/g)?.length, 2);
    assert.deepEqual(log, []);
  });
});

test('what was denied may be asked for again once somebody has written', () =>
  withMail([calls(mail('a@x.org')), says('no'), calls(mail('a@x.org')), says('sent')], async (loop, log) => {
    const waiting = await loop.send('go');
    await loop.runtime.approve(waitOf(waiting), 'deny', 'owner');
    await loop.settled(waiting.task);
    const again = await loop.send('now you may');
    await loop.runtime.approve(waitOf(again), 'approve', 'owner');
    assert.equal((await loop.settled(again.task)).text, 'sent');
    assert.deepEqual(log, ['mail a@x.org: hello']);
  }));

test('what is shown says the rule, the values, the labels with their sources, and the cost', () => {
  const log: string[] = [];
  const { read } = testTools(log);
  const outside: Tool = {
    ...read,
    run: async () => ({ ok: true, text: 'pay!', labels: ['untrusted'], changes: [] }),
  };
  return withLoop(
    [calls(['read', { path: 'mail/1.eml' }]), calls(mail('a@x.org')), says('done')],
    { rules: [MAIL], tools: [outside, mailTool(log)], files: { 'mail/1.eml': 'x' } },
    async (loop) => {
      const waiting = await loop.send('go');
      const about = waiting.waits[0]?.about;
      assert.deepEqual([about?.rule, about?.reason], ['mail', 'Mail is checked.']);
      assert.deepEqual(about?.labels, ['untrusted']);
      assert.deepEqual(about?.sources, [{ label: 'untrusted', what: 'read mail/1.eml' }]);
      assert.deepEqual(about?.values, [{ name: 'to', value: 'a@x.org', vouched: null }]);
      assert.equal(typeof about?.costUsd, 'number');
    },
  );
});

test('approved for this task, calls of the same kind run unasked until it ends; others ask, and so does the next task', () =>
  withMail(
    [
      calls(mail('a@x.org', 'one')),
      calls(mail('a@x.org', 'two')),
      calls(mail('b@x.org', 'three')),
      says('done'),
      calls(mail('a@x.org', 'four')),
    ],
    async (loop, log) => {
      const waiting = await loop.send('go');
      const result = await loop.runtime.approve(waitOf(waiting), 'approve', 'owner', { scope: 'task' });
      assert.ok(result.ok && result.grant !== undefined);
      const other = await loop.settled(waiting.task);
      assert.deepEqual(log, ['mail a@x.org: one', 'mail a@x.org: two']);
      assert.match(other.waits[0]?.text ?? '', /b@x\.org/);
      await loop.runtime.approve(waitOf(other), 'approve', 'owner');
      await loop.settled(waiting.task);
      const next = await loop.send('again');
      assert.match(next.waits[0]?.text ?? '', /four/);
      const decisions = (await loop.events()).filter(({ type }) => type === 'decision.made');
      assert.equal(decisions.filter((event) => JSON.stringify(event).includes(`grant:${result.grant}`)).length, 1);
    },
  ));

test('approved for this task, calls of the kind that wait beside it are made too, and others wait on', () =>
  withMail(
    [
      calls(mail('a@x.org', 'one'), mail('a@x.org', 'two'), mail('b@x.org', 'three'), mail('a@x.org', 'four')),
      says('done'),
    ],
    async (loop, log) => {
      const waiting = await loop.send('go');
      assert.equal(waiting.waits.length, 4);
      assert.ok((await loop.runtime.approve(waitOf(waiting), 'approve', 'owner', { scope: 'task' })).ok);
      const [left, ...more] = await loop.runtime.pending();
      assert.match(left?.text ?? '', /b@x\.org/);
      assert.deepEqual(more, []);
      assert.ok((await loop.runtime.approve(left?.id ?? '', 'deny', 'owner')).ok);
      assert.equal((await loop.settled(waiting.task)).text, 'done');
      assert.deepEqual(log, ['mail a@x.org: one', 'mail a@x.org: two', 'mail a@x.org: four']);
    },
  ));

test('a standing grant lets calls through by value or pattern as often as it says, and no longer when it is revoked', () =>
  withMail(
    [
      calls(mail('a@x.org', 'one')),
      calls(mail('b@x.org', 'two')),
      says('done'),
      calls(mail('evil@y.org', 'three')),
      says('done'),
      calls(mail('c@x.org', 'four')),
      says('done'),
      calls(mail('d@x.org', 'five')),
    ],
    async (loop, log) => {
      const first = await loop.send('go', 'a');
      const globs = { to: '*@x.org' };
      const given = await loop.runtime.approve(waitOf(first), 'approve', 'owner', {
        scope: 'standing',
        count: 5,
        globs,
      });
      assert.ok(given.ok);
      assert.equal((await loop.settled(first.task)).status, 'done');
      const other = await loop.send('more', 'b');
      assert.match(other.waits[0]?.text ?? '', /evil@y\.org/);
      await loop.runtime.approve(waitOf(other), 'deny', 'owner');
      assert.equal((await loop.send('more', 'c')).status, 'done');
      const [grant] = await loop.runtime.standing.grants();
      assert.deepEqual([grant?.used, grant?.count, grant?.values], [2, 5, [{ name: 'to', glob: '*@x.org' }]]);
      assert.equal(await loop.runtime.standing.revokeGrant(grant?.id ?? '', 'owner'), 'done');
      assert.equal(await loop.runtime.standing.revokeGrant(grant?.id ?? '', 'owner'), 'again');
      assert.equal((await loop.send('more', 'd')).status, 'waiting');
      assert.deepEqual(log, ['mail a@x.org: one', 'mail b@x.org: two', 'mail c@x.org: four']);
    },
  ));

test('a grant never covers a call with a value more, a deny, or a run with labels that it was not given over', () => {
  const log: string[] = [];
  const { read } = testTools(log);
  const outside: Tool = { ...read, run: async () => ({ ok: true, text: 'x', labels: ['untrusted'], changes: [] }) };
  return withLoop(
    [
      calls(mail('a@x.org', 'one')),
      says('done'),
      calls(mail(['a@x.org', 'evil@y.org'], 'two')),
      says('done'),
      calls(['read', { path: 'README.md' }]),
      calls(mail('a@x.org', 'three')),
      says('done'),
      calls(mail('a@x.org', 'four')),
      says('not done'),
    ],
    { rules: [MAIL], tools: [outside, mailTool(log)] },
    async (loop) => {
      const first = await loop.send('go', 'a');
      await loop.runtime.approve(waitOf(first), 'approve', 'owner', { scope: 'standing' });
      await loop.settled(first.task);
      for (const session of ['b', 'c']) {
        const asked = await loop.send('go', session);
        assert.equal(asked.status, 'waiting', session);
        await loop.runtime.approve(waitOf(asked), 'deny', 'owner');
        await loop.settled(asked.task);
      }
      loop.governance.settings = {
        ...loop.governance.settings,
        rules: [{ ...MAIL, id: 'no-mail', verdict: 'deny' }],
      };
      assert.equal((await loop.send('go', 'd')).text, 'not done');
      assert.deepEqual(log, ['mail a@x.org: one']);
    },
  );
});

test('a grant is offered once the same was approved three times, and not for a landing or several approvers', () =>
  withMail(
    Array.from({ length: 4 }, () => calls(mail('a@x.org'))).flatMap((each) => [each, says('done')]),
    async (loop) => {
      const counts: (number | undefined)[] = [];
      for (let n = 0; n < 4; n += 1) {
        const asked = await loop.send('go', `s${n}`);
        counts.push(asked.waits[0]?.approved);
        await loop.runtime.approve(waitOf(asked), 'approve', 'owner');
        await loop.settled(asked.task);
      }
      assert.deepEqual(counts, [0, 1, 2, 3]);
    },
  ));

test('terms that make no sense are refused, and nothing is answered by it', () =>
  withMail([calls(mail('a@x.org')), says('done')], async (loop) => {
    const waiting = await loop.send('go');
    const id = waitOf(waiting);
    const wrong = [
      [{ scope: 'standing', globs: { to: '*' } }, /fits everything/],
      [{ scope: 'standing', globs: { to: '*@y.org' } }, /does not fit a@x\.org/],
      [{ scope: 'standing', globs: { subject: 'x*' } }, /no value "subject"/],
      [{ scope: 'standing', count: 0 }, /1 to 1000 times/],
      [{ scope: 'standing', until: 1 }, /a time ahead/],
      [{ scope: 'task', count: 3 }, /ends with the task/],
      [{ vouch: ['amount'] }, /no value "amount"/],
    ] as const;
    for (const [answering, message] of wrong) {
      const result = await loop.runtime.approve(id, 'approve', 'owner', answering);
      assert.ok(!result.ok && result.why === 'refused', JSON.stringify(answering));
      assert.match(result.message, message);
    }
    assert.ok((await loop.runtime.approve(id, 'approve', 'owner')).ok);
  }));

test('50 calls at once of a grant for three are three', () =>
  withMail(
    (request) => {
      const said = JSON.stringify(request.messages);
      if (said.includes('"result"')) return says('done');
      return calls(mail('a@x.org', said.includes('first') ? 'first' : 'more'));
    },
    async (loop, log) => {
      const first = await loop.send('first', 'first');
      await loop.runtime.approve(waitOf(first), 'approve', 'owner', { scope: 'standing', count: 3 });
      await loop.settled(first.task);
      const all = await Promise.all(Array.from({ length: 50 }, (_, n) => loop.send('go', `s${n}`)));
      assert.equal(all.filter(({ status }) => status === 'done').length, 3);
      assert.equal(log.filter((line) => line.endsWith('more')).length, 3);
      assert.deepEqual(await loop.runtime.standing.grants(), []);
      const [spent] = await loop.runtime.standing.grants({ all: true });
      assert.deepEqual([spent?.state, spent?.used], ['spent', 3]);
    },
  ));

test('a use that is on record is one after a restart, too', () =>
  withMail(
    [calls(mail('a@x.org', 'one')), says('done'), calls(mail('a@x.org', 'two')), says('done'), calls(mail('a@x.org'))],
    async (loop, log) => {
      const first = await loop.send('go', 'a');
      await loop.runtime.approve(waitOf(first), 'approve', 'owner', { scope: 'standing', count: 1 });
      await loop.settled(first.task);
      await loop.restart();
      assert.equal((await loop.send('go', 'b')).status, 'done');
      await loop.restart();
      assert.equal((await loop.send('go', 'c')).status, 'waiting');
      assert.deepEqual(log, ['mail a@x.org: one', 'mail a@x.org: two']);
    },
    { store: onDisk },
  ));

test('a kill leaves the answer with all that was given beside it, or nothing of it', async () => {
  for (const after of [false, true])
    await withMail([calls(mail('a@x.org')), says('done')], async (loop) => {
      const waiting = await loop.send('go');
      const mortal = new Mortal();
      const { store, alive } = mortal.begin(loop.store);
      mortal.dieAt(1, after);
      const { clock, ids, redact, standing } = loop.deps;
      const answerHeld = () => Promise.reject(new Error('none is held'));
      const person = (): string => 'owner';
      const boundary = (): void => undefined;
      const deps = { store, clock, ids, redact, answerHeld, standing: standing as Standing, person, boundary };
      const answering = { scope: 'standing', count: 2, vouch: ['to'] } as const;
      void approve(deps, waitOf(waiting), 'approve', 'owner', answering);
      if (!alive.aborted) await new Promise<void>((resolve) => alive.addEventListener('abort', () => resolve()));
      if (after) await loop.settled(waiting.task);
      const types = (await loop.events()).map(({ type }) => type);
      const kept = (['approval.answered', 'grant.given', 'value.endorsed'] as const).map((type) =>
        types.includes(type),
      );
      assert.deepEqual(kept, [after, after, after]);
      const again = await loop.runtime.approve(waitOf(waiting), 'approve', 'owner', answering);
      assert.equal(again.ok, !after);
      await loop.settled(waiting.task);
      assert.equal((await loop.runtime.standing.grants()).length, 1);
      assert.equal((await loop.runtime.standing.endorsements()).length, 1);
    });
});

const agentFile = calls(['write', { path: 'agents/new/AGENT.md', content: '---\ndescription: x\n---\nx\n' }]);

test('a note on the approval of a change of protected files reaches the agent in its next turn, once', () =>
  withLoop([agentFile, says('made'), says('noted'), says('again')], { store: onDisk }, async (loop, _log, model) => {
    const waiting = await loop.send('make one');
    await loop.runtime.approve(waitOf(waiting), 'approve', 'owner', { note: 'Call the next one newer.' });
    const outcome = await loop.settled(waiting.task);
    assert.deepEqual([outcome.text, outcome.commit === null, model.requests.length], ['made', false, 2]);
    await loop.restart();
    for (const said of ['go on', 'and on']) {
      assert.equal((await loop.send(said)).status, 'done');
      const told = JSON.stringify(model.requests.at(-1)?.messages);
      assert.match(
        told,
        /made".*\[Ruche\] The owner approved your change of protected files and says: Call the next one newer\..*go on/,
      );
      assert.equal(told.split('Call the next one newer.').length, 2);
    }
  }));

test('a note on the denial of such a change reaches the agent at once', () =>
  withLoop([agentFile, says('made'), says('then not')], {}, async (loop, _log, model) => {
    const waiting = await loop.send('make one');
    await loop.runtime.approve(waitOf(waiting), 'deny', 'owner', { note: 'We have enough of them.' });
    assert.equal((await loop.settled(waiting.task)).text, 'then not');
    assert.match(
      JSON.stringify(model.requests.at(-1)?.messages),
      /those files are restored\.\\nThe owner denied your change of protected files and says: We have enough of them\./,
    );
  }));
