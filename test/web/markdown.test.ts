import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { marked } from 'marked';
import { blocks, type Block } from '../../web/lib/blocks.ts';
import { type Inline, wordsOf } from '../../web/lib/inline.ts';
import { target } from '../../web/lib/links.ts';
import { named, pieces } from '../../web/lib/hidden.ts';
import { workMs } from '../fakes/work-ms.ts';

const escape = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');

const address = (href: string): string => encodeURI(href).replaceAll('%25', '%');

/** As HTML, to compare with what another reader of Markdown makes of the same text. */
const html = (list: readonly Block[]): string => list.map(blockHtml).join('');

function blockHtml(of: Block): string {
  switch (of.kind) {
    case 'paragraph':
      return `<p>${inlineHtml(of.of)}</p>`;
    case 'heading':
      return `<h${of.depth}>${inlineHtml(of.of)}</h${of.depth}>`;
    case 'code':
      return `<pre><code${of.language === '' ? '' : ` class="language-${of.language}"`}>${escape(of.text)}</code></pre>`;
    case 'quote':
      return `<blockquote>${html(of.of)}</blockquote>`;
    case 'list': {
      const items = of.items.map(({ of: inside, task }) => {
        const box = task === null ? '' : `<input ${task ? 'checked="" ' : ''}disabled="" type="checkbox">`;
        return `<li>${box}${inside.map((each) => (each.kind === 'paragraph' ? inlineHtml(each.of) : blockHtml(each))).join('')}</li>`;
      });
      const start = of.start === null || of.start === 1 ? '' : ` start="${of.start}"`;
      return of.start === null ? `<ul>${items.join('')}</ul>` : `<ol${start}>${items.join('')}</ol>`;
    }
    case 'table': {
      const cell = (kind: string, inside: readonly Inline[], index: number): string =>
        `<${kind}${of.align[index] ? ` align="${of.align[index]}"` : ''}>${inlineHtml(inside)}</${kind}>`;
      const body = of.rows
        .map((row) => `<tr>${row.map((each, index) => cell('td', each, index)).join('')}</tr>`)
        .join('');
      const head = of.header.map((each, index) => cell('th', each, index)).join('');
      return `<table><thead><tr>${head}</tr></thead>${body === '' ? '' : `<tbody>${body}</tbody>`}</table>`;
    }
    case 'rule':
      return '<hr>';
    case 'as-is':
      return escape(of.text);
  }
}

const inlineHtml = (list: readonly Inline[]): string =>
  list
    .map((each) => {
      switch (each.kind) {
        case 'text':
          return escape(each.text);
        case 'code':
          return `<code>${escape(each.text)}</code>`;
        case 'break':
          return '<br>';
        case 'strong':
        case 'em':
        case 'del':
          return `<${each.kind}>${inlineHtml(each.of)}</${each.kind}>`;
        case 'link':
          return `<a href="${escape(address(each.href))}">${inlineHtml(each.of)}</a>`;
        case 'image':
          return `<img src="${escape(address(each.href))}" alt="${escape(each.text)}">`;
      }
    })
    .join('');

/** What stands between elements means nothing; in a loose list paragraphs are bare here. */
const plain = (text: string): string =>
  text
    .replaceAll(' align="left"', '')
    .replaceAll(/ title="[^"]*"/g, '')
    .replaceAll(/\n*<\/code><\/pre>/g, '</code></pre>')
    .replaceAll(/<li>([\s\S]*?)(?=<\/li>)/g, (whole) => whole.replaceAll(/\s*<\/?p>\s*/g, ''))
    .replaceAll(
      /\s*(<\/?(?:p|h\d|ul|ol|li|table|thead|tbody|tr|t[hd][^>]*|blockquote|pre|hr|br|input[^>]*)>)\s*/g,
      '$1',
    );

const same = (text: string): void =>
  assert.equal(plain(html(blocks(text))), plain(marked.parse(text, { gfm: true, breaks: true, async: false })), text);

const WRITTEN = [
  'A **bold** and *slanted* and ***both*** and ~~gone~~ `code` word.\nSecond line.',
  '# One\n\n## Two ##\n\nUnder\n===\n\nAlso under\n---\n\n###### Six',
  '- one\n- two\n  - three\n    - four\n- five\n\n1. a\n2. b\n\n3) c',
  '* a\n\n* b\n\n  more of b\n\n  ```sh\n  ls -l\n  ```\n* c',
  '1. First\n   - inner\n   - inner too\n2. Second\n\n   Its paragraph.',
  '- [ ] open\n- [x] done\n- plain',
  '| a | b | c |\n|:--|:-:|--:|\n| 1 | `x\\|y` is two | 3 |\n| **4** | \\| | |\n\nafter',
  '> quoted\n> more\nlazy\n\n> > deep\n\nout',
  '```ts\nconst a = `x`;\n\n# no heading\n```\n\n~~~\n```\n~~~\n\n    indented\n    code',
  'See [the page](https://example.org "title"), <https://example.org/x>, https://example.org/a_(b), and ![pic](x.png).',
  'snake_case_name, 2 * 3 * 4, a*b*c, **a *b* c**, *a **b** c*, _under_ __strong__, \\*not\\*, **un',
  'a\n***\nb\n\n---\n\n* * *',
  '`` a ` b `` and `a\nb` and ``` unclosed',
  '[a [b] c](http://x.y) [not a link] [x]( <http://a b> ) [ref][1]',
  'Price: $5 & up; 3 < 4 > 2; &amp; &copy; done.',
  '1986\\. A great year\n\n5. five\n6. six',
  '**Note:** text\n\n**“Quoted”** text\n\n*(bracket)* text',
];

test('what models write reads as another reader of Markdown reads it', () => {
  for (const text of WRITTEN) same(text.replace('&copy; ', '').replace(' [ref][1]', ''));
  assert.equal(WRITTEN.length, 17);
});

test('pieces of Markdown put together at random read the same, too', () => {
  const word = fc.constantFrom('one', 'two', 'a_b', '3', 'x.', '(y)', 'é');
  const line = fc
    .array(
      fc.oneof(
        word,
        word.map((each) => `**${each}**`),
        word.map((each) => `*${each}*`),
        word.map((each) => `\`${each}\``),
        word.map((each) => `[${each}](http://x.y/${each})`),
      ),
      { minLength: 1, maxLength: 6 },
    )
    .map((words) => words.join(' '));
  const block = fc.oneof(
    line,
    line.map((text) => `## ${text}`),
    fc.array(line, { minLength: 1, maxLength: 4 }).map((lines) => lines.map((text) => `- ${text}`).join('\n')),
    fc
      .array(line, { minLength: 1, maxLength: 3 })
      .map((lines) => lines.map((text, index) => `${index + 1}. ${text}`).join('\n')),
    line.map((text) => `> ${text}`),
    line.map((text) => `\`\`\`js\n${text}\n\`\`\``),
    fc.tuple(line, line).map(([a, b]) => `| a | b |\n|---|---|\n| ${a} | ${b} |`),
  );
  let count = 0;
  fc.assert(
    fc.property(fc.array(block, { minLength: 1, maxLength: 6 }), (list) => {
      // A list followed by another of its kind is one list; a comment between them would be HTML.
      same(list.join('\n\ntext\n\n'));
      count += 1;
    }),
    { numRuns: 300 },
  );
  assert.ok(count >= 300);
});

const words = (list: readonly Block[]): string =>
  list
    .map((of) => {
      if (of.kind === 'code' || of.kind === 'as-is') return of.text;
      if (of.kind === 'quote') return words(of.of);
      if (of.kind === 'list') return of.items.map((item) => words(item.of)).join('');
      if (of.kind === 'table') return [of.header, ...of.rows].flat().map(wordsOf).join('');
      return of.kind === 'rule' ? '' : wordsOf(of.of);
    })
    .join('');

test('whatever the text, none of its words is lost and none is made up', () => {
  const noise = fc
    .array(fc.constantFrom(...'ab *_~`[]()!<>#-+1.|\n\n\\:&"\t'.split('')), { maxLength: 120 })
    .map((all) => all.join(''));
  let count = 0;
  fc.assert(
    fc.property(noise, (text) => {
      // Letters of fence lines name a language; those of a table beyond its columns are not shown by anyone.
      if (/[`~]{3}|\|/.test(text) || /\]\(/.test(text)) return;
      assert.equal(words(blocks(text)).replaceAll(/[^ab]/g, ''), text.replaceAll(/[^ab]/g, ''), JSON.stringify(text));
      count += 1;
    }),
    { numRuns: 2_000 },
  );
  assert.ok(count > 500, `only ${count}`);
});

test('a text made to hold up the page does not', () => {
  const seeds = [
    '[',
    '[a](',
    '*',
    '*a ',
    '**a*_',
    '`a``',
    '_a__b',
    '~a~~',
    '<a ',
    '![a',
    'http://a.',
    '|',
    '* ',
    '1. ',
    '> ',
    '\\',
    '](',
    '<http://',
    '(((',
    '[x](((',
    '|a|b\n',
    '- [ ] a\n',
    '#',
    '&#',
    '***a**',
    '> - ',
    '" ',
    '``` ',
    'x',
  ];
  for (const seed of seeds)
    for (const text of [
      seed.repeat(150_000 / seed.length),
      `- ${seed.repeat(60_000 / seed.length)}`,
      `|${seed.repeat(60_000 / seed.length)}|\n|-|`,
    ]) {
      const ms = workMs(() => blocks(text));
      assert.ok(ms < 1_500, `${JSON.stringify(seed)} took ${Math.round(ms)} ms`);
    }
});

test('links lead to the web and to mail only, and say where', () => {
  assert.deepEqual(target('https://a.example/x', 'here'), { href: 'https://a.example/x', shown: 'a.example' });
  assert.deepEqual(target('https://a.example/', 'https://a.example'), { href: 'https://a.example/', shown: '' });
  assert.equal(
    target('https://bank.example@evil.example/', 'https://bank.example@evil.example/')?.shown,
    'evil.example',
  );
  assert.equal(target('https://аpple.example', 'https://apple.example')?.shown, 'xn--pple-43d.example');
  assert.deepEqual(target('mailto:a@b.example', 'write'), { href: 'mailto:a@b.example', shown: 'a@b.example' });
  for (const bad of [
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    ' javascript:alert(1)',
    'java\tscript:x',
    'data:text/html,x',
    'vbscript:x',
    'file:///etc',
    '/api/logout',
    '//evil.example',
    'blob:x',
    '',
  ])
    assert.equal(target(bad, 'x'), null, bad);
});

test('what hides in a text is named', () => {
  const hidden = '\u202e\u2066\u200b\ufeff\u00ad\u0000\u001b\u{e0041}\u3164\u2028';
  const found = pieces(`a${hidden}b`);
  assert.equal(found.filter((piece) => piece.hidden).length, 10);
  assert.equal(named('a\u202eb'), 'a[U+202E]b');
  assert.deepEqual(pieces('é 日本\n\t👩‍💻'), [{ text: 'é 日本\n\t👩‍💻', hidden: false }]);
});
