import { chmod, mkdir, mkdtemp, readdir, rm, rmdir, writeFile, readFile } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import type { Clock } from '../core/ports/clock.ts';
import { MAIN, putCommit, personConfig } from '../git/commit.ts';
import { badPath } from './overlay/path.ts';
import { initRepository, openGit, type Env } from '../git/git.ts';
import { openObjects } from '../git/objects.ts';
import { Trees } from '../git/trees.ts';
import { type Disk, makeFolder, realDisk, syncFolder, syncTree } from '../platform/replace.ts';

interface InitOptions {
  /** A folder that does not exist yet, or is empty. */
  dir: string;
  /** Path → bytes. */
  files: ReadonlyMap<string, Uint8Array>;
  env: Env;
  clock: Clock;
  /** What begins like a script can be run: packages, from which templates come, do not keep the mode of files. */
  scripts?: boolean;
  /** First line of the first commit. */
  subject?: string;
  disk?: Disk;
}

/**
 * Makes a repository with branch `main` and a first commit. It is there whole or not at all, after a power cut too: files
 * that come back empty would look like a person's edit, which empties the rules.
 */
export async function initWorkspace(options: InitOptions): Promise<string> {
  const { dir, files, env, clock, disk = realDisk } = options;
  const standing = await readdir(dir).catch(() => []);
  if (standing.length > 0) throw new Error(`${dir} is not empty; give a new folder for the workspace`);
  await makeFolder(dirname(dir), { disk });
  const temp = await mkdtemp(join(dirname(dir), `.${basename(dir)}-`));
  try {
    await chmod(temp, 0o755);
    await initRepository(temp, env, { bare: false });
    const git = await openGit({ gitDir: join(temp, '.git'), workTree: temp, env });
    try {
      const objects = openObjects(git.neutral);
      const edits = new Map<string, { mode: string; oid: string }>();
      for (const [path, bytes] of files) {
        const bad = badPath(path);
        if (bad !== null) throw new Error(`the template has a file that cannot be: ${path}: ${bad}`);
        await mkdir(dirname(join(temp, path)), { recursive: true });
        const program = options.scripts === true && Buffer.from(bytes.subarray(0, 2)).toString() === '#!';
        await writeFile(join(temp, path), bytes, { mode: program ? 0o755 : 0o644 });
        const { oid, stored } = objects.put('blob', bytes);
        await stored;
        edits.set(path, { mode: program ? '100755' : '100644', oid });
      }
      const tree = await new Trees(git, objects).edit(null, edits);
      if (!tree.ok) throw new Error(`the template has ${tree.clash} as a file and as a folder`);
      const { author } = await personConfig(join(temp, '.git'), env);
      const message = options.subject ?? 'Start the workspace';
      const commit = putCommit(objects, { tree: tree.oid, parents: [], author, at: clock.now(), message });
      await Promise.all([tree.stored, commit.stored]);
      await git.run(['read-tree', commit.oid]);
      await git.run(['update-index', '-q', '--refresh']);
      await git.run(['update-ref', '-m', `commit (initial): ${message}`, MAIN, commit.oid]);
      // It names the folder it was made in.
      await rm(git.neutral.dir, { recursive: true });
      await rmdir(dir).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
      // Git and `writeFile` leave to the system when their bytes reach the disk.
      await syncTree(temp, disk);
      await disk.rename(temp, dir);
      await syncFolder(dirname(dir), disk);
      return commit.oid;
    } finally {
      git.close();
    }
  } catch (error) {
    await rm(temp, { recursive: true, force: true });
    throw error;
  }
}

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
