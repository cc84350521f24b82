// `node scripts/home-fixture.ts`: makes test/fixtures/home-<version>.tar.gz, a small home and workspace as this version
// writes them. Every later version must open it (test/e2e/formats.test.ts), so one that has been released is never made again.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import manifest from '../package.json' with { type: 'json' };
import { AGENT, Home } from '../test/fakes/home.ts';
import { until } from '../test/fakes/until.ts';

const RULES = `policy:
  rules:
    - { id: contracts, ask: { tool: write, path: "contracts/**" }, reason: "Contracts need a person." }
`;

/** Something of everything: landings, an approval and a refusal, a crash, a conflict, settings saved, refused and held. */
async function live(home: Home): Promise<void> {
  await home.ask('write notes.md: hello, then run: wc -c notes.md', 'first');
  home.write('notes.md', 'hello, edited by a person');
  await home.ask('append notes.md: and by an agent', 'first');
  const parked = await home.ask('append notes.md: again, then ask me: which colour?', 'conflict');
  await home.ask('append notes.md: meanwhile', 'first');
  await home.api(`/api/questions/${parked.waits[0]?.id}`, { text: 'blue' });
  await home.settled(parked.task);
  for (const verdict of ['approve', 'deny'] as const) {
    const asked = await home.ask(`write contracts/${verdict}.md: signed`, verdict);
    await home.answer(asked.waits[0]?.id ?? '', verdict);
    await home.settled(asked.task);
  }
  home.write('ruche.yaml', 'concurrency: many\n');
  await until(async () => (await home.status()).problems.length > 0, 'refused settings');
  home.write('ruche.yaml', `concurrency: 7\n${RULES}`);
  await until(async () => (await home.status()).problems.length === 0, 'new settings');
  await home.end('SIGKILL');
  await home.start();
  await home.ask('run: echo shell > made-by-shell.txt; rm -f gone.md, then list the files', 'first');
  // Left as they are, for the version that opens this.
  await home.ask('write contracts/waiting.md: signed', 'waiting');
  await home.ask('write asked.md: yes, then ask me: which colour?', 'question');
  const { findings } = await home.verify();
  if (findings.length > 0) throw new Error(JSON.stringify(findings));
}

const target = join(import.meta.dirname, '..', 'test', 'fixtures', `home-${manifest.version}.tar.gz`);
if (existsSync(target) && !process.argv.includes('--again'))
  throw new Error(`${target} is there: with --again it is replaced, if this version has not been released`);
const home = await Home.up({
  files: { 'ruche.yaml': RULES, 'agents/assistant/AGENT.md': AGENT, 'gone.md': 'soon\n', 'ruled.md': 'a\nb\nc\n' },
});
try {
  await live(home);
  await home.end('SIGTERM');
  // Made anew at each start, and of this machine.
  for (const path of ['home/logs', 'home/checkouts', 'home/shells/.bwrap', 'workspace/.git/hooks'])
    rmSync(join(home.dir, path), { recursive: true, force: true });
  writeFileSync(join(home.home, 'token'), 'the-token-of-a-fixture-that-guards-nothing\n');
  mkdirSync(join(target, '..'), { recursive: true });
  execFileSync('tar', ['-czf', target, '-C', home.dir, 'home', 'workspace']);
} finally {
  await home.close();
}
