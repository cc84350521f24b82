// The whole product as a process of its own, whose clock its parent sets.
import { enableCompileCache } from 'node:module';
enableCompileCache();
const { startApp } = await import('../../src/app/app.ts');
const { systemIds, systemRandom } = await import('../../src/platform/system.ts');
const { leapClock } = await import('../fakes/leap-clock.ts');
const { quiet } = await import('../fakes/loop.ts');

const { DIR = '', NOW = '', TOKEN = '', TELEGRAM_BOT_TOKEN } = process.env;
const clock = leapClock(Number(NOW));
process.on('message', (ms: number) => {
  clock.leap(ms);
  process.send?.({ now: clock.now() });
});
const app = await startApp({
  version: '0.0.0-test',
  home: `${DIR}/home`,
  workspace: `${DIR}/workspace`,
  template: `${DIR}/template`,
  host: '127.0.0.1',
  port: 0,
  token: () => TOKEN,
  env: { PATH: process.env['PATH'], HOME: DIR, OLLAMA_HOST: '127.0.0.1:1', TELEGRAM_BOT_TOKEN },
  platform: 'none',
  machine: { arch: process.arch, uid: 1000 },
  log: quiet,
  system: { clock, ids: systemIds, random: { bytes: systemRandom.bytes, number: systemRandom.number } },
});
process.send?.({ url: app.gateway.url });
