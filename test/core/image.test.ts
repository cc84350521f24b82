// What a picture is billed as, by the examples that the makers publish.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type PictureRule, pictureTokens, UNKNOWN_RULE } from '../../src/core/image.ts';
import { modelFacts, PRICES } from '../../src/models/prices/prices.ts';

const ruleOf = (model: string): PictureRule => modelFacts(model)?.picture ?? assert.fail(model);

test('a picture counts as its maker says', () => {
  const cases: [model: string, width: number, height: number, tokens: number][] = [
    ['claude-opus-4-8', 1_000, 1_000, 1_296],
    ['claude-opus-4-8', 1_920, 1_080, 2_691],
    ['claude-opus-4-8', 3_840, 2_160, 4_784],
    ['claude-sonnet-4-6', 200, 200, 64],
    ['claude-sonnet-4-6', 4_000, 3_000, 1_600],
    ['gpt-4o', 1_024, 1_024, 765],
    ['gpt-4o', 2_048, 4_096, 1_105],
    ['gpt-5', 1_024, 1_024, 630],
    ['gpt-4.1-mini', 1_024, 1_024, Math.ceil(1_024 * 1.62)],
    ['gpt-4.1-mini', 4_000, 3_000, Math.ceil(1_536 * 1.62)],
    ['gpt-6-astra', 1_024, 1_024, 1_229],
    ['gpt-6-astra', 1_920, 1_080, 2_448],
    ['gemini-3.8-flash', 4_032, 3_024, 1_120],
    ['gemini-2.5-pro', 384, 384, 258],
  ];
  for (const [model, width, height, tokens] of cases)
    assert.equal(pictureTokens({ width, height }, ruleOf(model)), tokens, `${model} ${width}×${height}`);
});

test('a scaled photo costs no more than the original, and where models look closer less', () => {
  const [photo, scaled] = [
    { width: 4_032, height: 3_024 },
    { width: 1_568, height: 1_176 },
  ];
  for (const [model, { picture }] of Object.entries(PRICES))
    assert.ok(pictureTokens(scaled, picture) <= pictureTokens(photo, picture), model);
  assert.deepEqual(
    [photo, scaled].map((size) => pictureTokens(size, ruleOf('claude-sonnet-5-5'))),
    [4_784, 2_352],
  );
});

test('a picture of unknown size counts as the largest', () => {
  const side = fc.integer({ min: 1, max: 8_000 });
  const rules = [UNKNOWN_RULE, ...Object.values(PRICES).map(({ picture }) => picture)];
  fc.assert(
    fc.property(side, side, fc.constantFrom(...rules), (width, height, rule) => {
      assert.ok(pictureTokens({ width, height }, rule) <= pictureTokens({}, rule));
    }),
  );
});
