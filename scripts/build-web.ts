// Builds the web page in web/ into a folder that the gateway serves: one script, one style sheet, one page.
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';

const WEB = join(import.meta.dirname, '..', 'web');

export interface BuiltWeb {
  files: number;
  /** Bytes of all scripts, compressed. */
  script: number;
}

/** Replaces what is in `folder`. */
export async function buildWeb(folder: string): Promise<BuiltWeb> {
  const built = await build({
    root: WEB,
    configFile: false,
    envDir: false,
    logLevel: 'warn',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      outDir: folder,
      emptyOutDir: true,
      target: 'es2023',
      modulePreload: false,
      reportCompressedSize: false,
      // A data: address would need a rule of its own in the content security policy.
      assetsInlineLimit: 0,
    },
  });
  if (!('output' in built)) throw new Error('vite was asked for one build, and gave something else');
  const scripts = built.output.filter((file) => file.type === 'chunk');
  return {
    files: built.output.length,
    script: scripts.reduce((sum, file) => sum + gzipSync(file.code, { level: 9 }).length, 0),
  };
}
