import { mediaTypeOf } from '../../core/text/media.ts';
import type { ReplyContent } from '../../core/records/reply.ts';
import type { AgentDeps } from '../run/deps.ts';
import type { RunLog } from '../run/log.ts';

/** Files a run leaves here go with its reply, and no others. */
const FOLDER = 'outbox/';
/** Files of one reply, and bytes of all of them: what is beyond stays in the workspace, and the reply says so. */
const MAX_FILES = 10;
const MAX_BYTES = 50_000_000;

/** The reply, with what the run has left in the outbox folder. */
export async function withFiles(deps: AgentDeps, log: RunLog, text: string): Promise<ReplyContent> {
  const { state } = log;
  const paths = [...state.changes.values()]
    .filter((change) => change.path.startsWith(FOLDER) && change.oid !== null && change.mode !== '120000')
    .map((change) => change.path)
    .concat([...state.landed].filter((path) => path.startsWith(FOLDER) && !state.changes.has(path)))
    .sort();
  if (paths.length === 0) return { text };
  const view = deps.workspace.files(state.base, [...state.changes.values()]);
  const files: NonNullable<ReplyContent['files']> = [];
  const left: string[] = [];
  let bytes = 0;
  for (const path of paths) {
    const size = (await view.stat(path))?.size ?? 0;
    const found = files.length < MAX_FILES && bytes + size <= MAX_BYTES ? await view.read(path) : null;
    if (found === null) {
      left.push(path);
      continue;
    }
    bytes += size;
    const name = path.slice(path.lastIndexOf('/') + 1);
    files.push({ name, mediaType: mediaTypeOf(name), blob: deps.store.putBlob(found.bytes, log.subject) });
  }
  const note = left.length > 0 ? `\n\n(Too much to send, and kept in the workspace: ${left.join(', ')}.)` : '';
  return { text: text + note, files };
}
