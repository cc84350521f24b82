/** What a model is brought to do. The harness says by which request, or why it cannot. */
export const SITUATIONS = [
  /** Answers with text only, in more than one piece. */
  'text',
  /** Calls `read` with `{"path":"a.md"}`. */
  'call',
  /** Calls `read` with a.md and with b.md in one answer. */
  'parallel',
  /** The request holds a result of a call; the answer's text holds the result's text `RESULT-7`. */
  'result',
  /** The request holds an image; the answer's text holds its bytes in base64. */
  'image',
  /** Answers with text and counts 12 tokens of input, 5 of them cached. */
  'usage',
  /** The same, and 4 of them written to the cache. */
  'written',
  /** Starts to answer and does not end by itself. */
  'endless',
  /** Breaks off in the middle of `Hello, this goes on.` */
  'cut',
  /** Fails in the middle of it: overloaded. */
  'late',
  /** 429, to be asked again in 7 seconds. */
  'limited',
  /** 500. */
  'broken',
  /** Overloaded before it begins. */
  'overloaded',
  /** The conversation is longer than it can hold. */
  'too-long',
  /** Calls `read` with arguments that are no JSON. */
  'malformed',
  /** Ends well without having said anything. */
  'empty',
  /** As `call`, but the reason it gives for the end is the one of an answer in text. */
  'hidden',
  /** The answer is cut at the output limit. */
  'long',
] as const;
export type Situation = (typeof SITUATIONS)[number];
