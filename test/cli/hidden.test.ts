import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { askHidden } from '../../src/cli/hidden.ts';

/** A terminal on which these keys are pressed, and what came of it. */
async function typed(...keys: string[]): Promise<{ given: string | null | Error; shown: string; modes: boolean[] }> {
  const modes: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), { setRawMode: (raw: boolean) => modes.push(raw) });
  let shown = '';
  const asking = askHidden({ stdin, err: (text) => void (shown += text) }, 'Value: ');
  for (const key of keys) stdin.write(key);
  const given = await asking.catch((error: Error) => error);
  return { given, shown, modes };
}

test('what is typed at the prompt is taken and not shown, and the terminal is as it was afterwards', async () => {
  const cases: [string[], string | null][] = [
    [['s', 'e', 'c', 'r', 'e', 't', '\r'], 'secret'],
    [['secret\n'], 'secret'],
    [['sew', '\u007f', 'cret', '\r'], 'secret'],
    [['ж🙂', '\u007f', '\r'], 'ж'],
    [['\r'], null],
    [['\u0004'], null],
  ];
  for (const [keys, wanted] of cases) {
    const { given, shown, modes } = await typed(...keys);
    assert.equal(given, wanted);
    assert.equal(shown, 'Value: \n');
    assert.deepEqual(modes, [true, false]);
  }
});

test('Ctrl-C stops it, and several pasted lines are refused', async () => {
  for (const [keys, said] of [
    [['se', '\u0003'], /Stopped\. Nothing was changed/],
    [['line one\nline two\n'], /several lines: give it with --from-file/],
  ] as const) {
    const { given, modes } = await typed(...keys);
    assert.ok(given instanceof Error);
    assert.match(given.message, said);
    assert.deepEqual(modes, [true, false]);
  }
});
