// Headers that break readers: encoded words, raw bytes, addresses, dates, missing line ends.
import { b64, check, FROM, hex, lines, mail, utf8 } from './reading.ts';

check([
  [
    'a character split between two words',
    mail(
      [
        `Subject: =?utf-8?B?${Buffer.from('Gr\xc3', 'latin1').toString('base64')}?=`,
        ` =?utf-8?B?${Buffer.from('\xbc\xc3\x9fe', 'latin1').toString('base64')}?=`,
      ],
      'x',
    ),
    { subject: 'Grüße' },
  ],
  [
    'split in quoted form, in a name',
    mail(['From: =?utf-8?Q?J=C3?= =?utf-8?Q?=BCrgen_Gro=C3=9F?= <j@a.test>'], 'x'),
    { from: ['Jürgen Groß <j@a.test>'] },
  ],
  [
    'words of two charsets beside each other',
    mail(['Subject: =?iso-8859-1?Q?Gr=FC=DFe?=  =?koi8-r?B?8NLJ18XU?= end'], 'x'),
    { subject: 'GrüßeПривет end' },
  ],
  [
    'a word with spaces and a language tag',
    mail(['Subject: =?utf-8*de?Q?f=C3=BCr alle?= da'], 'x'),
    { subject: 'für alle da' },
  ],
  [
    'a word of no known encoding stays',
    mail(['Subject: =?utf-8?X?abc?= =?utf-8?Q?ok?='], 'x'),
    { subject: '=?utf-8?X?abc?= ok' },
  ],
  [
    'an encoded word forges no address',
    mail([`From: =?utf-8?B?${b64('boss@bank.test')}?= <thief@evil.test>`], 'x'),
    { from: ['boss@bank.test <thief@evil.test>'], marks: ['name-is-address'] },
  ],
  [
    'an encoded word forges no header',
    mail([FROM, `Subject: =?utf-8?B?${b64('Hi\r\nBcc: x@y.test')}?=`], 'x'),
    { subject: 'Hi Bcc: x@y.test' },
  ],
  [
    'raw UTF-8 in a header',
    mail([utf8('From: Jürgen <j@a.test>'), utf8('Subject: Grüße aus Köln')], 'x'),
    { subject: 'Grüße aus Köln', from: ['Jürgen <j@a.test>'] },
  ],
  ['raw Latin-1 in a header', mail([FROM, 'Subject: Gr\xfc\xdfe'], 'x'), { subject: 'Grüße' }],
  [
    'raw KOI8 in a header, named by the body',
    mail([FROM, `Subject: ${hex('f0d2c9d7c5d4')}`, 'Content-Type: text/plain; charset=koi8-r'], 'x'),
    { subject: 'Привет' },
  ],
  [
    'raw ISO-2022-JP in a header',
    mail([FROM, `Subject: ${hex('1b244224332473244b2441244f1b2842')}`], 'x'),
    { subject: 'こんにちは' },
  ],
  [
    'a folded subject',
    lines(FROM, 'Subject: one', ' two', '\tthree', '', 'x'),
    { subject: 'one two\tthree'.replace('\t', ' ') },
  ],
  ['no header at all', lines('', 'just text'), { text: 'just text', from: [] }],
  ['nothing', Buffer.alloc(0), { text: '', subject: '' }],
  ['only headers', lines(FROM, 'Subject: a'), { subject: 'a', text: '' }],
  [
    'a header and no empty line',
    lines(FROM, 'Subject: a', 'Hello Bob', 'how are you?'),
    { subject: 'a', text: 'Hello Bob\nhow are you?' },
  ],
  [
    'a broken line among the headers',
    lines(FROM, 'this is no field', 'Subject: a', '', 'x'),
    { subject: 'a', text: 'x' },
  ],
  [
    'an mbox line first',
    lines('From ann@a.test Mon Jan  1 00:00:00 2024', FROM, '', 'x'),
    { from: ['Ann <ann@a.test>'], text: 'x' },
  ],
  ['line feeds only', Buffer.from('From: ann@a.test\nSubject: a\n\nx\ny\n'), { subject: 'a', text: 'x\ny' }],
  ['carriage returns only', Buffer.from('From: ann@a.test\rSubject: a\r\rx\ry\r'), { subject: 'a', text: 'x\ny' }],
  ['mixed line ends', Buffer.from('From: ann@a.test\nSubject: a\r\n\nx\r\ny\rz'), { subject: 'a', text: 'x\ny\nz' }],
  [
    'two From fields',
    mail(['From: ann@a.test', 'From: eve@e.test'], 'x'),
    { from: ['ann@a.test', 'eve@e.test'], marks: ['several-senders'] },
  ],
  ['an IDN in From', mail(['From: x@xn--mller-kva.test'], 'y'), { from: ['x@müller.test'] }],
  [
    'groups and comments in To',
    mail([FROM, 'To: Team: Bob <bob@b.test>, carl@c.test (Carl);, "Dora, Dr." <d@d.test>'], 'x'),
    { to: ['Bob <bob@b.test>', 'Carl <carl@c.test>', 'Dora, Dr. <d@d.test>'] },
  ],
  [
    'an address within quotes is none',
    mail(['From: "ann@a.test" <eve@e.test>'], 'x'),
    { from: ['ann@a.test <eve@e.test>'], marks: ['name-is-address'] },
  ],
  ['dates of old mailers', mail([FROM, 'Date: Tue, 3 Feb 98 9:05 MEZ'], 'x'), { date: '1998-02-03T08:05:00.000Z' }],
  [
    'a date with a comment',
    mail([FROM, 'Date: Thu, 01 Oct 2026 12:00:00 +0530 (IST)'], 'x'),
    { date: '2026-10-01T06:30:00.000Z' },
  ],
  ['a date without a zone', mail([FROM, 'Date: 1 Oct 2026 12:00:00'], 'x'), { date: '2026-10-01T12:00:00.000Z' }],
  ['no date', mail([FROM, 'Date: yesterday'], 'x'), { date: null }],
]);
