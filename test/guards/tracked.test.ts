// What a reader of the repository sees: links lead somewhere, nothing tells of the machine it was written on.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from './source.ts';

const LEFT_OUT = new Set(['.git', 'node_modules', 'dist', 'coverage', '.cache']);

/** Paths of what Git tracks; without Git (an unpacked archive) of all files. */
function trackedFiles(): string[] {
  const { status, stdout } = spawnSync('git', ['-C', ROOT, 'ls-files', '-z', '-co', '--exclude-standard'], {
    encoding: 'utf8',
  });
  if (status === 0) return stdout.split('\0').filter((path) => path !== '' && existsSync(join(ROOT, path)));
  const walk = (folder: string): string[] =>
    readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
      if (LEFT_OUT.has(entry.name)) return [];
      const path = join(folder, entry.name);
      return entry.isDirectory() ? walk(path) : [path];
    });
  return walk('');
}

const tracked = trackedFiles().filter((path) => statSync(join(ROOT, path)).isFile());
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

test('no file names a folder of this machine, a registry or a mirror', () => {
  assert.ok(tracked.length > 150, `only ${tracked.length} files were looked at`);
  const registry = process.env['npm_config_registry'];
  // Written apart, so that this file does not name them itself.
  const spelt = (...parts: string[]): string => parts.join('');
  const hosts = [spelt('registry.', 'npmjs'), spelt('verda', 'ccio'), spelt('arti', 'factory')];
  if (registry) hosts.push(new URL(registry).host);
  const folders = [
    ROOT,
    ...['main', 'shared', '.library'].map((name) => spelt('/wo', 'rk/', name)),
    spelt('bash_', 'jobs'),
  ];
  for (const path of tracked) {
    const text = read(path);
    for (const word of [...hosts, ...folders]) assert.ok(!text.includes(word), `${path} names ${word}`);
  }
});

test('no file holds the marks of a merge that was not resolved', () => {
  // `> > >` is what becomes of them in Markdown that is formatted, and `| <<<` in a table.
  const mark = /^(?:\| )?(?:<{7} \S|>{7} \S|(?:> ){6}> \S)/m;
  for (const path of tracked) assert.doesNotMatch(read(path), mark, path);
});

/** As GitHub makes anchors of headings. */
const anchors = (text: string): string[] =>
  [...text.matchAll(/^#+ +(.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );

/** Links of a page that lead nowhere; links to other sites are not looked at. */
function deadLinks(page: string, text: string): string[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '');
  const links = [...prose.matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)|(?:src|href)="([^"]+)"/g)].map(
    ([, a, b]) => a ?? b ?? '',
  );
  return links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? page : join(dirname(page), path);
    if (!existsSync(join(ROOT, target))) return true;
    return (
      anchor !== undefined && target.endsWith('.md') && !anchors(path === '' ? text : read(target)).includes(anchor)
    );
  });
}

test('every link in the documentation leads somewhere', () => {
  const pages = tracked.filter((path) => path.endsWith('.md') && !path.startsWith('templates/'));
  assert.ok(pages.length >= 8, `only ${pages.length} pages were looked at`);
  for (const page of pages) assert.deepEqual(deadLinks(page, read(page)), [], page);
  assert.deepEqual(
    deadLinks('README.md', '[a](nowhere.md) [b](#nothing) [c](docs/nowhere/) <img src="no.svg">').length,
    4,
  );
});

test('the index of the documentation names every page', () => {
  const index = read('docs/README.md');
  const pages = tracked.filter((path) => path.startsWith('docs/') && path.endsWith('.md') && path !== 'docs/README.md');
  for (const page of pages)
    assert.ok(index.includes(`(${page.slice('docs/'.length)})`), `docs/README.md does not name ${page}`);
});

test('the README starts with two commands, and no others', () => {
  const [start = ''] = read('README.md').split(/^## .*minutes.*$/m);
  const commands = [...start.matchAll(/^```(?:sh|bash|console)?\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) =>
    block.trim().split('\n'),
  );
  assert.deepEqual(
    commands.map((line) => line.replace(/\s+#.*$/, '')),
    ['npm ci && npm start', 'npm ci && npm test'],
  );
});

test('two decisions never share a number', () => {
  const numbers = readdirSync(join(ROOT, 'docs/decisions')).map((name) => name.slice(0, 4));
  assert.equal(new Set(numbers).size, numbers.length);
});
