import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Document, isSeq, parseDocument } from 'yaml';
import { type Known, parseSettings } from '../../config/settings.ts';
import { replaceFile } from '../../platform/replace.ts';
import { SETTINGS_FILE } from '../../core/agent.ts';

/**
 * Writes an owner of a channel into the `ruche.yaml` that stands in the work tree, as the person at this machine would:
 * the watch commits it and puts it in force. Comments and order stay. Rejects, and changes nothing, if the file cannot be
 * read or would be wrong afterwards. `temp`: a folder on the same disk.
 */
export async function addOwner(about: {
  root: string;
  temp: string;
  channel: string;
  sender: string;
  known: Known;
}): Promise<void> {
  const { root, temp, channel, sender, known } = about;
  const path = join(root, SETTINGS_FILE);
  const before = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const document = parseDocument(before);
  const [wrong] = document.errors;
  if (wrong) throw new Error(`${SETTINGS_FILE} cannot be read: ${wrong.message.split('\n')[0]}`);
  const owners = ['channels', channel, 'owners'];
  const standing = document.getIn(owners);
  const ids: unknown[] = isSeq(standing) ? standing.toJSON() : [];
  if (ids.map(String).includes(sender)) return;
  if (isSeq(standing)) standing.add(document.createNode(sender));
  else {
    dropEmpty(document, channel);
    document.setIn(owners, document.createNode([sender], { flow: true }));
  }
  const after = document.toString({ lineWidth: 0 });
  const [problem] = parseSettings(after, SETTINGS_FILE, known).problems.filter(({ severity }) => severity === 'error');
  if (problem) throw new Error(`${SETTINGS_FILE}, line ${problem.line}: ${problem.key} ${problem.message}`);
  await replaceFile(path, after, { temp: join(temp, `${SETTINGS_FILE}.new`) });
}

/** `channels:` with nothing behind it is a value, below which nothing can be put. */
function dropEmpty(document: Document, channel: string): void {
  for (const path of [['channels'], ['channels', channel]])
    if (document.hasIn(path) && (document.getIn(path) ?? null) === null) document.deleteIn(path);
}
