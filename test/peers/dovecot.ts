import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { until } from '../fakes/until.ts';

const PROGRAM = '/usr/sbin/dovecot';
const LMTP = '/usr/lib/dovecot/lmtp';
const NOBODY = { uid: 65_534, gid: 65_534, name: 'nobody', group: 'nogroup' };

export const hasDovecot = existsSync(PROGRAM) && existsSync(LMTP);

export const BOT = { address: 'bot@lab.test', password: 'bot-pass-7431' };

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

const configOf = (dir: string, user: { name: string; group: string }, imaps: number, lmtp: number): string => `
base_dir = ${dir}/run
state_dir = ${dir}/state
instance_name = ruche-test
log_path = ${dir}/dovecot.log
listen = 127.0.0.1
protocols = imap lmtp
ssl = yes
ssl_cert = <${dir}/cert.pem
ssl_key = <${dir}/key.pem
disable_plaintext_auth = no
default_internal_user = ${user.name}
default_internal_group = ${user.group}
default_login_user = ${user.name}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:${dir}/mail/%u
mail_max_userip_connections = 50
auth_mechanisms = plain login
auth_failure_delay = 0
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u ${dir}/users
}
userdb {
  driver = static
  args = uid=${user.name} gid=${user.group} home=${dir}/mail/%u
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox Archive {
    auto = subscribe
    special_use = \\Archive
  }
  mailbox Sent {
    auto = subscribe
    special_use = \\Sent
  }
}
service imap-login {
  chroot =
  user = ${user.name}
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = ${imaps}
    ssl = yes
  }
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
service lmtp {
  user = ${user.name}
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${lmtp}
  }
}
service auth {
  user = ${user.name}
}
service auth-worker {
  user = ${user.name}
}
`;

/** A real IMAP server on loopback, in a folder of its own; mail comes to it by LMTP. */
export class Dovecot {
  readonly dir: string;
  readonly imaps: number;
  readonly lmtp: number;
  readonly #user: typeof NOBODY;
  #child: ReturnType<typeof spawn> | null = null;

  private constructor(dir: string, imaps: number, lmtp: number) {
    this.dir = dir;
    this.imaps = imaps;
    this.lmtp = lmtp;
    const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const name = (what: string): string => execFileSync('id', [what]).toString().trim();
    this.#user = own.uid === 0 ? NOBODY : { ...own, name: name('-un'), group: name('-gn') };
  }

  static async start(): Promise<Dovecot> {
    const server = new Dovecot(mkdtempSync(join(tmpdir(), 'ruche-dovecot-')), await freePort(), await freePort());
    server.#prepare();
    await server.up();
    return server;
  }

  #prepare(): void {
    const { dir } = this;
    for (const name of ['run', 'mail', 'state']) mkdirSync(join(dir, name));
    writeFileSync(join(dir, 'users'), `${BOT.address}:{PLAIN}${BOT.password}::::::\n`);
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const files = ['-keyout', join(dir, 'key.pem'), '-out', join(dir, 'cert.pem')];
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-days',
        '2',
        ...files,
        ...subject,
      ],
      { stdio: 'ignore' },
    );
    writeFileSync(join(dir, 'dovecot.conf'), configOf(dir, this.#user, this.imaps, this.lmtp));
    chmodSync(dir, 0o755);
    for (const name of ['', 'run', 'mail', 'state', 'users', 'key.pem', 'cert.pem', 'dovecot.conf'])
      chownSync(join(dir, name), this.#user.uid, this.#user.gid);
  }

  get ca(): string {
    return readFileSync(join(this.dir, 'cert.pem'), 'utf8');
  }

  async up(): Promise<void> {
    const { uid, gid } = this.#user;
    this.#child = spawn(PROGRAM, ['-F', '-c', join(this.dir, 'dovecot.conf')], { uid, gid, stdio: 'ignore' });
    await until(() => reaches(this.imaps), 'Dovecot answers', 15_000);
  }

  /** Every connection breaks. */
  async down(): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGTERM');
    await gone;
  }

  /** Hands a mail in, as the server of somebody else does. */
  async deliver(mail: string, to = BOT.address): Promise<void> {
    const socket = connect(this.lmtp, '127.0.0.1');
    const lines = talker(socket);
    await lines.answer(/^220/m);
    for (const [say, expected] of [
      ['LHLO test', /^250 /m],
      ['MAIL FROM:<sender@example.org>', /^250 /m],
      [`RCPT TO:<${to}>`, /^250 /m],
      ['DATA', /^354/m],
      [`${mail.replace(/\r?\n/g, '\r\n').replace(/^\./gm, '..')}\r\n.`, /^250 /m],
    ] as const) {
      socket.write(`${say}\r\n`);
      await lines.answer(expected);
    }
    socket.end('QUIT\r\n');
  }

  /** Says something over IMAP as another client of the same mailbox, and gives the answers. */
  async imap(...commands: string[]): Promise<string> {
    const socket = connectTls({ port: this.imaps, host: '127.0.0.1', ca: this.ca });
    const lines = talker(socket);
    await lines.answer(/^\* OK/m);
    let all = '';
    for (const [at, command] of [`LOGIN ${BOT.address} ${BOT.password}`, ...commands].entries()) {
      socket.write(`a${at} ${command}\r\n`);
      all += await lines.answer(new RegExp(`^a${at} (?:OK|NO|BAD)`, 'm'));
    }
    socket.end('z LOGOUT\r\n');
    return all;
  }

  /** The folder's mails get other numbers, as after a move to another server. */
  async renumber(): Promise<void> {
    await this.down();
    rmSync(join(this.dir, 'mail', BOT.address, 'dovecot-uidlist'), { force: true });
    rmSync(join(this.dir, 'mail', BOT.address, 'dovecot-uidvalidity'), { force: true });
    for (const name of ['dovecot.index', 'dovecot.index.log', 'dovecot.index.cache'])
      rmSync(join(this.dir, 'mail', BOT.address, name), { force: true });
    await this.up();
  }

  async close(): Promise<void> {
    await this.down();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const reaches = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

function talker(socket: NodeJS.ReadWriteStream) {
  let heard = '';
  let wake = (): void => undefined;
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
    wake();
  });
  return {
    async answer(pattern: RegExp): Promise<string> {
      while (!pattern.test(heard)) await new Promise<void>((resolve) => (wake = resolve));
      const all = heard;
      heard = '';
      return all;
    },
  };
}
