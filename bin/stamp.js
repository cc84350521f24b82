// Whether what is in dist/ was made from the sources as they are now.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

/** Of the bundle of src/, and of the page of web/. */
const STAMPS = { src: path.join('dist', 'stamp'), web: path.join('dist', 'web.stamp') };

/** Changes when a file of the folder, or the list of packages, is added, removed, moved or written. Reads no contents: 3 ms.
 * @param {string} root @param {'src' | 'web'} folder */
export function fingerprint(root, folder = 'src') {
  const files = ['package.json', 'package-lock.json'];
  for (const entry of fs.readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true }))
    if (entry.isFile()) files.push(path.relative(root, path.join(entry.parentPath, entry.name)));
  const hash = crypto.createHash('sha256');
  for (const file of files.sort()) {
    const stat = fs.statSync(path.join(root, file), { throwIfNoEntry: false });
    hash.update(`${file}\0${stat?.size}\0${stat?.mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/** An installed package has no sources, and its dist/ is always current.
 * @param {string} root @param {'src' | 'web'} folder */
export function isCurrent(root, folder = 'src') {
  if (!fs.existsSync(path.join(root, folder))) return true;
  try {
    return fs.readFileSync(path.join(root, STAMPS[folder]), 'utf8') === fingerprint(root, folder);
  } catch {
    return false; // never built
  }
}

/** @param {string} root @param {string} stamp @param {'src' | 'web'} folder */
export function writeStamp(root, stamp, folder = 'src') {
  fs.writeFileSync(path.join(root, STAMPS[folder]), stamp);
}
