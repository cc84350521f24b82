import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { ownNetwork } from '../../scripts/testing/namespace.ts';
import type { Quiet } from './quiet-session.ts';

/** A way out that ends nowhere: whatever is sent towards it is counted, be it a packet or only the question where to. */
const WAY_OUT = [
  'ip link add out0 type veth peer name out1',
  'echo 1 > /proc/sys/net/ipv6/conf/out0/disable_ipv6',
  'echo 1 > /proc/sys/net/ipv6/conf/out1/disable_ipv6',
  'ip addr add 192.0.2.2/24 dev out0',
  'ip link set out1 up',
  'ip link set out0 up',
  'ip route add default via 192.0.2.1',
].join(' && ');

test('a whole session sends no packet that was not configured, asks for no name and listens in one place', async (t) => {
  const network = ownNetwork();
  if (!network.ok) return t.skip(network.why);
  const [command = '', ...prefix] = network.prefix;
  const script = join(import.meta.dirname, 'quiet-session.ts');
  const args = [...prefix, 'sh', '-c', `${WAY_OUT} && exec "$@"`, 'sh', process.execPath, script];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if (/Unknown device type|Operation not permitted|Read-only file system/.test(err))
    return t.skip(`no way out can be made here: ${err}`);
  assert.ok(out.startsWith('{'), err);
  const { packets, listening, events } = JSON.parse(out) as Quiet;
  assert.equal(packets.session, 0, 'packets that left during the session');
  assert.ok(packets.control > 0, 'one that was meant to leave is seen');
  assert.equal(listening.length, 2, listening.join(' '));
  for (const place of listening) assert.match(place, /^127\.0\.0\.1:\d+$/);
  assert.ok(events > 80, `${events} events`);
});
