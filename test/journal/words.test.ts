import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BlobRef } from '../../src/core/blob.ts';
import type { Event } from '../../src/core/event.ts';
import type { Task } from '../../src/core/task.ts';
import { describe, isWeighty } from '../../src/journal/words.ts';
import { newTask } from '../store/kit.ts';
import { MAIL_ROWS } from './mail-rows.ts';
import { MONEY_ROWS } from './money-rows.ts';
import { type Rows, STANDING_ROWS } from './standing-rows.ts';

const ref = (hash: string): BlobRef => ({ hash, size: 1, subject: 's' });
const blob = ref('said');
const bytes = (text: string): Uint8Array => Buffer.from(text);
const said = new Map([['said', bytes('"words"')]]);
const usage = { input: 10, output: 5, cacheRead: 0, cacheWrite: 0 };
const step = { step: 1, purpose: 'turn' as const, provider: 'p', model: 'm' };
const commit = '0123456789abcdef';
const task: Task = newTask('tsk_1');

const received = { agent: 'a', session: 's', channel: 'http', from: 'o', replyTo: '', content: blob, task: 'tsk_1' };
const queued = { agent: 'a', session: 's', task: 'tsk_1', run: 'run_1', channel: 'http', to: 'o', content: blob };
const answered = { ...step, answer: blob, finish: 'stop' as const, usage, costUsd: 0, ms: 999.6 };
const failed = { ...step, error: 'rate' as const, detail: blob, partial: null, ms: 1_000 };
const returned = { call: 'c', tool: 'list', ok: true, result: blob, labels: [], ms: 3.4, reconciled: false };
const finished = { run: 'run_1', status: 'done' as const, error: null, detail: null, usage, costUsd: 0, steps: 1 };
const started = { run: 'run_1', task: 'tsk_1', agent: 'a', session: 's', attempt: 1, config: 'c', base: commit };

const timing = { zone: 'UTC', until: null, activeHours: null, jitter: 0 };
const set = { schedule: 'a/n', agent: 'a', name: 'n', anchor: 0, paused: false };
const skipped = { schedule: 'a/n', at: 1000, count: 1, task: null };

const passed = { trigger: 'a/n', first: 'evt_1', last: 'evt_1', count: 1, detail: null, matter: null };
const two = { last: 'evt_2', count: 2 };

const sent = {
  who: 'tool:fetch',
  agent: 'a',
  run: 'r',
  host: 'x.org',
  port: 443,
  kind: 'request' as const,
  method: 'GET',
};
const carried = { bytesOut: 120, bytesIn: 4200, outcome: 'ok' as const, started: 0, ms: 5 };

const TABLE: Rows = {
  'net.sent': {
    weighty: false,
    rows: [
      ['sent 120 B to x.org:443 for a (tool:fetch), 4.2 kB came back', { ...sent, ...carried }],
      [
        'could not send (blocked) 0 B to x.org:443 for the runtime (tool:fetch), 0 B came back',
        { ...sent, ...carried, agent: null, bytesOut: 0, bytesIn: 0, outcome: 'blocked' },
      ],
    ],
  },
  'message.received': { weighty: true, rows: [['wrote to a via http: "words"', received]] },
  'history.given': {
    weighty: true,
    rows: [
      ['brought 1 earlier message', { messages: [blob] }],
      ['brought 0 earlier messages', { messages: [] }],
    ],
  },
  'sender.denied': { weighty: true, rows: [['rejected x on http', { channel: 'http', sender: 'x', chat: '' }]] },
  'pairing.opened': {
    weighty: true,
    rows: [['created a code that pairs an owner with chat', { channel: 'chat', hash: 'h', until: 1 }]],
  },
  'owner.paired': { weighty: true, rows: [['made x an owner on chat', { channel: 'chat', sender: 'x' }]] },
  'chat.renamed': {
    weighty: true,
    rows: [['follows the chat -5 on telegram, which is -100 now', { channel: 'telegram', from: '-5', to: '-100' }]],
  },
  'chat.session': {
    weighty: true,
    rows: [['began s with a on chat', { channel: 'chat', chat: 'c', agent: 'a', session: 's' }]],
  },
  'message.drafted': {
    weighty: false,
    rows: [['shows the reply by chat while it is written', { task: 't', channel: 'chat', to: 'o', draft: 'd' }]],
  },
  'task.dismissed': { weighty: true, rows: [['dismissed t from the list of failures', { task: 't' }]] },
  'task.late': {
    weighty: true,
    rows: [['t has missed its deadline, 1970-01-01T00:00:00.000Z', { task: 't', deadline: 0 }]],
  },
  'task.restored': { weighty: true, rows: [['restored the file of t', { task: 't' }]] },
  'task.rejected': {
    weighty: true,
    rows: [['made no task of a file in the inbox of email: "words"', { queue: 'email', detail: blob }]],
  },
  'task.created': {
    weighty: false,
    rows: [
      ['gives tsk_2 to email', { call: 'c', child: 'tsk_2', to: 'email', joined: false }],
      ['joins tsk_2 of email', { call: 'c', child: 'tsk_2', to: 'email', joined: true }],
    ],
  },
  'tasks.awaited': {
    weighty: false,
    rows: [
      ['will go on when tsk_2 has ended', { call: 'c', children: ['tsk_2'] }],
      ['will go on when tsk_2, tsk_3 have ended', { call: 'c', children: ['tsk_2', 'tsk_3'] }],
    ],
  },
  'matter.raised': {
    weighty: true,
    rows: [['asks the owner mat_1 (hops, t): "words"', { matter: 'mat_1', kind: 'hops', about: 't', text: blob }]],
  },
  'matter.settled': { weighty: true, rows: [['closed mat_1: "words"', { matter: 'mat_1', by: 'o', answer: blob }]] },
  'task.joined': { weighty: true, rows: [['is also wanted by tsk_2', { task: 't', by: 'tsk_2' }]] },
  'escalation.started': {
    weighty: true,
    rows: [
      [
        'takes apr_1 up the chain owner',
        {
          escalation: 'esc_apr_1',
          about: 'apr_1',
          kind: 'approval',
          task: 't',
          agent: 'a',
          chain: 'owner',
          from: 1,
          levels: [{ after: 0, to: 'deny' }],
        },
      ],
    ],
  },
  'escalation.reached': {
    weighty: true,
    rows: [
      [
        'level 1, chat:1: told',
        { escalation: 'esc_apr_1', level: 0, to: 'chat:1', outcome: 'told', why: null, task: 'tsk_2' },
      ],
      [
        'level 2, agent:b: could not be reached (no agent)',
        { escalation: 'esc_apr_1', level: 1, to: 'agent:b', outcome: 'unreachable', why: 'no agent', task: null },
      ],
      [
        'level 3, deny: nobody answered',
        { escalation: 'esc_apr_1', level: 2, to: 'deny', outcome: 'denies', why: null, task: null },
      ],
    ],
  },
  'escalation.acknowledged': {
    weighty: true,
    rows: [['acknowledged esc_apr_1', { escalation: 'esc_apr_1' }]],
  },
  'escalation.ended': {
    weighty: true,
    rows: [
      ['esc_apr_1 is closed: it was answered', { escalation: 'esc_apr_1', why: 'answered' }],
      ['esc_apr_1 is closed: it was denied', { escalation: 'esc_apr_1', why: 'denied' }],
      ['esc_apr_1 is closed: nothing waits any more', { escalation: 'esc_apr_1', why: 'gone' }],
    ],
  },
  'conversation.moved': {
    weighty: true,
    rows: [
      ['handed the conversation over to b: "words"', { agent: 'a', session: 's', to: 'b', run: 'r', brief: blob }],
    ],
  },
  'files.placed': {
    weighty: false,
    rows: [['finds 2 files of the message in its view', { files: 2, detail: blob }]],
  },
  'message.progressed': {
    weighty: false,
    rows: [['sent part 1 of the reply by chat', { message: 'm', channel: 'chat', part: 0, receipt: null }]],
  },
  'turn.ended': {
    weighty: false,
    rows: [['ended the turn: failed', { run: 'r', task: 't', status: 'failed', messages: [] }]],
  },
  'conversation.compacted': {
    weighty: true,
    rows: [
      [
        'summarised the conversation, 900 to 90 tokens',
        { run: 'r', upTo: 1, summary: blob, tokensBefore: 900, tokensAfter: 90 },
      ],
    ],
  },
  'message.queued': { weighty: false, rows: [['answers: "words"', queued]] },
  'message.sending': {
    weighty: false,
    rows: [
      ['is sending the reply by http, attempt 2', { message: 'm', channel: 'http', attempt: 2, part: 0, parts: 1 }],
      [
        'is sending the reply by http, attempt 1, part 2 of 3',
        { message: 'm', channel: 'http', attempt: 1, part: 1, parts: 3 },
      ],
    ],
  },
  'message.sent': {
    weighty: true,
    rows: [
      ['sent the reply by http', { message: 'm', channel: 'http', receipt: null, repeated: false }],
      [
        'sent the reply by http, marked as a possible repeat',
        { message: 'm', channel: 'http', receipt: null, repeated: true },
      ],
    ],
  },
  'message.unsure': {
    weighty: true,
    rows: [['does not know whether the reply arrived by http: cut', { message: 'm', channel: 'http', error: 'cut' }]],
  },
  'message.failed': {
    weighty: true,
    rows: [
      ['could not send the reply by http: full', { message: 'm', channel: 'http', error: 'full', final: false }],
      [
        'could not send the reply by http: full (given up)',
        { message: 'm', channel: 'http', error: 'full', final: true },
      ],
    ],
  },
  'message.held': {
    weighty: true,
    rows: [
      [
        'holds a message for chat:1 until 1970-01-01T00:00:01Z: quiet hours',
        { message: 'm', channel: 'chat', to: '1', until: 1000, why: 'quiet' },
      ],
      [
        'holds a message for chat:1 until 1970-01-01T00:00:01Z: it has had several within a minute',
        { message: 'm', channel: 'chat', to: '1', until: 1000, why: 'many' },
      ],
    ],
  },
  'message.collected': {
    weighty: true,
    rows: [
      ['sends 1 message to chat:1', { channel: 'chat', to: '1', messages: ['m'] }],
      ['sends 2 messages to chat:1 as one', { channel: 'chat', to: '1', messages: ['m', 'n'] }],
    ],
  },
  'task.queued': { weighty: false, rows: [['queued tsk_1 for assistant', { task }]] },
  'task.retried': {
    weighty: true,
    rows: [['tries t again, attempt 2: rate', { task: 't', run: 'r', attempt: 2, notBefore: 0, error: 'rate' }]],
  },
  'task.finished': {
    weighty: true,
    rows: [
      ['finished t: done', { task: 't', run: null, status: 'done', result: blob }],
      ['finished t: dead', { task: 't', run: null, status: 'dead', result: null }],
    ],
  },
  'run.started': {
    weighty: false,
    rows: [['started run_1 for tsk_1 at 0123456789', started]],
  },
  'run.resumed': { weighty: true, rows: [['resumed at step 4', { worker: 'w', step: 4, config: 'c' }]] },
  'base.moved': {
    weighty: false,
    rows: [['goes on from 0123456789, with what has changed since', { from: 'x', to: commit }]],
  },
  'message.taken': {
    weighty: true,
    rows: [['took in another message: "words"', { message: 'm', task: 't', content: blob }]],
  },
  'model.called': {
    weighty: false,
    rows: [
      ['asked p/m', { ...step, request: blob }],
      ['asked p/m for a summary', { ...step, purpose: 'compact', request: blob }],
    ],
  },
  'model.answered': {
    weighty: false,
    rows: [
      ['p/m answered in 1000 ms (stop, 10 + 5 tokens): "words"', answered],
      ['p/m answered in 1.0 s (stop, 10 + 5 tokens): "words"', { ...answered, ms: 1_000 }],
      ['p/m answered in 12.3 s (stop, 10 + 5 tokens): "words"', { ...answered, ms: 12_345 }],
    ],
  },
  'model.failed': { weighty: true, rows: [['p/m failed after 1.0 s: rate: "words"', failed]] },
  'decision.made': {
    weighty: false,
    rows: [
      ['read: deny by r1: Because.', { call: 'c', tool: 'read', verdict: 'deny', rule: 'r1', reason: 'Because.' }],
    ],
  },
  'approval.asked': {
    weighty: true,
    rows: [['asks approval for shell (apr_1): "words"', { approval: 'apr_1', call: 'c', tool: 'shell', shown: blob }]],
  },
  'approval.answered': {
    weighty: true,
    rows: [
      ['approved apr_1', { approval: 'apr_1', verdict: 'approve', by: 'person:owner', reason: null }],
      ['denied apr_1', { approval: 'apr_1', verdict: 'deny', by: 'person:owner', reason: null }],
    ],
  },
  ...STANDING_ROWS,
  ...MONEY_ROWS,
  ...MAIL_ROWS,
  'question.asked': {
    weighty: true,
    rows: [
      ['asks (q1): "words"', { question: 'q1', call: 'c', doubt: false, text: blob }],
      ['cannot tell what happened and asks (q1): "words"', { question: 'q1', call: 'c', doubt: true, text: blob }],
    ],
  },
  'question.answered': {
    weighty: true,
    rows: [['answered q1: "words"', { question: 'q1', by: 'person:owner', answer: blob }]],
  },
  'run.parked': {
    weighty: false,
    rows: [
      [
        'waits for apr_1, qst_1',
        {
          waits: [
            { kind: 'approval', id: 'apr_1' },
            { kind: 'question', id: 'qst_1' },
          ],
        },
      ],
    ],
  },
  'tool.started': {
    weighty: false,
    rows: [['starts shell', { call: 'c', tool: 'shell', key: 'k', effect: 'exec', idempotent: false }]],
  },
  'tool.returned': {
    weighty: true,
    rows: [
      ['list done in 3 ms: "words"', returned],
      ['list failed in 3 ms: "words"', { ...returned, ok: false }],
      ['list done in 3 ms (found after a restart): "words"', { ...returned, reconciled: true }],
    ],
  },
  'files.labelled': {
    weighty: false,
    rows: [['put on record where 2 files came from', { files: 2, detail: blob }]],
  },
  'landing.started': {
    weighty: false,
    rows: [
      ['is landing 1 path: "words"', { base: 'b', paths: 1, message: blob }],
      ['is landing 2 paths: "words"', { base: 'b', paths: 2, message: blob }],
    ],
  },
  'landing.finished': {
    weighty: true,
    rows: [
      ['landed 2 paths as 0123456789', { commit, paths: 2 }],
      ['had nothing to land', { commit: null, paths: 0 }],
    ],
  },
  'landing.conflicted': {
    weighty: true,
    rows: [['could not land onto 0123456789 and goes on from there', { onto: commit, detail: blob }]],
  },
  'note.added': { weighty: false, rows: [['was told: "words"', { note: blob }]] },
  'run.finished': {
    weighty: false,
    rows: [
      ['ended run_1: done after 1 step', finished],
      ['ended run_1: failed after 3 steps (no model)', { ...finished, status: 'failed', steps: 3, error: 'no model' }],
    ],
  },
  'person.committed': {
    weighty: true,
    rows: [['changed 2 files (0123456789)', { commit, author: 'Ada', paths: 2 }]],
  },
  'config.applied': { weighty: true, rows: [['the settings at 0123456789 apply', { commit }]] },
  'config.refused': {
    weighty: true,
    rows: [
      ['refused new settings, 1 problem; the old ones stay: "words"', { commit: null, problems: 1, detail: blob }],
    ],
  },
  'config.held': {
    weighty: true,
    rows: [['settings from outside at 0123456789 wait for approval apr_1', { commit, approval: 'apr_1', shown: blob }]],
  },
  'agent.paused': {
    weighty: true,
    rows: [['paused email', { agent: 'email', reason: null }]],
  },
  'agent.resumed': { weighty: true, rows: [['resumed email', { agent: 'email' }]] },
  'secret.changed': { weighty: true, rows: [['replaced the secret x', { name: 'x', what: 'rotated' }]] },
  'secret.key': { weighty: true, rows: [['encrypted the secrets with another key, age1x', { publicKey: 'age1x' }]] },
  'secret.used': { weighty: false, rows: [['read the secret x for y', { name: 'x', for: 'y' }]] },
  'gateway.started': {
    weighty: true,
    rows: [
      ['started, version 1.2.3', { version: '1.2.3', recovered: 0 }],
      ['started, version 1.2.3, 1 task taken up again', { version: '1.2.3', recovered: 1 }],
    ],
  },
  'schedule.set': {
    weighty: true,
    rows: [
      ['is set: 15 8 * * * (UTC)', { ...set, timing: { kind: 'cron', cron: '15 8 * * *', ...timing } }],
      ['is set: every 1h30m (UTC)', { ...set, timing: { kind: 'every', ms: 5_400_000, ...timing } }],
      ['is set: at 2026-12-24T08:00 (UTC)', { ...set, timing: { kind: 'at', at: '2026-12-24T08:00', ...timing } }],
    ],
  },
  'schedule.removed': { weighty: true, rows: [['was removed', { schedule: 'a/n' }]] },
  'schedule.fired': {
    weighty: true,
    rows: [
      ['fired for 1970-01-01T00:00:01Z: t', { schedule: 'a/n', at: 1000, task: 't', missed: 0, by: null }],
      [
        'fired for 1970-01-01T00:00:01Z: t, for 2 missed firings too',
        { schedule: 'a/n', at: 1000, task: 't', missed: 2, by: null },
      ],
      ['was run by hand for 1970-01-01T00:00:01Z: t', { schedule: 'a/n', at: 1000, task: 't', missed: 0, by: 'o' }],
    ],
  },
  'schedule.skipped': {
    weighty: true,
    rows: [
      ['skipped 1 firing up to 1970-01-01T00:00:01Z: Ruche was off', { ...skipped, why: 'missed' }],
      ['skipped 1 firing up to 1970-01-01T00:00:01Z: the previous task has not ended', { ...skipped, why: 'overlap' }],
      ['skipped 1 firing up to 1970-01-01T00:00:01Z: too many tasks wait', { ...skipped, why: 'full' }],
    ],
  },
  'schedule.paused': { weighty: true, rows: [['is paused', { schedule: 'a/n' }]] },
  'trigger.set': {
    weighty: true,
    rows: [
      ['a/n applies from here on', { trigger: 'a/n', agent: 'a', name: 'n', rule: blob, main: null }],
      ['a/n applies from here on', { trigger: 'a/n', agent: 'a', name: 'n', rule: blob, main: commit }],
    ],
  },
  'trigger.removed': { weighty: true, rows: [['was removed', { trigger: 'a/n' }]] },
  'trigger.fired': {
    weighty: true,
    rows: [
      ['fired for evt_1: t', { trigger: 'a/n', task: 't', first: 'evt_1', last: 'evt_1', count: 1, by: null }],
      [
        'fired for 3 causes from evt_1 to evt_9: t',
        { trigger: 'a/n', task: 't', first: 'evt_1', last: 'evt_9', count: 3, by: null },
      ],
      ['was run by o: t', { trigger: 'a/n', task: 't', first: null, last: null, count: 1, by: 'o' }],
      ['was run by someone: t', { trigger: 'a/n', task: 't', first: null, last: null, count: 1, by: null }],
    ],
  },
  'trigger.skipped': {
    weighty: true,
    rows: [
      ['skipped evt_1: the condition could not be evaluated: "words"', { ...passed, why: 'condition', detail: blob }],
      ['skipped 2 causes from evt_1 to evt_2: it has reached its limit', { ...passed, ...two, why: 'limit' }],
      ['skipped 30 files of evt_1: it has reached its limit', { ...passed, count: 30, why: 'limit' }],
      ['skipped evt_1: the chain of tasks would be too long', { ...passed, why: 'hops', matter: 'mat_1' }],
      ['skipped evt_1: the number of tasks would be too large', { ...passed, why: 'tasks' }],
      ['skipped evt_1: the input does not fit the queue', { ...passed, why: 'input' }],
      ['skipped evt_1: a value the text needs is missing', { ...passed, why: 'placeholder' }],
    ],
  },
  'trigger.paused': { weighty: true, rows: [['is paused', { trigger: 'a/n' }]] },
  'trigger.resumed': { weighty: true, rows: [['is resumed', { trigger: 'a/n' }]] },
  'triggers.seen': {
    weighty: false,
    rows: [['triggers have seen the journal up to 7', { upTo: 7, main: commit }]],
  },
  'webhook.received': {
    weighty: true,
    rows: [['received a webhook on issues (delivery d)', { hook: 'issues', delivery: 'd', content: blob }]],
  },
  'main.moved': {
    weighty: true,
    rows: [
      ['found main moved to 0123456789 by a commit', { from: 'a', to: commit, by: 'person' }],
      ['found main moved to 0123456789 from elsewhere', { from: 'a', to: commit, by: 'elsewhere' }],
    ],
  },
  'schedule.resumed': { weighty: true, rows: [['is resumed', { schedule: 'a/n', from: 1 }]] },
  'gateway.stopped': { weighty: true, rows: [['stopped: asked', { reason: 'asked' }]] },
};

const event = (type: string, data: object): Event => ({ type, data }) as unknown as Event;

test('every event has its words, and is worth a commit of its own or not', () => {
  let rows = 0;
  for (const [type, expected] of Object.entries(TABLE)) {
    assert.equal(isWeighty(event(type, {})), expected.weighty, type);
    for (const [words, data] of expected.rows) {
      assert.equal(describe(event(type, data), said), words);
      rows += 1;
    }
  }
  assert.ok(rows >= 53, `${rows} rows`);
  assert.equal(describe(event('comet.seen', {}), said), 'comet.seen', 'an event of a later Ruche');
});
