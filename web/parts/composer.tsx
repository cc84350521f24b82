import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { useSignal, type Signal } from '@preact/signals';
import type { Attachment } from '../lib/api.ts';
import { bytes } from '../lib/format.ts';
import { useApp } from '../stores/app.ts';
import { useAct } from './act.tsx';
import { Icon } from './icons.tsx';
import { Button } from './small.tsx';

/** What the gateway takes with one message. */
const MOST_BYTES = 25_000_000;
const MOST_FILES = 20;

interface ComposerProps {
  /** Where what is typed is kept, so that it survives a reload. */
  keep: string;
  placeholder: string;
  /** The task that can be stopped; null if nothing is under way. */
  working: string | null;
  send: (text: string, files: Attachment[]) => void;
  /** Text to begin with, from elsewhere on the page. */
  offered?: Signal<string>;
}

export function Composer({ working, ...props }: ComposerProps): JSX.Element {
  const { tab, api } = useApp();
  const { act, trouble: notStopped } = useAct();
  const text = useSignal(tab.read(props.keep) ?? '');
  const files = useSignal<Attachment[]>([]);
  const trouble = useSignal('');
  const area = useRef<HTMLTextAreaElement>(null);
  const type = (value: string): void => {
    text.value = value;
    tab.write(props.keep, value === '' ? null : value);
  };
  useLayoutEffect(
    () =>
      props.offered?.subscribe((offer) => {
        if (offer === '') return;
        type(offer);
        area.current?.focus();
      }),
    [props.offered],
  );
  const add = (list: Iterable<File>): Promise<void> => attach([...list], files, trouble);
  useDrop(add);
  const send = (): void => {
    if (text.value.trim() === '' && files.value.length === 0) return;
    props.send(text.value, files.value);
    type('');
    files.value = [];
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
      <Chosen files={files} />
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
        <button
          type="submit"
          class="button primary send"
          disabled={text.value.trim() === '' && files.value.length === 0}
        >
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
        if (event.key !== 'Enter' || event.shiftKey || event.isComposing || isTouch()) return;
        event.preventDefault();
        props.send();
      }}
      onPaste={(event) => {
        const pasted = event.clipboardData?.files;
        if (!pasted || pasted.length === 0) return;
        event.preventDefault();
        void props.add(pasted);
      }}
    />
  );
}

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

const Chosen = ({ files }: { files: Signal<Attachment[]> }): JSX.Element | null =>
  files.value.length === 0 ? null : (
    <ul class="chosen" aria-label="Files to send">
      {files.value.map((file) => (
        <li>
          <Icon of="clip" /> <span>{file.name}</span> <span class="quiet">{bytes(sizeOf(file))}</span>
          <Button
            kind="bare"
            label={`Remove ${file.name}`}
            onClick={() => {
              files.value = files.value.filter((each) => each !== file);
            }}
          >
            <Icon of="close" />
          </Button>
        </li>
      ))}
    </ul>
  );

const sizeOf = (file: Attachment): number => Math.floor((file.data.length * 3) / 4);

async function attach(list: readonly File[], files: Signal<Attachment[]>, trouble: Signal<string>): Promise<void> {
  trouble.value = '';
  for (const file of list) {
    const taken = files.value.reduce((sum, each) => sum + sizeOf(each), 0);
    if (taken + file.size > MOST_BYTES || files.value.length >= MOST_FILES) {
      trouble.value = `${file.name} was not added. A message can have ${MOST_FILES} files, ${bytes(MOST_BYTES)} in all.`;
      return;
    }
    const data = await base64(file);
    // The browser adds parameters to some, such as a charset.
    const mediaType = (file.type.split(';', 1)[0] ?? '').trim() || 'application/octet-stream';
    files.value = [...files.value, { name: file.name === '' ? 'pasted' : file.name, mediaType, data }];
  }
}

const base64 = (file: File): Promise<string> =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener('load', () => resolve((reader.result as string).replace(/^[^,]*,/, '')));
    reader.addEventListener('error', () => reject(reader.error ?? new Error('the file cannot be read')));
    reader.readAsDataURL(file);
  });

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

/** On a touch screen the Enter key is the only way to a new line. */
const isTouch = (): boolean => matchMedia('(pointer: coarse)').matches;
