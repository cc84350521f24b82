import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProbeOptions } from '../../core/ports/sandbox.ts';
import { judge, OWN_PATH, PROGRAMS, run, which, type Ran } from '../probe.ts';
import { engineProfile } from '../seccomp.ts';
import { ENVIRONMENT } from '../system.ts';
import {
  containerArgs,
  containerEnv,
  type Engine,
  type Image,
  type Owner,
  PROFILE,
  SHARED_FILES,
  sharedName,
} from './args.ts';

/** How an image is run here, or what is in the way and what to do about it. */
export type Found = { ok: true; engine: Engine; image: Image; why: string } | NotFound;

interface NotFound {
  ok: false;
  why: string;
  mend: string;
}

/** Of the runtime's environment: where an engine finds its settings, its storage and its service. No secret is among them. */
const OF_ENVIRONMENT = [
  'HOME',
  'XDG_RUNTIME_DIR',
  'XDG_CONFIG_HOME',
  'XDG_DATA_HOME',
  'DBUS_SESSION_BUS_ADDRESS',
  'CONTAINERS_CONF',
  'CONTAINERS_STORAGE_CONF',
  'DOCKER_HOST',
  'DOCKER_CONFIG',
];
/** An image that is used for the first time may be copied for its mapping of users. */
const TRY_MS = 120_000;
const INSTALL = 'Install podman: `apt-get install podman` on Debian and Ubuntu, `dnf install podman` on Fedora.';

/**
 * Users of containers where the runtime is root: far above those of people, services and their own containers, so that a
 * command is nobody outside.
 */
const USERS = { first: 2_100_000_000, count: 65_536 };
const INSIDE: Owner = { uid: 1000, gid: 1000 };
const OUTSIDE: Owner = { uid: USERS.first + INSIDE.uid, gid: USERS.first + INSIDE.gid };

/** What a program inside must find. Only what a shell has built in: an image may have little else. */
const CHECK = `
while read -r name value rest; do
  [ "$name" != Uid: ] || echo "$value"
done </proc/self/status
while read -r name value rest; do
  case $name in CapEff:|CapBnd:|NoNewPrivs:) echo "$name $value" ;; esac
done </proc/self/status
while IFS=' :' read -r name rest; do
  case $rest in *[!0-9\\ ]*) ;; *) echo "$name" ;; esac
done </proc/net/dev
{ true >/ruche-probe; } 2>/dev/null && echo wrote-usr
{ true >/proc/sys/kernel/core_pattern; } 2>/dev/null && echo wrote-sys
{ true >/workspace/probe; } 2>/dev/null || echo cannot-write-checkout
echo done
`;

/** Where an engine is, and the ways it may have to be called: the first that works is used. */
interface Candidate {
  kind: Engine['kind'];
  ways: readonly (readonly string[])[];
}

/** podman first; each as it is set up, then podman as it works where the kernel's cgroups are of both versions or systemd is not there. */
async function candidates({ path, env = {} }: ProbeOptions): Promise<Candidate[]> {
  const [podman, docker, runc] = await Promise.all(['podman', 'docker', 'runc'].map((name) => which(name, path)));
  const given = OF_ENVIRONMENT.flatMap((name) => {
    const value = env[name];
    return value === undefined || value === '' || value.includes('\n') ? [] : [`${name}=${value}`];
  });
  const start = ['/usr/bin/env', '-i', `PATH=${OWN_PATH}:/usr/local/sbin:/usr/sbin:/sbin`, ...given];
  const found: Candidate[] = [];
  if (podman)
    found.push({
      kind: 'podman',
      ways: [
        [...start, podman],
        [...start, podman, '--cgroup-manager', 'cgroupfs'],
        ...(runc ? [[...start, podman, '--runtime', runc, '--cgroup-manager', 'cgroupfs']] : []),
      ],
    });
  if (docker) found.push({ kind: 'docker', ways: [[...start, docker]] });
  return found;
}

const ask = (words: readonly string[], ...more: string[]): Promise<Ran> => {
  const [program = '', ...args] = [...words, ...more];
  return run(program, args, TRY_MS);
};

const lastLine = (text: string): string => text.trim().split('\n').at(-1)?.slice(0, 400) ?? '';

type Start = Omit<Engine, 'limits' | 'profile'>;

/** How an engine maps users, so that files come out as the runtime's own and nobody is root outside. */
async function asUser(kind: Engine['kind'], words: readonly string[], machine: Owner): Promise<Start> {
  const root = machine.uid === 0;
  if (kind === 'podman') {
    if (!root) {
      const map = (uid: string): string[] => ['--uidmap', uid, '--gidmap', uid];
      // In the namespace that podman makes, user 0 is the user who runs it.
      const mapping = ['1000:0:1', '0:1:1000', '1001:1001:64000'].flatMap(map);
      return { kind, words, user: INSIDE, owner: null, mapping };
    }
    const map = `0:${USERS.first}:${USERS.count}`;
    return { kind, words, user: INSIDE, owner: OUTSIDE, mapping: ['--uidmap', map, '--gidmap', map] };
  }
  const { text } = await ask(words, 'info', '--format', '{{json .SecurityOptions}}');
  // Its user 0 is the runtime's.
  if (text.includes('name=rootless')) return { kind, words, user: { uid: 0, gid: 0 }, owner: null, mapping: [] };
  const host = text.includes('name=userns') ? ['--userns', 'host'] : [];
  const user = root ? OUTSIDE : machine;
  return { kind, words: [...words], user, owner: root ? OUTSIDE : null, mapping: host };
}

/** The image as the engine has it: by its name and digest, else by what was made here and never had a name elsewhere. */
async function findImage(engine: Start, name: string): Promise<Image | null | { failed: string }> {
  for (const each of [name, name.slice(name.indexOf('@') + 1)]) {
    const { code, text } = await ask(
      engine.words,
      'image',
      'inspect',
      '--format',
      '{{.Id}} {{json .Config.Env}}',
      each,
    );
    const match = /^(?:sha256:)?([0-9a-f]{64}) (.*)$/m.exec(text);
    if (code !== 0 && !/no such|not known|not found/i.test(text)) return { failed: text };
    if (code !== 0 || match === null) continue;
    const env = JSON.parse(match[2] ?? 'null') as string[] | null;
    return { id: `sha256:${match[1]}`, env: env ?? [], root: null };
  }
  return null;
}

/**
 * podman would copy a whole image for users that are not its own, or map them in ways that not every kernel can. Root can
 * mount it and use it as it is: what is in it belongs to nobody then, and can be read.
 */
async function mounted(engine: Start, image: Image): Promise<Image> {
  if (engine.kind !== 'podman' || engine.owner === null) return image;
  const { code, text } = await ask(engine.words, 'image', 'mount', image.id);
  const root = lastLine(text);
  return code === 0 && root.startsWith('/') ? { ...image, root } : image;
}

/** The engine's own words, against what is known to help. */
export function explain(kind: string, text: string): { why: string; mend: string } {
  const complaint = text.split('\n').filter((line) => /error|denied|invalid|unknown|flag|cannot/i.test(line));
  const said = lastLine(complaint.at(-1) ?? text) || 'it printed nothing';
  const why = `${kind} does not start a container: ${said}`;
  const rows: [RegExp, string][] = [
    [
      /newuidmap|subuid|insufficient UIDs|no subuid ranges/i,
      'Install `uidmap`, and give your user a range: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER`, then `podman system migrate`.',
    ],
    [/hybrid|cgroup/i, 'Install `runc`: it works where crun refuses the cgroups of this machine.'],
    [
      /docker daemon|docker\.sock|connect to the/i,
      'Start the service, and let your user use it: `usermod -aG docker USER`. podman needs none.',
    ],
    [
      /rlimit|operation not permitted/i,
      'This machine does not let limits be raised. Lower `default_ulimits` in /etc/containers/containers.conf.',
    ],
    [
      /no such file.*conmon|conmon.*not|executable file.*not found/i,
      'Install what it names: `apt-get install conmon runc`.',
    ],
  ];
  return {
    why,
    mend:
      rows.find(([pattern]) => pattern.test(said))?.[1] ??
      'Run `podman run --rm IMAGE true` by hand and see what it says.',
  };
}

/** What engines have of their own; docker has it built in. */
const PROFILES = ['/etc/containers/seccomp.json', '/usr/share/containers/seccomp.json'];

/** The system call filter; null where an engine's own has to do. */
async function readProfile(arch: string): Promise<string | null> {
  for (const path of PROFILES) {
    const text = await readFile(path, 'utf8').catch(() => null);
    if (text !== null) return engineProfile(text, arch);
  }
  return null;
}

/** Writes the files that containers of this engine share into a folder. */
export async function writeShared(folder: string, engine: Pick<Engine, 'user' | 'profile'>): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (engine.profile !== null) await writeFile(join(folder, PROFILE), engine.profile, { mode: 0o644 });
  for (const [path, text] of Object.entries(SHARED_FILES(engine.user)))
    await writeFile(join(folder, sharedName(path)), text, { mode: 0o644 });
}

/** Most open files and processes that this process may give. */
export async function mostOf(file = '/proc/self/limits'): Promise<{ files: number; processes: number }> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const hard = (name: string): number => {
    const found = new RegExp(`^${name} +\\S+ +(\\d+)`, 'm').exec(text)?.[1];
    return found === undefined ? Infinity : Number(found);
  };
  return { files: hard('Max open files'), processes: hard('Max processes') };
}

/** Runs CHECK as a command would be run. */
async function attempt(engine: Engine, image: Image, scratch: string): Promise<Ran> {
  const checkout = { dir: join(scratch, 'checkout'), git: join(scratch, 'git'), objects: join(scratch, 'objects') };
  for (const folder of [join(checkout.dir, '.git'), join(checkout.git, 'objects', 'info'), checkout.objects])
    await mkdir(folder, { recursive: true });
  const shared = join(scratch, 'shared');
  await writeShared(shared, engine);
  for (const [name, text] of [
    ['command', CHECK],
    ['status', ''],
    ['pipe', ''],
  ] as const)
    await writeFile(join(scratch, name), text, { mode: 0o644 });
  await writeFile(join(checkout.git, 'objects', 'info', 'alternates'), '');
  await rm(join(scratch, 'cid'), { force: true });
  if (engine.owner !== null) {
    const { uid, gid } = engine.owner;
    await run('chown', ['-hR', `${uid}:${gid}`, checkout.dir, checkout.git, join(scratch, 'pipe')]);
  }
  const limits = { memory: 256 << 20, processes: 64, timeMs: 30_000 };
  const name = `ruche-try-${scratch.slice(-6)}`;
  const most = await mostOf();
  const env = Object.entries(containerEnv(image, ENVIRONMENT)).map(([variable, value]) => `${variable}=${value}\n`);
  await writeFile(join(scratch, 'env'), env.join(''), { mode: 0o600 });
  const own = { dir: scratch, shared, checkout, ca: null, network: false };
  const plan = { engine, image, name, limits, most, ...own };
  const ran = await ask(containerArgs(plan));
  return { code: ran.code, text: `${ran.text}\n${await readFile(join(scratch, 'pipe'), 'utf8')}` };
}

/** Tries one way of calling an engine. Null: the image is not there. */
async function tryWay(
  { kind, words }: { kind: Engine['kind']; words: readonly string[] },
  name: string,
  scratch: string,
  machine: Owner,
  arch: string,
): Promise<Found | null> {
  const engine = await asUser(kind, words, machine);
  const found = await findImage(engine, name);
  if (found === null) return null;
  if ('failed' in found) return { ok: false, ...explain(kind, found.failed) };
  const image = await mounted(engine, found);
  const profile = await readProfile(arch);
  let limits = true;
  let ran = await attempt({ ...engine, profile, limits }, image, scratch);
  // Without a cgroup of its own an engine says so, or does not start.
  if (/limits are not supported|cgroup/i.test(ran.text)) {
    const without = await attempt({ ...engine, profile, limits: false }, image, scratch);
    if (without.code === 0) [ran, limits] = [without, false];
  }
  if (ran.code !== 0) return { ok: false, ...explain(kind, ran.text) };
  const printed = ran.text.slice(ran.text.indexOf('ruche-began') + 'ruche-began'.length).trimStart();
  const wrong = judge(printed, String(engine.user.uid));
  if (wrong !== null)
    return {
      ok: false,
      why: `A container of ${kind} does not hold: ${wrong}.`,
      mend: `Update ${kind} and its runtime.`,
    };
  const who = engine.owner !== null ? 'as root, with users of its own' : machine.uid === 0 ? 'as root' : 'without root';
  const bounded = limits ? '' : ' No cgroup can be made, so memory and processes are limited per process only.';
  return { ok: true, engine: { ...engine, profile, limits }, image, why: `${kind} works, ${who}.${bounded}` };
}

/** What would run an image, by its own word. */
export async function findEngines(options: ProbeOptions): Promise<{ ok: true; why: string } | NotFound> {
  for (const { ways } of await candidates(options)) {
    const { code, text } = await ask(ways[0] ?? [], '--version');
    if (code === 0) return { ok: true, why: `${lastLine(text)} is here; no agent names an image.` };
  }
  return { ok: false, why: 'Neither podman nor docker is installed.', mend: INSTALL };
}

/** Tries an image for real, with podman, else with docker: what `doctor` shows, and what decides how its commands run. */
export async function findEngine(options: ProbeOptions, name: string): Promise<Found> {
  const { platform, machine, dir } = options;
  if (platform !== 'linux')
    return { ok: false, why: 'Containers for commands need Linux.', mend: 'Run Ruche on Linux.' };
  for (const program of PROGRAMS)
    if ((await which(program, OWN_PATH)) === null)
      return { ok: false, why: `The program ${program} is missing.`, mend: 'Install util-linux and coreutils.' };
  const engines = await candidates(options);
  const group = process.getgid?.() ?? machine.uid;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  let first: Found | null = null;
  for (const { kind, ways } of engines)
    for (const words of ways) {
      const scratch = await mkdtemp(join(dir, '.probe-'));
      try {
        const found = await tryWay({ kind, words }, name, scratch, { uid: machine.uid, gid: group }, machine.arch);
        if (found?.ok === true) return found;
        const mend = `Fetch it: \`${kind} pull ${name}\`.`;
        first ??= found ?? { ok: false, why: `The image ${name} is not on this machine.`, mend };
        // Another way of calling it finds no other images.
        if (found === null) break;
      } finally {
        await rm(scratch, { recursive: true, force: true });
      }
    }
  return first ?? { ok: false, why: 'Neither podman nor docker is installed.', mend: INSTALL };
}
