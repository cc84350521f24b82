import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A folder of the package. The source, the bundle and its chunks lie at different depths. */
export function packageFolder(name: string): string {
  let root = import.meta.dirname;
  while (!existsSync(join(root, 'templates')) && dirname(root) !== root) root = dirname(root);
  return join(root, name);
}

/** `templates/<name>` of the package. Rejects with the names there are. */
export async function templateFolder(name: string): Promise<string> {
  const folder = packageFolder('templates');
  const names = (await readdir(folder, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  if (!names.includes(name)) throw new Error(`There is no template "${name}". The templates are: ${names.join(', ')}.`);
  return join(folder, name);
}

export const machineOf = (): { arch: string; uid: number } => ({ arch: process.arch, uid: process.getuid?.() ?? 0 });
