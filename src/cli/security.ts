import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Weakness } from '../core/api/policy.ts';
import { shellWord } from '../core/text/paths.ts';
import { gather } from './doctor.ts';
import { asCalled } from './explain.ts';
import type { Facts } from './findings.ts';
import { CliError, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';

/** `ruche doctor --security`: each default that was made weaker, with what to write instead. Exit code 1 if there is one. */
export async function security(io: Io, options: Options, flags: { json?: boolean }): Promise<ExitCode> {
  const { home, workspace, again } = options;
  const app = await io.loadApp();
  const diagnosis = await app.diagnose({ home, workspace, again, env: io.env });
  const facts = await gather(io, options, app, diagnosis);
  if (facts.workspace !== null) throw new CliError(facts.workspace);
  const inFiles = facts.config === null ? [] : await ofFiles(io, options);
  const found = [...inFiles, ...ofMachine(facts, inFiles), ...(await ofHome(options))];
  if (flags.json) io.out(`${JSON.stringify(found)}\n`);
  else if (found.length === 0) io.out('✓ No default is weakened.\n');
  else io.out(`${asCalled(found.map(weaknessText).join('\n'), io.self)}\n`);
  return found.length === 0 ? 0 : 1;
}

async function ofFiles(io: Io, { home, workspace }: Options): Promise<Weakness[]> {
  const port = await (await io.loadApp()).openPolicy({ home, workspace, env: io.env });
  try {
    return await port.weaknesses();
  } finally {
    await port.close();
  }
}

const nowhere = (id: string, what: string, instead: string): Weakness => ({
  id,
  file: '',
  line: null,
  key: '',
  what,
  instead,
});

function ofMachine({ sandbox, keys, listens, tokenGiven }: Facts, inFiles: readonly Weakness[]): Weakness[] {
  const named = new Set(inFiles.map(({ what }) => what));
  const found: Weakness[] = [];
  if (!sandbox.ok)
    found.push(nowhere('sandbox-missing', `nothing here can confine commands: ${sandbox.why}`, sandbox.mend));
  for (const { name, present } of keys)
    if (present && ![...named].some((what) => what.startsWith(`${name} `)))
      found.push(
        nowhere(
          'key-in-environment',
          `${name} is in the environment, which other programs of this user can read`,
          'Enter it on the page under Models, or with `ruche secrets set`, and take it out of the environment.',
        ),
      );
  if (tokenGiven)
    found.push(
      nowhere(
        'token-in-environment',
        'the token of the HTTP API is in RUCHE_TOKEN, which other programs of this user can read',
        'Unset RUCHE_TOKEN: Ruche then keeps a token of its own in the home.',
      ),
    );
  if (listens?.exposed === true)
    found.push(
      nowhere(
        listens.publicUrl?.startsWith('https:') ? 'bind-behind-proxy' : 'bind-beyond-loopback',
        `${listens.url} can be reached from other machines, in plain HTTP`,
        'Leave out --host, and put a proxy with TLS on this machine before it (docs/proxy.md).',
      ),
    );
  return found;
}

/** Files of the home that others could read; a start closes them, and what is copied later may be open again. */
async function ofHome({ home }: Options): Promise<Weakness[]> {
  if (process.platform === 'win32') return [];
  const names = await readdir(home).catch(() => []);
  const found: Weakness[] = [];
  for (const path of [home, ...names.map((name) => join(home, name))]) {
    const mode = await stat(path).then(
      (info) => info.mode & 0o777,
      () => 0,
    );
    // Below a closed home nobody gets at anything.
    if ((mode & 0o077) === 0) {
      if (path === home) return [];
      continue;
    }
    found.push(
      nowhere(
        path === home ? 'home-open' : 'file-open',
        `other users can open ${path} (mode ${mode.toString(8)})`,
        `Run: chmod go= ${shellWord(path)}`,
      ),
    );
  }
  return found;
}

const weaknessText = ({ file, line, key, id, what, instead }: Weakness): string => {
  const place = file === '' ? '' : `${file}${line === null ? '' : `:${line}`}: `;
  return plain(`! ${place}${key === '' ? '' : `${key}: `}${what} [${id}]\n    ${instead}`);
};
