import { lstat, readFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { SkillFile } from '../core/skill.ts';
import { MAX_FILE, MAX_FILES } from './judge.ts';

/** What a copy leaves behind: it belongs to the folder's own tools. */
const LEFT = new Set(['.git', '.DS_Store', 'Thumbs.db', 'node_modules', '__pycache__']);
/** Entries that are looked at before it is given up: the wrong folder may have been named. */
const MAX_ENTRIES = MAX_FILES * 10;

/** All files of a folder as a skill, sorted by path. Links are not followed. Rejects if there is no such folder. */
export async function readSkillFolder(dir: string): Promise<SkillFile[]> {
  const files: SkillFile[] = [];
  let seen = 0;
  const walk = async (below: string): Promise<void> => {
    const entries = await readdir(join(dir, below), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      seen += 1;
      if (seen > MAX_ENTRIES)
        throw new Error(`${dir} holds more than ${MAX_ENTRIES} entries: it is not a skill's folder`);
      if (LEFT.has(entry.name)) continue;
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) await walk(path);
      else if (entry.isFile() || entry.isSymbolicLink()) files.push(await readOne(dir, path));
    }
  };
  await walk('');
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function readOne(dir: string, path: string): Promise<SkillFile> {
  const full = join(dir, path);
  const info = await lstat(full);
  if (info.isSymbolicLink()) {
    const target = Buffer.from(await readlink(full));
    return { path, mode: '120000', size: target.length, bytes: target };
  }
  const mode = (info.mode & 0o111) === 0 ? '100644' : '100755';
  return { path, mode, size: info.size, bytes: info.size > MAX_FILE ? null : await readFile(full) };
}

/** The skills that come with the package: every folder of `skills/`. */
export async function readBundled(dir: string): Promise<Map<string, readonly SkillFile[]>> {
  const skills = new Map<string, readonly SkillFile[]>();
  const entries = await readdir(dir, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1)))
    if (entry.isDirectory()) skills.set(entry.name, await readSkillFolder(join(dir, entry.name)));
  return skills;
}
