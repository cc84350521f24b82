import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Script } from '../fakes/runtime.ts';
import { clientOf, failsWith, user } from './client.ts';
import { withGateway, type Rig } from './help.ts';

const guarded: Script = async (run) => {
  if (run.text.startsWith('pay')) {
    const verdict = await run.approval('write', '{"path":"contracts/a.md"}');
    return verdict === 'approve' ? 'It is written.' : 'It was not written.';
  }
  if (run.text.startsWith('colour')) return `You said ${await run.question('Which colour?')}.`;
  return run.text;
};

async function say(rig: Rig, session: string | null, content: string, extra: object = {}): Promise<string> {
  const answer = await clientOf(rig.gateway.url, { maxRetries: 0 }).chat.completions.create({
    model: 'assistant',
    ...(session === null ? {} : { user: session }),
    messages: [user(content)],
    ...extra,
  });
  return answer.choices[0]?.message.content ?? '';
}

test('A parked run answers at once; "approve ID" and "deny ID" answer it and bring the outcome', async () => {
  await withGateway(guarded, async (rig) => {
    for (const [verdict, outcome] of [
      ['approve', 'It is written.'],
      ['deny', 'It was not written.'],
    ] as const)
      for (const session of [`s-${verdict}`, null]) {
        const asked = await say(rig, session, 'pay');
        const id = /apr_[A-Za-z0-9_-]+/.exec(asked)?.[0] ?? '';
        assert.match(asked, /contracts\/a\.md/);
        assert.match(asked, new RegExp(`approve ${id}`));
        assert.equal(await say(rig, session, `  ${verdict.toUpperCase()} \`${id}\`. `), outcome);
        assert.equal(await say(rig, session, `${verdict} ${id}`), outcome, 'a re-sent verdict is the same verdict');
        const other = verdict === 'approve' ? 'deny' : 'approve';
        await assert.rejects(say(rig, session, `${other} ${id}`), failsWith(409, /answered before/));
      }
    await assert.rejects(say(rig, 's', 'approve apr_nothing'), failsWith(404, /Waiting now: nothing/));
    assert.equal(await say(rig, 's', 'approve of this plan'), 'approve of this plan');
  });
});

test('While a run waits for approval another message of the session is told so at once', async () => {
  await withGateway(guarded, async (rig) => {
    const id = /apr_[\w-]+/.exec(await say(rig, 's', 'pay'))?.[0] ?? '';
    assert.match(await say(rig, 's', 'and then?'), new RegExp(id));
    assert.equal(await say(rig, 's', `approve ${id}`), 'It is written.');
  });
});

test('A question is answered by the next message of the session, or by its id', async () => {
  await withGateway(guarded, async (rig) => {
    assert.match(await say(rig, 's', 'colour'), /Which colour\?.*qst_/s);
    assert.equal(await say(rig, 's', 'green'), 'You said green.');
    const id = /qst_[\w-]+/.exec(await say(rig, null, 'colour'))?.[0] ?? '';
    assert.equal(await say(rig, null, `answer ${id} dark\nblue`), 'You said dark\nblue.');
  });
});

test('A parked run in a stream, and the approval in a stream', async () => {
  await withGateway(guarded, async ({ gateway }) => {
    const ask = async (content: string): Promise<string> => {
      const stream = clientOf(gateway.url).chat.completions.stream({
        model: 'assistant',
        user: 's',
        messages: [user(content)],
      });
      return (await stream.finalContent()) ?? '';
    };
    const id = /apr_[\w-]+/.exec(await ask('pay'))?.[0] ?? '';
    assert.notEqual(id, '');
    assert.equal(await ask(`approve ${id}`), 'It is written.');
  });
});
