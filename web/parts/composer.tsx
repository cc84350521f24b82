import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { Attachment } from '../lib/api.ts';
import { useApp } from '../stores/app.ts';
import { filesLost } from '../stores/outgoing.ts';
import type { Unsent } from '../stores/unsent.ts';
import { useAct } from './act.tsx';
import { attach, Chosen, exchange } from './chosen.tsx';
import { Icon } from './icons.tsx';
import { Button } from './small.tsx';

interface ComposerProps {
  unsent: Unsent;
  placeholder: string;
  /** The task that can be stopped; null if nothing is under way. */
  working: string | null;
  send: (text: string, files: Attachment[]) => void;
}

export function Composer({ working, unsent, ...props }: ComposerProps): JSX.Element {
  const { api } = useApp();
  const { act, trouble: notStopped } = useAct();
  const { text, files, lost } = unsent;
  const trouble = useSignal('');
  /** Choices whose files are still being read and scaled. */
  const adding = useSignal(0);
  const area = useRef<HTMLTextAreaElement>(null);
  const type = (value: string): void => void (text.value = value);
  const add = async (list: Iterable<File>): Promise<void> => {
    adding.value += 1;
    const names = await attach([...list], files, trouble);
    adding.value -= 1;
    lost.value = lost.value.filter((name) => !names.includes(name));
  };
  useDrop(add);
  const isReading = adding.value > 0 || files.value.some(({ picture }) => picture?.isReading);
  const empty = isReading || (text.value.trim() === '' && files.value.length === 0);
  const send = (): void => {
    if (empty) return;
    const chosen = files.value.map(({ name, mediaType, data }) => ({ name, mediaType, data }));
    props.send(text.value, chosen);
    type('');
    files.value = [];
    lost.value = [];
    trouble.value = '';
    area.current?.focus();
  };
  return (
    <form
      class="composer"
      aria-label="Write a message"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {trouble.value !== '' && (
        <p class="bad" role="alert">
          {trouble.value}
        </p>
      )}
      {notStopped}
      {lost.value.length > 0 && (
        <p class="lost-files" role="status">
          {filesLost(lost.value)}
          <Button kind="bare" label="Go on without these files" onClick={() => void (lost.value = [])}>
            <Icon of="close" />
          </Button>
        </p>
      )}
      <Chosen files={files} exchange={(file) => exchange(file, files, trouble)} />
      {adding.value > 0 && (
        <p class="quiet" role="status">
          Adding files…
        </p>
      )}
      <Writing text={text.value} placeholder={props.placeholder} area={area} type={type} send={send} add={add} />
      <div class="composer-row">
        <Picker add={add} />
        <span class="quiet hint">Enter sends, Shift+Enter starts a new line</span>
        {working !== null && (
          <Button
            key={working}
            onClick={() => act(() => api.cancel(working), 'Stopped')}
            label="Stop"
            title="Stop the current run"
          >
            <Icon of="stop" /> Stop
          </Button>
        )}
        <button type="submit" class="button primary send" disabled={empty}>
          <Icon of="send" /> Send
        </button>
      </div>
    </form>
  );
}

/** Grows with what is in it; takes pasted files. */
function Writing(props: {
  text: string;
  placeholder: string;
  area: { current: HTMLTextAreaElement | null };
  type: (value: string) => void;
  send: () => void;
  add: (files: Iterable<File>) => Promise<void>;
}): JSX.Element {
  useLayoutEffect(() => grow(props.area.current), [props.text]);
  return (
    <textarea
      ref={props.area}
      id="composer"
      rows={1}
      value={props.text}
      placeholder={props.placeholder}
      aria-label={props.placeholder}
      onInput={(event) => props.type(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key !== 'Enter' || event.shiftKey || composes(event) || isTouch()) return;
        event.preventDefault();
        props.send();
      }}
      onPaste={(event) => {
        const { clipboardData } = event;
        if (!clipboardData || clipboardData.files.length === 0 || isText(clipboardData)) return;
        event.preventDefault();
        void props.add(clipboardData.files);
      }}
    />
  );
}

/**
 * Word and Excel put a picture of the text beside the text, which is what was copied. A picture that was copied from a page
 * comes with its HTML alone, and a file that was copied with its name alone.
 */
const isText = (data: DataTransfer): boolean =>
  data.getData('text/plain').trim() !== '' && data.types.some((type) => type === 'text/html' || type === 'text/rtf');

function Picker({ add }: { add: (files: Iterable<File>) => Promise<void> }): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label="Files"
        onChange={(event) => {
          void add(event.currentTarget.files ?? []);
          event.currentTarget.value = '';
        }}
      />
      <Button kind="bare" label="Add files" onClick={() => input.current?.click()}>
        <Icon of="clip" />
      </Button>
    </>
  );
}

/** Files can be dropped anywhere; elsewhere the browser would leave the page to show them. */
function useDrop(add: (files: Iterable<File>) => Promise<void>): void {
  const latest = useRef(add);
  latest.current = add;
  useLayoutEffect(() => {
    const over = (event: DragEvent): void => {
      if (event.dataTransfer?.types.includes('Files')) event.preventDefault();
    };
    const drop = (event: DragEvent): void => {
      const { files } = event.dataTransfer ?? {};
      if (!files || files.length === 0) return;
      event.preventDefault();
      void latest.current(files);
    };
    document.addEventListener('dragover', over);
    document.addEventListener('drop', drop);
    return () => {
      document.removeEventListener('dragover', over);
      document.removeEventListener('drop', drop);
    };
  }, []);
}

function grow(area: HTMLTextAreaElement | null): void {
  if (!area) return;
  area.style.height = 'auto';
  area.style.height = `${Math.min(area.scrollHeight + 2, 240)}px`;
}

/** The Enter that ends a composition only confirms it. Safari has ended the composition by then, and says 229. */
const composes = (event: KeyboardEvent): boolean => event.isComposing || event.keyCode === 229;

/** On a touch screen the Enter key is the only way to a new line. */
const isTouch = (): boolean => matchMedia('(pointer: coarse)').matches;
