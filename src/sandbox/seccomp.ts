/**
 * A small system call filter for what namespaces do not hold: the kernel's keyrings (a command would inherit the runtime's),
 * sockets of families that no network namespace confines (vsock reaches the host of a virtual machine), io_uring (it opens
 * sockets past such a filter) and further user namespaces (inside, they give capabilities over much more of the kernel).
 */

interface Arch {
  audit: number;
  /** Highest number of the native table; x86-64 has a second table above it. */
  limit: number;
  refused: readonly number[];
  /** Their first argument is a set of clone flags. */
  cloning: readonly number[];
  clone3: number;
  socket: number;
}

// add_key, request_key, keyctl, perf_event_open, bpf, userfaultfd, setns, then io_uring_setup, _enter and _register.
const ARCHES: Readonly<Record<string, Arch>> = {
  x64: {
    audit: 0xc000003e,
    limit: 0x3fffffff,
    refused: [248, 249, 250, 298, 321, 323, 308, 425, 426, 427],
    cloning: [56, 272],
    clone3: 435,
    socket: 41,
  },
  arm64: {
    audit: 0xc00000b7,
    limit: 0x7fffffff,
    refused: [217, 218, 219, 241, 280, 282, 268, 425, 426, 427],
    cloning: [220, 97],
    clone3: 435,
    socket: 198,
  },
};

/** unix, inet, inet6, netlink. */
const FAMILIES = [1, 2, 10, 16];
const CLONE_NEWUSER = 0x10000000;

const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER = 0x25;
const JUMP_ANY_BIT = 0x45;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const errno = (code: number): number => 0x00050000 | code;
const EPERM = errno(1);
const ENOSYS = errno(38);
const EAFNOSUPPORT = errno(97);

/** Offsets in the kernel's `seccomp_data`; the low half of the first argument stands first on both machines. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const ARGUMENT = 16;

type Step = readonly [code: number, ifTrue: number, ifFalse: number, k: number];

function program(arch: Arch): Step[] {
  const steps: Step[] = [
    [LOAD, 0, 0, ARCHITECTURE],
    [JUMP_EQUAL, 1, 0, arch.audit],
    [RETURN, 0, 0, ENOSYS],
    [LOAD, 0, 0, NUMBER],
    [JUMP_GREATER, 0, 1, arch.limit],
    [RETURN, 0, 0, ENOSYS],
    // The C library falls back to clone, whose flags can be looked at.
    [JUMP_EQUAL, 0, 1, arch.clone3],
    [RETURN, 0, 0, ENOSYS],
  ];
  for (const number of arch.refused) steps.push([JUMP_EQUAL, 0, 1, number], [RETURN, 0, 0, EPERM]);
  for (const number of arch.cloning)
    steps.push(
      [JUMP_EQUAL, 0, 4, number],
      [LOAD, 0, 0, ARGUMENT],
      [JUMP_ANY_BIT, 0, 1, CLONE_NEWUSER],
      [RETURN, 0, 0, EPERM],
      [RETURN, 0, 0, ALLOW],
    );
  steps.push([JUMP_EQUAL, 1, 0, arch.socket], [RETURN, 0, 0, ALLOW], [LOAD, 0, 0, ARGUMENT]);
  for (const family of FAMILIES) steps.push([JUMP_EQUAL, 0, 1, family], [RETURN, 0, 0, ALLOW]);
  steps.push([RETURN, 0, 0, EAFNOSUPPORT]);
  return steps;
}

/** The filter as bwrap's --seccomp reads it; null for a machine whose system call numbers we do not know. */
export function seccompFilter(arch: string): Uint8Array | null {
  const known = ARCHES[arch];
  if (known === undefined) return null;
  const steps = program(known);
  const bytes = new DataView(new ArrayBuffer(steps.length * 8));
  steps.forEach(([code, ifTrue, ifFalse, k], index) => {
    bytes.setUint16(index * 8, code, true);
    bytes.setUint8(index * 8 + 2, ifTrue);
    bytes.setUint8(index * 8 + 3, ifFalse);
    bytes.setUint32(index * 8 + 4, k, true);
  });
  return new Uint8Array(bytes.buffer);
}
