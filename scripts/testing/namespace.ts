// The tests run where only loopback exists, so that none of them can reach out, by mistake or by a bug it tests. Their
// temporary files are in memory.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Set for the tests when nothing but loopback can be reached. */
export const LOOPBACK_ONLY = 'RUCHE_TEST_LOOPBACK_ONLY';

const RAISE_LO = 'ip link set lo up && exec "$@"';

/** The words that go in front of a command so that it runs in a network of its own, or why that cannot be had. */
export function ownNetwork(): { ok: true; prefix: string[] } | { ok: false; why: string } {
  if (process.platform !== 'linux') return { ok: false, why: `${process.platform} has no network namespaces` };
  const ways = process.getuid?.() === 0 ? [['-n'], ['-Urn']] : [['-Urn']];
  const failures: string[] = [];
  for (const flags of ways) {
    const prefix = ['unshare', ...flags, '--', 'sh', '-c', RAISE_LO, 'sh'];
    const probe = spawnSync(prefix[0] ?? '', [...prefix.slice(1), 'true'], { encoding: 'utf8' });
    if (probe.status === 0) return { ok: true, prefix };
    failures.push(`unshare ${flags.join(' ')}: ${(probe.error?.message ?? probe.stderr).trim()}`);
  }
  return { ok: false, why: `${failures.join('; ')} (needs util-linux, iproute2 and user namespaces)` };
}

/** Bytes of memory that have to be free before temporary files go there. */
const ROOM = 3 * 1024 ** 3;
const IN_MEMORY = 'mount -t tmpfs ruche-tests "$0" && export TMPDIR="$0" && exec "$@"';

/**
 * The words to put between `network` and a command so that its temporary files are in memory, and go when it ends. Files
 * of tests live for a second: on a disk, making, syncing and removing them is a fifth of the processor's work. None where
 * that cannot be had.
 */
export function ownMemory(network: readonly string[]): string[] {
  if (process.availableMemory() < ROOM) return [];
  const folder = join(tmpdir(), 'ruche-tests');
  mkdirSync(folder, { recursive: true });
  const prefix = ['unshare', '-m', '--', 'sh', '-c', IN_MEMORY, folder];
  const probe = spawnSync('env', [...network, ...prefix, 'true']);
  return probe.status === 0 ? prefix : [];
}
