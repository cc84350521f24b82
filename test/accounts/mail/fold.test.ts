// Quotes, signatures and legal notices are folded in the languages of our people; what the person wrote stays.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mail, readMail } from './reading.ts';

const QUOTE = ['> one', '> two'];
const OUTLOOK = (...names: readonly string[]): string[] => names.map((name) => `${name}: something`);

const FOLDED: readonly (readonly [string, readonly string[], string])[] = [
  ['English', ['On Mon, 3 May 2027 at 09:12, Bob <b@b.test> wrote:', '', ...QUOTE], '[quoted: 3 lines folded]'],
  [
    'English over two lines',
    ['On Mon, 3 May 2027 at 09:12, Bob Long Name', '<b@b.test> wrote:', ...QUOTE],
    '[quoted: 4 lines folded]',
  ],
  ['German', ['Am 03.05.27 um 09:12 schrieb Bob Müller:', ...QUOTE], '[quoted: 3 lines folded]'],
  ['French', ['Le lun. 3 mai 2027 à 09:12, Bob <b@b.test> a écrit :', ...QUOTE], '[quoted: 3 lines folded]'],
  ['Spanish', ['El lun, 3 may 2027 a las 9:12, Bob (<b@b.test>) escribió:', ...QUOTE], '[quoted: 3 lines folded]'],
  ['without marks', ['On 3 May 2027, Bob <b@b.test> wrote:', 'one', 'two'], '[quoted: 3 lines folded]'],
  ['only marks', [...QUOTE], '[quoted: 2 lines folded]'],
  [
    'Outlook',
    ['________________________________', ...OUTLOOK('From', 'Sent', 'To', 'Subject'), '', 'one'],
    '[quoted: 6 lines folded]',
  ],
  ['Outlook in German', [...OUTLOOK('Von', 'Gesendet', 'An', 'Betreff'), '', 'one'], '[quoted: 5 lines folded]'],
  ['Outlook in French', [...OUTLOOK('De', 'Envoyé', 'À', 'Objet'), '', 'one'], '[quoted: 5 lines folded]'],
  ['Outlook in Spanish', [...OUTLOOK('De', 'Enviado el', 'Para', 'Asunto'), '', 'one'], '[quoted: 5 lines folded]'],
  ['Outlook with stars', ['*From:* Bob', '*Sent:* today', '*To:* Ann', '', 'one'], '[quoted: 4 lines folded]'],
  ['original message', ['-----Ursprüngliche Nachricht-----', 'one'], '[quoted: 2 lines folded]'],
  ['signature', ['-- ', 'Ann', 'Tel. 1'], '[signature: 3 lines folded]'],
  ['phone', ['Sent from my iPhone'], '[signature: 1 line folded]'],
  ['phone in German', ['Von meinem iPhone gesendet'], '[signature: 1 line folded]'],
  ['phone in French', ['Envoyé de mon iPhone'], '[signature: 1 line folded]'],
  ['phone in Spanish', ['Enviado desde mi iPhone'], '[signature: 1 line folded]'],
  [
    'notice',
    ['This e-mail and any attachments are confidential and intended solely for', 'the addressee.'],
    '[legal notice: 2 lines folded]',
  ],
  ['notice in German', ['Diese E-Mail enthält vertrauliche Informationen.'], '[legal notice: 1 line folded]'],
  ['notice in French', ['Ce message et ses pièces jointes sont confidentiels.'], '[legal notice: 1 line folded]'],
  ['notice in Spanish', ['Este mensaje y sus adjuntos son confidenciales.'], '[legal notice: 1 line folded]'],
];

const utf8 = (lines: readonly string[]): string[] => lines.map((line) => Buffer.from(line, 'utf8').toString('latin1'));
const read = (subject: string, ...body: readonly string[]) =>
  readMail(mail([`Subject: ${subject}`, 'Content-Type: text/plain; charset=utf-8'], ...utf8(body)));

for (const [name, repeated, line] of FOLDED)
  test(`fold: ${name}`, async () => {
    const { text, fullText, foldedLines } = await read('Re: x', 'My answer.', '', ...repeated);
    assert.equal(text, `My answer.\n\n${line}`);
    assert.equal(fullText, ['My answer.', '', ...repeated].map((each) => each.trimEnd()).join('\n'));
    assert.equal(foldedLines, Number(/\d+/.exec(line)?.[0]));
  });

test('fold: signature and quote in one mail, each told', async () => {
  const { text } = await read('Re: x', 'Yes.', '', '--', 'Ann', '', 'On 3 May 2027, Bob <b@b.test> wrote:', ...QUOTE);
  assert.equal(text, 'Yes.\n\n[signature: 2 lines folded]\n[quoted: 3 lines folded]');
});

test('fold: an answer below or between short quotes keeps them', async () => {
  const lines = ['On 3 May 2027, Bob <b@b.test> wrote:', '> When?', 'At ten.', '> Where?', 'Here.'];
  assert.equal((await read('Re: x', ...lines)).text, lines.join('\n'));
});

test('fold: a quote without marks, right below the answer', async () => {
  const { text } = await read('Re: x', 'On it!', 'On Monday, 3 May 2027, Bob <b@b.test> wrote:', '', 'old');
  assert.equal(text, 'On it!\n[quoted: 2 lines folded]');
});

test('fold: a greeting above and answers between', async () => {
  const lines = ['Hi Bob,', '', 'On 3 May 2027, Bob <b@b.test> wrote:', '> When?', 'At ten.', '> Where?', 'Here.'];
  assert.equal((await read('Re: x', ...lines)).text, lines.join('\n'));
});

test('fold: an answer below a long quote', async () => {
  const quote = Array.from({ length: 20 }, (_, at) => `> line ${at}`);
  const { text } = await read('Re: x', 'On 3 May 2027, Bob <b@b.test> wrote:', ...quote, '', 'No.');
  assert.equal(text, 'On 3 May 2027, Bob <b@b.test> wrote:\n[quoted: 20 lines folded]\n\nNo.');
});

const WHOLE: readonly (readonly [string, string, readonly string[]])[] = [
  ['a forwarded mail', 'Fwd: x', ['Please pay this.', '', 'From: Bob', 'Sent: today', 'To: Ann', '', 'The bill.']],
  [
    'a mail forwarded by Gmail',
    'x',
    [
      'See below.',
      '',
      '---------- Forwarded message ---------',
      'From: Bob',
      'Date: today',
      'Subject: bill',
      'To: Ann',
      '',
      'The bill.',
    ],
  ],
  ['a mail that is nothing but a quote', 'Re: x', ['> one', '> two']],
  ['words that only look like one', 'x', ['On Monday we wrote the plan.', 'From: here on it gets hard.']],
  ['a long text after two dashes', 'x', ['Part one', '--', ...Array.from({ length: 40 }, (_, at) => `line ${at}`)]],
  ['a table of lines', 'x', ['See:', '', '| a | b |', '| 1 | 2 |']],
  ['a notice that is the mail', 'x', ['This email is confidential.']],
];

for (const [name, subject, body] of WHOLE)
  test(`fold: not ${name}`, async () => {
    const { text, foldedLines } = await read(subject, ...body);
    assert.equal(text, body.join('\n'));
    assert.equal(foldedLines, 0);
  });
