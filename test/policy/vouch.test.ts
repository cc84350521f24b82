import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { KeptRecord } from '../../src/core/policy.ts';
import { decide } from '../../src/policy/decide.ts';
import { type Critical, criticalValues, standsIn, vouch, type Vouchers } from '../../src/policy/vouch.ts';
import { allow, facts, fetching, mailing } from './support.ts';

const from = (more: Partial<Vouchers> & { says?: string } = {}): Vouchers => ({
  owner: more.says === undefined ? [] : [{ text: more.says, by: 'evt_1' }],
  constants: [],
  contacts: [],
  records: [],
  endorsed: () => null,
  ...more,
});
const by = (critical: Critical, vouchers: Vouchers, service?: string): string | null =>
  vouch([critical], vouchers, { service })[0]?.vouched ?? null;
const text = (value: string): Critical => ({ name: 'to', value, kind: 'text' });
const link = (value: string): Critical => ({ name: 'url', value, kind: 'link' });
const amount = (value: number): Critical => ({ name: 'amount', value: String(value), kind: 'amount' });
const id = (value: string): Critical => ({ name: 'id', value, kind: 'id' });

test('critical values: one for each element of a list, links of texts, nothing for what is not given', () => {
  const tool = { critical: ['to', 'cc', 'amount'], ids: [], texts: ['body'] };
  const input = {
    to: ['a@x.org', 'b@x.org'],
    cc: null,
    amount: 5,
    body: 'See (https://x.org/a?b=c). Or bit.ly/x!',
    no: 1,
  };
  assert.deepEqual(
    criticalValues(tool, input).map(({ name, value, kind }) => [name, value, kind]),
    [
      ['to', 'a@x.org', 'text'],
      ['to', 'b@x.org', 'text'],
      ['amount', '5', 'amount'],
      ['body', 'https://x.org/a?b=c', 'link'],
      ['body', 'bit.ly/x', 'link'],
    ],
  );
});

test('whatever a reader can follow is a link: without a path, in other letters, with another scheme or slashes', () => {
  const linksOf = (body: string): string[] => criticalValues({ texts: ['body'] }, { body }).map(({ value }) => value);
  for (const each of [
    'evil.example?4711',
    'evil.example#4711',
    'evil.example:80/4711',
    '4711.evil.example',
    'почта.рф/4711',
    'evil。example/4711',
    'https:/evil.example?4711',
    String.raw`https:\\evil.example\4711`,
    'mailto:a@evil.example?body=4711',
  ])
    assert.deepEqual(linksOf(`Look at ${each}, please.`), [each]);
  const prose = 'See notes.md? At 10:30/11, i.e. v1.2.3 for 1.234,50, says anna.b@mail.example.org.';
  assert.deepEqual(linksOf(prose), []);
  assert.equal(by(link(String.raw`https:\\evil.example\x`), from({ says: 'see https://evil.example/x' })), 'owner');
  // Nobody waits for long texts without any.
  for (const part of ['a', 'a.', 'a@', 'a.b@', 'a:', 'a+', '@'])
    assert.deepEqual(linksOf(part.repeat(50_000)), [], part);
});

test('a value stands in words whole, or not at all', () => {
  const words = 'Write to anna@x.org, and CC: "Bob+x@y.org". See x.org/a.';
  for (const value of ['anna@x.org', 'ANNA@X.ORG', 'bob+x@y.org']) assert.ok(standsIn(value, words), value);
  const parts = ['nna@x.org', 'anna@x', 'x@y.org', 'x.org', '', ' ', 'eve@x.org'];
  for (const value of parts) assert.ok(!standsIn(value, words), value);
  for (const longer of [
    'joanna@x.org',
    'anna@x.org.evil.com',
    'anna@x.org-evil',
    'a/anna@x.org',
    'anna@x.org@evil.com',
  ])
    assert.ok(!standsIn('anna@x.org', `send it to ${longer} now`), longer);
});

test('no value that surrounds or extends a typed one is taken for it', () => {
  const part = fc.stringMatching(/^[a-z0-9._+-]{1,6}$/);
  fc.assert(
    fc.property(part, part, (before, after) => {
      const said = from({ says: 'Send it to anna@x.org please.' });
      assert.equal(by(text(`${before}anna@x.org`), said), null);
      assert.equal(by(text(`anna@x.org${after}`), said), null);
      const address = new URL(`https://anna.example/${after}`).href;
      fc.pre(address !== 'https://anna.example/');
      assert.equal(by(link(address), from({ says: `see https://anna.example/ and ${before}` })), null);
    }),
    { numRuns: 300 },
  );
});

test('links are compared as addresses, whole', () => {
  const said = from({ says: 'Look at <https://X.org/Docs?a=1>, then example.org/b.' });
  assert.equal(by(link('https://x.org/Docs?a=1'), said), 'owner');
  assert.equal(by(link('https://example.org/b'), said), 'owner');
  for (const other of [
    'https://x.org/docs?a=1',
    'https://x.org/Docs?a=1&q=secret',
    'https://x.org/',
    'http://example.org/b',
  ])
    assert.equal(by(link(other), said), null, other);
});

test('an amount is the one that is named, or less money; a date, a share or an id is none', () => {
  const said = from({
    says: 'On 2024-05-15 at 10:30 pay 12.00 of the 10% to room7, 250 EUR at most, for the 100 last ones.',
  });
  for (const fits of [12, 4, 250, 249.5, 100]) assert.equal(by(amount(fits), said), 'owner', String(fits));
  for (const wrong of [2024, 300, 251, -5, 0]) assert.equal(by(amount(wrong), said), null, String(wrong));
  assert.equal(by(amount(10), from({ says: 'the 10% of 2024-05-10' })), null);
  assert.equal(by(amount(99), from({ says: 'the 100 last ones' })), null, 'a plain number is no bound');
  assert.equal(by(amount(2026), from({ says: 'Pay the bill of 2026.' })), null, 'a year is no amount');
  assert.equal(by(amount(2026), from({ says: 'Pay 2026 EUR.' })), 'owner');
});

test('an amount is good for one payment, and for the task in which it was said', () => {
  const to = text('GB29NWBK60161331926819');
  const said = from({ says: 'Send 10.00 to GB29NWBK60161331926819.' });
  const paid = (made: Vouchers['made']) => vouch([to, amount(10)], { ...said, made }).map(({ vouched }) => vouched);
  assert.deepEqual(paid([]), ['owner', 'owner']);
  assert.deepEqual(
    paid([
      [
        { name: 'to', value: 'gb29nwbk60161331926819' },
        { name: 'amount', value: '2' },
      ],
    ]),
    ['owner', null],
  );
  assert.deepEqual(
    paid([
      [
        { name: 'to', value: 'somebody else' },
        { name: 'amount', value: '10' },
      ],
    ]),
    ['owner', 'owner'],
  );
  const before = from({ owner: [{ text: 'Send 10.00 to GB29NWBK60161331926819.', by: 'evt_1', earlier: true }] });
  assert.deepEqual(
    vouch([to, amount(10)], before).map(({ vouched }) => vouched),
    ['owner', null],
  );
});

const meeting = (more: Partial<KeptRecord> = {}): KeptRecord => ({
  service: 'calendar',
  id: '24',
  names: ['Introductory meeting'],
  values: ['john@x.org'],
  by: 'owner',
  ...more,
});

test('what the owner calls by its name may be used, by its own service, unless the name could mean another', () => {
  const says = "Invite the participants of the 'introductory meeting', and the Phoenix people.";
  const one = from({ says, records: [meeting()] });
  assert.equal(by(id('24'), one, 'calendar'), 'record');
  assert.equal(by(text('John@x.org'), one, 'calendar'), 'record');
  assert.equal(by(text('john@x.org'), one, 'mail'), null);
  assert.equal(by(text('john@x.org'), one), null);
  assert.equal(by(id('25'), one, 'calendar'), null);
  const twin = meeting({ id: '66', values: ['eve@evil.org'] });
  assert.equal(by(text('eve@evil.org'), from({ says, records: [meeting(), twin] }), 'calendar'), null);
  assert.equal(by(text('john@x.org'), from({ says, records: [meeting(), twin] }), 'calendar'), null);
  assert.equal(by(id('24'), from({ says, records: [meeting({ by: 'other' })] }), 'calendar'), null);
  const word = meeting({ id: '7', names: ['Phoenix: kick-off'], values: ['pia@x.org'] });
  assert.equal(by(text('pia@x.org'), from({ says, records: [meeting(), word] }), 'calendar'), 'record');
  const both = [word, meeting({ id: '8', names: ['Phoenix: end'] })];
  assert.equal(by(text('pia@x.org'), from({ says, records: both }), 'calendar'), null);
  assert.equal(by(id('9'), from({ records: [meeting({ id: '9', by: 'run' })] }), 'calendar'), 'record');
});

test('what takes a record away for good asks, though the owner has named the record', () => {
  const named = from({ says: 'Add this to the Introductory meeting.', records: [meeting()] });
  assert.equal(vouch([id('24')], named, { service: 'calendar' })[0]?.vouched, 'record');
  assert.equal(vouch([id('24')], named, { service: 'calendar', destroys: true })[0]?.vouched, null);
  const made = from({ records: [meeting({ by: 'run' })] });
  assert.equal(vouch([id('24')], made, { service: 'calendar', destroys: true })[0]?.vouched, 'record');
});

test('a short id in the words is no id', () => {
  assert.equal(by(id('13'), from({ says: 'What are we doing on June 13?' })), null);
  assert.equal(by(id('MSG-20391'), from({ says: 'Delete MSG-20391.' })), 'owner');
});

test('constants, contacts and endorsed values vouch, and say so', () => {
  const more = {
    constants: [{ text: 'Send it to ops@x.org.', by: 'schedule:a/b' }],
    contacts: ['boss@x.org', 'https://hooks.x.org/*'],
  };
  assert.equal(by(text('ops@x.org'), from(more)), 'constant');
  assert.equal(by(text('Boss@x.org'), from(more)), 'contact');
  assert.equal(by(link('https://hooks.x.org/a?b'), from(more)), 'contact');
  assert.equal(by(link('https://hooks.x.org.evil.com/a'), from(more)), null);
  assert.equal(
    by(text('x@y.org'), from({ endorsed: (name, value) => (name === 'to' && value === 'x@y.org' ? 'end_1' : null) })),
    'endorsed',
  );
});

test('rule of two: the third asks, unless every critical value is vouched for', () => {
  const open = [allow({ host: 'x.org' }), allow({ tool: 'mail' })];
  const both = facts({ rules: open, labels: ['private', 'untrusted'] });
  const mine = { name: 'to', value: 'a@x.org', vouched: 'owner' as const };
  const theirs = { name: 'body', value: 'https://evil.org', vouched: null };
  const asked = decide(mailing(), { ...both, critical: [mine, theirs] });
  assert.deepEqual([asked.verdict, asked.rule], ['ask', 'builtin:rule-of-two']);
  assert.match(asked.reason, /Nobody has vouched for: body\.$/);
  assert.ok(!asked.reason.includes('evil'), 'what somebody wrote stands in no event');
  assert.equal(decide(mailing(), { ...both, critical: [mine] }).verdict, 'allow');
  assert.equal(decide(mailing(), { ...both, critical: [] }).verdict, 'ask');
  assert.equal(decide(mailing({ leaves: false }), both).verdict, 'allow');
  assert.equal(decide(fetching('https://x.org'), { ...both, critical: [{ ...mine, name: 'url' }] }).verdict, 'allow');
  assert.equal(decide(mailing(), { ...both, labels: ['untrusted'], critical: [theirs] }).verdict, 'allow');
  assert.equal(decide(mailing(), { ...both, labels: ['private'], critical: [theirs] }).verdict, 'allow');
});
