import type { Page } from 'playwright-core';

/** Runs JavaScript in the page. A text, since these tests are not compiled for a browser. */
export const inPage = <T>(page: Page, code: string): Promise<T> => page.evaluate(code) as Promise<T>;

/** True while some part of the page is wider than the screen. */
export const scrollsSideways = (page: Page): Promise<boolean> =>
  inPage(page, 'document.documentElement.scrollWidth > document.documentElement.clientWidth');

/** Controls without a name that a screen reader could read, as HTML. */
export const nameless = (page: Page): Promise<string[]> =>
  inPage(
    page,
    `[...document.querySelectorAll('a[href], button, input, select, textarea, summary, [role=region], dialog, nav, aside')]
      .filter((element) => element.checkVisibility() || element.type === 'file')
      .filter((element) => {
        const label = element.getAttribute('aria-label') ?? '';
        const by = (element.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join('');
        const labels = [...(element.labels ?? [])].map((each) => each.textContent).join('');
        const own = ['INPUT', 'SELECT', 'TEXTAREA'].includes(element.tagName) ? '' : element.textContent;
        return (label + by + labels + own).trim() === '';
      })
      .map((element) => element.outerHTML.slice(0, 120))`,
  );

/** Texts whose contrast with what lies behind them is below WCAG's AA, each as \`ratio text\`. */
export const faint = (page: Page): Promise<string[]> => inPage(page, `(${CONTRAST})()`);

const CONTRAST = String.raw`() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const rgba = (color) => {
    if (!known.has(color)) known.set(color, painted(color));
    return known.get(color);
  };
  const painted = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const of = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * of(r) + 0.7152 * of(g) + 0.0722 * of(b);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] > 250) return color;
    }
    return rgba('Canvas');
  };
  const found = [];
  let looked = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const element = walker.currentNode.parentElement;
    if (text === '' || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    // What is switched off may be faint, and so may what is only read out.
    if (element.closest(':disabled, .unseen, .skip')) continue;
    looked += 1;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push(ratio.toFixed(2) + ' ' + text.slice(0, 40));
  }
  if (looked < 10) found.push('only ' + looked + ' texts were looked at');
  return found;
}`;
