import type { ComponentChildren, JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { useSignal, type Signal } from '@preact/signals';

interface AnswerFormProps {
  label: string;
  placeholder: string;
  text: Signal<string>;
  submit: string;
  /** Once, however often Enter is pressed before it has ended. */
  send: () => Promise<unknown>;
  /** Nothing is sent without words. */
  needed?: boolean;
  /** Characters at most. */
  longest?: number;
  /** The field has the focus when it appears. */
  focused?: boolean;
  children?: ComponentChildren;
}

/** One line of words for the gateway. */
export function AnswerForm({ text, needed = false, focused = false, ...props }: AnswerFormProps): JSX.Element {
  const busy = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  // Once: a list that is refreshed must not take the focus from another field.
  useLayoutEffect(() => {
    if (focused) field.current?.focus();
  }, []);
  const send = async (): Promise<void> => {
    if (busy.value) return;
    busy.value = true;
    await props.send().finally(() => (busy.value = false));
  };
  return (
    <form
      class="answer-form"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <input
        ref={field}
        aria-label={props.label}
        placeholder={props.placeholder}
        maxLength={props.longest}
        value={text.value}
        onInput={(event) => (text.value = event.currentTarget.value)}
      />
      <button type="submit" class="button primary" disabled={needed && text.value.trim() === ''} aria-busy={busy.value}>
        {props.submit}
      </button>
      {props.children}
    </form>
  );
}
