// The tests run where only loopback exists, so that none of them can reach out, by mistake or by a bug it tests.
import { spawnSync } from 'node:child_process';

/** Set for the tests when nothing but loopback can be reached. */
export const LOOPBACK_ONLY = 'RUCHE_TEST_LOOPBACK_ONLY';

const RAISE_LO = 'ip link set lo up && exec "$@"';

/** The words to put before a command so that it runs in a network of its own, or why that cannot be had. */
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
