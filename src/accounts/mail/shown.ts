// Text of strangers as it may be shown: nothing invisible, nothing that steers a terminal.

/** Zero-width, bidirectional, tags, variation selectors, private use: characters that show nothing. */
const INVISIBLE = /[\p{Cf}\p{Default_Ignorable_Code_Point}\p{Co}\p{Cs}]/gu;
const CONTROL = /[^\P{Cc}\n\t]/gu;

export const invisibleIn = (text: string): number => text.match(INVISIBLE)?.length ?? 0;

/** A text in lines, without what cannot be seen. */
export const cleaned = (text: string): string =>
  text
    .replace(/\r\n?|[\u2028\u2029\u0085\f\v]/g, '\n')
    .replace(INVISIBLE, '')
    .replace(CONTROL, '')
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
    .replace(/\n{4,}/g, '\n\n\n')
    .trim();

/** The same in one line. */
export const cleanedLine = (text: string): string =>
  text
    .replace(/[\r\n\t\f\v\u2028\u2029\u0085]+/g, ' ')
    .replace(INVISIBLE, '')
    .replace(CONTROL, '')
    .trim();
