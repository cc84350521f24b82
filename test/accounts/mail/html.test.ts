// HTML as a person would see it: what hides is left out and told, links say where they lead, nothing is loaded.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { html, marksOf, readMail } from './reading.ts';

const shown = async (markup: string): Promise<string> => (await readMail(html(markup))).fullText;

const HIDDEN: readonly (readonly [string, string])[] = [
  ['display', '<div style="display:none">secret</div>'],
  ['display, oddly written', '<div style="DISPLAY : None !important">secret</div>'],
  ['display by a comment', '<div style="/* x */display:/**/none">secret</div>'],
  ['visibility', '<span style="visibility:hidden">secret</span>'],
  ['opacity', '<span style="opacity:0">secret</span>'],
  ['font size', '<span style="font-size:0px">secret</span>'],
  ['font size of a pixel', '<span style="font-size: 1px">secret</span>'],
  ['font shorthand', '<span style="font:0/0 a">secret</span>'],
  ['no height', '<div style="max-height:0;overflow:hidden">secret</div>'],
  ['Outlook', '<div style="mso-hide:all">secret</div>'],
  ['outside the page', '<div style="position:absolute;left:-9999px">secret</div>'],
  ['indent', '<div style="text-indent:-9999px">secret</div>'],
  ['scaled away', '<div style="transform:scale(0)">secret</div>'],
  ['white on white', '<span style="color:#fff">secret</span>'],
  ['white on white by name', '<font color="white">secret</font>'],
  ['nearly white on white', '<span style="color:rgb(250, 250, 250)">secret</span>'],
  ['colour of its cell', '<table><tr><td bgcolor="#003366"><span style="color:#036">secret</span></td></tr></table>'],
  ['transparent', '<span style="color:transparent">secret</span>'],
  ['clear', '<span style="color:rgba(0,0,0,0)">secret</span>'],
  ['the attribute', '<div hidden>secret</div>'],
  ['a class', '<style>.x, p.y { display: none } </style><p class="a y">secret</p>'],
  ['an id', '<style>#x{font-size:0}</style><p id=x>secret</p>'],
  ['within others', '<div style="display:none"><p><b>sec</b>ret</p></div>'],
  ['a comment', '<!-- secret -->'],
  ['Outlook alone', '<!--[if mso]>secret<![endif]-->'],
  ['a script', '<script>secret</script>'],
  ['a script that is not ended', '<script>secret'],
  ['a title', '<title>secret</title>'],
  ['a template', '<template>secret</template>'],
  ['a pixel', '<img src="https://t.test/secret" width=1 height=1 alt="secret">'],
  ['an address of a picture', '<img src="https://t.test/secret.png">'],
  ['an attribute', '<p title="secret" data-x="secret">'],
];

for (const [name, markup] of HIDDEN)
  test(`html: hidden by ${name}`, async () => {
    const read = await readMail(
      html(
        `<p>before</p>${markup.endsWith('secret') ? '' : markup}<p>after</p>${markup.endsWith('secret') ? markup : ''}`,
      ),
    );
    assert.match(read.fullText, /^before\s+after$/);
    assert.equal(read.fullText.includes('secret'), false);
  });

const SEEN: readonly (readonly [string, string])[] = [
  ['white on black', '<div style="background:#000"><span style="color:#fff">open</span></div>'],
  ['white on a picture', '<td style="background:url(x.png)"><span style="color:#fff">open</span></td>'],
  [
    'white on what a class paints',
    '<style>.dark td{background:#123}</style><div class="dark"><span style="color:white">open</span></div>',
  ],
  [
    'white on a colour without a known name',
    '<div style="background-color:rebeccapurple"><span style="color:white">open</span></div>',
  ],
  [
    'hidden on phones only',
    '<style>@media (max-width:600px){.x{display:none}} .z{color:red}</style><p class="x">open</p>',
  ],
  ['a size of nothing around it', '<td style="font-size:0"><div style="font-size:13px">open</div></td>'],
  ['a small font', '<span style="font-size:0.8em">open</span>'],
  ['after something hidden', '<div style="display:none">no</div><p>open</p>'],
  ['after an end that has no beginning', '</div></p><b>open</b>'],
  ['a picture that says what it is', '<img src=x alt="open">'],
  ['a tag that is none', '1 < 2 <3 open'],
];

for (const [name, markup] of SEEN)
  test(`html: seen although ${name}`, async () => {
    const read = await readMail(html(markup));
    assert.match(read.fullText, /open/);
    assert.doesNotMatch(read.fullText, /\bno\b/);
  });

test('html: how much was hidden is told, and invisible characters count', async () => {
  const read = await readMail(html('<p>Hi</p><p style="display:none">ignore all</p>a&#8203;b&#xE0041;c'));
  assert.equal(read.fullText, 'Hi\n\nabc');
  assert.deepEqual(
    read.marks.filter(({ mark }) => mark === 'hidden-text').map(({ detail }) => detail),
    ['11 characters that a reader would not see were left out.'],
  );
});

const LINKS: readonly (readonly [string, string, string])[] = [
  ['words', '<a href="https://a.test/x?y=1">Pay now</a>', 'Pay now [https://a.test/x?y=1]'],
  ['its own address', '<a href="https://a.test/">https://a.test</a>', 'https://a.test'],
  ['its own host', '<a href="https://www.a.test/">a.test</a>', 'a.test'],
  ['another host', '<a href="https://evil.test/x">www.bank.test</a>', 'www.bank.test [leads to https://evil.test/x]'],
  [
    'another host behind a name',
    '<a href="https://bank.test@evil.test/">https://bank.test/login</a>',
    'https://bank.test/login [leads to https://bank.test@evil.test/]',
  ],
  [
    'a host below its own',
    '<a href="https://click.bank.test/x">bank.test</a>',
    'bank.test [https://click.bank.test/x]',
  ],
  ['a file', '<a href="https://a.test/r">report.pdf</a>', 'report.pdf [https://a.test/r]'],
  ['mail', '<a href="mailto:bob@b.test?subject=x">Bob</a>', 'Bob [bob@b.test]'],
  ['a script', '<a href="javascript:alert(1)">go</a>', 'go'],
  ['a picture', '<a href="https://a.test/x"><img src=y alt="Shop"></a>', '[image: Shop] [https://a.test/x]'],
  ['an IDN', '<a href="https://b\u0430nk.test/">bank.test</a>', 'bank.test [leads to https://xn--bnk-6cd.test/]'],
  ['entities', '<a href="https://a.test/?a=1&amp;b=2">x</a>', 'x [https://a.test/?a=1&b=2]'],
];

for (const [name, markup, text] of LINKS)
  test(`html: a link to ${name}`, async () => assert.equal(await shown(markup), text));

test('html: a link that names another place is marked', async () => {
  const read = await readMail(html('<a href="https://evil.test/x">www.bank.test</a>'));
  assert.ok(marksOf(read).includes('link-elsewhere'));
});

test('html: tables, lists and quotes keep their lines', async () => {
  const text = await shown(
    '<h1>Bill</h1><table><tr><td>Tea</td><td>2 €</td></tr><tr><td>Milk</td><td>1 €</td></tr></table><ul><li>a<li>b</ul><blockquote>q</blockquote>',
  );
  assert.equal(text, 'Bill\n\nTea | 2 €\nMilk | 1 €\n\n * a\n * b\n\n> q');
});
