import type { JSX } from 'preact';
import type { Signal } from '@preact/signals';
import type { Attachment } from '../lib/api.ts';
import { bytes } from '../lib/format.ts';
import { scaledPicture } from '../lib/picture.ts';
import type { ChosenFile } from '../stores/unsent.ts';
import { Icon } from './icons.tsx';
import { Button } from './small.tsx';

/** What the gateway takes with one message. */
const MOST_BYTES = 25_000_000;
const MOST_FILES = 20;

interface ChosenProps {
  files: Signal<readonly ChosenFile[]>;
  exchange: (file: ChosenFile) => Promise<void>;
}

export const Chosen = ({ files, exchange }: ChosenProps): JSX.Element | null =>
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

export async function attach(
  list: readonly File[],
  files: ChosenProps['files'],
  trouble: Signal<string>,
): Promise<string[]> {
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
export async function exchange(
  chosen: ChosenFile,
  files: ChosenProps['files'],
  trouble: Signal<string>,
): Promise<void> {
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
