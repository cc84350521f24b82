/** Takes secrets out of one text that comes in pieces. */
export interface PieceRedactor {
  /** What can be shown by now: the end of the text is held back while it may be the start of a secret. */
  push(piece: string): string;
  /** What was held back. */
  end(): string;
}
