// Bundles src/cli/main.ts and what it needs into dist/, which starts in half the time of the source, and the page into dist/web.
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { rolldown, type Plugin } from 'rolldown';
import { fingerprint, isCurrent, writeStamp } from '../bin/stamp.js';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
// `--if-stale`: what is current is left alone; `--web`: only the page.
const onlyStale = process.argv.includes('--if-stale');
mkdirSync(dist, { recursive: true });
if (!onlyStale || !isCurrent(root, 'web')) await buildPage();
if (!process.argv.includes('--web') && (!onlyStale || !isCurrent(root))) await buildProgram();

/**
 * An `import` of a module of Node's own reads every property it has, and some bring much along when they are read
 * (`http.WebSocket` the whole of undici, `tls.rootCertificates` all certificates): 28 ms of a start, and 5 MB.
 */
function onlyWhatIsNamed(): Plugin {
  /** A static import as the bundler prints it: default, namespace, names, module. */
  const statics =
    /^import\s*(?:([\w$]+)\s*,?\s*)?(?:\*\s*as\s+([\w$]+)\s*)?(?:\{([^}]*)\})?\s*from\s*["']([^"']+)["'];?/gm;
  return {
    name: 'only-what-is-named',
    renderChunk: (code) =>
      code.replace(statics, (whole: string, standard?: string, all?: string, names?: string, id = '') => {
        if (!isBuiltin(id)) return whole;
        if (/\bdefault\b/.test(names ?? '')) throw new Error(`the build cannot rewrite ${whole}`);
        const taken = [standard, all, names && `{${names.replaceAll(/\s+as\s+/g, ':')}}`].filter(Boolean);
        return taken.map((what) => `const ${what}=process.getBuiltinModule('${id}');`).join('');
      }),
  };
}

async function buildProgram(): Promise<void> {
  const started = performance.now();
  // Taken first: a file saved while the bundler works makes the result stale, not wrong.
  const stamp = fingerprint(root);
  for (const name of readdirSync(dist))
    if (!name.startsWith('web')) rmSync(join(dist, name), { recursive: true, force: true });
  const bundle = await rolldown({
    input: { ruche: join(root, 'src/cli/main.ts') },
    platform: 'node',
    tsconfig: join(root, 'tsconfig.json'),
    checks: { circularDependency: false, eval: false },
    // grammY asks whether it is there, and Node warns when it is asked for.
    transform: { define: { localStorage: 'undefined' } },
    plugins: [onlyWhatIsNamed()],
  });
  const { output } = await bundle.write({
    dir: dist,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    minify: { mangle: false, compress: true, codegen: { removeWhitespace: true } },
    sourcemap: false,
  });
  await bundle.close();
  writeStamp(root, stamp);
  const bytes = output.reduce((sum, file) => sum + ('code' in file ? file.code.length : file.source.length), 0);
  const ms = Math.round(performance.now() - started);
  console.log(`dist/ built: ${output.length} files, ${Math.round(bytes / 1024)} kB, ${ms} ms`);
}

async function buildPage(): Promise<void> {
  const started = performance.now();
  const stamp = fingerprint(root, 'web');
  const { buildWeb } = await import('./build-web.ts');
  const { files, script } = await buildWeb(join(dist, 'web'));
  writeStamp(root, stamp, 'web');
  const ms = Math.round(performance.now() - started);
  console.log(`dist/web built: ${files} files, ${(script / 1000).toFixed(1)} kB of script compressed, ${ms} ms`);
}
