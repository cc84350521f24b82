/**
 * Makes every character of a text visible: control, bidirectional, zero-width and tag characters become `\u{…}`, so that
 * nothing in it can hide from whoever reads it, or steer their terminal. Newline and tab stay.
 */
export function visible(text: string): string {
  return text.replace(
    /[^\P{C}\n\t]|[\u2028\u2029\u3164\u115f\u1160\uffa0]/gu,
    (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
