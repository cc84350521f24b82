import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { useSignal, type Signal } from '@preact/signals';
import type { Attachment } from '../lib/api.ts';
import { bytes } from '../lib/format.ts';
import { scaledPicture } from '../lib/picture.ts';
import { useApp } from '../stores/app.ts';
import { filesLost } from '../stores/outgoing.ts';
import type { ChosenFile, Unsent } from '../stores/unsent.ts';
import { useAct } from './act.tsx';
import { Icon } from './icons.tsx';
import { Button } from './small.tsx';

/** What the gateway takes with one message. */
const MOST_BYTES = 25_000_000;
const MOST_FILES = 20;

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

interface ChosenProps {
  files: Signal<readonly ChosenFile[]>;
  exchange: (file: ChosenFile) => Promise<void>;
}

const Chosen = ({ files, exchange }: ChosenProps): JSX.Element | null =>
  files.value.length === 0 ? null : (
    <ul class="chosen" aria-label="Files to send">
      {files.value.map((file) => (
        <li>
          <Icon of="clip" /> <span>{file.name}</span> <span class="quiet">{bytes(sizeOf(file))}</span>
          <Scaling of={file} exchange={exchange} />
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

function Scaling({ of, exchange }: { of: ChosenFile } & Pick<ChosenProps, 'exchange'>): JSX.Element | null {
  const { picture } = of;
  if (picture === undefined) return null;
  const { from, to, isScaled } = picture;
  return (
    <label
      class="check"
      title={`The original has ${from.width} × ${from.height} pixels. Most models look at no more than the scaled one has. Untick to send it as it is.`}
    >
      <input type="checkbox" checked={isScaled} onChange={() => void exchange(of)} />
      Scaled to {to.width} × {to.height}
    </label>
  );
}

const sizeOf = (file: Attachment): number => Math.floor((file.data.length * 3) / 4);

/** Bytes that a message has room for. */
const roomIn = (files: readonly Attachment[]): number =>
  files.length >= MOST_FILES ? -1 : MOST_BYTES - files.reduce((sum, each) => sum + sizeOf(each), 0);

const FULL = `a message can have ${MOST_FILES} files, ${bytes(MOST_BYTES)} in all.`;
const UNREADABLE = 'the browser cannot read it. Of a folder, choose the files in it.';

async function attach(list: readonly File[], files: ChosenProps['files'], trouble: Signal<string>): Promise<string[]> {
  trouble.value = '';
  const added: string[] = [];
  const refuse = (name: string, why: string): void => {
    trouble.value = `${trouble.value} ${name} was not added: ${why}`.trimStart();
  };
  for (const original of list) {
    const picture = await scaledPicture(original);
    const file = picture?.file ?? original;
    const read = file.size > roomIn(files.value) ? FULL : ((await attachmentOf(file)) ?? UNREADABLE);
    if (typeof read === 'string') {
      refuse(original.name, read);
      continue;
    }
    files.value = [
      ...files.value,
      picture === null ? read : { ...read, picture: { ...picture, isScaled: true, isReading: false } },
    ];
    added.push(original.name, read.name);
  }
  return added;
}

/** The original in place of the scaled picture, or the other way round: the tick changes at once, the bytes once they are read. */
async function exchange(chosen: ChosenFile, files: ChosenProps['files'], trouble: Signal<string>): Promise<void> {
  const { picture } = chosen;
  if (picture === undefined || picture.isReading) return;
  const replace = (one: ChosenFile, by: ChosenFile): void =>
    void (files.value = files.value.map((each) => (each === one ? by : each)));
  const isScaled = !picture.isScaled;
  const ticked = { ...chosen, picture: { ...picture, isScaled, isReading: true } };
  replace(chosen, ticked);
  const other = isScaled ? picture.file : picture.original;
  const room = roomIn(files.value.filter((each) => each !== ticked));
  const read = other.size > room ? FULL : ((await attachmentOf(other)) ?? UNREADABLE);
  const failed = typeof read === 'string';
  trouble.value = failed ? `${chosen.name} was not changed: ${read}` : '';
  replace(ticked, failed ? chosen : { ...read, picture: { ...picture, isScaled } });
}

async function attachmentOf(file: File): Promise<Attachment | null> {
  const data = await base64(file);
  // The browser adds parameters to some, such as a charset.
  const mediaType = (file.type.split(';', 1)[0] ?? '').trim() || 'application/octet-stream';
  return data === null ? null : { name: file.name === '' ? 'pasted' : file.name, mediaType, data };
}

/** Null for what cannot be read: a folder, or a file that has changed or gone since it was chosen. */
const base64 = (file: File): Promise<string | null> =>
  new Promise((resolve) => {
    const reader = new FileReader();
    reader.addEventListener('load', () => resolve((reader.result as string).replace(/^[^,]*,/, '')));
    reader.addEventListener('error', () => resolve(null));
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

/** The Enter that ends a composition only confirms it. Safari has ended the composition by then, and says 229. */
const composes = (event: KeyboardEvent): boolean => event.isComposing || event.keyCode === 229;

/** On a touch screen the Enter key is the only way to a new line. */
const isTouch = (): boolean => matchMedia('(pointer: coarse)').matches;
