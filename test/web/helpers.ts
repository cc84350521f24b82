import type { ScheduleState } from '../../src/core/schedule.ts';
import assert from 'node:assert/strict';
import axeCore from 'axe-core';
import type { Page } from 'playwright-core';

/** Runs JavaScript in the page. A text, since these tests are not compiled for a browser. */
export const inPage = <T>(page: Page, code: string): Promise<T> => page.evaluate(code) as Promise<T>;

/** True while some part of the page is wider than the screen. */
export const scrollsSideways = (page: Page): Promise<boolean> =>
  inPage(page, 'document.documentElement.scrollWidth > document.documentElement.clientWidth');

/** Puts axe-core into every page that the browser opens from now on, past the content security policy. */
export async function withAxe(page: Page): Promise<void> {
  await page.context().addInitScript({ content: axeCore.source });
}

/** What axe finds wrong on the page, each as `rule: element`. */
export async function axe(page: Page): Promise<string[]> {
  const { violations, passes } = await inPage<Found>(page, 'axe.run(document, { resultTypes: ["violations"] })');
  assert.ok(passes.length > 10, `only ${passes.length} rules were looked at`);
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 160)}`));
}

interface Found {
  violations: { id: string; nodes: { html: string }[] }[];
  passes: { id: string }[];
}

/** Every working day in the morning. */
export const schedule = (name: string, does = 'Look for what is due.'): ScheduleState => ({
  id: `${name}/morning`,
  agent: name,
  name: 'morning',
  when: '15 8 * * 1-5',
  zone: 'Europe/Paris',
  does,
  paused: false,
  next: Date.now() + 3_600_000,
  last: null,
});
