/** The text with an end, so that another sentence can follow; '' stays ''. */
export function sentence(text: string): string {
  const plain = text.trim();
  return plain === '' || /[.!?…:]["”)]?$/.test(plain) ? plain : `${plain}.`;
}

/** What an error says: anything can be thrown. */
export const errorText = (error: unknown): string => (error instanceof Error ? error.message : String(error));
