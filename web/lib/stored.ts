/** What the browser keeps for this page. Where it keeps nothing (a full disk, a private window) the page still works. */
export interface Kept {
  read(key: string): string | null;
  write(key: string, value: string | null): void;
}

export const kept = (storage: () => Storage): Kept => ({
  read(key) {
    try {
      return storage().getItem(`ruche.${key}`);
    } catch {
      return null; // storage is switched off
    }
  },
  write(key, value) {
    try {
      if (value === null) storage().removeItem(`ruche.${key}`);
      else storage().setItem(`ruche.${key}`, value);
    } catch {
      return; // full, or switched off: it is then kept for as long as the page is open
    }
  },
});
