import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Clock } from '../../src/core/ports/clock.ts';
import { StoreUnavailable } from '../../src/core/ports/store.ts';
import type { Script } from '../fakes/runtime.ts';
import { echo, gate, realClock } from '../gateway/help.ts';
import { until } from '../fakes/until.ts';
import { withDesk } from './help.ts';

test('ask prints the answer and exits 0; --json gives exactly the promised fields', async () => {
  await withDesk(echo, async (desk) => {
    assert.equal(await desk.ruche('ask', 'assistant', 'hello there'), 0);
    assert.equal(desk.out(), 'hello there\n');
    assert.equal(desk.err(), '');
    assert.equal(await desk.ruche('ask', 'assistant', 'again', '--session', 's1', '--json'), 0);
    assert.deepEqual(JSON.parse(desk.out().split('\n')[1] ?? ''), {
      task: 'tsk_3',
      run: 'run_3',
      session: 's1',
      status: 'done',
      text: 'again',
      commit: null,
    });
    await until(() => desk.runtime.deliveredMessages.length === 2);
  });
});

test('ask without an agent goes to the front desk, the first of the list', async () => {
  await withDesk(echo, async (desk) => {
    assert.equal(await desk.ruche('ask', 'hello there'), 0);
    assert.equal(desk.out(), 'hello there\n');
    assert.equal(desk.runtime.deliveries[0]?.message.agent, 'assistant');
  });
});

test('ask exits 1 for a failed run and for what was wrong with the request', async () => {
  const failing: Script = async () => {
    throw new Error('The model is overloaded.');
  };
  await withDesk(failing, async (desk) => {
    assert.equal(await desk.ruche('ask', 'assistant', 'x'), 1);
    assert.match(desk.err(), /overloaded/);
    assert.equal(desk.out(), '');
    assert.equal(await desk.ruche('ask', 'nobody', 'x'), 1);
    assert.match(desk.err(), /Unknown agent "nobody"/);
    assert.equal(await desk.ruche('ask', 'assistant', '   '), 1);
    assert.equal(await desk.ruche('ask', 'assistant', 'x', '--session', '../x'), 1);
    assert.equal(await desk.ruche('ask', 'assistant', 'x', '--timeout', 'soon'), 1);
    assert.equal(await desk.ruche('ask', 'assistant'), 1);
    assert.match(desk.err(), /no message for assistant/);
    assert.equal(await desk.ruche('ask'), 1);
    assert.equal(await desk.ruche('nonsense'), 1);
    assert.equal(desk.runtime.deliveries.length, 1);
  });
});

test('ask exits 2 where no gateway runs, whether none ever did or it died without a word', async () => {
  await withDesk(echo, async (desk) => {
    await desk.stop();
    assert.equal(await desk.ruche('ask', 'assistant', 'x'), 2);
    assert.match(desk.err(), /Start it with: ruche up \(/);
    assert.equal(await desk.ruche('ask', 'assistant', 'x', '--home', desk.home), 2);
    assert.ok(desk.err().includes(`Start it with: ruche up --home ${desk.home} (`));
    await rm(join(desk.home, 'gateway.json'));
    const commands: string[][] = [['ask', 'assistant', 'x'], ['status'], ['approvals'], ['approve', 'apr_1'], ['chat']];
    for (const command of commands) assert.equal(await desk.ruche(...command), 2, command.join(' '));
    await writeFile(join(desk.home, 'gateway.json'), '{"url": 5');
    assert.equal(await desk.ruche('status'), 2);
  });
});

test('A wrong token is said in plain words and never shown', async () => {
  await withDesk(
    echo,
    async (desk) => {
      assert.equal(await desk.ruche('ask', 'assistant', 'x', '--home', desk.home), 1);
      assert.match(desk.err(), /Invalid token/);
      assert.doesNotMatch(desk.err(), /not-the-token/);
    },
    { env: { RUCHE_TOKEN: 'not-the-token' } },
  );
});

const asking: Script = async (run) => {
  if (run.text === 'which') return `You chose ${await run.question('Red or blue?')}.`;
  return (await run.approval('write', '{"path":"contracts/a.md"}')) === 'approve' ? 'Written.' : 'Left alone.';
};

test('ask exits 3 when the run waits; answer, approve and deny bring the outcome', async () => {
  await withDesk(asking, async (desk) => {
    assert.equal(await desk.ruche('ask', 'assistant', 'which'), 3);
    const question = /qst_[\w-]+/.exec(desk.out())?.[0] ?? '';
    assert.match(desk.out(), new RegExp(`Red or blue\\?[^]*ruche answer ${question}`));
    assert.equal(await desk.ruche('answer', question, 'blue'), 0);
    assert.match(desk.out(), /You chose blue\.\n$/);

    assert.equal(await desk.ruche('ask', 'assistant', 'write it', '--json'), 3);
    const waiting = JSON.parse(desk.out().trim().split('\n').at(-1) ?? '') as {
      status: string;
      waits: { id: string }[];
    };
    assert.equal(waiting.status, 'waiting');
    const [first] = waiting.waits;
    assert.equal(await desk.ruche('approvals'), 0);
    assert.match(
      desk.out(),
      new RegExp(`${first?.id}  approval of write[^]*contracts/a\\.md[^]*ruche deny ${first?.id}`),
    );
    assert.equal(await desk.ruche('approve', first?.id ?? ''), 0);
    assert.match(desk.out(), /\nApproved\.\nWritten\.\n$/);
    assert.equal(await desk.ruche('approve', first?.id ?? ''), 0);
    assert.ok(desk.out().endsWith(`\n${first?.id} was already approved.\nWritten.\n`));
    assert.equal(await desk.ruche('deny', first?.id ?? ''), 1, 'it was approved');
    assert.match(desk.err(), /answered before/);
    assert.equal(await desk.ruche('approve', 'apr_none'), 1);
    assert.equal(await desk.ruche('approvals'), 0);
    assert.match(desk.out(), /Nothing waits for you\.\n$/);
  });
});

test('Text of a model cannot steer the terminal', async () => {
  const evil = 'ok\x1b]0;owned\x07\x1b[2J\x1b[1A\u202egnp.exe\u0007\r\nline\ttab';
  await withDesk(
    async () => evil,
    async (desk) => {
      await desk.ruche('ask', 'assistant', 'x');
      assert.match(desk.out(), /^ok\\u\{1b\}/);
      assert.match(desk.out(), /\nline\ttab\n$/);
      // oxlint-disable-next-line no-control-regex -- they are what must not be there
      assert.doesNotMatch(desk.out(), /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
      await desk.ruche('ask', 'assistant', 'x', '--json');
      assert.equal((JSON.parse(desk.out().trim().split('\n').at(-1) ?? '') as { text: string }).text, evil);
    },
  );
});

test('ask outlives a restart of the gateway: one message, one answer', async () => {
  const held = gate();
  let runs = 0;
  await withDesk(
    async () => {
      runs += 1;
      await held.opened;
      return 'after the restart';
    },
    async (desk) => {
      const asked = desk.ruche('ask', 'assistant', 'work');
      await until(() => desk.runtime.deliveries.length === 1);
      await desk.stop();
      held.open();
      await desk.start();
      assert.equal(await asked, 0);
      assert.equal(desk.out(), 'after the restart\n');
      assert.equal(desk.err(), 'Lost the gateway; waiting up to 60 s for it to come back.\n');
      assert.equal(runs, 1);
    },
  );
});

test('A message that was refused while the gateway stopped is sent again as the same message', async () => {
  await withDesk(echo, async (desk) => {
    desk.runtime.state.stopping = true;
    const asked = desk.ruche('ask', 'assistant', 'work');
    await until(() => desk.runtime.state.refused > 0);
    desk.runtime.state.stopping = false;
    assert.equal(await asked, 0);
    assert.equal(desk.runtime.deliveries.length, 1);
  });
});

test('A gateway whose disk is full says so at once, and is not called lost or to be started', async () => {
  await withDesk(echo, async (desk) => {
    const full = (): Promise<never> =>
      Promise.reject(new StoreUnavailable('full', 'the disk is full; free some space'));
    desk.runtime.deliver = full;
    desk.runtime.pauseAgent = full;
    for (const command of [
      ['ask', 'assistant', 'work'],
      ['agents', 'pause', 'assistant'],
    ]) {
      const before = desk.err().length;
      assert.equal(await desk.ruche(...command), 1, command.join(' '));
      assert.equal(desk.err().slice(before), 'ruche: Nothing was done: the disk is full; free some space.\n');
    }
  });
});

test('A gateway that answers but takes nothing is told once, and is not called lost or to be started', async () => {
  let passed = 0;
  const clock: Clock = { now: () => realClock.now() + passed, sleep: async (ms) => void (passed += ms) };
  await withDesk(
    echo,
    async (desk) => {
      desk.runtime.state.stopping = true;
      assert.equal(await desk.ruche('ask', 'assistant', 'work'), 1);
      assert.ok(desk.runtime.state.refused > 5, 'it is asked again');
      const said = desk.err().split('\n');
      assert.equal(said[0], 'Ruche is stopping. Trying again for up to 60 s.');
      assert.match(said[1] ?? '', /^ruche: Ruche is stopping\. The gateway of .* runs, but took nothing for 60 s\./);
      assert.equal(said.length, 3);
    },
    { clock },
  );
});

test('A timeout, or Ctrl-C, ends the waiting and names the task that goes on', async () => {
  const [held, due] = [gate(), gate()];
  let listeners = (): number => 0;
  const sleep: Clock['sleep'] = (ms, signal) => (ms === 50 ? due.opened : realClock.sleep(ms, signal));
  await withDesk(
    async (run) => {
      await until(() => listeners() > 0);
      run.emit({ kind: 'retrying', text: 'At it.' });
      await held.opened;
      return 'late';
    },
    async (desk) => {
      ({ listeners } = desk.runtime.state);
      const follows = (times: number) => until(() => desk.err().split('At it.').length > times, 'it follows the task');
      const late = desk.ruche('ask', 'assistant', 'x', '--timeout', '0.05');
      await follows(1);
      due.open();
      assert.equal(await late, 1);
      assert.match(
        desk.err(),
        /No answer within 0\.05 s\. Task tsk_1 goes on\. Follow it with: ruche log --task tsk_1\n/,
      );
      await until(() => listeners() === 0);
      const asked = desk.ruche('ask', 'assistant', 'y');
      await follows(2);
      desk.signal('SIGINT');
      assert.equal(await asked, 1);
      assert.match(desk.err(), /Interrupted\. Task tsk_3 goes on/);
      held.open();
    },
    { clock: { ...realClock, sleep } },
  );
});

test('At a terminal progress is shown on stderr and removed', async () => {
  const listened = gate();
  await withDesk(
    async (run) => {
      await listened.opened;
      run.emit({ kind: 'tool.started', call: 'c', tool: 'shell', args: '{"command":"ls\\u001b[2J -la"}' });
      run.emit({ kind: 'tool.returned', call: 'c', tool: 'shell', ok: true, text: '' });
      run.say('thinking aloud');
      return 'the answer';
    },
    async (desk) => {
      const asked = desk.ruche('ask', 'assistant', 'x');
      await until(() => desk.runtime.state.listeners() > 0);
      listened.open();
      assert.equal(await asked, 0);
      assert.equal(desk.out(), 'the answer\n');
      assert.match(desk.err(), /⚙ shell ls\\u\{1b\}\[2J -la/);
      assert.ok(desk.err().endsWith('\r\x1b[2K'));
    },
    { errIsTerminal: true },
  );
});

test('A model that fails and is asked again is told on stderr, also without a terminal', async () => {
  const listened = gate();
  await withDesk(
    async (run) => {
      await listened.opened;
      run.emit({ kind: 'retrying', text: 'The model is overloaded. Asking a/b in 2 s.' });
      return 'the answer';
    },
    async (desk) => {
      const asked = desk.ruche('ask', 'assistant', 'x');
      await until(() => desk.runtime.state.listeners() > 0);
      listened.open();
      assert.equal(await asked, 0);
      assert.equal(desk.out(), 'the answer\n');
      assert.match(desk.err(), /^The model is overloaded\. Asking a\/b in 2 s\.$/m);
    },
  );
});

test('Why changes cannot land yet is said once: in words on stderr, or in the JSON on stdout', async () => {
  const why = 'The changes cannot land yet: a lock is in the way.';
  const listened = [gate(), gate()];
  await withDesk(
    async (run) => {
      await listened[run.text === 'one' ? 0 : 1]?.opened;
      run.hinder(why);
      return new Promise(() => {});
    },
    async (desk) => {
      const begun = async (at: number): Promise<void> => {
        await until(() => desk.runtime.state.listeners() > 0);
        listened[at]?.open();
      };
      const [asked] = [desk.ruche('ask', 'assistant', 'one'), await begun(0)];
      assert.equal(await asked, 3);
      assert.equal(desk.out(), '');
      assert.match(
        desk.err(),
        /^The changes cannot land yet: a lock is in the way\.\nTask tsk_1 goes on\. Follow it with: ruche log --task tsk_1\n$/,
      );
      await until(() => desk.runtime.state.listeners() === 0);
      const [inJson] = [desk.ruche('ask', 'assistant', 'two', '--json'), await begun(1)];
      assert.equal(await inJson, 3);
      assert.equal((JSON.parse(desk.out()) as { text: string }).text, why);
      assert.equal(desk.err().split(why).length, 2, 'nothing more on stderr');
    },
  );
});

test('status shows what runs, in words and as JSON', async () => {
  await withDesk(echo, async (desk) => {
    assert.equal(await desk.ruche('status'), 0);
    assert.match(desk.out(), /ruche 0\.1\.0 at http:\/\/127\.0\.0\.1:\d+, ready/);
    assert.match(desk.out(), /demo\/demo {2}\(the built-in demo/);
    assert.match(desk.out(), /assistant +demo\/demo, 0 running/);
    assert.equal(await desk.ruche('status', '--json'), 0);
    const parsed = JSON.parse(desk.out().trim().split('\n').at(-1) ?? '') as { ready: boolean; agents: unknown[] };
    assert.equal(parsed.ready, true);
    assert.equal(parsed.agents.length, 2);
  });
});
