export type KeyProvider = 'anthropic' | 'openai' | 'gemini';

export const PROVIDERS: Readonly<Record<KeyProvider, string>> = {
  anthropic: 'Anthropic',
  openai: 'OpenAI',
  gemini: 'Google Gemini',
};

/** Whose key it is, by its beginning; null if that says nothing. */
export function providerOf(key: string): KeyProvider | null {
  const start = key.trim();
  if (start.startsWith('sk-ant-')) return 'anthropic';
  if (start.startsWith('AIza')) return 'gemini';
  return start.startsWith('sk-') ? 'openai' : null;
}
