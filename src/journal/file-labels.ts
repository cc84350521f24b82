import type { Blobs, EventLog } from '../core/ports/store.ts';
import { FileLabels, type LabelledFiles } from '../core/records/file-labels.ts';
import { readJson } from '../core/records/json-blob.ts';

/** Labels of files as the journal tells them. Who puts more on record adds it to what this gives. */
export async function openFileLabels(store: Pick<EventLog & Blobs, 'read' | 'getBlob'>): Promise<FileLabels> {
  const labels = new FileLabels();
  for await (const event of store.read({ types: ['files.labelled'] })) {
    const detail = event.type === 'files.labelled' ? await readJson<LabelledFiles>(store, event.data.detail) : null;
    if (detail !== null) labels.add(event, detail);
  }
  return labels;
}
