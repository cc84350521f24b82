import { effect, signal, type Signal } from '@preact/signals';
import type { Attachment } from '../lib/api.ts';
import type { Kept } from '../lib/stored.ts';

/** What a person has written and chosen, and not sent yet. */
export interface Unsent {
  text: Signal<string>;
  files: Signal<readonly Attachment[]>;
  /** Names of files that a reload has lost. */
  lost: Signal<readonly string[]>;
}

/** Kept while other places of the page are looked at. A reload keeps the text, and the names of the files. */
export function createUnsent(kept: Kept): (place: string) => Unsent {
  const known = new Map<string, Unsent>();
  return (place) => {
    const old = known.get(place);
    if (old) return old;
    const made: Unsent = {
      text: signal(kept.read(place) ?? ''),
      files: signal([]),
      lost: signal(namesIn(kept.read(`files:${place}`))),
    };
    known.set(place, made);
    effect(() => kept.write(place, made.text.value || null));
    effect(() => {
      const names = [...made.lost.value, ...made.files.value.map((file) => file.name)];
      kept.write(`files:${place}`, names.length === 0 ? null : JSON.stringify(names));
    });
    return made;
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
