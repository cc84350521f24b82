import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { openRecord } from '../../src/app/record.ts';
import type { Event, EventOf, EventType } from '../../src/core/event.ts';
import { runStream } from '../../src/core/ids.ts';
import { isEnded } from '../../src/core/task.ts';
import { BOSS, type Crashes, FIRINGS, GRANTED, TICK_MS, TOLD } from './driver.ts';

/** Lines of processes that still work for this home. */
function leftoverProcesses(crashes: Crashes): string[] {
  const list = execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' });
  return list.split('\n').filter((line) => line.includes(crashes.dir) && !line.includes('ps -eo'));
}

const count = (text: string, part: string): number => text.split(part).length - 1;

/** What must hold once everything is answered and the process has been stopped. Returns how much was checked. */
export async function checkAll(crashes: Crashes): Promise<{ messages: number; said: string }> {
  const { replies: sent, platform } = crashes;
  const byChat = new Map<string, typeof sent>();
  for (const each of sent) byChat.set(each.to, [...(byChat.get(each.to) ?? []), each]);
  let repeated = 0;
  for (const { chat, text } of crashes.said) {
    const replies = byChat.get(chat) ?? [];
    assert.ok(replies.length > 0, `no reply to ${text} (${chat})`);
    assert.equal(
      new Set(replies.map((reply) => reply.key)).size,
      1,
      `${text} was answered twice: ${JSON.stringify(replies)}`,
    );
    // One that was cut off before it was sent is marked too: nobody can tell it from one that was cut off after.
    for (const again of replies.slice(1)) assert.ok(again.again, `a repeated reply to ${text} is not marked`);
    repeated += replies.length - 1;
    assert.doesNotMatch(replies[0]?.text ?? '', /could not finish/, `${text}: ${replies[0]?.text}`);
  }
  for (const word of crashes.told) {
    const sends = (byChat.get(TOLD) ?? []).filter(({ text }) => text.includes(word));
    assert.equal(new Set(sends.map(({ key }) => key)).size, 1, `${word} was told once: ${JSON.stringify(sends)}`);
    for (const again of sends.slice(1)) assert.ok(again.again, `${word} is told again, and not marked`);
  }
  // What a kill leaves of a reply that was being written says so itself.
  for (const { text } of platform.drafts.values()) assert.match(text, / …$/);
  // A kill can leave one for every reply of its round, so kills are no bound; a reply has one at most.
  assert.ok(platform.drafts.size <= crashes.said.length, `${platform.drafts.size} drafts are left`);
  const asked = platform.sent.filter(({ asks }) => asks);
  assert.ok(asked.length >= 2 * crashes.cycles, `${asked.length} questions and approvals were put`);
  for (let n = 1; n <= crashes.cycles; n++) {
    assert.equal(crashes.read(`out/c${n}.md`), 'one');
    assert.equal(crashes.read(`contracts/c${n}.md`), 'signed');
    assert.equal(crashes.read(`ran-c${n}.txt`), 'ran\n', 'a command ran once');
    assert.equal(crashes.read(`ledger/c${n}.md`), '1;2;3;4;', 'each line of the ledger is written once');
    assert.equal(count(crashes.read('shared.md'), `c${n};`), 1, `append c${n} landed exactly once`);
    assert.equal(crashes.read(`out/h${n}.md`), 'handed');
    assert.equal(count(crashes.read('helped.md'), `h${n};`), 1, `helper did ${n} exactly once`);
    assert.match(byChat.get(`c${n}h`)?.[0]?.text ?? '', /ask helper:?\n?[^]*append helped\.md/);
    assert.match(byChat.get(`c${n}e`)?.[0]?.text ?? '', /blue/);
    assert.match(byChat.get(`c${n}g`)?.[0]?.text ?? '', /ran/);
  }
  for (const word of crashes.filed)
    assert.equal(count(crashes.read('filed.md'), word), 1, `the file of ${word} became one task`);
  checkWorkspace(crashes);
  const counted = await checkRecord(crashes);
  const { length: messages } = crashes.said;
  return { messages, said: `${messages} messages, ${repeated} marked repeats, ${counted}` };
}

/** A checkout that nobody owns has none. */
function stateOf(checkout: string): { key: string | null } | null {
  const file = join(checkout, 'state.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { key: string | null }) : null;
}

function checkWorkspace(crashes: Crashes): void {
  assert.equal(crashes.git('status', '--porcelain').trim(), '', 'the work tree is main');
  crashes.git('fsck', '--strict', '--no-dangling');
  assert.ok(!existsSync(join(crashes.workspace, '.git', 'index.lock')), 'no lock is left');
  const runs = crashes.git('log', '--format=%(trailers:key=Ruche-Run,valueonly)').split('\n').filter(Boolean);
  assert.equal(new Set(runs).size, runs.length, 'each run landed at most once');
  const shells = readdirSync(join(crashes.home, 'shells')).filter((name) => name.startsWith('run_'));
  assert.deepEqual(shells, [], 'no command is left');
  const checkouts = readdirSync(join(crashes.home, 'checkouts')).filter((name) => /^c\d+$/.test(name));
  // Those that nobody owns do not outlast a kill; what commands have seen of Git does.
  assert.ok(readdirSync(join(crashes.home, 'checkouts', '.objects')).length > 0, 'commands have run');
  const held = checkouts.filter((name) => stateOf(join(crashes.home, 'checkouts', name))?.key);
  assert.deepEqual(held, [], 'no checkout is held');
  assert.deepEqual(leftoverProcesses(crashes), [], 'no process is left');
}

async function checkRecord(crashes: Crashes): Promise<string> {
  const env = { PATH: process.env.PATH, HOME: crashes.home };
  const record = await openRecord({ home: crashes.home, workspace: crashes.workspace, env });
  try {
    const { findings, counts } = await record.verify();
    assert.deepEqual(findings, [], 'verify is clean');
    assert.ok(
      counts.events > 0 && counts.lines === counts.events,
      `journal.git has every event: ${JSON.stringify(counts)}`,
    );
    for (const task of await record.store.tasks({}))
      assert.ok(isEnded(task.status), `task ${task.id} is ${task.status}: ${JSON.stringify(task)}`);
    const started = new Map<string, number>();
    for await (const event of record.store.read({ types: ['tool.started'] }))
      if (event.type === 'tool.started' && !event.data.idempotent)
        started.set(event.data.key, (started.get(event.data.key) ?? 0) + 1);
    for (const [key, times] of started)
      assert.ok(times === 1 || /r+$/.test(key) || times <= 2, `${key} began ${times} times`);
    const work = checkWork(crashes, await Array.fromAsync(record.store.read({})));
    return `${work}, ${counts.events} events`;
  } finally {
    await record.close();
  }
}

const ofType = <T extends EventType>(events: readonly Event[], type: T): EventOf<T>[] =>
  events.filter((event): event is EventOf<T> => event.type === type);

/** Work that agents give each other and that the clock gives: all of it, once. */
function checkWork(crashes: Crashes, events: readonly Event[]): string {
  const made = ofType(events, 'task.created');
  assert.equal(made.length, crashes.cycles, 'each order gave one task');
  const waits = new Set(ofType(events, 'tasks.awaited').map(({ stream, data }) => `${stream} ${data.call}`));
  const returned = ofType(events, 'tool.returned').map(({ stream, data }) => `${stream} ${data.call}`);
  for (const wait of waits)
    assert.equal(returned.filter((call) => call === wait).length, 1, `${wait} has its result once`);
  const moved = ofType(events, 'conversation.moved');
  assert.equal(new Set(moved.map(({ stream }) => stream)).size, crashes.cycles, 'each conversation is handed over');
  assert.equal(moved.length, crashes.cycles, 'and once');
  const times = ofType(events, 'schedule.fired').map(({ data }) => data.at);
  assert.equal(ofType(events, 'schedule.skipped').length, 0);
  for (const [n, at] of times.slice(1).entries())
    assert.equal(at - (times[n] ?? 0), TICK_MS, 'each time fires, and once');
  assert.equal(count(crashes.read('ticks.md'), 'tick;'), times.length, 'what has fired is done once');
  assert.ok(waits.size > 0 && times.length >= FIRINGS, `${waits.size} waits, ${times.length} firings`);
  const fired = checkTriggers(crashes, events);
  const told = checkEscalations(crashes, events);
  const uses = checkGrants(crashes, events);
  const files = crashes.filed.length;
  return `${made.length} tasks given, ${waits.size} waits, ${moved.length} hand-overs, ${times.length} firings, ${fired}, ${told} escalations, ${uses} uses of grants, ${files} files`;
}

/** Each file that landed, and each webhook however often it was sent, has led to one task. */
function checkTriggers(crashes: Crashes, events: readonly Event[]): string {
  const { cycles, hooked } = crashes;
  const received = ofType(events, 'webhook.received');
  assert.deepEqual(received.map(({ data }) => data.delivery).toSorted(), hooked.map(({ word }) => word).toSorted());
  const fired = ofType(events, 'trigger.fired');
  assert.deepEqual(ofType(events, 'trigger.skipped'), []);
  const causes = fired.map(({ data }) => `${data.trigger} ${data.first}`);
  assert.equal(new Set(causes).size, causes.length, 'each cause fires once');
  const by = (name: string): string[] => fired.flatMap(({ data }) => (data.trigger === name ? data.task : []));
  assert.deepEqual(by('helper/told').toSorted(), hooked.map(({ task }) => task ?? '').toSorted());
  const listened = Array.from({ length: cycles }, (_, n) => n + 1).filter((n) => [1, 4, 7].includes(n % 10));
  assert.equal(by('helper/note').length, listened.length, 'each landing it listens to fires');
  assert.ok(listened.length > 0 && received.length > 0);
  const queued = ofType(events, 'task.queued').filter(({ data }) => data.task.from.startsWith('trigger:'));
  assert.deepEqual(
    queued.map(({ data }) => data.task.id),
    fired.map(({ data }) => data.task),
    'and has one task',
  );
  return `${fired.length} by triggers, ${received.length} webhooks`;
}

/** Of each evening the first of four calls was approved, two were granted by it and used it up, and the last one was approved. */
function checkGrants({ cycles }: Crashes, events: readonly Event[]): number {
  const given = ofType(events, 'grant.given').map(({ data }) => data);
  assert.equal(new Set(given.map(({ approval }) => approval)).size, given.length, 'an approval gives one grant');
  assert.equal(given.length, 2 * cycles, 'each approval of the ledger has given its grant');
  const used = ofType(events, 'grant.used').map(({ data }) => data);
  assert.equal(new Set(used.map(({ run, call }) => `${run}/${call}`)).size, used.length, 'a use is counted once');
  const decided = ofType(events, 'decision.made').filter(({ data }) => data.rule.startsWith('grant:'));
  const resting = new Set(decided.map(({ stream, data }) => `${stream} ${data.call} ${data.rule}`));
  assert.deepEqual(
    new Set(used.map(({ run, call, grant }) => `${runStream(run)} ${call} grant:${grant}`)),
    resting,
    'what rests on a grant has used it',
  );
  const uses = given.map(({ grant }) => used.filter((use) => use.grant === grant).map(({ use }) => use));
  const whole = Array.from({ length: GRANTED }, (_, use) => use + 1);
  for (const [at, numbers] of uses.entries())
    assert.ok(
      numbers.length === 0 ||
        isDeepStrictEqual(
          numbers.toSorted((a, b) => (a ?? 0) - (b ?? 0)),
          whole,
        ),
      `${given[at]?.grant}: ${numbers.join(', ')}`,
    );
  assert.equal(used.length, GRANTED * cycles, 'no use is lost');
  return used.length;
}

/** The boss was asked about everything that waited, by its one level, once. */
function checkEscalations(crashes: Crashes, events: readonly Event[]): number {
  const started = ofType(events, 'escalation.started').map(({ data }) => data.escalation);
  const ended = ofType(events, 'escalation.ended').map(({ data }) => data.escalation);
  assert.deepEqual(ended.toSorted(), started.toSorted(), 'each escalation ends, once');
  assert.equal(new Set(started).size, started.length, 'and begins once');
  const reached = ofType(events, 'escalation.reached');
  assert.equal(new Set(reached.map(({ data }) => data.escalation)).size, reached.length, 'its level is reached once');
  assert.deepEqual(new Set(reached.map(({ data }) => data.outcome)), new Set(['told']));
  const sent = crashes.platform.sent.filter(({ to }) => to === BOSS);
  assert.equal(new Set(sent.map(({ key }) => key)).size, reached.length, 'and the boss is told');
  const first = new Set<string>();
  for (const { key, again } of sent) assert.ok(first.size !== first.add(key).size || again, 'a repeat is marked');
  return reached.length;
}
