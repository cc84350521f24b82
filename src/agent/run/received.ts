import { FileRefused } from '../../core/files.ts';
import type { FileRef, UserMessage } from '../../core/model.ts';
import { note } from './notes.ts';
import type { AgentDeps } from './deps.ts';
import type { RunLog } from './log.ts';
import type { Placed } from './state.ts';

/** Puts the files that came with messages into the run's view, where the text of the message says they are. */
export async function placeFiles(deps: AgentDeps, log: RunLog): Promise<void> {
  const { state } = log;
  const came: FileRef[] = [...state.answerFiles];
  for (const ref of state.arrived) {
    const message: UserMessage = await deps.conversations.message(deps.store, ref);
    came.push(...(message.files ?? []));
  }
  const fresh = came.filter((file) => !state.placed.has(file.path));
  if (fresh.length === 0) return;
  const files = deps.workspace.files(state.base, [...state.changes.values()]);
  const placed: Placed = { changes: [] };
  for (const { path, name, blob } of fresh) {
    const bytes = await deps.store.getBlob(blob);
    try {
      if (bytes !== null) placed.changes.push(await files.write(path, bytes));
    } catch (error) {
      if (!(error instanceof FileRefused)) throw error;
      // The model must not look for a file that is not there.
      log.emit({
        type: 'note.added',
        data: { note: log.put(note(`The file ${name} could not be kept: ${error.message}`)) },
      });
    }
  }
  const data = { files: placed.changes.length, detail: log.put(placed) };
  log.emit({ type: 'files.placed', data }, placed);
}
