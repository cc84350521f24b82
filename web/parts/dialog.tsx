import type { ComponentChildren, JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { Button } from './small.tsx';
import { Icon } from './icons.tsx';

/** The browser's own dialog: it keeps the focus in, and gives it back. */
export function Dialog(props: { title: string; close: () => void; children: ComponentChildren }): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    element.current?.showModal();
  }, []);
  return (
    <dialog
      ref={element}
      class="dialog"
      aria-label={props.title}
      onClose={props.close}
      onClick={(event) => event.target === element.current && props.close()}
    >
      <header class="dialog-head">
        <h2>{props.title}</h2>
        <Button kind="bare" label="Close" onClick={props.close}>
          <Icon of="close" />
        </Button>
      </header>
      {props.children}
    </dialog>
  );
}
