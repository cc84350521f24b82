import { execFile } from 'node:child_process';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import type { EgressHandle } from '../core/ports/egress.ts';

/**
 * What a command with a network has of it: no route and no names, only a loopback port that joins each connection with the
 * socket of its proxy (core/ports/egress.ts). Nothing else of the machine can be reached by it, so it needs no token itself.
 */

/** In a sandbox the loopback is its own, so the port is always the same. */
export const PORT = 3128;
/** Paths that every sandbox shows. */
const PERLS = ['/usr/bin/perl', '/bin/perl'];
/** Where a sandbox shows the folder of the proxy. */
export const EGRESS_FOLDER = '/run/egress';

const PROXIES = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy'];
/** Variables in which clients look for a file of certificates. */
const CERTIFICATES = [
  'SSL_CERT_FILE',
  'NODE_EXTRA_CA_CERTS',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'PIP_CERT',
  'CARGO_HTTP_CAINFO',
  'AWS_CA_BUNDLE',
  'npm_config_cafile',
  'DENO_CERT',
];

/**
 * The variables that clients honour. `dir` is where the command sees the folder of the proxy; `own`: names of servers that it
 * asks without the proxy, because the loopback is its own.
 */
export function networkEnvironment(
  { token, ca, variables }: EgressHandle,
  dir: string,
  own: readonly string[] = [],
): Record<string, string> {
  const url = `http://ruche:${token}@127.0.0.1:${PORT}`;
  const file = ca === null ? null : join(dir, basename(ca));
  return {
    ...Object.fromEntries(PROXIES.map((name) => [name, url])),
    NO_PROXY: own.join(','),
    no_proxy: own.join(','),
    NODE_USE_ENV_PROXY: '1',
    ...variables,
    ...(file === null ? {} : Object.fromEntries(CERTIFICATES.map((name) => [name, file]))),
  };
}

/**
 * Runs in the folder of the proxy, since a socket's address has room for few bytes. Argument: the port (0: any). Listens,
 * prints the port, closes its output and joins from then on. Needs only what perl-base has.
 */
const PERL = `
use strict; use Socket; use Errno qw(EAGAIN EINTR);
my ($port) = @ARGV;
$SIG{PIPE} = 'IGNORE';
socket(my $door, PF_INET, SOCK_STREAM, 0) or exit 1;
setsockopt($door, SOL_SOCKET, SO_REUSEADDR, pack('i', 1));
bind($door, sockaddr_in($port, INADDR_LOOPBACK)) && listen($door, 128) or exit 1;
my ($bound) = sockaddr_in(getsockname($door));
syswrite(STDOUT, "$bound\\n");
open(STDOUT, '>', '/dev/null');
my (%ends, %other, %waiting, %ended);
sub drop {
  my ($one, $reset) = @_;
  my @both = ($one, $other{$one});
  for my $end (@both) {
    setsockopt($ends{$end}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) if $reset;
    close $ends{$end};
    delete $ends{$end}; delete $other{$end}; delete $waiting{$end}; delete $ended{$end};
  }
}
sub pass {
  my $to = $_[0];
  if (length $waiting{$to}) {
    my $sent = send($ends{$to}, $waiting{$to}, MSG_DONTWAIT);
    if (defined $sent) { substr($waiting{$to}, 0, $sent) = '' }
    elsif ($! != EAGAIN && $! != EINTR) { return drop($to, 1) }
  }
  shutdown($ends{$to}, 1) if $ended{$other{$to}} && !length $waiting{$to};
  drop($to, 0) if $ended{$to} && $ended{$other{$to}} && !length($waiting{$to} . $waiting{$other{$to}});
}
while (1) {
  my ($reading, $writing) = ('', '');
  vec($reading, fileno($door), 1) = 1 if keys %ends < 400;
  for my $fd (keys %ends) {
    vec($reading, $fd, 1) = 1 if !$ended{$fd} && length $waiting{$other{$fd}} < 65536;
    vec($writing, $fd, 1) = 1 if length $waiting{$fd};
  }
  next if select($reading, $writing, undef, undef) < 0;
  for my $fd (keys %ends) {
    pass($fd) if $ends{$fd} && vec($writing, $fd, 1);
    next unless $ends{$fd} && vec($reading, $fd, 1);
    my $read = sysread($ends{$fd}, my $bytes, 65536);
    if ($read) { $waiting{$other{$fd}} .= $bytes; pass($other{$fd}) }
    elsif (defined $read) { $ended{$fd} = 1; pass($other{$fd}) }
    elsif ($! != EAGAIN && $! != EINTR) { drop($fd, 1) }
  }
  if (vec($reading, fileno($door), 1) && accept(my $client, $door)) {
    my $joined = socket(my $proxy, PF_UNIX, SOCK_STREAM, 0);
    if (!$joined || !connect($proxy, sockaddr_un('proxy.sock'))) { setsockopt($client, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)); close $client; next }
    my ($a, $b) = (fileno($client), fileno($proxy));
    ($ends{$a}, $ends{$b}, $other{$a}, $other{$b}, $waiting{$a}, $waiting{$b}) = ($client, $proxy, $b, $a, '', '');
  }
}
`;

/** The same for machines without Perl. */
const NODE = `
const [port] = process.argv.slice(1);
const net = require('net');
const door = net.createServer({ allowHalfOpen: true }, (client) => {
  const proxy = net.connect({ path: 'proxy.sock', allowHalfOpen: true });
  const drop = () => { client.resetAndDestroy(); proxy.destroy(); };
  for (const [from, to] of [[client, proxy], [proxy, client]]) from.on('error', drop).pipe(to);
});
door.on('error', () => process.exit(1));
door.maxConnections = 200;
door.listen(Number(port), '127.0.0.1', () => {
  const fs = require('fs');
  fs.writeSync(1, door.address().port + '\\n');
  fs.closeSync(1);
  fs.openSync('/dev/null', 'w');
});
`;

/** The program that joins. */
export interface Forwarder {
  kind: 'perl' | 'node';
  /** Its path. */
  program: string;
}

/** Perl is small and quick, and Git brings it; the runtime's own Node is there in any case. */
export async function findForwarder(): Promise<Forwarder> {
  for (const program of PERLS) {
    const usable = await promisify(execFile)(program, ['-MSocket', '-MErrno', '-e', '1'], { env: {} }).then(
      () => true,
      () => false,
    );
    if (usable) return { kind: 'perl', program };
  }
  return { kind: 'node', program: process.execPath };
}

/** Looked for when the first command needs it. */
export function forwarderOnce(): () => Promise<Forwarder> {
  let looked: Promise<Forwarder> | null = null;
  return () => (looked ??= findForwarder());
}

/** The folder in which it runs, as the command sees it, and the words of its command line. */
export const forwarderWords = ({ kind, program }: Forwarder, dir: string, port: number): string[] => [
  dir,
  program,
  ...(kind === 'perl' ? ['-e', PERL] : ['--no-warnings', '-e', NODE]),
  String(port),
];

/**
 * Shell text: starts the forwarder, whose folder and words are the arguments, and goes on once it listens. It must not hold the
 * command's output open, since that is read to its end. Where the port is another one, the variables follow.
 */
export const START_FORWARDER = `
port=$(cd "$1" && shift && exec "$@" </dev/null 2>/dev/null &)
for name in ${PROXIES.join(' ')}; do
  export "$name=\${HTTP_PROXY%:*}:\${port:-${PORT}}"
done
`;
