import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Script } from '../fakes/runtime.ts';
import { echo, gate } from '../gateway/help.ts';
import { until } from '../fakes/until.ts';
import { withDesk, type Desk } from './help.ts';

/** Feeds lines as a pipe does, and gives the exit code. */
const piped = (desk: Desk, lines: string[], ...args: string[]): Promise<number> => {
  desk.stdin.end(lines.map((line) => `${line}\n`).join(''));
  return desk.ruche('chat', ...args);
};

/** A run that calls a tool and never ends. */
const patience: Script = async (run) => {
  run.emit({ kind: 'tool.started', call: 'c', tool: 'patience', args: '{}' });
  return new Promise(() => undefined);
};

test('A piped conversation: one session, one line after the other', async () => {
  await withDesk(echo, async (desk) => {
    assert.equal(await piped(desk, ['one', '', 'two', '/new', 'three'], 'email'), 0);
    assert.equal(desk.out(), 'one\ntwo\nNew conversation.\nthree\n');
    const sessions = desk.runtime.deliveries.map(({ message }) => message.session);
    assert.equal(sessions.length, 3);
    assert.equal(sessions[0], sessions[1]);
    assert.notEqual(sessions[1], sessions[2]);
    assert.ok(desk.runtime.deliveries.every(({ message }) => message.agent === 'email'));
  });
});

test('The first agent answers where none is named, and /quit leaves the rest unread', async () => {
  await withDesk(echo, async (desk) => {
    assert.equal(
      await piped(desk, ['/help', '/nonsense', '/stop', 'hello', '/status', '/quit', 'never'], '--session', 'mine'),
      0,
    );
    assert.match(desk.out(), /\/new[^]*Unknown command "\/nonsense"[^]*Nothing is running[^]*hello\n[^]*Agents/);
    assert.deepEqual(
      desk.runtime.deliveries.map(({ message }) => [message.agent, message.session, message.text]),
      [['assistant', 'mine', 'hello']],
    );
  });
});

const working: Script = async (run) => {
  if (run.text === 'fail') throw new Error('It broke.');
  if (run.text === 'ask') return `So ${await run.question('Red or blue?')} it is.`;
  run.say('I will write. ', 1);
  run.emit({ kind: 'tool.started', call: 'c', tool: 'write', args: '{"path":"a.md","content":"x"}' });
  const verdict = await run.approval('write', '{"path":"a.md"}');
  run.emit({ kind: 'tool.returned', call: 'c', tool: 'write', ok: verdict === 'approve', text: verdict });
  run.say('Done', 2);
  run.say(' with it.', 2);
  return 'Done with it.';
};

test('Tool calls and verdicts are shown, approvals and questions answered inline', async () => {
  await withDesk(working, async (desk) => {
    assert.equal(await piped(desk, ['go', 'yes', 'ask', 'blue', 'go', 'deny'], '--verdicts'), 0);
    assert.match(desk.out(), /I will write\. \n {2}⚙ write a\.md\napr_[\w-]+ {2}approval of write/);
    assert.match(desk.out(), /Approve write [^\n]+\? yes or no/);
    assert.match(desk.out(), /yes or no\nApproved\.\n {2}✓ write: approve\n\n*Done with it\.\n/);
    assert.match(desk.out(), /Red or blue\?[^]*Your next line is the answer\.\nSo blue it is\.\n/);
    assert.match(desk.out(), /yes or no\nDenied\.\n {2}✗ write: deny/);
    assert.equal(desk.runtime.deliveries.length, 3);
  });
});

test('A conversation that ends while something waits exits 3, one whose last run failed exits 1', async () => {
  await withDesk(working, async (desk) => {
    assert.equal(await piped(desk, ['go']), 3);
    assert.match(desk.out(), /ruche approve apr_/);
  });
  await withDesk(working, async (desk) => {
    assert.equal(await piped(desk, ['fail']), 1);
    assert.match(desk.out(), /failed: It broke\.\n/);
  });
});

test('At a terminal a line typed while a run works reaches it, and /stop ends it', async () => {
  const held = gate();
  await withDesk(
    async (run) => {
      if (run.text === 'quick') return 'quick answer';
      await held.opened;
      return 'slow answer';
    },
    async (desk) => {
      const chat = desk.ruche('chat');
      desk.stdin.write('slow\n');
      await until(() => desk.runtime.deliveries.length === 1);
      desk.stdin.write('quick\n');
      await until(() => desk.runtime.deliveries.length === 2);
      held.open();
      await until(() => desk.out().includes('slow answer') && desk.out().includes('quick answer'));
      desk.stdin.write('/quit\n');
      assert.equal(await chat, 0);
    },
    { inIsTerminal: true },
  );
  await withDesk(
    patience,
    async (desk) => {
      const chat = desk.ruche('chat');
      desk.stdin.write('for ever\n');
      await until(() => desk.out().includes('patience'));
      desk.stdin.write('/stop\n');
      await until(() => desk.out().includes('cancelled'));
      desk.stdin.end();
      assert.equal(await chat, 1);
      assert.match(desk.out(), /Stopped\./);
    },
    { inIsTerminal: true },
  );
});

test('A name that no agent has is told at once; from a pipe a signal ends the waiting too', async () => {
  await withDesk(echo, async (desk) => {
    assert.equal(await piped(desk, ['hello'], 'nobody'), 1);
    assert.match(desk.err(), /Unknown agent "nobody"\. Known: assistant, email/);
    assert.equal(desk.runtime.deliveries.length, 0);
  });
  await withDesk(
    async () => new Promise(() => undefined),
    async (desk) => {
      const chat = piped(desk, ['for ever', 'never']);
      await until(() => desk.runtime.state.listeners() > 0);
      desk.signal('SIGTERM');
      assert.equal(await chat, 1);
      assert.match(desk.err(), /Interrupted\. The run goes on\./);
      assert.equal(desk.runtime.deliveries.length, 1);
    },
  );
});

test('A conversation taken up again shows what it waits for; one that is left says what goes on', async () => {
  await withDesk(working, async (desk) => {
    assert.equal(await desk.ruche('ask', 'assistant', 'go', '--session', 's1'), 3);
    const asked = desk.out();
    assert.equal(await piped(desk, ['yes'], '--session', 's1', '--verdicts'), 0);
    assert.match(
      desk.out().slice(asked.length),
      /^apr_[\w-]+ {2}approval of write[^]*yes or no\n[^]*Done with it\.\n$/,
    );
    assert.equal(desk.runtime.deliveries.length, 1);
  });
  await withDesk(
    patience,
    async (desk) => {
      const chat = desk.ruche('chat');
      desk.stdin.write('for ever\n');
      // Only what it shows proves that the chat knows its task.
      await until(() => desk.out().includes('patience'));
      desk.signal('SIGINT');
      assert.equal(await chat, 0);
      assert.match(desk.out(), /Task tsk_1 goes on\. Follow it with: ruche log --task tsk_1\n$/);
    },
    { inIsTerminal: true },
  );
});

test('A chat comes back after a restart of the gateway', async () => {
  const held = gate();
  await withDesk(
    async () => {
      await held.opened;
      return 'still here';
    },
    async (desk) => {
      const chat = piped(desk, ['work']);
      await until(() => desk.runtime.state.listeners() > 0);
      await desk.stop();
      await desk.start();
      held.open();
      assert.equal(await chat, 0);
      assert.match(desk.out(), /still here\n$/);
      assert.equal(desk.runtime.deliveries.length, 1);
    },
  );
});

test('Control sequences from a model or a tool do not reach the terminal', async () => {
  await withDesk(
    async (run) => {
      run.emit({ kind: 'tool.started', call: 'c', tool: 'sh\x1b[2J', args: '{"command":"a\\u001b[2Jb"}' });
      run.emit({ kind: 'tool.returned', call: 'c', tool: 'sh', ok: true, text: '\x1b]52;c;ZXZpbA==\x07' });
      run.say('x\x1b[8mhidden');
      return 'x\x1b[8mhidden';
    },
    async (desk) => {
      assert.equal(await piped(desk, ['go']), 0);
      assert.match(desk.out(), /hidden/);
      // oxlint-disable-next-line no-control-regex -- they are what must not be there
      assert.doesNotMatch(desk.out(), /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
    },
  );
});

test('@name turns to that agent, for what follows too; alone it only turns', async () => {
  await withDesk(echo, async (desk) => {
    assert.equal(await piped(desk, ['@email one', 'two', '@assistant', 'three', '@nobody four']), 0);
    assert.match(desk.out(), /Talking to email\.[^]*one\ntwo\n[^]*Talking to assistant\.[^]*three\n@nobody four\n$/);
    assert.deepEqual(
      desk.runtime.deliveries.map(({ message }) => [message.agent, message.text]),
      [
        ['email', 'one'],
        ['email', 'two'],
        ['assistant', 'three'],
        ['assistant', '@nobody four'],
      ],
    );
    assert.equal(new Set(desk.runtime.deliveries.map(({ message }) => message.session)).size, 1);
  });
});
