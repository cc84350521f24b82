import assert from 'node:assert/strict';
import { test } from 'node:test';
import { target } from '../../web/lib/links.ts';
import { named, pieces } from '../../web/lib/hidden.ts';

test('links lead to the web and to mail only, and say where', () => {
  assert.deepEqual(target('https://a.example/x', 'here'), { href: 'https://a.example/x', shown: 'a.example' });
  assert.deepEqual(target('https://a.example/', 'https://a.example'), { href: 'https://a.example/', shown: '' });
  assert.deepEqual(target('http://www.a.example', 'www.a.example'), { href: 'http://www.a.example/', shown: '' });
  assert.equal(
    target('https://bank.example@evil.example/', 'https://bank.example@evil.example/')?.shown,
    'evil.example',
  );
  assert.equal(target('https://аpple.example', 'https://apple.example')?.shown, 'xn--pple-43d.example');
  assert.deepEqual(target('mailto:a@b.example', 'write'), { href: 'mailto:a@b.example', shown: 'a@b.example' });
  // A name that ends alike is another's, and so is one behind a question mark.
  for (const elsewhere of [
    'mailto:s@b.example',
    'mailto:?to=x@evil.example',
    'mailto:boss@b.example?bcc=x@evil.example',
  ])
    assert.equal(target(elsewhere, 'boss@b.example')?.shown, elsewhere.slice('mailto:'.length));
  assert.equal(target('mailto:boss@b.example', 'boss@b.example')?.shown, '');
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
