import { signal, type ReadonlySignal } from '@preact/signals';
import { href, parse, type Route } from './route.ts';

export interface Router {
  route: ReadonlySignal<Route>;
  go(route: Route, how?: 'push' | 'replace'): void;
  /** True if the place was gone back to, where it is shown as it was left. */
  readonly returning: boolean;
  /** The path that was left for this one. */
  readonly from: string;
  /** Address of the list of work as it was last looked at, with its filters. */
  readonly list: string;
  /** How far a place was scrolled. */
  keep(place: string, top: number): void;
  /** The same, of a place that was gone back to; else 0. */
  kept(place: string): number;
}

/** Follows the address bar, and takes over clicks on links within the page. */
export function createRouter(): Router {
  const here = (): Route => parse(location.pathname, location.search);
  const route = signal(here());
  const tops = new Map<string, number>();
  let returning = false;
  let from = '';
  let list = '/work';
  const note = (back: boolean): void => {
    returning = back;
    if (route.peek().name === 'work') list = href(route.peek());
    from = href(route.peek());
  };
  addEventListener('popstate', () => {
    note(true);
    route.value = here();
  });
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (link.pathname.startsWith('/api/') || link.getAttribute('href')?.startsWith('#')) return;
    event.preventDefault();
    note(link.dataset['back'] !== undefined);
    history.pushState(null, '', link.href);
    route.value = here();
  });
  return {
    route,
    get returning() {
      return returning;
    },
    get from() {
      return from;
    },
    get list() {
      return list;
    },
    keep: (place, top) => void tops.set(place, top),
    kept: (place) => (returning ? (tops.get(place) ?? 0) : 0),
    go(next, how = 'push') {
      note(false);
      if (how === 'push') history.pushState(null, '', href(next));
      else history.replaceState(null, '', href(next));
      route.value = next;
    },
  };
}
