import { createHash } from 'node:crypto';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Boundary } from '../../core/ports/boundary.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { type Job, type ProbeOptions, type Sandbox, SandboxError, type SandboxKind } from '../../core/ports/sandbox.ts';
import { checkMountPoints } from '../bwrap.ts';
import { inheritedFiles, Jobs, type Runner, STATUS_FILE } from '../jobs.ts';
import { forwarderOnce, forwarderWords, EGRESS_FOLDER, networkEnvironment, PORT } from '../network.ts';
import { ENVIRONMENT } from '../system.ts';
import { killAll } from '../wrapper.ts';
import { containerArgs, containerEnv, type Engine } from './args.ts';
import { findEngine, findEngines, type Found, mostOf, writeShared } from './engine.ts';

/** The words of a file, one a line, as the arguments of a program. */
const words = (file: string): string => `set --
while IFS= read -r word; do set -- "$@" "$word"; done <${file}`;

/** Gives files to an owner; `owned` has the owner first, then the paths. Links are not followed. */
const give = (file: string): string => `if [ -s ${file} ]; then (
  ${words(file)}
  exec chown -hR -- "$@"
); fi`;

/**
 * Joins the loopback of a container with its proxy, from outside: an image may have nothing that could. Arguments: options of
 * nsenter, then folder and words of the forwarder (network.ts). The command begins once the forwarder listens.
 */
const FORWARD = `
while [ ! -s pid ] && [ ! -e ended ]; do sleep 0.02; done
read -r target <pid
options=$1 folder=$2
shift 2
mark=$(cat forwarder)
port=$(cd "$folder" && exec env "$mark" nsenter -t "$target" $options -n -- "$@" </dev/null 2>/dev/null &)
echo "$port" >net
`;

/**
 * Runs the engine's program until the container has ended. What it prints is about itself, so the command's output goes
 * another way; it is shown only if the command did not begin.
 */
const ENTER = `
joining=
if [ "$#" -gt 0 ]; then
  mkfifo -m 600 net
  ( ${FORWARD}
  ) &
  joining=$!
fi
${give('theirs')}
${words('args')}
{ "$@" 2>&1 >/dev/null </dev/null; echo "$?" >code; } | head -c 65536 >said
read -r code <code
true >ended
# Of a container that did not start nobody reads the port, and who waits to say it would hold the command's output open.
[ -z "$joining" ] || kill "$joining" 2>/dev/null
began=
while read -r word count; do
  case $word in
    ruche-began) began=1 ;;
    oom_kill) echo "oom_kill $count" >memory.events ;;
  esac
done <said
# An engine that was killed may have had no time to say so.
[ -n "$began" ] || [ "$code" -ge 128 ] || { echo "The container was not started."; cat said; code=125; }
exit "$code"
`;

/**
 * Of a container that did not end by itself: first the program that may still be making it, then the container, then what
 * an engine that was killed while it made one does not know of. An end of 125 or above may be that of the engine's program
 * alone, while the container goes on. Files go back to the runtime's user.
 */
const SWEEP = `
if [ ! -e ended ] || [ "\${code:-137}" -ge 125 ]; then
  ${killAll('[ ! -s client ] || grep -lsFxz -f client /proc/[0-9]*/cmdline')}
  ( ${words('remove')}
    [ "$#" = 0 ] || "$@" ) >/dev/null 2>&1
  ${killAll('[ ! -s cid ] || grep -lsF -f cid /proc/[0-9]*/cgroup')}
  ${killAll('for link in /proc/[0-9]*/fd/1; do [ ! "$link" -ef pipe ] || echo "$link"; done')}
fi
${killAll('[ ! -s forwarder ] || grep -lsFxz -f forwarder /proc/[0-9]*/environ')}
${give('ours')}
`;

const lines = (list: readonly string[]): string => list.map((line) => `${line}\n`).join('');

const removal = ({ kind, words: start }: Engine, name: string): string[] => {
  const options = kind === 'podman' ? ['--time', '0', '--ignore'] : [];
  return [...start, 'rm', '--force', ...options, name];
};

interface Images {
  /** How an image is run here. Rejects with SandboxError, saying what to do. */
  of(name: string): Promise<Found & { ok: true }>;
}

/** Looks at each image once. What did not work, or is gone, is looked at again. */
function openImages(options: ProbeOptions): Images {
  const known = new Map<string, Promise<Found & { ok: true }>>();
  const look = async (name: string): Promise<Found & { ok: true }> => {
    const found = await findEngine(options, name);
    if (!found.ok) throw new SandboxError('start', `${found.why} ${found.mend}`);
    await writeShared(sharedFolder(options.dir, found.engine), found.engine);
    return found;
  };
  const of = async (name: string): Promise<Found & { ok: true }> => {
    const looking = known.get(name) ?? look(name);
    known.set(name, looking);
    looking.catch(() => known.delete(name));
    const found = await looking;
    const { root } = found.image;
    const gone =
      root !== null &&
      !(await access(root).then(
        () => true,
        () => false,
      ));
    if (!gone) return found;
    known.delete(name);
    return of(name);
  };
  return { of };
}

const sharedFolder = (dir: string, { user }: Engine): string => join(dir, `.container-${user.uid}`);

function containerRunner(options: ProbeOptions, scope: string): Runner {
  const images = openImages(options);
  const forwarder = forwarderOnce();
  const prepare = async ({ key, checkout, limits, sandbox, network }: Job, dir: string) => {
    if (sandbox?.image === undefined) throw new SandboxError('start', 'No image is named for this command.');
    const { engine, image } = await images.of(sandbox.image);
    if (network !== null && engine.kind !== 'podman') throw new SandboxError('start', ONLY_PODMAN);
    await checkMountPoints(checkout);
    const shared = sharedFolder(options.dir, engine);
    const name = `ruche-${scope}-${key}`;
    const ca = network?.ca ?? null;
    const inside = ca === null ? null : join(EGRESS_FOLDER, basename(ca));
    const most = await mostOf();
    const plan = { engine, image, name, dir, shared, checkout, limits, most, ca: inside, network: network !== null };
    const env = {
      ...containerEnv(image, ENVIRONMENT),
      RUCHE_STATUS: '/run/status',
      ...(network === null ? {} : networkEnvironment(network, EGRESS_FOLDER, network.own)),
    };
    const put = (file: string, list: readonly string[]): Promise<void> => {
      const odd = list.find((word) => word.includes('\n'));
      if (odd !== undefined) throw new SandboxError('start', `This holds a line break: ${JSON.stringify(odd)}`);
      return writeFile(join(dir, file), lines(list), { mode: 0o600 });
    };
    const theirs = [checkout.dir, checkout.git, 'pipe', 'command', ...(network === null ? [] : ['net'])];
    await Promise.all([
      put('args', containerArgs(plan)),
      put(
        'env',
        Object.entries(env).map(([variable, value]) => `${variable}=${value}`),
      ),
      put('client', [`--name=${name}`]),
      put('remove', removal(engine, name)),
      ...owners(engine, options.machine.uid, theirs).map(([file, list]) => put(file, list)),
      readable(join(options.dir, STATUS_FILE), join(dir, 'status')),
      ...(ca === null ? [] : [readable(ca, join(dir, 'ca'))]),
      ...(network === null ? [] : [put('forwarder', [`RUCHE_FORWARD=${name}`])]),
    ]);
    const own = engine.owner === null ? '-U --preserve-credentials' : '';
    const args = network === null ? [] : [own, ...forwarderWords(await forwarder(), network.dir, PORT)];
    return { script: ENTER, args, env: { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' }, memory: '', pids: '' };
  };
  return { name: 'container', confined: true, sweep: SWEEP, prepare, clear: async () => true };
}

const ONLY_PODMAN =
  'A command with a network runs in a container of podman only. Install podman, or run it in bubblewrap.';

/** A copy for somebody else, inside: only its owner can look into the folder. Empty if there is nothing to copy. */
async function readable(from: string, to: string): Promise<void> {
  const bytes = await readFile(from).catch(() => '');
  await writeFile(to, bytes, { mode: 0o644 });
}

/** Whose the files are while a command runs, and afterwards; nothing if that is the same. */
function owners({ owner }: Engine, uid: number, theirs: readonly string[]): [string, string[]][] {
  if (owner === null) return [];
  const gid = process.getgid?.() ?? uid;
  return [
    ['theirs', [`${owner.uid}:${owner.gid}`, ...theirs]],
    // What lies in the command's own folder is looked at by nobody else.
    ['ours', [`${uid}:${gid}`, ...theirs.filter((path) => path.startsWith('/'))]],
  ];
}

/** Commands in containers of podman or docker: the image instead of this machine's programs, else as in bubblewrap. */
export async function openContainers(options: ProbeOptions & { boundary: Boundary; clock: Clock }): Promise<Sandbox> {
  await mkdir(options.dir, { recursive: true, mode: 0o700 });
  const scope = createHash('sha256').update(options.dir).digest('hex').slice(0, 8);
  const runner = containerRunner(options, scope);
  return new Jobs({ ...options, inherited: await inheritedFiles(), runner });
}

/** For those who pick it: it needs an image. */
export const containers: SandboxKind = {
  name: 'container',
  image: true,
  async probe(options, image) {
    const found = await (image === undefined ? findEngines(options) : findEngine(options, image));
    if (!found.ok) return found;
    return { ok: true, why: found.why, mend: '', open: (parts) => openContainers({ ...options, ...parts }) };
  },
  picked: { confined: true, open: openContainers },
};
