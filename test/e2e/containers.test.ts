import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { imageHere } from '../fakes/container-image.ts';
import { AGENT, Home } from '../fakes/home.ts';
import { until } from '../fakes/until.ts';

const { image, skip } = await imageHere();
const picking = (sandbox: string): string => AGENT.replace('description: helps\n', `description: helps\n${sandbox}\n`);

let home: Home;
const heard: string[] = [];
const site = createServer((request, response) => {
  heard.push(request.url ?? '');
  response.end('from the site');
});
before(async () => {
  if (skip !== false) return;
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  const { port } = site.address() as AddressInfo;
  home = await Home.up({
    files: {
      'ruche.yaml': `network: ['127.0.0.1:${port}']\n`,
      'agents/online/AGENT.md': picking(`sandbox: { image: '${image}' }\nnetwork: ['127.0.0.1:${port}']`),
      'agents/assistant/AGENT.md': AGENT,
      'agents/boxed/AGENT.md': picking(`sandbox: container\nimage: ${image}`),
      'agents/bare/AGENT.md': picking('sandbox: none'),
      'agents/lost/AGENT.md': picking(`sandbox: { image: 'localhost/ruche-none@sha256:${'0'.repeat(64)}' }`),
    },
  });
});
after(async () => {
  await home?.close();
  site.close();
});

/** Of the machine, and not of the image. */
const WHERE = 'run: if [ -e /usr/bin/bwrap ]; then echo on the machine; else echo in the image; fi';

test('each agent’s commands run in what it has picked', { skip }, async () => {
  const [usual, boxed, lost] = await Promise.all([
    home.ask(WHERE, 'usual'),
    home.ask(WHERE.replace('fi', 'fi; echo made >made.txt'), 'boxed', 'boxed'),
    home.ask(WHERE, 'lost', 'lost'),
  ]);
  assert.match(usual.text, /on the machine/);
  assert.match(boxed.text, /in the image/);
  assert.equal(home.git('show', 'main:made.txt'), 'made\n');
  assert.match(lost.text, /was not run: The image .* is not on this machine\. Fetch it/);
  const bare = await home.ask(WHERE, 'bare', 'bare');
  assert.notEqual(bare.status, 'done', 'a command that nothing confines is asked for');
  const { out } = await home.cli('doctor', '--json');
  assert.match(out, /podman works/);
  assert.match(out, /podman pull localhost\/ruche-none/);
});

test('killed in the middle, it goes on with the same container and runs it once', { skip }, async () => {
  const task = await home.say('run: echo x >>/workspace/count; echo up; sleep 2; cat count', 'kill', 'boxed');
  const shells = join(home.home, 'shells');
  const isUp = (): boolean =>
    existsSync(shells) && readdirSync(shells).some((key) => existsSync(join(shells, key, 'cid')));
  await until(isUp, 'a container');
  await home.end('SIGKILL');
  await home.start();
  const { text, status } = await home.settled(task);
  assert.equal(status, 'done', text);
  assert.match(text, /up\nx\n/);
  assert.equal(home.git('show', 'main:count'), 'x\n');
});

test('in a container an agent reaches its own list, and another nothing', { skip }, async () => {
  const { port } = site.address() as AddressInfo;
  const get = (path: string): string =>
    `run: curl -sS -m 10 http://127.0.0.1:${port}/${path}; echo; curl -sS -m 10 http://127.0.0.2:${port}/`;
  const online = await home.ask(get('online'), 'online', 'online');
  assert.match(online.text, /from the site/);
  const boxed = await home.ask(get('boxed'), 'offline', 'boxed');
  assert.ok(!boxed.text.includes('from the site'), boxed.text);
  assert.deepEqual(heard, ['/online']);
});
