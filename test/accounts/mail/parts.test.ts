// Bodies that break readers: transfer encodings, boundaries, files, seals, reports.
import { b64, check, FROM, lines, mail, multipart, textPart, typed, utf8 } from './reading.ts';

const TNEF = (() => {
  const u32 = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];
  const attribute = (level: number, id: number, data: readonly number[]): number[] => [
    level,
    ...u32(id),
    ...u32(data.length),
    ...data,
    data.reduce((sum, byte) => sum + byte, 0) & 255,
    0,
  ];
  const ascii = (text: string): number[] => [...Buffer.from(text, 'latin1'), 0];
  const utf16 = [...Buffer.from('Übersicht 2026.xlsx\0', 'utf16le')];
  const props = [...u32(1), 0x1f, 0x00, 0x07, 0x37, ...u32(1), ...u32(utf16.length), ...utf16, 0, 0];
  return Buffer.from([
    ...u32(0x223e9f78),
    1,
    0,
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

check([
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
    { text: 'see below\n\n[Enclosed mail: "für alle" from nobody named]', files: ['für alle.eml message/rfc822 43'] },
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
    'text with a name that is shown: a file, too',
    lines(FROM, ...multipart('mixed', 'b', textPart('hi'), ['Content-Type: text/plain; name=0001.patch', '', '+1'])),
    { text: 'hi\n\n+1', files: ['0001.patch text/plain 2'] },
  ],
  [
    'a page with a name',
    lines(FROM, ...multipart('mixed', 'b', textPart('hi'), ['Content-Type: text/html; name=login.html', '', '<p>x'])),
    { text: 'hi', files: ['login.html text/html 4'] },
  ],
  [
    'nothing but another mail',
    lines(FROM, 'Content-Type: message/rfc822', '', 'From: Bob <bob@b.test>', 'Subject: the bill', '', 'pay'),
    { text: '[Enclosed mail: "the bill" from Bob <bob@b.test>]', files: ['the bill.eml message/rfc822 48'] },
  ],
  [
    'a boundary beyond ASCII',
    lines(FROM, ...multipart('mixed', utf8('µ'), textPart('hi'))),
    { text: 'hi', untold: [] },
  ],
  [
    'a report that is not marked as automatic',
    lines(
      FROM,
      ...multipart('report; report-type=disposition-notification', 'b', textPart('Read.'), [
        'Content-Type: message/disposition-notification',
        '',
        'Final-Recipient: rfc822;bob@b.test',
        'Original-Message-ID: <1@a.test>',
        'Disposition: manual-action/MDN-sent-manually; displayed',
      ]),
    ),
    {
      text: 'Read.',
      automatic: 'generated',
      report: {
        kind: 'read',
        recipients: [
          { address: 'bob@b.test', action: 'manual-action/mdn-sent-manually; displayed', status: '', diagnostic: '' },
        ],
        about: '<1@a.test>',
      },
    },
  ],
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
]);
