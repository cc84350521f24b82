import { readFile, readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';

/**
 * Files of a starter workspace by path, for `initWorkspace`. `gitignore` becomes `.gitignore`, which npm leaves out of
 * packages. Rejects if there is no such folder.
 */
export async function readTemplate(dir: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const full = join(entry.parentPath, entry.name);
    const path = relative(dir, full).split(sep).join('/');
    files.set(path === 'gitignore' ? '.gitignore' : path, await readFile(full));
  }
  return files;
}
