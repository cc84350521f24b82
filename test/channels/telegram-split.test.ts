import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { render } from '../../src/channels/telegram/markdown.ts';
import { cut, REPEAT, splitMessage } from '../../src/channels/telegram/split.ts';
import { checkText } from '../fakes/telegram/check.ts';
import { effort, tries } from '../fakes/effort.ts';
import { workClock } from '../fakes/work-ms.ts';

const REPEAT_ROOM = 4096 - 80;

type Part = {
  text: string;
  entities: { type: string; offset: number; length: number; language?: string; url?: string }[];
};

/** All parts of a text, however many: what one reply sends of them is another matter. */
const partsOf = (text: string): Part[] => cut(render(text), 4096 - REPEAT.length);

/** Kind and words of what is formatted. */
const marksOf = ({ text, entities }: Part): string[] =>
  entities.map(({ type, offset, length, url, language }) =>
    [type, text.slice(offset, offset + length), url ?? language].filter(Boolean).join(' | '),
  );

/** What is formatted, without its order and the white space around it. */
const spans = (part: Part): string[] =>
  part.entities
    .map(({ type, offset, length }) => `${type} ${offset} ${part.text.slice(offset, offset + length)}`)
    .toSorted();

const one = (markdown: string): Part => {
  const [part, ...rest] = partsOf(markdown);
  assert.ok(part && rest.length === 0);
  checkText(part.text, part.entities, 4096);
  return part;
};

const word = fc.stringMatching(/^[a-z0-9äß€😀]{1,12}$/u);
const words = fc.array(word, { minLength: 1, maxLength: 60, size: 'max' }).map((list) => list.join(' '));
const code = fc
  .array(fc.oneof(words, fc.constant('')), { minLength: 1, maxLength: 120, size: 'max' })
  .map((lines) => lines.join('\n  '));

/** A block of Markdown, with the words that must be seen. */
const block = fc.oneof(
  words.map((text) => ({ source: text, kind: 'p' })),
  words.map((text) => ({ source: `**${text}** and *${text}*`, kind: 'p' })),
  words.map((text) => ({ source: `## ${text}`, kind: 'h' })),
  fc
    .array(words, { minLength: 1, maxLength: 30, size: 'max' })
    .map((items) => ({ source: items.map((i) => `- ${i}`).join('\n'), kind: 'l' })),
  fc
    .array(words, { minLength: 1, maxLength: 8, size: 'max' })
    .map((items) => ({ source: items.map((i) => `> ${i}`).join('\n'), kind: 'q' })),
  words.map((text) => ({
    source: `**a \`${text}\` *b* [${text}](https://example.org/a)** [\`b\`](https://example.org/a)`,
    kind: 'p',
  })),
  code.map((text) => ({ source: `\`\`\`ts\n${text}\n\`\`\``, kind: 'c' })),
  words.map((text) => ({ source: `[${text}](https://example.org/a)`, kind: 'p' })),
);
const document = fc.array(block, { minLength: 1, maxLength: 25, size: 'max' });

const seen = (text: string): string => text.replace(/\s+/g, '');

test('split: nothing is lost, nothing is over the limit, every part is one that Telegram takes', () => {
  let parts = 0;
  let split = 0;
  fc.assert(
    fc.property(document, (blocks) => {
      const source = blocks.map((each) => each.source).join('\n\n');
      const made = partsOf(source);
      for (const part of made) {
        assert.ok(part.text.length <= REPEAT_ROOM + 80 - 70, `${part.text.length}`);
        const taken = checkText(part.text, part.entities, 4096);
        assert.ok(part.text.isWellFormed());
        assert.equal(taken.text.trim(), part.text.trim());
        assert.deepEqual(spans(taken), spans(part), 'Telegram has nothing to put right');
      }
      const whole = render(source);
      assert.equal(seen(made.map(({ text }) => text).join('')), seen(whole.text));
      // Every word of the source is in it, so the rendering has lost nothing either.
      const all = ` ${whole.text.replace(/\s+/g, ' ')} `;
      for (const each of blocks)
        for (const part of each.source.match(/[a-z0-9äß€😀]{3,}/gu) ?? [])
          if (part !== 'https' && part !== 'example' && part !== 'org') assert.ok(all.includes(part), part);
      assert.deepEqual(partsOf(source), made);
      parts += made.length;
      split += made.length > 1 ? 1 : 0;
    }),
    tries(10, 40),
  );
  assert.ok(parts > effort(20, 80) && split > effort(3, 15), `${parts} parts, ${split} splits`);
});

test('split: code goes on in the next part as code of its language, line by line', () => {
  let broken = 0;
  fc.assert(
    fc.property(fc.array(words, { minLength: 1, maxLength: 40, size: 'max' }), words, (lines, before) => {
      const text = lines.join('\n');
      const made = partsOf(`${before}\n\n\`\`\`rust\n${text}\n\`\`\`\n\nafter`);
      const pieces = made.flatMap((part) =>
        part.entities.filter(({ type }) => type === 'pre').map((entity) => [part, entity] as const),
      );
      assert.equal(
        pieces.map(([part, { offset, length }]) => part.text.slice(offset, offset + length)).join('\n'),
        text.trimEnd(),
      );
      for (const [, { language }] of pieces) assert.equal(language, 'rust');
      if (text.length < 4000) assert.equal(pieces.length, 1, 'what fits in one message stays in one');
      broken += pieces.length > 1 ? 1 : 0;
    }),
    { numRuns: 60 },
  );
  assert.ok(broken > 10, `${broken} were broken`);
});

test('split: any text at all is taken by Telegram, whatever it holds', () => {
  let parts = 0;
  const nasty = fc.stringMatching(/^[\s\S]*$/).map((text) => text.replaceAll('x', '😀'));
  const marks = fc
    .array(
      fc.constantFrom(
        '*',
        '_',
        '`',
        '```',
        '\n',
        '> ',
        '- ',
        '1. ',
        '[',
        '](http://a.b)',
        '|',
        '~~',
        '\\',
        '<b>',
        '&amp;',
        '😀',
        'é',
        '#',
        '\t',
        'word ',
        '\ud83d',
        '\u202e',
        '\0',
        '![',
        '[1]: x',
      ),
      { maxLength: 400, size: 'max' },
    )
    .map((list) => list.join(''));
  fc.assert(
    fc.property(
      fc.oneof(
        nasty,
        marks,
        fc.tuple(marks, fc.integer({ min: 1, max: 60 })).map(([text, n]) => text.repeat(n).slice(0, 20_000)),
      ),
      (text) => {
        const made = partsOf(text);
        assert.ok(splitMessage({ text, files: [], buttons: [] }).length > 0);
        for (const part of made) checkText(part.text, part.entities, 4096);
        parts += made.length;
      },
    ),
    { numRuns: 300 },
  );
  assert.ok(parts >= 300);
});

test('split: a pair of surrogates, a list entry and a paragraph stay whole where they can', () => {
  const emoji = partsOf('😀'.repeat(5000));
  assert.ok(emoji.length >= 2);
  for (const { text } of emoji) assert.ok(text.isWellFormed());
  assert.equal(emoji.map(({ text }) => text).join(''), '😀'.repeat(5000));

  const entry = `- ${'entry '.repeat(100).trim()}`;
  const entries = partsOf(Array.from({ length: 20 }, () => entry).join('\n'));
  assert.ok(entries.length > 2);
  for (const { text } of entries) assert.match(text, /^• [^]*entry$/);

  const paragraphs = partsOf(['a '.repeat(1500), 'b '.repeat(1500)].join('\n\n'));
  assert.deepEqual(
    paragraphs.map(({ text }) => text[0]),
    ['a', 'b'],
  );

  // A heading goes with what it heads.
  const headed = partsOf(`${'a '.repeat(1950)}\n\n## Title\n\n${'b '.repeat(300)}`);
  assert.deepEqual(
    headed.map(({ text }) => text.slice(0, 5)),
    ['a a a', 'Title'],
  );
});

test('split: more than a hundred marks are spread over messages, since Telegram drops the rest', () => {
  const made = partsOf(Array.from({ length: 250 }, (_, n) => `**w${n}**`).join(' '));
  assert.deepEqual(
    made.map(({ entities }) => entities.length),
    [100, 100, 50],
  );
});

test('marks around code and links are counted as Telegram cuts them', () => {
  const made = partsOf(`**${Array.from({ length: 90 }, (_, n) => `a \`w${n}\``).join(' ')}**`);
  for (const part of made) {
    assert.ok(part.entities.length <= 100);
    assert.deepEqual(spans(checkText(part.text, part.entities, 4096) as Part), spans(part));
  }
  assert.equal(made.flatMap(({ entities }) => entities.filter(({ type }) => type === 'code')).length, 90);
  assert.deepEqual(marksOf(one('**标题：**内容，**“引用”**等')), ['bold | 标题：', 'bold | “引用”']);
  assert.equal(one('A\u030angstro\u0308m').text, '\u00c5ngstro\u0308m', 'the ring would be dropped');
  assert.equal(one('```go\nif x {\n\treturn\n}\n```').text, 'if x {\n    return\n}', 'a tab would be one space');
});

test('a few words before one long line are no message of their own', () => {
  const lengths = (text: string): number[] => partsOf(text).map((part) => part.text.length);
  assert.ok(lengths(`content:\n${'x'.repeat(9_000)}`).every((length) => length > 900));
  const url = `https://x.example/${'y'.repeat(3_900)}`;
  assert.ok(
    partsOf(`${'see '.repeat(40)}\n${url}`).some(({ text }) => text === url),
    'a long address stays whole',
  );
});

test('Markdown becomes what Telegram can show', () => {
  const rich = one(
    '# Title\n\nSome **bold**, *italic*, ~~gone~~ and `code < 1`.\n\n1. first\n2. second\n   - nested\n\n- [x] done\n- [ ] open\n\n> quoted\n\n```js\nlet a = 1;\n```\n\n---\n\n[here](https://example.org/x?y=1) &amp; https://example.org/plain',
  );
  assert.equal(
    rich.text,
    'Title\n\nSome bold, italic, gone and code < 1.\n\n1. first\n2. second\n   • nested\n\n☑ done\n☐ open\n\nquoted\n\nlet a = 1;\n\n———\n\nhere & https://example.org/plain',
  );
  assert.deepEqual(marksOf(rich), [
    'bold | Title',
    'bold | bold',
    'italic | italic',
    'strikethrough | gone',
    'code | code < 1',
    'blockquote | quoted',
    'pre | let a = 1; | js',
    'text_link | here | https://example.org/x?y=1',
    'text_link | https://example.org/plain | https://example.org/plain',
  ]);
});

test('links that Telegram would refuse stand in the text, pictures are only links', () => {
  const part = one(
    '[a](javascript:alert(1)) [b](http://localhost/x) [c](https://user:pass@evil.example/) ![pic](https://example.org/p.png) [mail](mailto:a@b.c)',
  );
  assert.deepEqual(marksOf(part), ['text_link | 🖼 pic | https://example.org/p.png']);
  assert.match(
    part.text,
    /^a \(javascript:alert\(1\)\) b \(http:\/\/localhost\/x\) c \(https:\/\/user:pass@evil.example\/\)/,
  );
});

test('HTML is text but for its line breaks, and what was written as a number is a character', () => {
  const part = one('<b>a</b><br>*b* &lt;i&gt; &#x1F600; x&#x202e;y\n\n<details>\n\n- c\n\n</details>');
  assert.equal(part.text, '<b>a</b>\nb <i> 😀 xy\n\n<details>\n\n• c\n\n</details>');
  assert.deepEqual(marksOf(part), ['italic | b']);
});

test('sources below a text are links in it, and stand there', () => {
  const part = one('Shown [here][1] and in [2].\n\n[1]: https://example.org/a "A"\n[2]: https://example.org/b');
  assert.equal(part.text, 'Shown here and in 2.\n\n[1]: https://example.org/a "A"\n[2]: https://example.org/b');
  assert.deepEqual(
    marksOf(part).map((mark) => mark.split(' | ').at(-1)),
    ['https://example.org/a', 'https://example.org/b', 'https://example.org/a', 'https://example.org/b'],
  );
});

test('tables: narrow ones keep their columns, wide ones become lists', () => {
  const narrow = one('| a | b |\n| - | - |\n| 1 | 22 |');
  assert.deepEqual(marksOf(narrow), ['pre | a | b\n--+---\n1 | 22']);
  const wide = one(`| Name | What it is for |\n| - | - |\n| first | ${'long '.repeat(12)} |\n| second | short |`);
  assert.equal(
    wide.text,
    `Name: first\n   What it is for: ${'long '.repeat(12).trim()}\nName: second\n   What it is for: short`,
  );
});

test('a reply that is made to hold up its reader holds up nobody, and is read all the same', () => {
  const worked = workClock();
  for (const text of [
    '>'.repeat(20_000),
    '- '.repeat(9000),
    '_a_'.repeat(30_000),
    '**a'.repeat(20_000),
    '[a]('.repeat(20_000),
    // Addresses that stand in the text, and a table of thousands of columns with as many rows.
    '[a](x:y) '.repeat(20_000),
    `${'a|'.repeat(4_000)}\n${'-|'.repeat(4_000)}\n${'a|\n'.repeat(4_000)}`,
  ]) {
    const made = partsOf(text);
    assert.ok(made.length > 0);
    for (const part of made) checkText(part.text, part.entities, 4096);
  }
  assert.ok(worked() < 4000, 'it blocks everybody else');
  const [first] = partsOf('**bold** _x_ [a](https://example.org) '.repeat(1_000));
  assert.deepEqual(marksOf(first ?? one('')).slice(0, 3), [
    'bold | bold',
    'italic | x',
    'text_link | a | https://example.org/',
  ]);
  assert.doesNotMatch(first?.text ?? '*', /[*_[]/);
  // A title repeated in each of the rows would be two hundred million characters.
  const rows = partsOf(`| ${'title '.repeat(1_500)} |\n|-|\n${'| x |\n'.repeat(20_000)}`);
  assert.ok(rows.length < 100, `${rows.length} parts`);
  // The address of a title is in its text where Telegram would refuse the link, and beside it where it would not.
  for (const scheme of ['ftp', 'https']) {
    const titles = `| [a](${scheme}://example.org/${'x'.repeat(1_900)}) | ${'b'.repeat(50)} |\n|-|-|\n`;
    const bytes = JSON.stringify(partsOf(titles + '| x | y |\n'.repeat(5_000))).length;
    assert.ok(bytes < 2_000_000, `${bytes} bytes`);
  }
});

test('files follow the words; what Telegram would not take is said', () => {
  const file = (name: string, size: number) => ({ name, mediaType: 'application/pdf', bytes: new Uint8Array(size) });
  const buttons = [{ label: 'Yes', action: 'y' }];
  const made = splitMessage({
    text: 'See.',
    files: [file('ok.pdf', 10), file('big_file_`x`.pdf', 50_000_001), file('empty.pdf', 0)],
    buttons,
  });
  assert.deepEqual(
    made.map(({ kind }) => kind),
    ['text', 'file'],
  );
  const [text] = made;
  assert.ok(text?.kind === 'text');
  assert.deepEqual(text.buttons, buttons);
  assert.match(
    text.text,
    /^See\.\n\n\(The file big_file_x\.pdf was not sent: it has 51 MB, and Telegram takes 50 MB from a bot\.\)\n\n\(The file empty\.pdf is empty/,
  );
  assert.deepEqual(
    splitMessage({ text: '', files: [file('ok.pdf', 10)], buttons: [] }).map(({ kind }) => kind),
    ['file'],
  );
  const [dash] = splitMessage({ text: ' ', files: [], buttons: [] });
  assert.ok(dash?.kind === 'text' && dash.text === '—');
});

test('cut: the seams of a rendering are in order, and a cut always goes on', () => {
  fc.assert(
    fc.property(document, fc.integer({ min: 2, max: 50 }), (blocks, limit) => {
      const whole = render(
        blocks
          .map(({ source }) => source)
          .slice(0, 4)
          .join('\n\n'),
      );
      for (const [index, seam] of whole.seams.entries())
        if (index > 0) assert.ok(seam.at >= (whole.seams[index - 1]?.at ?? 0));
      const parts = cut(whole, limit);
      for (const { text } of parts) assert.ok(text.length <= limit);
      assert.equal(seen(parts.map(({ text }) => text).join('')), seen(whole.text));
    }),
    { numRuns: 50 },
  );
});

test('a reply of a hundred thousand marks holds up nobody', () => {
  const worked = workClock();
  const parts = partsOf('- `a`\n'.repeat(100_000));
  assert.ok(parts.length >= 1_000);
  // It was a minute and more.
  assert.ok(worked() < 10_000);
});

test('one reply is twenty messages at most, made in a moment: a longer one says so and comes whole as a file', () => {
  const hard = '**a*_'.repeat(800).slice(0, 3_999);
  const file = { name: 'a.pdf', mediaType: 'application/pdf', bytes: Buffer.from('x') };
  const buttons = [{ label: 'Yes', action: 'yes' }];
  for (const text of [
    Array.from({ length: 100 }, () => hard).join('\n\n'),
    Array.from({ length: 250 }, () => hard).join('\n\n'),
    'x'.repeat(90_000),
    '\n'.repeat(200_000) + 'end',
  ]) {
    const from = workClock();
    const made = splitMessage({ text, files: [file], buttons });
    assert.ok(from() < 2_000, `${from()} ms`);
    const texts = made.flatMap((part) => (part.kind === 'text' ? [part] : []));
    assert.ok(texts.length <= 20, `${texts.length} messages`);
    for (const part of texts) checkText(part.text, part.entities, 4096);
    assert.match(texts.at(-1)?.text ?? '', /This reply has \d+ characters, more than fit here\. .*whole-reply\.md/);
    assert.deepEqual(texts.at(-1)?.buttons, buttons);
    const [whole, other] = made.flatMap((part) => (part.kind === 'file' ? [part.file] : []));
    assert.equal(Buffer.from(whole?.bytes ?? []).toString(), text);
    assert.equal(other?.name, 'a.pdf');
  }
  const long = Array.from({ length: 19 }, () => 'word '.repeat(780)).join('\n\n');
  const fits = splitMessage({ text: long, files: [], buttons: [] });
  assert.ok(fits.length === 19 && fits.every(({ kind }) => kind === 'text'), 'what fits comes as messages alone');
});
