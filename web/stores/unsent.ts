import { effect, signal, type Signal } from '@preact/signals';
import type { Attachment, ScaledPicture } from '../lib/api.ts';
import type { Kept } from '../lib/stored.ts';

/** `picture`: it has been scaled, or is the original of one that could be. `isReading`: its bytes are those of the other still. */
export interface ChosenFile extends Attachment {
  picture?: ScaledPicture & { isScaled: boolean; isReading: boolean };
}

/** What a person has written and chosen, and not sent yet. */
export interface Unsent {
  text: Signal<string>;
  files: Signal<readonly ChosenFile[]>;
  /** Names of files that a reload has lost. */
  lost: Signal<readonly string[]>;
}

/** Places of which the page remembers this, those looked at last: a day of work leads to hundreds. */
const REMEMBERED = 50;

/** Kept while other places of the page are looked at. A reload keeps the text, and the names of the files. */
export function createUnsent(kept: Kept): (place: string) => Unsent {
  const known = new Map<string, Unsent & { forget(): void }>();
  const forgetOldest = (): void => {
    let over = known.size - REMEMBERED;
    for (const [place, { text, files, forget }] of known) {
      if (over <= 0) return;
      // Chosen files are nowhere else, and a text is not where the browser keeps nothing.
      if (text.peek() !== '' || files.peek().length > 0) continue;
      forget();
      known.delete(place);
      over -= 1;
    }
  };
  return (place) => {
    const old = known.get(place);
    if (old) {
      known.delete(place);
      known.set(place, old);
      return old;
    }
    const made: Unsent = {
      text: signal(kept.read(place) ?? ''),
      files: signal([]),
      lost: signal(namesIn(kept.read(`files:${place}`))),
    };
    const ends = [
      effect(() => kept.write(place, made.text.value || null)),
      effect(() => {
        const names = [...made.lost.value, ...made.files.value.map((file) => file.name)];
        kept.write(`files:${place}`, names.length === 0 ? null : JSON.stringify(names));
      }),
    ];
    const entry = { ...made, forget: () => ends.forEach((end) => end()) };
    known.set(place, entry);
    forgetOldest();
    return entry;
  };
}

function namesIn(text: string | null): string[] {
  try {
    const names: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(names) ? names.filter((each) => typeof each === 'string') : [];
  } catch {
    return []; // written by another version of this page
  }
}
