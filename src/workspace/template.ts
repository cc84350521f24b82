import { readFile, readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import type { Clock } from '../core/ports/clock.ts';
import type { Env } from '../git/git.ts';
import { initWorkspace } from './init.ts';

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

/**
 * Makes the workspace from a template where there is none yet; a folder that holds anything is left alone. True if it
 * was made.
 */
export async function ensureWorkspace(options: {
  workspace: string;
  /** Folder of the template. */
  template: string;
  env: Env;
  clock: Clock;
}): Promise<boolean> {
  const { workspace: dir, template, env, clock } = options;
  const standing = await readdir(dir).catch(() => []);
  if (standing.length > 0) return false;
  await initWorkspace({ dir, files: await readTemplate(template), scripts: true, env, clock });
  return true;
}
