import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Every spelling in which a secret could leave. Worked out here anew, so that the product's own list is not its own judge. */
export function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret);
  // Inside a longer text that is encoded as a whole, where it begins decides between three forms; the ends are shared.
  const shifted = [0, 1, 2].map((shift) => {
    const whole = Buffer.concat([Buffer.alloc(shift), bytes, Buffer.alloc(3)]).toString('base64');
    return whole.slice(Math.ceil((shift * 4) / 3), Math.floor(((shift + bytes.length) * 4) / 3));
  });
  const hex = bytes.toString('hex');
  const percent = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  return [
    secret,
    ...shifted,
    ...shifted.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    hex,
    hex.toUpperCase(),
    encodeURIComponent(secret),
    percent,
    percent.toUpperCase(),
    new URLSearchParams({ v: secret }).toString().slice(2),
    JSON.stringify(secret).slice(1, -1),
    JSON.stringify(secret).slice(1, -1).replaceAll('/', '\\/'),
    Array.from(secret).reverse().join(''),
  ];
}

/** Cut in two, as by the end of a line or of a piece: either half says too much. */
const halves = (secret: string): string[] => {
  const middle = Math.floor(secret.length / 2);
  return middle < 12 ? [] : [secret.slice(0, middle), secret.slice(middle)];
};

/** Where any of the secrets stands, in any spelling: `place: spelling`. */
export function sightings(places: ReadonlyMap<string, string | Uint8Array>, secrets: readonly string[]): string[] {
  const forms = secrets.flatMap((secret) =>
    [...spellings(secret), ...halves(secret)].map((form) => ({ secret, form, bytes: Buffer.from(form) })),
  );
  return [...places].flatMap(([place, content]) => {
    const bytes = Buffer.from(content as Uint8Array);
    return forms.filter((form) => bytes.includes(form.bytes)).map(({ form }) => `${place}: ${form}`);
  });
}

/**
 * What `/proc` says of every process that the test has begun, or that names its folder, and of theirs, as often as it can be looked at.
 * `given`: what the test itself has put into an environment. Other tests run beside this one, and have secrets of their own.
 */
export function watchProcesses(given: readonly string[], folder: string): { stop(): string[] } {
  const seen = new Set<string>();
  const read = (pid: string, name: string): string => {
    try {
      return readFileSync(`/proc/${pid}/${name}`, 'utf8').replaceAll('\0', '\n');
    } catch {
      return ''; // ended meanwhile, or another user's
    }
  };
  const look = (): void => {
    const lines = new Map<string, string>();
    const parents = new Map<string, string>();
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const stat = read(pid, 'stat');
      lines.set(pid, read(pid, 'cmdline'));
      parents.set(pid, stat.slice(stat.lastIndexOf(')')).split(' ')[2] ?? '');
    }
    const isOurs = (pid: string): boolean => {
      for (let at: string | undefined = pid; at !== undefined; at = parents.get(at))
        if (at === String(process.pid) || lines.get(at)?.includes(folder)) return true;
      return false;
    };
    for (const [pid, line] of lines) {
      if (pid === String(process.pid) || !isOurs(pid)) continue;
      let environment = read(pid, 'environ');
      // What the test has started is Ruche itself; what that starts is given nothing.
      if (line.includes('ruche.js')) for (const each of given) environment = environment.replace(each, '');
      seen.add(`${line}\n${environment}`);
    }
  };
  const timer = setInterval(look, 60);
  return {
    stop() {
      clearInterval(timer);
      look();
      return [...seen];
    },
  };
}

function readIfThere(path: string): Uint8Array | null {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Every file below a folder with its bytes. A process that works there may take files away meanwhile. */
export function filesBelow(folder: string): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const bytes = entry.isFile() ? readIfThere(path) : null;
    if (bytes !== null) files.set(path, bytes);
  }
  return files;
}

/** Every object of a Git repository, unpacked. */
export function gitObjects(dir: string): Uint8Array {
  const args = ['-C', dir, 'cat-file', '--batch', '--batch-all-objects', '--unordered'];
  return execFileSync('git', args, { maxBuffer: 256 * 1024 * 1024 });
}
