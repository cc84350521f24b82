// Bundles src/cli/main.ts and what it needs into dist/, which starts in half the time of the source.
import { rmSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { rolldown, type Plugin } from 'rolldown';
import { fingerprint, isCurrent, writeStamp } from '../bin/stamp.js';

const root = join(import.meta.dirname, '..');
if (process.argv.includes('--if-stale') && isCurrent(root)) process.exit(0);

// Taken first: a file saved while the bundler works makes the result stale, not wrong.
const stamp = fingerprint(root);
const started = performance.now();
const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });

/** A static import as the bundler prints it: default, namespace, names, module. */
const IMPORT =
  /^import\s*(?:([\w$]+)\s*,?\s*)?(?:\*\s*as\s+([\w$]+)\s*)?(?:\{([^}]*)\})?\s*from\s*["']([^"']+)["'];?/gm;

/**
 * An `import` of a module of Node's own reads every property it has, and some bring much along when they are read
 * (`http.WebSocket` the whole of undici, `tls.rootCertificates` all certificates): 28 ms of a start, and 5 MB.
 */
const onlyWhatIsNamed: Plugin = {
  name: 'only-what-is-named',
  renderChunk: (code) =>
    code.replace(IMPORT, (whole: string, standard?: string, all?: string, names?: string, id = '') => {
      if (!isBuiltin(id)) return whole;
      if (/\bdefault\b/.test(names ?? '')) throw new Error(`the build cannot rewrite ${whole}`);
      const taken = [standard, all, names && `{${names.replaceAll(/\s+as\s+/g, ':')}}`].filter(Boolean);
      return taken.map((what) => `const ${what}=process.getBuiltinModule('${id}');`).join('');
    }),
};

const bundle = await rolldown({
  input: { ruche: join(root, 'src/cli/main.ts') },
  platform: 'node',
  tsconfig: join(root, 'tsconfig.json'),
  checks: { circularDependency: false, eval: false },
  plugins: [onlyWhatIsNamed],
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
