import assert from 'node:assert/strict';
import { test } from 'node:test';
import commonmark from 'commonmark-spec';
import fc from 'fast-check';
import { micromark } from 'micromark';
import { gfm, gfmHtml } from 'micromark-extension-gfm';
import { readMarkdown } from '../../src/core/text/markdown/read.ts';
import { type Block, type Inline, wordsOf } from '../../src/core/text/markdown/tree.ts';
import { whole } from '../fakes/effort.ts';
import { workMs } from '../fakes/work-ms.ts';

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

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
      return `<pre><code${of.language === '' ? '' : ` class="language-${escape(of.language)}"`}>${escape(of.text)}</code></pre>`;
    case 'quote':
      return `<blockquote>${html(of.of)}</blockquote>`;
    case 'list': {
      const items = of.items.map(({ of: inside, task }) => {
        const box = task === null ? '' : `<input type="checkbox" disabled=""${task ? ' checked=""' : ''}>`;
        return `<li>${box}${inside.map((each) => (each.kind === 'paragraph' ? inlineHtml(each.of) : blockHtml(each))).join('')}</li>`;
      });
      const start = of.start === null || of.start === 1 ? '' : ` start="${of.start}"`;
      return of.start === null ? `<ul>${items.join('')}</ul>` : `<ol${start}>${items.join('')}</ol>`;
    }
    case 'table': {
      const cell = (kind: string, inside: readonly Inline[], index: number): string =>
        `<${kind}${of.align[index] ? ` align="${of.align[index]}"` : ''}>${inlineHtml(inside)}</${kind}>`;
      const body = of.rows
        .map((row) => `<tr>${of.header.map((_, index) => cell('td', row[index] ?? [], index)).join('')}</tr>`)
        .join('');
      const head = of.header.map((each, index) => cell('th', each, index)).join('');
      return `<table><thead><tr>${head}</tr></thead>${body === '' ? '' : `<tbody>${body}</tbody>`}</table>`;
    }
    case 'rule':
      return '<hr>';
    case 'definitions':
      return '';
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

/** What stands between elements means nothing; a line break is one; in a loose list paragraphs are bare here. */
const plain = (text: string): string => {
  let depth = 0;
  return text
    .replaceAll(' align="left"', '')
    .replaceAll(/ title="[^"]*"/g, '')
    .replaceAll(' />', '>')
    .replaceAll(/\n*<\/code><\/pre>/g, '</code></pre>')
    .replaceAll(/<pre>[^]*?<\/pre>/g, (code) => code.replaceAll('\n', '\r'))
    .replaceAll('<br>', '\n')
    .replaceAll(/\s*<(\/?)(li|p)>\s*/g, (tag, closing, name) => {
      if (name === 'li') depth += closing ? -1 : 1;
      return name === 'p' && depth > 0 ? '' : tag;
    })
    .replaceAll(
      /\s*(<\/?(?:p|h\d|ul|ol[^>]*|li|table|thead|tbody|tr|t[hd][^>]*|blockquote|pre|hr|input[^>]*)>)\s*/g,
      '$1',
    )
    .replaceAll(/[ \n]+/g, ' ')
    .trim();
};

const other = (text: string): string =>
  micromark(text, {
    allowDangerousProtocol: true,
    extensions: [gfm({ singleTilde: false })],
    htmlExtensions: [gfmHtml()],
  });

const same = (text: string): void => assert.equal(plain(html(readMarkdown(text))), plain(other(text)), text);

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

/** Examples of the specification that are read differently on purpose, and why. */
const OTHERWISE: Readonly<Record<string, readonly number[]>> = {
  'HTML that stands alone is a paragraph like any other': [21, 31, 308, 309],
  'of two thousand names of characters the usual ones are known': [25, 32, 33, 34, 503],
  'any space separates a title': [507],
  'what is indented by two stands in the item above, however wide its sign is': [257, 276, 297],
  'an address in angles leads to the web or to mail': [596, 598, 599, 601],
  "GitHub's addresses need no angles": [602, 608, 611, 612],
};

test("the examples of CommonMark's specification read as it says", () => {
  const shown = (text: string): string =>
    plain(
      text
        .replaceAll(/ title="[^"]*"/g, '')
        .replaceAll('&lt;', '<')
        .replaceAll('&gt;', '>')
        .replaceAll('&quot;', '"')
        .replaceAll('&amp;', '&'),
    );
  const differ: number[] = [];
  for (const { number, markdown, html: expected } of commonmark.tests) {
    const [source, result] = [markdown, expected].map((text) => text.replaceAll('→', '\t')) as [string, string];
    if (shown(html(readMarkdown(source))) !== shown(result)) differ.push(number);
  }
  assert.ok(commonmark.tests.length > 600);
  assert.deepEqual(
    differ.filter((n) => commonmark.tests[n - 1]?.section !== 'HTML blocks'),
    Object.values(OTHERWISE)
      .flat()
      .sort((a, b) => a - b),
  );
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
      if (of.kind === 'code') return of.text;
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
      assert.equal(
        words(readMarkdown(text)).replaceAll(/[^ab]/g, ''),
        text.replaceAll(/[^ab]/g, ''),
        JSON.stringify(text),
      );
      count += 1;
    }),
    { numRuns: 2_000 },
  );
  assert.ok(count > 500, `only ${count}`);
});

/** Kinds of what stands where, without the words. */
const shape = (text: string): string => plain(html(readMarkdown(text)));

test('what people and models write beyond the specification', () => {
  const cases: [text: string, expected: string][] = [
    // Chinese, Japanese and Korean have no spaces around what is emphasised.
    ['这是**“重点”**的内容', '<p>这是<strong>“重点”</strong>的内容</p>'],
    ['**「強調」**です。', '<p><strong>「強調」</strong>です。</p>'],
    ['**テスト。**テスト', '<p><strong>テスト。</strong>テスト</p>'],
    ['**이것(this)**은', '<p><strong>이것(this)</strong>은</p>'],
    // Nor have Thai, Lao, Khmer, Burmese and Tibetan, nor the characters of two units.
    ['**(吉)**𠮷野家', '<p><strong>(吉)</strong>𠮷野家</p>'],
    ['𠮷**(x)**', '<p>𠮷<strong>(x)</strong></p>'],
    ['ภาษา**(ไทย)**ครับ', '<p>ภาษา<strong>(ไทย)</strong>ครับ</p>'],
    ['**5%**ကို', '<p><strong>5%</strong>ကို</p>'],
    ['**བོད་**ཡིག', '<p><strong>བོད་</strong>ཡིག</p>'],
    ['请看https://example.org/a。谢谢', '<p>请看<a href="https://example.org/a">https://example.org/a</a>。谢谢</p>'],
    ['3~5天，10~15天', '<p>3~5天，10~15天</p>'],
    ['about ~5 to ~10, ~~not~~', '<p>about ~5 to ~10, <del>not</del></p>'],
    // A table right below a sentence, and one whose rows do not have all cells.
    [
      'Here:\n| a | b |\n|---|:-:|\n| 1 |\nafter',
      '<p>Here:</p><table><thead><tr><th>a</th><th align="center">b</th></tr></thead><tbody><tr><td>1</td><td align="center"></td></tr></tbody></table><p>after</p>',
    ],
    [
      '| a |\n|---|\n| x<br>y |',
      '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>x y</td></tr></tbody></table>',
    ],
    // Lists that are indented by two, whatever the number.
    [
      '1. a\n  - b\n    - c\n  - d\n2. e',
      '<ol><li>a<ul><li>b<ul><li>c</li></ul></li><li>d</li></ul></li><li>e</li></ol>',
    ],
    ['10. a\n\n   b\n11. c', '<ol start="10"><li>ab</li><li>c</li></ol>'],
    [
      '1. a\n\n    ```sh\n    ls\n    ```\n2. b',
      '<ol><li>a<pre><code class="language-sh">ls</code></pre></li><li>b</li></ol>',
    ],
    // Addresses.
    [
      'www.example.org, me@example.org',
      '<p><a href="http://www.example.org">www.example.org</a>, <a href="mailto:me@example.org">me@example.org</a></p>',
    ],
    [
      '(see https://example.org/a_(b)).',
      '<p>(see <a href="https://example.org/a_(b)">https://example.org/a_(b)</a>).</p>',
    ],
    [
      '**https://example.org/x_y**',
      '<p><strong><a href="https://example.org/x_y">https://example.org/x_y</a></strong></p>',
    ],
    ['xhttp://a.b @ a@b snake@', '<p>xhttp://a.b @ a@b snake@</p>'],
    // HTML is text.
    ['<b title="*x*">*y*</b> 1 <2', '<p>&lt;b title=&quot;*x*&quot;&gt;<em>y</em>&lt;/b&gt; 1 &lt;2</p>'],
    ['<div>\n\n- a\n\n</div>', '<p>&lt;div&gt;</p><ul><li>a</li></ul><p>&lt;/div&gt;</p>'],
  ];
  for (const [text, expected] of cases) assert.equal(shape(text), expected, text);
});

test('sources that are listed below are links above, and are shown', () => {
  const [above, below] = readMarkdown(
    'As shown [1], [there][Two] and [^1].\n\n[1]: https://a.example/x\n[two]: <b> "Title"\n[^1]: note',
  );
  assert.deepEqual(above, {
    kind: 'paragraph',
    of: [
      { kind: 'text', text: 'As shown ' },
      { kind: 'link', href: 'https://a.example/x', text: '1', of: [{ kind: 'text', text: '1' }] },
      { kind: 'text', text: ', ' },
      { kind: 'link', href: 'b', text: 'there', of: [{ kind: 'text', text: 'there' }] },
      { kind: 'text', text: ' and [^1].' },
    ],
  });
  assert.ok(below?.kind === 'definitions');
  assert.equal(wordsOf(below.of), '[1]: https://a.example/x\n[two]: <b> "Title"');
  assert.equal(below.of.filter(({ kind }) => kind === 'link').length, 1);
});

test('noise reads as another reader of Markdown reads it', () => {
  const noise = fc
    .array(fc.constantFrom(...'ab  *_`[]()!#-+1.\n\n\\:"'.split('')), { maxLength: 16 })
    .map((all) => all.join(''));
  const bare = (text: string): string =>
    plain(text)
      .replaceAll(/\s+/g, ' ')
      .replaceAll(/ ?(<\/?code>) ?/g, '$1');
  let count = 0;
  fc.assert(
    fc.property(noise, (text) => {
      // A table without a bar is more often a face; of empty items within others readers think differently.
      if (/:-|-:|[-+*>.)][ \t]*(?:[-+*]|\d+[.)])[ \t]*$/m.test(text)) return;
      // The other reader ticks a box below an empty item, outside its list.
      if (/^[ \t]*(?:[-+*]|\d+[.)])[ \t]*\n\s*\[[ x]\]/m.test(text)) return;
      // Of a run that is partly used up, the specification counts what it had (as here), the other reader what is left.
      if (/(?<![*])([*]+)(?![*])[^]*(?<![*])(?!\1(?![*]))[*]|(?<!_)(_+)(?!_)[^]*(?<!_)(?!\2(?!_))_/.test(text)) return;
      assert.equal(bare(html(readMarkdown(text))), bare(other(text)), JSON.stringify(text));
      count += 1;
    }),
    { numRuns: 2_500 },
  );
  assert.ok(count > 2_000, `only ${count}`);
});

/** What a reader that looks back, or ahead, may be slow at when there is much of it. */
const SLOW = [
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
  '![a![',
  '[a](b "',
  '[a](<b',
  '[a]: b "c\n',
  '[a]:\n',
  '[a][b]',
  'a_',
  'a_a@',
  'a.a@b',
  'www.a',
  'https://a.b/(',
  '<a b="',
  '<a b=" c="',
  '<br>',
  '<!--',
  '\t',
  '- a\n',
  '  - a\n',
  'a*b_c~~',
  '**a __b ',
  '[[a](b)',
  '![[a](b)',
  'a\n|-|\n',
  '|-\n',
  'a|b\n-|-\n',
  'a\n=\n',
  '- - ',
  '1) 2) ',
  '*「a」',
  '\u2028 ',
  ' ',
  '\n',
];

const withinTime = (text: string, name: string): void => {
  const ms = workMs(() => readMarkdown(text));
  assert.ok(ms < 600, `${name} took ${Math.round(ms)} ms`);
};

test('a text made to hold up its readers does not', () => {
  for (const [n, seed] of SLOW.entries()) {
    const around = [
      `- ${seed.repeat(20_000 / seed.length)}`,
      `|${seed.repeat(20_000 / seed.length)}|\n|-|`,
      `[x]: y\n\n${seed.repeat(20_000 / seed.length)}"`,
    ];
    const tried = whole ? around : around.filter((_, at) => at === n % around.length);
    for (const text of [seed.repeat(60_000 / seed.length), ...tried])
      withinTime(text, JSON.stringify(text.slice(0, 20)));
  }
  const many = 30_000;
  const others = [
    `# ${' '.repeat(many)}${'\u2028'.repeat(many)}`,
    `\`\`\`${' '.repeat(many)}${'x'.repeat(many)}\``,
    `a|\n-${' '.repeat(2 * many)}x`,
    `<a b${' '.repeat(2 * many)}<`,
    `[a]: ${'u'.repeat(many)}\n\n${'[a]'.repeat(many / 3)}`,
    `${'*'.repeat(many)}a${'*'.repeat(many)}`,
    `${'*a '.repeat(many / 2)}${' b*'.repeat(many / 2)}`,
    `${'*a _b '.repeat(many / 4)}${'c* d_ '.repeat(many / 4)}`,
    `${'*a '.repeat(12)}${'_b '.repeat(many / 3)}${'c* '.repeat(many / 3)}`,
    `${'['.repeat(many)}${'[a](b)'.repeat(many / 6)}`,
    `${'!['.repeat(many)}${'](a)'.repeat(many / 2)}`,
    `${'['.repeat(many)}${']'.repeat(many)}`,
    `${'|'.repeat(10_000)}\n${'-|'.repeat(10_000)}\n${'|\n'.repeat(20_000)}`,
    `a@${'-'.repeat(2 * many)}.`,
    `http://a${').'.repeat(many)}`,
    Array.from({ length: 500 }, (_, length) => '`'.repeat(length + 1)).join(' '),
    Array.from({ length: 400 }, (_, depth) => `${'  '.repeat(depth)}- a`).join('\n'),
    Array.from({ length: 400 }, (_, depth) => `${'> '.repeat(depth)}a`).join('\n'),
  ];
  for (const text of others) withinTime(text, JSON.stringify(text.slice(0, 20)));
});

test('pieces that are slow only together are not, either', () => {
  const part = fc.tuple(fc.constantFrom(...SLOW), fc.constantFrom(...SLOW), fc.integer({ min: 1, max: 20_000 }));
  let longest = 0;
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
      const text = parts.map(([a, b, most]) => (a + b).repeat(most / (a + b).length)).join('');
      withinTime(text, JSON.stringify(parts));
      longest = Math.max(longest, text.length);
    }),
    { numRuns: 50 },
  );
  assert.ok(longest > 30_000);
});

/** Ten quotes or lists, and in each of 32 brackets or marks as many emphases as fit in nine stars. */
const DEEPEST = 200;

/** How many elements stand within each other. */
const depthOf = (list: readonly (Block | Inline)[]): number =>
  list.reduce((most, each) => {
    const inside =
      each.kind === 'list'
        ? each.items.flatMap(({ of }) => of)
        : each.kind === 'table'
          ? [each.header, ...each.rows].flat(2)
          : 'of' in each
            ? each.of
            : [];
    return Math.max(most, 1 + depthOf(inside));
  }, 0);

test('however deep a text is made, what is read of it is not, and all its words are there', () => {
  for (const [opening, closing] of [
    ['> ', ''],
    ['- ', ''],
    ['1. ', ''],
    ['*a **b ', ' c** d*'],
    ['_a ', ' b_'],
    ['![a ', '](b)'],
    ['[a ![b ', '](c)](d)'],
    ['*********a', '*********'],
  ] as const) {
    const depth = 5_000;
    const list = readMarkdown(`${opening.repeat(depth)}word${closing.repeat(depth)}`);
    assert.ok(depthOf(list) <= DEEPEST, `${opening}: ${depthOf(list)}`);
    assert.match(words(list), /word/);
  }
  const lists = Array.from({ length: 40 }, (_, depth) => `${'  '.repeat(depth)}- w${depth}`).join('\n');
  assert.ok(depthOf(readMarkdown(lists)) <= DEEPEST);
  for (let depth = 0; depth < 40; depth += 1) assert.match(words(readMarkdown(lists)), new RegExp(`w${depth}`));
});
