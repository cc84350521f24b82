import { signal, type ReadonlySignal } from '@preact/signals';
import { href, parse, type Route } from './route.ts';

export interface Router {
  route: ReadonlySignal<Route>;
  go(route: Route, how?: 'push' | 'replace'): void;
}

/** Follows the address bar, and takes over clicks on links within the page. */
export function createRouter(): Router {
  const here = (): Route => parse(location.pathname, location.search);
  const route = signal(here());
  addEventListener('popstate', () => (route.value = here()));
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (link.pathname.startsWith('/api/') || link.getAttribute('href')?.startsWith('#')) return;
    event.preventDefault();
    history.pushState(null, '', link.href);
    route.value = here();
  });
  return {
    route,
    go(next, how = 'push') {
      if (how === 'push') history.pushState(null, '', href(next));
      else history.replaceState(null, '', href(next));
      route.value = next;
    },
  };
}
