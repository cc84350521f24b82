import type { Kept } from './stored.ts';

/** `auto` follows the system. */
type Theme = 'auto' | 'light' | 'dark';
const THEMES: readonly Theme[] = ['auto', 'light', 'dark'];

export const themeOf = (settings: Kept): Theme => THEMES.find((theme) => theme === settings.read('theme')) ?? 'auto';

export const nextTheme = (theme: Theme): Theme => THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'auto';

export function applyTheme(settings: Kept, theme = themeOf(settings)): void {
  settings.write('theme', theme === 'auto' ? null : theme);
  document.documentElement.dataset['theme'] = theme;
}
