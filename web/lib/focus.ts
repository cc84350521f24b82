const FOCUSABLE = 'a[href], button:not(:disabled), input:not(:disabled), select, textarea, summary';

/**
 * Where what has the focus goes away (an approval that was answered), the focus goes to what stands in its place. The
 * browser would begin anew at the top of the page.
 */
export function keepFocus(root: HTMLElement): () => void {
  let way: { parent: Element; at: number }[] = [];
  const note = ({ target }: FocusEvent): void => {
    way = [];
    for (let at = target as Element | null; at && at !== root; at = at.parentElement)
      if (at.parentElement) way.push({ parent: at.parentElement, at: [...at.parentElement.children].indexOf(at) });
  };
  const gone = new MutationObserver(() => {
    const { activeElement } = document;
    if (way.length === 0 || (activeElement !== null && activeElement !== document.body)) return;
    // Left by a person, who has clicked beside it.
    const [last] = way;
    if (last?.parent.isConnected && last.parent.children[last.at]?.matches(FOCUSABLE)) return;
    for (const { parent, at } of way)
      for (const next of parent.isConnected ? [parent.children[at], parent.children[at - 1]] : []) {
        const found = next?.matches(FOCUSABLE) ? next : next?.querySelector(FOCUSABLE);
        if (found instanceof HTMLElement) return found.focus({ preventScroll: true });
      }
    root.focus();
  });
  root.addEventListener('focusin', note);
  gone.observe(root, { childList: true, subtree: true });
  return () => {
    root.removeEventListener('focusin', note);
    gone.disconnect();
  };
}
