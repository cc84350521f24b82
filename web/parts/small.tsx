import { toChildArray, type ComponentChildren, type JSX } from 'preact';
import { useComputed, useSignal, type ReadonlySignal } from '@preact/signals';
import type { Standing } from '../../src/core/api/views.ts';
import { away, exactTime, timeAgo } from '../lib/format.ts';
import { pieces } from '../lib/hidden.ts';
import { stateWords } from '../lib/words.ts';
import { useApp } from '../stores/app.ts';
import type { Loaded } from '../stores/resource.ts';
import { Icon } from './icons.tsx';

/** Text as it is, except that what hides in it is shown. */
export function Plain({ text }: { text: string }): JSX.Element {
  return (
    <>
      {pieces(text).map((piece) =>
        piece.hidden ? (
          <span class="hidden-char" title="An invisible character">
            {piece.text}
          </span>
        ) : (
          piece.text
        ),
      )}
    </>
  );
}

/** How long ago; exactly when on hover. */
export function Ago({ at }: { at: number }): JSX.Element {
  const { now } = useApp();
  const text = useComputed(() => timeAgo(at, now.value));
  return (
    <time dateTime={new Date(at).toISOString()} title={exactTime(at)}>
      {text}
    </time>
  );
}

/** How long until, or since. */
export function Away({ at }: { at: number }): JSX.Element {
  const { now } = useApp();
  const text = useComputed(() => away(at, now.value));
  return (
    <time dateTime={new Date(at).toISOString()} title={exactTime(at)}>
      {text}
    </time>
  );
}

export const State = ({ of, quiet }: { of: Pick<Standing, 'state' | 'can'>; quiet?: boolean }): JSX.Element => (
  <span class={`state state-${of.state}${quiet ? ' state-quiet' : ''}`}>
    <span class="dot" aria-hidden="true" />
    {stateWords(of)}
  </span>
);

/**
 * A button that says what it does, and shows that it is at it. Its words are its deed: where a refreshed list turns
 * "Pause" into "Resume" it is the same element, which keeps the focus, but not held up by the pause still under way.
 */
export function Button(props: {
  children: ComponentChildren;
  onClick: () => void | Promise<unknown>;
  kind?: 'primary' | 'danger' | 'plain' | 'bare';
  label?: string;
  disabled?: boolean;
  title?: string;
}): JSX.Element {
  const doing = useSignal<string | null>(null);
  const does = props.label ?? wordsOf(props.children);
  const click = async (): Promise<void> => {
    if (doing.value === does) return;
    doing.value = does;
    try {
      await props.onClick();
    } finally {
      if (doing.value === does) doing.value = null;
    }
  };
  return (
    <button
      type="button"
      class={`button ${props.kind ?? 'plain'}`}
      aria-label={props.label}
      aria-busy={doing.value === does}
      title={props.title ?? props.label}
      disabled={props.disabled}
      onClick={() => void click()}
    >
      {props.children}
    </button>
  );
}

const wordsOf = (children: ComponentChildren): string =>
  toChildArray(children)
    .filter((each) => typeof each === 'string')
    .join('');

export function CopyButton({ text, what }: { text: string; what: string }): JSX.Element {
  const { spoken } = useApp();
  const done = useSignal(false);
  const refused = useSignal(false);
  const copy = async (): Promise<void> => {
    done.value = await toClipboard(text);
    refused.value = !done.value;
    spoken.value = done.value ? 'Copied' : REFUSED;
    setTimeout(() => (done.value = refused.value = false), done.value ? 1_500 : 6_000);
  };
  return (
    <>
      <Button kind="bare" label={`Copy ${what}`} onClick={copy}>
        <Icon of={done.value ? 'check' : 'copy'} />
      </Button>
      {refused.value && <span class="bad">{REFUSED}</span>}
    </>
  );
}

const REFUSED = 'The browser did not allow copying. Select the text and copy it yourself.';

/** Browsers have a clipboard only for pages of this machine or over HTTPS; elsewhere the older way works. */
async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

function copySelected(text: string): boolean {
  const { activeElement } = document;
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'unseen';
  // In a dialog, what is outside it cannot be selected.
  (activeElement?.closest('dialog') ?? document.body).append(field);
  field.select();
  try {
    return document.execCommand('copy');
  } catch {
    return false;
  } finally {
    field.remove();
    if (activeElement instanceof HTMLElement) activeElement.focus();
  }
}

/** What is known of something: loading, failed (with a way to try again), or its value. */
export function Await<T>(props: {
  of: ReadonlySignal<Loaded<T>>;
  what: string;
  retry: () => void;
  children: (value: T) => ComponentChildren;
}): JSX.Element {
  const loaded = props.of.value;
  if (loaded.kind === 'loading') return <Loading what={props.what} />;
  if (loaded.kind === 'failed') return <Trouble message={loaded.message} retry={props.retry} what={props.what} />;
  return (
    <>
      {loaded.trouble !== null && <p class="note trouble">This may be out of date: {loaded.trouble}</p>}
      {props.children(loaded.value)}
    </>
  );
}

export const Loading = ({ what }: { what: string }): JSX.Element => (
  <p class="loading" role="status">
    <span class="spinner" aria-hidden="true" />
    Loading {what}…
  </p>
);

export const Trouble = (props: { message: string; what: string; retry: () => void }): JSX.Element => (
  <div class="note trouble" role="alert">
    <p>
      Could not load {props.what}: <Plain text={props.message} />
    </p>
    <Button onClick={props.retry}>Retry</Button>
  </div>
);

export const Empty = ({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element => (
  <div class="empty">
    <p class="empty-title">{title}</p>
    {children}
  </div>
);
