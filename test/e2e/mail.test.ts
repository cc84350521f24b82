// Mail that comes to a real server becomes work, once, whatever breaks in between.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Home } from '../fakes/home.ts';
import { requirePeer } from '../fakes/require-peer.ts';
import { until } from '../fakes/until.ts';
import { BOT, Dovecot, hasDovecot } from '../peers/dovecot.ts';

const skip = requirePeer('dovecot (apt-get install dovecot-imapd dovecot-lmtpd)', hasDovecot);

const AGENT = `---
description: Reads mail.
skills: [mail]
accounts: [office]
triggers:
  - { name: offers, on: mail.received, subject: "*offer*", task: "A mail from {{from}}: {{subject}} ({{mail}})" }
---
You read mail.
`;

const mailOf = (id: string, subject: string): string =>
  `Message-ID: <${id}@example.org>\nFrom: Zoë <zoe@example.org>\nTo: ${BOT.address}\nSubject: ${subject}\nDate: Mon, 30 Nov 2026 10:00:00 +0100\n\nText of ${id}.\n`;

interface Line {
  type: string;
  data: { subject?: string; mail?: string; uid?: number; trigger?: string };
}

let server: Dovecot;
let home: Home;

async function events(type: string): Promise<Line[]> {
  const { out } = await home.cli('log', '--json', '--type', type);
  return out
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line);
}

before(async () => {
  if (skip) return;
  server = await Dovecot.start();
  await server.deliver(mailOf('old', 'An old offer'));
  home = new Home({
    files: {
      'ruche.yaml': `accounts:\n  office: { type: imap, address: ${BOT.address}, imap: "localhost:${server.imaps}", password: "env:MAIL_PASSWORD" }\n`,
      'agents/post/AGENT.md': AGENT,
    },
    env: { MAIL_PASSWORD: BOT.password },
    beside: [server],
  });
  mkdirSync(home.home, { recursive: true, mode: 0o700 });
  writeFileSync(join(home.home, 'ca.pem'), server.ca);
  await home.start();
  await until(async () => (await events('mail.seen')).length > 0, 'the folder is followed');
});
after(() => home?.close());

test('a mail that comes is one event and one task; what was there before is none', { skip }, async () => {
  await server.deliver(mailOf('one', 'Our offer for you'));
  await server.deliver(mailOf('two', 'Something else'));
  await until(async () => (await events('mail.received')).length === 2, 'two mails');
  await until(async () => (await events('trigger.fired')).length === 1, 'one task');
  assert.ok(!home.log().includes(BOT.password));
});

test('after a SIGKILL, a broken server and new numbers each mail is still one event', { skip }, async () => {
  await home.end('SIGKILL');
  for (let at = 0; at < 60; at += 1) await server.deliver(mailOf(`more-${at}`, 'An offer'));
  await home.start();
  await until(async () => (await events('mail.received')).length > 2, 'it has begun');
  await home.end('SIGKILL');
  await server.renumber();
  await server.deliver(mailOf('after', 'The last offer'));
  await home.start();
  await until(async () => (await events('mail.received')).length >= 63, 'all 63');
  const all = (await events('mail.received')).map(({ data }) => data.mail);
  assert.equal(new Set(all).size, 63);
  await until(async () => (await events('trigger.fired')).length === 62, 'a task for each offer');
  assert.equal((await events('mail.received')).length, 63);
  const verified = await home.cli('verify');
  assert.equal(verified.code, 0, verified.out + verified.err);
});
