// Sixty mails that break readers, each with what a person should get to see of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mail } from '../../../src/core/mail.ts';
import { lines, mail, marksOf, multipart, readMail } from './reading.ts';

/** What the table speaks of. */
const seen = (read: Mail) => ({
  from: read.from.map(({ name, shown }) => (name === '' ? shown : `${name} <${shown}>`)),
  to: read.to.map(({ name, shown }) => (name === '' ? shown : `${name} <${shown}>`)),
  subject: read.subject,
  date: read.date,
  text: read.text,
  files: read.attachments.map(({ name, type, size }) => `${name} ${type} ${size}`),
  marks: marksOf(read),
  untold: read.untold,
  automatic: read.automatic,
  listId: read.listId,
  report: read.report,
  messageId: read.messageId,
  references: read.references,
});

type Row = readonly [name: string, bytes: Uint8Array, expected: Partial<ReturnType<typeof seen>>];

const FROM = 'From: Ann <ann@a.test>';
const hex = (text: string): string => Buffer.from(text, 'hex').toString('latin1');
const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
const b64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
const textPart = (text: string): string[] => ['Content-Type: text/plain; charset=utf-8', '', utf8(text)];
const typed = (type: string, ...body: string[]): Buffer => mail([FROM, `Content-Type: ${type}`], ...body);

/** Encoding as named by the sender ('' for none), the text, its bytes. */
const ENCODINGS: readonly (readonly [string, string, string])[] = [
  ['gb18030', '你好，世界，这是我们的会议', 'c4e3bac3a3accac0bde7a3acd5e2cac7ced2c3c7b5c4bbe1d2e9'],
  ['gb2312', '你好，世界，这是我们的会议', 'c4e3bac3a3accac0bde7a3acd5e2cac7ced2c3c7b5c4bbe1d2e9'],
  ['', '你好，世界，这是我们的会议', 'c4e3bac3a3accac0bde7a3acd5e2cac7ced2c3c7b5c4bbe1d2e9'],
  ['ISO-2022-JP', 'こんにちは世界', '1b244224332473244b2441244f402433261b2842'],
  ['', 'こんにちは世界', '1b244224332473244b2441244f402433261b2842'],
  ['x-sjis', 'こんにちは、世界です', '82b182f182c982bf82cd814190a28a4582c582b7'],
  ['cp932', 'こんにちは、世界です', '82b182f182c982bf82cd814190a28a4582c582b7'],
  ['', 'こんにちは、世界です', '82b182f182c982bf82cd814190a28a4582c582b7'],
  ['euc_jp', 'こんにちは、世界です', 'a4b3a4f3a4cba4c1a4cfa1a2c0a4b3a6a4c7a4b9'],
  ['ks_c_5601-1987', '안녕하세요 세계', 'bec8b3e7c7cfbcbcbfe420bcbcb0e8'],
  ['iso-2022-kr', '안녕하세요', '1b2429430e3e483367474f3c3c3f640f'],
  ['hz-gb-2312', '你好世界', '7e7b44633a434a403d677e7d'],
  ['big5', '您好，這是我們公司的會議', 'b17aa66ea141b36fac4fa7daadcca4bda571aabab77cc4b3'],
  ['koi8-r', 'Привет, как дела?', 'f0d2c9d7c5d42c20cbc1cb20c4c5ccc13f'],
  ['windows-1251', 'Привет, как дела?', 'cff0e8e2e5f22c20eae0ea20e4e5ebe03f'],
  ['', 'Привет, как дела?', 'cff0e8e2e5f22c20eae0ea20e4e5ebe03f'],
  ['cp1250', 'Příliš žluťoučký kůň', '50f8ed6c699a209e6c759d6f75e86bfd206bf9f2'],
  ['iso-8859-1', 'Preis: 5 € – „gut“', '50726569733a203520802096208467757493'],
  ['us-ascii', 'Preis: 5 €', '50726569733a203520e282ac'],
  ['iso-8859-15', 'Preis: 5 €', '50726569733a203520a4'],
  ['cp850', 'Müller Straße', '4d816c6c65722053747261e165'],
  ['ibm437', 'Müller Straße', '4d816c6c65722053747261e165'],
  ['utf-7', 'Hi Mom ☺! ä+ö', '4869204d6f6d202b4a6a6f21202b414f51414b7744322d'],
  ['utf-16', 'Grüße', 'fffe47007200fc00df006500'],
  ['utf-16', 'Grüße', 'feff0047007200fc00df0065'],
  ['utf-8', 'Grüße', '4772fcdf65'],
  ['x-nobody-knows', 'Grüße', '4772fcdf65'],
  ['iso-8859-7', 'Καλημέρα', 'cae1ebe7ecddf1e1'],
  ['windows-1255', 'שלום', 'f9ece5ed'],
  ['macintosh', 'Müller', '4d9f6c6c6572'],
];

const TNEF = (() => {
  const u32 = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];
  const attribute = (level: number, id: number, data: readonly number[]): number[] => [
    level,
    ...u32(id),
    ...u32(data.length),
    ...data,
    ...[data.reduce((sum, byte) => sum + byte, 0) & 255, 0],
  ];
  const ascii = (text: string): number[] => [...Buffer.from(text, 'latin1'), 0];
  const utf16 = [...Buffer.from('Übersicht 2026.xlsx\0', 'utf16le')];
  const props = [...u32(1), ...[0x1f, 0x00, 0x07, 0x37], ...u32(1), ...u32(utf16.length), ...utf16, 0, 0];
  return Buffer.from([
    ...u32(0x223e9f78),
    ...[1, 0],
    ...attribute(1, 0x0002800c, ascii('Text within.')),
    ...attribute(2, 0x00069002, [1, 0, 0, 0]),
    ...attribute(2, 0x00018010, ascii('BERSIC~1.XLS')),
    ...attribute(2, 0x0006800f, [1, 2, 3]),
    ...attribute(2, 0x00069005, props),
    ...attribute(2, 0x00069002, [1, 0, 0, 0]),
    ...attribute(2, 0x00018010, ascii('note.txt')),
    ...attribute(2, 0x0006800f, [65]),
  ]);
})();

const CALENDAR = ['BEGIN:VCALENDAR', 'METHOD:REQUEST', 'BEGIN:VEVENT', 'UID:1', 'END:VEVENT', 'END:VCALENDAR'];

const ROWS: readonly Row[] = [
  ...ENCODINGS.map(([charset, text, bytes]): Row => [
    `body in ${charset || 'no named encoding'}: ${text}`,
    typed(`text/plain${charset === '' ? '' : `; charset="${charset}"`}`, hex(bytes)),
    { text },
  ]),
  ...ENCODINGS.filter(([charset]) => charset !== '').map(([charset, text, bytes]): Row => [
    `subject in ${charset}: ${text}`,
    mail([FROM, `Subject: =?${charset}?B?${Buffer.from(bytes, 'hex').toString('base64')}?=`], 'x'),
    { subject: text },
  ]),
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
  [
    'quoted-printable with faults',
    mail(
      [FROM, 'Content-Transfer-Encoding: Quoted-Printable', 'Content-Type: text/plain; charset=utf-8'],
      'Gr=C3=BC=',
      '=c3=9fe=20',
      'a=ZZb   ',
      'end=',
    ),
    { text: 'Grüße\na=ZZb\nend' },
  ],
  [
    'Base64 padded on every line',
    mail([FROM, 'Content-Transfer-Encoding: base64'], 'YQ==', 'YmI=', 'Y2Nj'),
    { text: 'abbccc' },
  ],
  [
    'text that claims to be Base64',
    mail([FROM, 'Content-Transfer-Encoding: base64'], 'This is plain text and not what it claims to be.'),
    { text: 'This is plain text and not what it claims to be.' },
  ],
  [
    'uuencode',
    mail([FROM, 'Content-Transfer-Encoding: x-uuencode'], 'begin 644 a.txt', '#0V%T', '`', 'end'),
    { text: 'Cat' },
  ],
  [
    'flowed text',
    typed('text/plain; format=flowed; delsp=yes', 'One long ', 'line.', '> quoted ', '> too', 'last', ' -- kept'),
    { text: 'One longline.\n> quotedtoo\nlast\n-- kept' },
  ],
  [
    'plain and HTML of one text',
    lines(FROM, ...multipart('alternative', 'b', textPart('Hello'), ['Content-Type: text/html', '', '<b>Hello</b>'])),
    { text: 'Hello', marks: [] },
  ],
  [
    'plain text that says something else',
    lines(
      FROM,
      ...multipart(
        'alternative',
        'b',
        textPart('Please pay the attached invoice today to our new bank account in full'),
        [
          'Content-Type: text/html',
          '',
          '<p>Dear colleagues, lunch on Friday happens in the garden behind our house</p>',
        ],
      ),
    ),
    { text: 'Dear colleagues, lunch on Friday happens in the garden behind our house', marks: ['parts-differ'] },
  ],
  [
    'plain text that sends to a browser',
    lines(
      FROM,
      ...multipart('alternative', 'b', textPart('See this in a browser.'), [
        'Content-Type: text/html',
        '',
        `<p>${Array.from({ length: 30 }, (_, at) => `word${at}`).join(' ')}</p>`,
      ]),
    ),
    { text: Array.from({ length: 30 }, (_, at) => `word${at}`).join(' '), marks: [] },
  ],
  ['HTML only', typed('text/html', '<p>Hi<br>there</p>'), { text: 'Hi\nthere', marks: ['html-only'] }],
  [
    'nested parts',
    lines(
      FROM,
      ...multipart(
        'mixed',
        'a',
        multipart(
          'related',
          'b',
          multipart('alternative', 'c', textPart('deep'), ['Content-Type: text/html', '', 'deep']),
          ['Content-Type: image/png', 'Content-ID: <1>', '', 'png'],
        ),
        ['Content-Type: application/pdf; name="x.pdf"', 'Content-Disposition: attachment', '', 'pdf'],
      ),
    ),
    { text: 'deep', files: ['attachment-1.png image/png 3', 'x.pdf application/pdf 3'] },
  ],
  [
    'one boundary is the beginning of another',
    lines(FROM, ...multipart('mixed', 'b', multipart('mixed', 'bb', textPart('in')), textPart('out'))),
    { text: 'in\n\nout' },
  ],
  [
    'one boundary for both levels',
    lines(FROM, ...multipart('mixed', 'b', multipart('alternative', 'b', textPart('in'))), 'late'),
    { text: 'in' },
  ],
  [
    'a boundary that never ends',
    lines(FROM, 'Content-Type: multipart/mixed; boundary=b', '', '--b', ...textPart('one'), '--b', ...textPart('two')),
    { text: 'one\n\ntwo', untold: ['The mail breaks off: its last part has no end.'] },
  ],
  [
    'an inner part that never ends',
    lines(
      FROM,
      ...multipart(
        'mixed',
        'a',
        ['Content-Type: multipart/mixed; boundary=b', '', '--b', ...textPart('one')],
        textPart('two'),
      ),
    ),
    { text: 'one\n\ntwo', untold: ['Some parts do not end as they say; their ends were guessed.'] },
  ],
  [
    'a boundary that is not the one used',
    lines(
      FROM,
      'Content-Type: multipart/mixed; boundary=x',
      '',
      '--y',
      'Content-Type: text/plain',
      '',
      'found',
      '--y--',
    ),
    { text: 'found', untold: ['The parts of this mail are not separated as it says; they were guessed.'] },
  ],
  [
    'no boundary at all',
    lines(FROM, 'Content-Type: multipart/mixed', '', '--y', 'Content-Type: text/plain', '', 'found', '--y--'),
    { text: 'found' },
  ],
  [
    'multipart without parts',
    lines(FROM, 'Content-Type: multipart/mixed; boundary=x', '', 'only text'),
    { text: 'only text' },
  ],
  [
    'spaces after a boundary',
    lines(FROM, 'Content-Type: multipart/mixed; boundary="b c"', '', '--b c  ', '', 'one', '--b c--\t', 'epilogue'),
    { text: 'one' },
  ],
  [
    'a part without header',
    lines(FROM, ...multipart('mixed', 'b', ['', 'one'], ['two without an empty line'])),
    { text: 'one\n\ntwo without an empty line' },
  ],
  [
    'file names by RFC 2231',
    lines(
      FROM,
      ...multipart(
        'mixed',
        'b',
        ['', 'x'],
        [
          'Content-Type: application/pdf',
          'Content-Disposition: attachment; filename*0*=utf-8\'\'%C3%9Cber; filename*1*=sicht%20; filename*2="2026.pdf"',
          '',
          'p',
        ],
      ),
    ),
    { files: ['Übersicht 2026.pdf application/pdf 1'] },
  ],
  [
    'a file name split within a character',
    lines(
      FROM,
      ...multipart(
        'mixed',
        'b',
        ['', 'x'],
        ["Content-Type: application/pdf; name*0*=utf-8''%C3; name*1*=%9C.pdf", '', 'p'],
      ),
    ),
    { files: ['Ü.pdf application/pdf 1'] },
  ],
  [
    'a file name in encoded words',
    lines(
      FROM,
      ...multipart(
        'mixed',
        'b',
        ['', 'x'],
        [
          'Content-Type: application/pdf',
          `Content-Disposition: attachment; filename="=?utf-8?B?${b64('Ärger.pdf')}?="`,
          '',
          'p',
        ],
      ),
    ),
    { files: ['Ärger.pdf application/pdf 1'] },
  ],
  [
    'a file name that climbs and hides',
    lines(
      FROM,
      ...multipart(
        'mixed',
        'b',
        ['', 'x'],
        [
          'Content-Type: application/x',
          `Content-Disposition: attachment; filename*=utf-8''..%2F..%2Fetc%2Fgpj.%E2%80%AEexe`,
          '',
          'p',
        ],
      ),
    ),
    { files: ['gpj.exe application/x 1'] },
  ],
  [
    'a mail within',
    lines(
      FROM,
      ...multipart('mixed', 'b', textPart('see below'), [
        'Content-Type: message/rfc822',
        '',
        'Subject: =?utf-8?Q?f=C3=BCr_alle?=',
        '',
        'inner',
      ]),
    ),
    { text: 'see below', files: ['für alle.eml message/rfc822 43'] },
  ],
  [
    'a digest',
    lines(FROM, ...multipart('digest', 'b', ['', 'Subject: one', '', 'x'], ['', 'Subject: two', '', 'y'])),
    { files: ['one.eml message/rfc822 17', 'two.eml message/rfc822 17'] },
  ],
  [
    'winmail.dat',
    lines(
      FROM,
      'Content-Type: application/ms-tnef; name=winmail.dat',
      'Content-Transfer-Encoding: base64',
      '',
      TNEF.toString('base64'),
    ),
    {
      text: 'Text within.',
      files: ['Übersicht 2026.xlsx application/octet-stream 3', 'note.txt application/octet-stream 1'],
    },
  ],
  [
    'winmail.dat that breaks off',
    lines(
      FROM,
      ...multipart('mixed', 'b', textPart('hi'), [
        'Content-Type: application/ms-tnef',
        'Content-Transfer-Encoding: base64',
        '',
        TNEF.subarray(0, 120).toString('base64'),
      ]),
    ),
    {
      text: 'hi',
      files: ['BERSIC~1.XLS application/octet-stream 3'],
      untold: ['A winmail.dat of Outlook could not be read whole.'],
    },
  ],
  [
    'winmail.dat that is none',
    lines(
      FROM,
      ...multipart('mixed', 'b', textPart('hi'), [
        'Content-Type: application/octet-stream; name=WINMAIL.DAT',
        '',
        'nonsense',
      ]),
    ),
    { text: 'hi', files: ['WINMAIL.DAT application/octet-stream 8'] },
  ],
  [
    'an invitation',
    lines(
      FROM,
      ...multipart('alternative', 'b', textPart('Meeting?'), [
        'Content-Type: text/calendar; method=REQUEST; charset=utf-8',
        '',
        ...CALENDAR,
      ]),
    ),
    { text: 'Meeting?', files: ['attachment-1.ics text/calendar 79'], marks: ['invitation'] },
  ],
  [
    'signed with S/MIME',
    lines(
      FROM,
      ...multipart('signed', 'b', textPart('I say so'), [
        'Content-Type: application/pkcs7-signature; name=smime.p7s',
        '',
        'x',
      ]),
    ),
    { text: 'I say so', files: [], marks: ['signed'] },
  ],
  [
    'encrypted with S/MIME',
    typed('application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m', 'x'),
    {
      text: '[The mail is encrypted with S/MIME.]',
      marks: ['encrypted'],
      files: ['smime.p7m application/pkcs7-mime 1'],
    },
  ],
  [
    'signed with S/MIME, text inside',
    typed('application/pkcs7-mime; smime-type=signed-data', 'x'),
    { text: '[The text is inside an S/MIME signature and cannot be read here.]', marks: ['signed'] },
  ],
  [
    'encrypted with PGP',
    lines(
      FROM,
      ...multipart(
        'encrypted',
        'b',
        ['Content-Type: application/pgp-encrypted', '', 'Version: 1'],
        ['Content-Type: application/octet-stream; name=encrypted.asc', '', 'x'],
      ),
    ),
    {
      text: '[The mail is encrypted with PGP.]',
      marks: ['encrypted'],
      files: ['encrypted.asc application/octet-stream 1'],
    },
  ],
  [
    'signed with PGP in the text',
    mail(
      [FROM],
      '-----BEGIN PGP SIGNED MESSAGE-----',
      'Hash: SHA256',
      '',
      'I say so',
      '- -- dashes',
      '-----BEGIN PGP SIGNATURE-----',
      'abc',
      '-----END PGP SIGNATURE-----',
    ),
    { text: 'I say so\n-- dashes', marks: ['signed'] },
  ],
  [
    'a delivery report',
    lines(
      'From: MAILER-DAEMON@a.test',
      'Auto-Submitted: auto-replied',
      ...multipart(
        'report; report-type=delivery-status',
        'b',
        textPart('It failed.'),
        [
          'Content-Type: message/delivery-status',
          '',
          'Reporting-MTA: dns; mx.a.test',
          '',
          'Final-Recipient: rfc822; bob@b.test',
          'Action: failed',
          'Status: 5.1.1',
          'Diagnostic-Code: smtp; 550 no',
          ' such user',
        ],
        ['Content-Type: message/rfc822', '', 'Message-ID: <orig@a.test>', '', 'x'],
      ),
    ),
    {
      text: 'It failed.',
      automatic: 'reply',
      report: {
        kind: 'delivery',
        recipients: [{ address: 'bob@b.test', action: 'failed', status: '5.1.1', diagnostic: '550 no such user' }],
        about: '<orig@a.test>',
      },
    },
  ],
  ['out of office', mail([FROM, 'Subject: Automatische Antwort: Anfrage'], 'Bin weg.'), { automatic: 'reply' }],
  ['out of office by header', mail([FROM, 'X-Autoreply: yes'], 'Away.'), { automatic: 'reply' }],
  [
    'a mailing list',
    mail([FROM, 'List-Id: The List <dev.lists.test>', 'Precedence: list'], 'x'),
    { listId: 'dev.lists.test', automatic: 'bulk' },
  ],
  [
    'ids and references',
    mail([FROM, 'Message-ID: <1@a.test>', 'References: <x@a> junk <y@a>', '\t<z@a>'], 'x'),
    { messageId: '<1@a.test>', references: ['<x@a>', '<y@a>', '<z@a>'] },
  ],
  [
    'zero bytes and controls',
    mail([FROM, 'Subject: a\0b\x07c'], 'x\0y\x1b[31mz'),
    { subject: 'a b c', text: 'xy[31mz' },
  ],
  [
    'two Content-Types: the first counts',
    mail([FROM, 'Content-Type: text/plain', 'Content-Type: text/html'], '<b>x</b>'),
    { text: '<b>x</b>' },
  ],
  [
    'a Content-Type with comments and quotes',
    typed('text/plain (really; charset=x) ; charset="utf-8" (yes)', utf8('ä')),
    { text: 'ä' },
  ],
  ['a Content-Type of nonsense', typed('nonsense', 'x'), { text: 'x' }],
  [
    'text as a file',
    lines(
      FROM,
      ...multipart('mixed', 'b', textPart('hi'), [
        'Content-Type: text/plain; name=log.txt',
        'Content-Disposition: attachment',
        '',
        'log',
      ]),
    ),
    { text: 'hi', files: ['log.txt text/plain 3'] },
  ],
];

for (const [name, bytes, expected] of ROWS)
  test(`mail: ${name}`, async () => {
    const read = seen(await readMail(bytes));
    const told = Object.fromEntries(Object.entries(read).filter(([key]) => key in expected));
    assert.deepEqual(told, expected);
  });
