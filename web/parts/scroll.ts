import { useLayoutEffect, useRef } from 'preact/hooks';
import { useSignal, type ReadonlySignal } from '@preact/signals';

/** Pixels from the end within which its growth is followed. */
const NEAR = 80;

interface Talking {
  /** The first entry: another one is an earlier page. */
  first: string;
  /** What a person has sent from here; one more is shown. */
  sent: number;
  /** Changes with all that makes it longer. */
  growing: readonly unknown[];
}

/**
 * Keeps the end in view while it grows, unless the person has scrolled up to read; what is read stays where it is while
 * earlier entries come in above it.
 */
export function useStuck({ first, sent, growing }: Talking): {
  scroll: { current: HTMLDivElement | null };
  /** True while the end is out of view. */
  away: ReadonlySignal<boolean>;
  toEnd: () => void;
} {
  const scroll = useRef<HTMLDivElement>(null);
  const stuck = useRef(true);
  const away = useSignal(false);
  const before = useRef({ first, sent });
  const read = useRef<{ entry: Element; top: number } | null>(null);
  // Before the new ones are drawn: the place of what is read now.
  if (before.current.first !== first) read.current = scroll.current && inView(scroll.current);
  const toEnd = (): void => {
    stuck.current = true;
    away.value = false;
    if (scroll.current) scroll.current.scrollTop = scroll.current.scrollHeight;
  };
  useLayoutEffect(() => {
    const element = scroll.current;
    if (!element) return undefined;
    const look = (): void => {
      stuck.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
      away.value = !stuck.current;
    };
    element.addEventListener('scroll', look, { passive: true });
    const grown = new ResizeObserver(() => {
      if (stuck.current) element.scrollTop = element.scrollHeight;
      else look();
    });
    for (const child of element.children) grown.observe(child);
    return () => {
      element.removeEventListener('scroll', look);
      grown.disconnect();
    };
  }, []);
  useLayoutEffect(() => {
    const element = scroll.current;
    const { current: kept } = read;
    if (element && kept?.entry.isConnected && !stuck.current)
      element.scrollTop += kept.entry.getBoundingClientRect().top - kept.top;
    read.current = null;
    before.current.first = first;
  }, [first]);
  useLayoutEffect(() => {
    // One's own message is what one wants to see.
    if (stuck.current || sent > before.current.sent) toEnd();
    before.current.sent = sent;
  }, [sent, ...growing]);
  return { scroll, away, toEnd };
}

/** The first entry of which something is seen. */
function inView(element: HTMLElement): { entry: Element; top: number } | null {
  const edge = element.getBoundingClientRect().top;
  for (const entry of element.querySelectorAll('.entry')) {
    const { top, bottom } = entry.getBoundingClientRect();
    if (bottom > edge) return { entry, top };
  }
  return null;
}
