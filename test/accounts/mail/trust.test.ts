// Whose mail is whose: results of the owner's server alone, look-alikes of known people, and what counts as an order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { domainToASCII } from 'node:url';
import { isOwnersOrder, trustMarks, whyNoOrder } from '../../../src/accounts/mail/trust.ts';
import { workMs } from '../../fakes/work-ms.ts';
import { mail, marksOf, readMail } from './reading.ts';

const BOSS = 'From: Boss <boss@acme.test>';
const AR = 'Authentication-Results: mx.lab.test';

/** Fields of a mail from boss@acme.test, and whether it is taken for theirs. */
const AUTH: readonly (readonly [string, readonly string[], boolean])[] = [
  ['DMARC passed', [`${AR}; dmarc=pass (p=REJECT sp=REJECT) header.from=acme.test`, BOSS], true],
  ['DKIM of the domain', [`${AR}; dkim=pass header.d=acme.test header.s=x`, BOSS], true],
  ['DKIM by header.i', [`${AR}; dkim=pass header.i=@acme.test`, BOSS], true],
  ['DKIM of a part of the domain', [`${AR}; dkim=pass header.d=mail.acme.test`, BOSS], true],
  ['DKIM of the whole of it', [`${AR}; dkim=pass header.d=acme.test`, 'From: boss@mail.acme.test'], true],
  ['SPF of the domain', [`${AR}; spf=pass smtp.mailfrom=bounce@acme.test`, BOSS], true],
  [
    'version, comments, folds, quotes',
    [
      'Authentication-Results: (a (b) "c;d") mx.lab.test 1 (x)',
      ' ; none=x ; dkim=pass',
      '\t(1024; key) reason="a; b=c" header.d="acme.test"',
      BOSS,
    ],
    true,
  ],
  ['upper case', ['AUTHENTICATION-RESULTS: MX.LAB.TEST; DKIM=PASS HEADER.D=ACME.TEST', BOSS], true],
  [
    'several signatures, one ours',
    [`${AR}; dkim=fail header.d=acme.test; dkim=pass header.d=list.test; dkim=pass header.d=acme.test`, BOSS],
    true,
  ],
  ['SPF in its oldest form', [`${AR}; spf=pass (x: domain of a@b) smtp.mail=x@acme.test`, BOSS], true],
  ['nothing said', [BOSS], false],
  ['none', [`${AR}; none`, BOSS], false],
  ['another server', ['Authentication-Results: mx.evil.test; dmarc=pass header.from=acme.test', BOSS], false],
  [
    'our name further down',
    ['Authentication-Results: mx.evil.test; none', `${AR}; dmarc=pass header.from=acme.test`, BOSS],
    false,
  ],
  [
    'our name as a beginning',
    ['Authentication-Results: mx.lab.test.evil.test; dmarc=pass header.from=acme.test', BOSS],
    false,
  ],
  [
    'our name in a comment',
    ['Authentication-Results: mx.evil.test (mx.lab.test); dmarc=pass header.from=acme.test', BOSS],
    false,
  ],
  [
    "ARC is nobody's word",
    ['ARC-Authentication-Results: i=1; mx.lab.test; dmarc=pass header.from=acme.test', BOSS],
    false,
  ],
  ['DKIM of another domain', [`${AR}; dkim=pass header.d=evil.test`, BOSS], false],
  ['DKIM of a domain that ends alike', [`${AR}; dkim=pass header.d=evilacme.test`, BOSS], false],
  ['DKIM of a public suffix', [`${AR}; dkim=pass header.d=co.uk`, 'From: boss@acme.co.uk'], false],
  ['DKIM of a sister is left to DMARC', [`${AR}; dkim=pass header.d=a.acme.test`, 'From: boss@b.acme.test'], false],
  ['DKIM failed', [`${AR}; dkim=fail header.d=acme.test`, BOSS], false],
  ['a pass in a comment', [`${AR}; dkim=fail (dkim=pass) header.d=acme.test`, BOSS], false],
  ['a pass in a reason', [`${AR}; dkim=fail reason="x; dkim=pass header.d=acme.test"`, BOSS], false],
  ['a pass within a property', [`${AR}; spf=fail smtp.mailfrom="a; dmarc=pass header.from=acme.test"`, BOSS], false],
  ['DMARC failed, DKIM passed', [`${AR}; dmarc=fail header.from=acme.test; dkim=pass header.d=acme.test`, BOSS], false],
  ['DMARC of another domain', [`${AR}; dmarc=pass header.from=evil.test`, BOSS], false],
  ['SPF of another domain', [`${AR}; spf=pass smtp.mailfrom=evil.test`, BOSS], false],
  ['a softfail', [`${AR}; spf=softfail smtp.mailfrom=acme.test`, BOSS], false],
  ['two senders', [`${AR}; dmarc=pass header.from=acme.test`, BOSS, 'From: eve@evil.test'], false],
  [
    'two senders in one field',
    [`${AR}; dmarc=pass header.from=acme.test`, 'From: boss@acme.test, eve@evil.test'],
    false,
  ],
  [
    'a signature over the beginning only',
    ['DKIM-Signature: v=1; d=acme.test; l=10; b=x', `${AR}; dkim=pass header.d=acme.test`, BOSS],
    false,
  ],
  ['no sender', [`${AR}; dmarc=pass header.from=acme.test`], false],
];

for (const [name, fields, aligned] of AUTH)
  test(`trust: ${name}`, async () => {
    const read = await readMail(mail(fields, 'x'));
    assert.equal(read.auth.aligned, aligned, read.auth.why);
    assert.equal(isOwnersOrder(read, ['Boss@acme.test', 'boss@mail.acme.test']), aligned);
  });

const ALIGNED = `${AR}; dmarc=pass header.from=acme.test`;
const NO_ORDER: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['of somebody else', [ALIGNED, 'From: intern@acme.test'], /is not an owner/],
  [
    "of an owner's name",
    [`${AR}; dmarc=pass header.from=evil.test`, 'From: "boss@acme.test" <eve@evil.test>'],
    /is not an owner/,
  ],
  ['of an answering machine', [ALIGNED, BOSS, 'Auto-Submitted: auto-replied'], /automatically/],
  ['through a list', [ALIGNED, BOSS, 'List-Id: <l.test>', 'Precedence: first-class'], /automatically|list/],
  ['sent on from another mailbox', [ALIGNED, BOSS, 'To: bob@b.test'], /not addressed/],
];

for (const [name, fields, why] of NO_ORDER)
  test(`trust: no order ${name}`, async () => {
    const read = await readMail(mail(fields, 'Do it.'));
    assert.match(whyNoOrder(read, ['boss@acme.test'], ['ruche@acme.test']) ?? '', why);
  });

test('trust: without an authserv-id nobody is believed', async () => {
  const { mailReader } = await import('../../../src/accounts/mail/parse.ts');
  const read = await mailReader.read(mail([ALIGNED, BOSS], 'x'), { id: '1', account: 'a', folder: 'b' });
  assert.equal(read.auth.aligned, false);
});

const KNOWN = {
  contacts: [
    { name: 'Anna Schmidt', address: 'anna@stromwerk.test' },
    { name: 'Paul Martin', address: 'paul.martin@gmail.com' },
    { name: 'Rechnung', address: 'info@müller.test' },
    { name: 'Eva', address: 'eva@acme.co.uk' },
  ],
  owners: ['boss@acme.test'],
};
const marks = trustMarks(KNOWN);
const marksFrom = (name: string, address: string): string[] =>
  marks({ from: [{ name, address, shown: address }] }).map(({ mark }) => mark);

const ALIKE: readonly (readonly [string, string, string])[] = [
  ['a letter exchanged', '', 'anna@stronwerk.test'],
  ['letters swapped', '', 'anna@stromewrk.test'],
  ['rn for m', '', 'anna@strornwerk.test'],
  ['a Cyrillic o', '', `anna@${domainToASCII('str\u043emwerk.test')}`],
  ['a digit', '', 'anna@str0mwerk.test'],
  ['a word added', '', 'anna@stromwerk-rechnung.test'],
  ['another ending', '', 'anna@stromwerk.example'],
  ['the whole domain within another', '', 'anna@stromwerk.test.evil.example'],
  ['an umlaut left away', '', 'info@muller.test'],
  ['a free mailbox with a letter changed', '', 'paul.martln@gmail.com'],
  ['a provider with a letter left out', '', 'paul.martin@gmai.com'],
  ['a known name at another place', 'Anna Schmidt', 'x@evil.example'],
  ['a known name turned round', 'Schmidt, Anna', 'x@evil.example'],
  ['a known name with a Cyrillic letter', 'Ann\u0430 Schmidt', 'x@evil.example'],
  ["an owner's domain", '', 'boss@acrne.test'],
];

for (const [name, shown, address] of ALIKE)
  test(`trust: a look-alike by ${name}`, () =>
    assert.deepEqual(marksFrom(shown, address), ['look-alike', 'first-time-sender']));

const KNOWN_OR_NEW: readonly (readonly [string, string, string, readonly string[]])[] = [
  ['a contact', 'Anna', 'anna@stromwerk.test', []],
  ['a contact in capitals', 'Anna', 'Anna@Stromwerk.test', []],
  ['a Gmail address with dots and plus', '', 'paulmartin+x@googlemail.com', []],
  ['an owner', '', 'boss@acme.test', []],
  ['a stranger', 'Max Neu', 'max@neu.example', ['first-time-sender']],
  ['a colleague of a contact', 'Bert', 'bert@stromwerk.test', ['first-time-sender']],
  ["a contact's second address in the house", 'Anna Schmidt', 'a.schmidt@stromwerk.test', ['first-time-sender']],
  ['a stranger with a free mailbox', 'Zoe', 'zoe.lang@gmail.com', ['first-time-sender']],
  ['another company under the same ending', '', 'x@other.co.uk', ['first-time-sender']],
];

for (const [name, shown, address, expected] of KNOWN_OR_NEW)
  test(`trust: ${name}`, () => assert.deepEqual(marksFrom(shown, address), expected));

test('trust: an answer that would go elsewhere is marked, except for lists', async () => {
  assert.deepEqual(marksOf(await readMail(mail([BOSS, 'Reply-To: x@evil.test'], 'x'))), ['reply-elsewhere']);
  assert.deepEqual(marksOf(await readMail(mail([BOSS, 'Reply-To: x@mail.acme.test'], 'x'))), []);
  assert.deepEqual(marksOf(await readMail(mail([BOSS, 'Reply-To: l@lists.test', 'List-Id: <l.lists.test>'], 'x'))), []);
});

test('trust: a long address book is compared quickly', () => {
  const contacts = Array.from({ length: 10_000 }, (_, at) => ({
    name: `Person ${at}`,
    address: `p${at}@company${at}.test`,
  }));
  const judge = trustMarks({ contacts, owners: [] });
  const strangers = Array.from({ length: 20 }, (_, at) => `x@stranger-domain-${at}.example`);
  const spent = workMs(() => strangers.map((address) => judge({ from: [{ name: '', address, shown: address }] })));
  // 500 mails of strangers in a digest: some seconds at most.
  assert.ok(spent / strangers.length < 20, `${spent / strangers.length} ms a stranger`);
});
