import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AppPort, ReadOnlyHome } from '../../src/cli/app-port.ts';
import { eventFilter } from '../../src/cli/log-filter.ts';
import { sinceOf } from '../../src/cli/time.ts';
import type { Event } from '../../src/core/event.ts';
import type { ReadFrom } from '../../src/core/ports/store.ts';
import { echo } from '../gateway/help.ts';
import { until } from '../fakes/until.ts';
import { NO_APP, withDesk } from './help.ts';

const NOW = Date.UTC(2026, 10, 22, 12);

/** A journal of two tasks of two agents, as far as the filters look at it. */
function journal(): Event[] {
  const events: Event[] = [];
  const add = (type: string, stream: string, actor: string, data: object): void => {
    const seq = events.length + 1;
    events.push({
      type,
      stream,
      actor,
      data,
      seq,
      id: `evt_${seq}`,
      version: 1,
      at: NOW - 100_000 + seq * 10_000,
      cause: null,
      labels: [],
      key: null,
      schema: 1,
      hash: '',
    } as unknown as Event);
  };
  for (const [n, agent] of [
    [1, 'assistant'],
    [2, 'email'],
  ] as const) {
    add('message.received', `conv:${agent}/s`, 'person:owner', { agent, task: `tsk_${n}` });
    add('task.queued', `task:tsk_${n}`, 'person:owner', { task: { id: `tsk_${n}`, agent } });
    add('run.started', `run:run_${n}`, 'runtime', { run: `run_${n}`, task: `tsk_${n}`, agent });
    add('tool.started', `run:run_${n}`, `agent:${agent}`, { tool: 'read' });
    add('run.finished', `run:run_${n}`, 'runtime', { run: `run_${n}` });
  }
  add('gateway.stopped', 'gateway', 'runtime', { reason: 'x' });
  return events;
}

const fitting = (flags: Parameters<typeof eventFilter>[0], since: number | null = null): number[] => {
  const filter = eventFilter(flags, since);
  return journal()
    .filter((event) => filter.fits(event))
    .map((event) => event.seq);
};

test('Filters: run, task, agent, types and time, each and together', () => {
  assert.equal(fitting({}).length, 11);
  assert.deepEqual(fitting({ run: 'run_2' }), [8, 9, 10]);
  assert.deepEqual(fitting({ task: 'tsk_1' }), [1, 2, 3, 4, 5]);
  assert.deepEqual(fitting({ agent: 'email' }), [6, 7, 8, 9, 10]);
  assert.deepEqual(fitting({ type: 'run.' }), [3, 5, 8, 10]);
  assert.deepEqual(fitting({ type: 'tool.started,gateway.stopped' }), [4, 9, 11]);
  assert.deepEqual(fitting({ task: 'tsk_2', type: 'tool.started' }), [9]);
  assert.deepEqual(fitting({ agent: 'email', run: 'run_1' }), []);
  assert.deepEqual(fitting({}, NOW), [10, 11]);
  assert.equal(eventFilter({}, null).all, true);
  assert.equal(eventFilter({ run: 'x' }, null).all, false);
});

test('Times: ago and dates', () => {
  assert.equal(sinceOf('30s', NOW), NOW - 30_000);
  assert.equal(sinceOf('3d', NOW), NOW - 3 * 86_400_000);
  assert.equal(sinceOf('2026-11-22T08:00:00Z', NOW), Date.UTC(2026, 10, 22, 8));
  for (const text of ['', 'yesterday', '5', '10w', '-5m', '22.11.2026'])
    assert.throws(() => sinceOf(text, NOW), /--since/);
});

/** A home with a journal that grows. */
function home(events: Event[]): { app: AppPort; reads: ReadFrom[]; closed: () => boolean } {
  const reads: ReadFrom[] = [];
  let closed = false;
  const open: ReadOnlyHome = {
    store: {
      head: async () => events.length,
      async *read(from) {
        reads.push(from);
        const fitting = events.filter((event) => event.seq > (from.after ?? 0));
        if (from.reverse) fitting.reverse();
        yield* fitting.slice(0, from.limit);
      },
    },
    types: [...new Set(events.map((event) => event.type)), 'gateway.started'],
    line: async (event) => `${event.id} ${event.type}`,
    json: async (event) => JSON.stringify({ id: event.id }),
    verify: async () => ({
      findings: [{ event: 'evt_4', where: 'blob', message: 'the bytes\x1b[2J do not fit the hash' }],
      notes: [{ event: 'evt_3', where: 'main', message: 'a person has rewritten it' }],
      counts: { events: 11, blobs: 3, erased: 0, lines: 11, commits: 1 },
    }),
    close: async () => void (closed = true),
  };
  return {
    app: { ...NO_APP, openHomeReadOnly: async () => open },
    reads,
    closed: () => closed,
  };
}

test('log shows the newest, reads no more than that, and needs no gateway', async () => {
  const { app, reads, closed } = home(journal());
  await withDesk(
    echo,
    async (desk) => {
      await desk.stop();
      assert.equal(await desk.ruche('log', '--limit', '2'), 0);
      assert.equal(desk.out(), 'evt_10 run.finished\nevt_11 gateway.stopped\n');
      assert.deepEqual(reads, [{ reverse: true, limit: 2 }]);
      assert.equal(await desk.ruche('log', '--task', 'tsk_1', '--limit', '1', '--json'), 0);
      assert.match(desk.out(), /\{"id":"evt_5"\}\n$/);
      assert.equal(await desk.ruche('log', '--limit', 'x'), 1);
      assert.equal(await desk.ruche('log', '--type', 'run.,runs'), 1);
      assert.match(
        desk.err(),
        /Unknown event type "runs"\. Did you mean "run\."\?[^]*^ {2}run\. {2}started, finished$/m,
      );
      assert.equal(await desk.ruche('log', '--agent', 'nobody'), 0);
      assert.match(desk.err(), /No matching events\.\n$/);
      assert.ok(closed());
    },
    { loadApp: async () => app },
  );
});

test('log --follow goes on with each new event until it is interrupted', async () => {
  const events = journal();
  const { app, closed } = home(events);
  await withDesk(
    echo,
    async (desk) => {
      const following = desk.ruche('log', '--follow', '--type', 'gateway.');
      await until(() => desk.out().includes('evt_11'));
      events.push({ ...events[10], seq: 12, id: 'evt_12', type: 'gateway.started' } as Event);
      events.push({ ...events[3], seq: 13, id: 'evt_13' } as Event);
      await until(() => desk.out().includes('evt_12'));
      desk.signal('SIGINT');
      assert.equal(await following, 0);
      assert.equal(desk.out(), 'evt_11 gateway.stopped\nevt_12 gateway.started\n');
      assert.ok(closed());
    },
    { loadApp: async () => app },
  );
});

test('of a thousand misfits verify shows fifty, and says where the others are', async () => {
  const { app } = home(journal());
  const finding = { event: null, where: 'main', message: 'it does not fit' } as const;
  const findings = Array.from({ length: 1000 }, () => finding);
  const counts = { events: 1, blobs: 0, erased: 0, lines: 0, commits: 0 };
  const openHomeReadOnly: typeof app.openHomeReadOnly = async (options) => ({
    ...(await app.openHomeReadOnly(options)),
    verify: async () => ({ findings, notes: [], counts }),
  });
  await withDesk(
    echo,
    async (desk) => {
      assert.equal(await desk.ruche('verify'), 1);
      assert.equal(desk.out().match(/it does not fit/g)?.length, 50);
      assert.match(desk.out(), /^1000 checks failed[^]* {2}and 950 more, which --json lists\n$/);
    },
    { loadApp: async () => ({ ...app, openHomeReadOnly }) },
  );
});

test('verify exits 1 and names what does not fit', async () => {
  const { app } = home(journal());
  await withDesk(
    echo,
    async (desk) => {
      assert.equal(await desk.ruche('verify'), 1);
      assert.match(
        desk.out(),
        /1 check failed[^]*evt_4 {2}blob: the bytes\\u\{1b\}\[2J do not fit the hash\nChanged by a person, and no fault:\n {2}evt_3 {2}main: a person has rewritten it\n$/,
      );
    },
    { loadApp: async () => app },
  );
});
