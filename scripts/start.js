// `npm start`: builds what is stale, then `ruche up` with the arguments given after `--`.
// Plain JavaScript, so that where no newer Node could be brought the launcher can still say so.
import { spawnSync } from 'child_process';
import path from 'path';
import url from 'url';

const root = path.dirname(path.dirname(url.fileURLToPath(import.meta.url)));
if (Number(process.versions.node.split('.')[0]) >= 24) {
  // A process of its own, because the bundler would stay in memory for as long as the gateway runs.
  const build = spawnSync(process.execPath, [path.join(root, 'scripts', 'build.ts'), '--if-stale'], {
    stdio: 'inherit',
  });
  if (build.status !== 0) process.stderr.write('The build failed; starting from source instead.\n');
}
process.argv.splice(1, 1, path.join(root, 'bin', 'ruche.js'), 'up');
import('../bin/ruche.js');
