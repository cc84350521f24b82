import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Problem } from '../../src/core/agent.ts';
import type { ToolContext } from '../../src/core/ports/tool.ts';
import { openScheduleBook } from '../../src/config/schedule-book.ts';
import { explainSchedule } from '../../src/config/schedule-words.ts';
import { machineZone } from '../../src/platform/system.ts';
import { scheduleTool } from '../../src/tools/schedule.ts';
import { recipientsOf } from '../../src/config/settings.ts';
import { parseAgent } from '../../src/config/agent.ts';
import { SETTINGS } from '../fakes/governance.ts';
import { call, contextOf, openBench, type Bench, type TestContext } from './workspace.ts';
import { KNOWN } from '../fakes/known.ts';

const FILE = 'agents/assistant/AGENT.md';
const TEXT =
  '---\n# ours\nschedules:\n  - { name: old, cron: "0 9 * * *", timezone: Europe/Paris, task: "Look." }\n---\nYou help.\n';
const NOW = Date.UTC(2026, 10, 22, 12);

let bench: Bench;
before(async () => {
  bench = await openBench({ [FILE]: TEXT });
});
after(() => bench.close());

const telegram = { name: 'telegram', type: 'telegram', secrets: {}, owners: ['111'], agent: null, settings: {} };
const recipients = recipientsOf([telegram], KNOWN);
const check = (path: string, bytes: Uint8Array | null): Problem[] =>
  parseAgent(bytes ?? '', path, 'assistant', { ...KNOWN, recipients }).problems;
const clock = { now: () => NOW, sleep: () => new Promise<void>(() => {}) };
const tool = scheduleTool(openScheduleBook({ reader: { check }, settings: SETTINGS, clock, zone: machineZone }));

const context = async (more: Partial<ToolContext> = {}): Promise<TestContext> => contextOf(await bench.files(), more);
const good = { name: 'new', cron: '15 8 * * 1-5', timezone: 'Europe/Paris', task: 'Write.' };

test('one is made in the file of the agent itself, and then listed; nothing is said without a need', async () => {
  const ctx = await context();
  const made = await call(tool, { create: good }, ctx);
  assert.deepEqual([made.ok, made.changes.map(({ path }) => path)], [true, [FILE]]);
  assert.match(
    made.text,
    /^Made new: 15 8 \* \* 1-5 \(Europe\/Paris\), next Mon 23 Nov 08:15\n {2}Write\.\n.*who is asked before this answer is delivered\.$/,
  );
  const listed = await call(tool, {}, ctx);
  assert.match(listed.text, /^old: 0 9 \* \* \* \(Europe\/Paris\), next Mon 23 Nov 09:00\n {2}Look\.\nnew: /);
  assert.deepEqual(listed.changes, []);
  const gone = await call(tool, { remove: 'new' }, ctx);
  assert.match(gone.text, /^new is removed\./);
  assert.equal(Buffer.from((await ctx.files.read(FILE))?.bytes ?? []).toString(), TEXT);
});

test('one that is made in a chat answers there, unless it says who else is to hear of it', async () => {
  const line = async (create: Record<string, string | null>, chat: string | null): Promise<string> => {
    const ctx = await context({ chat: () => Promise.resolve(chat) });
    const made = await call(tool, { create: { ...good, ...create } }, ctx);
    assert.ok(made.ok, made.text);
    const text = Buffer.from((await ctx.files.read(FILE))?.bytes ?? []).toString();
    return /to: [^,}]*/.exec(text.split('\n').find((each) => each.includes('name: new')) ?? '')?.[0].trim() ?? 'nobody';
  };
  assert.equal(await line({}, 'telegram:111'), 'to: telegram:111');
  assert.equal(await line({ to: 'owner' }, 'telegram:111'), 'to: owner');
  assert.equal(await line({ to: null }, 'telegram:111'), 'nobody');
  assert.equal(await line({}, null), 'nobody');
  const wrong = await call(tool, { create: { ...good, to: 'Anna' } }, await context());
  assert.match(wrong.text, /to must be owner, or CHANNEL:ADDRESS/);
  // Whom nobody can reach is said now, and not at a quarter past eight.
  for (const [to, said] of [
    ['telegramm:111', /to names the channel "telegramm", which is not there.*Did you mean "telegram"/],
    ['telegram:anna', /to names "anna", which is not the numeric id of a chat/],
  ] as const) {
    const refused = await call(tool, { create: { ...good, to } }, await context());
    assert.equal(refused.ok, false);
    assert.match(refused.text, said);
  }
});

test('a clock on the wall gets its zone into the file, unless the time says its own or none counts', async () => {
  const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  const cases: [create: Record<string, string>, written: boolean][] = [
    [{ cron: '15 8 * * *' }, true],
    [{ at: '2030-01-01T08:00' }, true],
    [{ at: '2030-01-01T08:00:00Z' }, false],
    [{ every: '1h' }, false],
    [{ every: '1h', activeHours: '08:00-18:00' }, true],
  ];
  for (const [when, written] of cases) {
    const ctx = await context();
    const made = await call(tool, { create: { name: 'new', ...when, task: 'Write.' } }, ctx);
    assert.ok(made.ok, made.text);
    const text = Buffer.from((await ctx.files.read(FILE))?.bytes ?? []).toString();
    const line = text.split('\n').find((each) => each.includes('name: new')) ?? '';
    assert.equal(line.includes(`, timezone: ${zone}, task: Write. }`), written, line);
  }
});

test('times of day that name no zone are by the clock of who asks', async () => {
  for (const [when, written] of [
    [{ cron: '15 8 * * *' }, 'timezone: Asia/Tokyo'],
    // It is noon UTC.
    [{ in: '30m' }, 'at: 2026-11-22T21:30:00, timezone: Asia/Tokyo'],
    [{ cron: '15 8 * * *', timezone: 'Europe/Paris' }, 'timezone: Europe/Paris'],
  ] as const) {
    const ctx = { ...(await context()), zone: () => Promise.resolve('Asia/Tokyo') };
    const made = await call(tool, { create: { name: 'new', ...when, task: 'Write.' } }, ctx);
    assert.ok(made.ok, made.text);
    const text = Buffer.from((await ctx.files.read(FILE))?.bytes ?? []).toString();
    assert.ok(
      text
        .split('\n')
        .find((each) => each.includes('name: new'))
        ?.includes(written),
      text,
    );
  }
});

test('a time from now becomes the moment that it means, by the clock of its zone', async () => {
  const line = async (create: Record<string, unknown>): Promise<string> => {
    const ctx = await context();
    const made = await call(tool, { create: { name: 'new', timezone: 'Europe/Paris', task: 'Call.', ...create } }, ctx);
    if (!made.ok) return made.text;
    const text = Buffer.from((await ctx.files.read(FILE))?.bytes ?? []).toString();
    return text.split('\n').find((each) => each.includes('name: new')) ?? '';
  };
  // It is noon UTC, one o'clock in Paris.
  for (const span of ['30m', '30 minutes', 'in 30 min', '1800s', 'in 0 hours and 30 minutes'])
    assert.match(await line({ in: span }), /at: 2026-11-22T13:30:00, timezone: Europe\/Paris, task: Call\./, span);
  assert.match(await line({ in: 'in 2 hours' }), /at: 2026-11-22T15:00:00,/);
  assert.match(await line({ in: 'a week' }), /at: 2026-11-29T13:00:00,/);
  assert.match(await line({ in: '1d12h', timezone: 'Asia/Tokyo' }), /at: 2026-11-24T09:00:00, timezone: Asia\/Tokyo/);
  assert.match(await line({ in: '30m', to: 'owner' }), /to: owner/);
  assert.doesNotMatch(await line({ in: '30m' }), /\bin:/);
  for (const span of ['soon', '0s', '-5m', '367d', '', 30, '30', '1 fortnight'])
    assert.match(
      await line({ in: span }),
      /"in" must be a time from now such as 30m, 2h or 3d, of 1s to 366d\. Nothing/,
    );
  assert.match(await line({ in: '30m', cron: '0 9 * * *' }), /"in" is a time of its own: leave out cron\. Nothing/);
});

test('in an hour that comes twice the second one is meant where it is', async () => {
  // 25 October 2026, 01:00 UTC: in Paris it is two o'clock for the second time.
  const then = { now: () => Date.UTC(2026, 9, 25, 0, 40), sleep: () => new Promise<void>(() => {}) };
  const book = openScheduleBook({ reader: { check }, settings: SETTINGS, clock: then, zone: () => 'Europe/Paris' });
  const create = { name: 'new', in: '30m', task: 'Call.' };
  const made = book.change('assistant', TEXT, { create, remove: null });
  assert.ok(made.ok);
  assert.match(made.text, /at: 2026-10-25T01:10:00Z, /);
  assert.match(made.said, /next Sun 25 Oct 02:10/);
});

test('the person who approves it reads when it is', () => {
  const explain = explainSchedule(clock, machineZone);
  const daily = { name: 'x', task: 'Write.', timezone: 'Europe/Paris' };
  const said = (more: object) => explain('a', { ...daily, ...more });
  assert.equal(said({ cron: '15 8 * * 1-5' }), 'x: every weekday 08:15 (Europe/Paris), next Mon 23 Nov 08:15');
  assert.equal(said({ cron: '5 23 * * *' }), 'x: every day 23:05 (Europe/Paris), next Sun 22 Nov 23:05');
  assert.equal(said({ cron: '0 9 * * 1' }), 'x: every Monday 09:00 (Europe/Paris), next Mon 23 Nov 09:00');
  assert.equal(said({ cron: '0 9 1 * *' }), 'x: 0 9 1 * * (Europe/Paris), next Tue 1 Dec 09:00');
  assert.equal(said({ at: '2020-01-01T08:00' }), 'x: at 2020-01-01T08:00 (Europe/Paris), never fires');
  assert.match(said({ at: '2026-11-23T08:00' }) ?? '', /, next Mon 23 Nov 08:00 if it is approved before then$/);
  assert.match(
    explain('a', { name: 'x', task: 'x', every: '1h' }) ?? '',
    /^x: every 1h \(.*, the zone of this machine\), next /,
  );
  const network = explain('a', { name: 'x', task: 'x', cron: '0 9 * * *' }, 'Asia/Tokyo');
  assert.equal(network, 'x: every day 09:00 (Asia/Tokyo), next Mon 23 Nov 09:00');
  assert.equal(said({ cron: 'soon' }), null);
});

test('what can never work is told at once, by the key that is wrong, and changes nothing', async () => {
  const { cron: _, ...bare } = good;
  const cases: [create: Record<string, unknown>, said: RegExp][] = [
    [{ ...good, cron: '61 8 * * *' }, /^cron .*61/],
    [{ ...good, cron: '0 0 30 2 *' }, /^cron never fires/],
    [{ ...good, timezone: 'Europe/Pariss' }, /^timezone there is no time zone "Europe\/Pariss"/],
    [{ ...good, name: 'old' }, /a schedule "old" already/],
    [{ ...good, name: 'Not This' }, /^name must be a name of small letters/],
    [{ ...good, every: '1h' }, /exactly one of cron, every and at/],
    [{ ...bare, every: 'soon' }, /^every must be a time/],
    [{ ...bare, at: '2026-11-22T08:00' }, /"new" would never fire: at 2026-11-22T08:00 is over/],
    [{ ...good, when: 'daily' }, /when/],
    [{}, /name/],
  ];
  for (const [create, said] of cases) {
    const ctx = await context();
    const result = await call(tool, { create }, ctx);
    assert.equal(result.ok, false, JSON.stringify(create));
    assert.match(result.text, said);
    assert.match(result.text, /Nothing was changed\.$/);
    assert.deepEqual([result.changes, ctx.files.changes()], [[], []]);
  }
  const missing = await call(tool, { remove: 'none' }, await context());
  assert.match(missing.text, /there is no schedule "none"; there are: old/);
});

test('a rule that keeps the file from the agent counts, and so does a file that is not there', async () => {
  const kept = await call(tool, { create: good }, await context({ mayWrite: (path) => path !== FILE }));
  assert.match(kept.text, /A rule keeps you from changing agents\/assistant\/AGENT\.md/);
  const other = await call(tool, {}, await context({ agent: 'other' }));
  assert.match(other.text, /There is no file agents\/other\/AGENT\.md/);
  for (const args of [{ create: 'daily' }, { create: [] }, { add: good }]) assert.equal(tool.parse(args).ok, false);
});
