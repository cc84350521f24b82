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

/** The same as above, by name. */
const REFUSED_NAMES = [
  'add_key',
  'request_key',
  'keyctl',
  'perf_event_open',
  'bpf',
  'userfaultfd',
  'setns',
  'io_uring_setup',
  'io_uring_enter',
  'io_uring_register',
];
const LOOKED_AT = ['clone', 'clone3', 'unshare', 'socket', 'socketcall'];
const ARCH_NAMES: Readonly<Record<string, string>> = { x64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' };

interface Profile {
  syscalls: { names: string[] }[];
}

/**
 * The profile of a container engine, in which this filter is worked: an engine leaves some of it open, such as vsock. Null for
 * a machine that we do not know. Tables of other machines are left out, as here.
 */
export function engineProfile(text: string, arch: string): string | null {
  const architecture = ARCH_NAMES[arch];
  if (architecture === undefined) return null;
  const { syscalls, ...profile } = JSON.parse(text) as Profile;
  const own = new Set([...REFUSED_NAMES, ...LOOKED_AT]);
  const kept = syscalls.map((entry) => ({ ...entry, names: entry.names.filter((name) => !own.has(name)) }));
  const rule = (names: string[], more: object): object => ({ names, includes: {}, excludes: {}, args: [], ...more });
  const refuse = (names: string[], errnoRet: number): object => rule(names, { action: 'SCMP_ACT_ERRNO', errnoRet });
  const allow = (name: string, arg: object): object =>
    rule([name], { action: 'SCMP_ACT_ALLOW', args: [{ index: 0, valueTwo: 0, ...arg }] });
  return JSON.stringify({
    ...profile,
    archMap: [{ architecture, subArchitectures: [] }],
    syscalls: [
      ...kept.filter(({ names }) => names.length > 0),
      refuse(REFUSED_NAMES, 1),
      refuse(['clone3'], 38),
      ...['clone', 'unshare'].map((name) => allow(name, { value: CLONE_NEWUSER, op: 'SCMP_CMP_MASKED_EQ' })),
      ...FAMILIES.map((family) => allow('socket', { value: family, op: 'SCMP_CMP_EQ' })),
    ],
  });
}
