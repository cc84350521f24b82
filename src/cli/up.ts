import { plain, type ExitCode, type Io } from './io.ts';
import type { RunningApp } from './app-port.ts';
import type { Options } from './options.ts';
import { problemText } from './status.ts';

/** Milliseconds after which a signal counts as a second one. */
const SECOND_SIGNAL_MS = 500;

/** `ruche up`: runs the network until SIGINT or SIGTERM; a second signal ends it at once. */
export async function up(io: Io, options: Options): Promise<ExitCode> {
  // Heard from the first moment, so that a signal while it starts is not lost.
  const stopped = Promise.withResolvers<string>();
  let first: number | null = null;
  const unlisten = io.onSignal((signal) => {
    first ??= io.clock.now();
    // Under npm one Ctrl-C arrives twice: from the terminal, and passed on by npm.
    if (io.clock.now() - first > SECOND_SIGNAL_MS) io.exit(130);
    stopped.resolve(signal);
  });
  try {
    const app = await (await io.loadApp()).startApp({ ...options, env: io.env, version: io.version });
    io.out(welcome(app, options));
    const end = await stopped.promise;
    io.err(`\nStopping (${end}); a second signal stops at once.\n`);
    await app.close(end);
    // A step that is left for the next start, such as a command that outlives us, must not hold the process.
    io.exit(0);
    return 0;
  } finally {
    unlisten();
  }
}

/** How to talk to it, in plain words. The token is named by its file and never shown. */
export function welcome(app: RunningApp, options: Options): string {
  const [agent = 'AGENT'] = app.agents;
  const home = options.home;
  const token = app.tokenFile === null ? '$RUCHE_TOKEN' : `$(cat ${quoted(app.tokenFile)})`;
  const lines = [
    `Ruche listens at ${app.url}`,
    app.demo
      ? `  Model      ${app.model}: the built-in demo, not a language model. It understands a dozen sentences ("help" lists them). To use a real one, set OPENAI_API_KEY and OPENAI_MODEL, or name one in ruche.yaml.`
      : `  Model      ${app.model}`,
    `  Workspace  ${app.workspace}${app.created ? '  (made just now)' : ''}`,
    `  Home       ${home}`,
    app.tokenFile === null ? '  Token      the one in RUCHE_TOKEN' : `  Token      in the file ${app.tokenFile}`,
    `  Agents     ${app.agents.join(', ') || 'none work: see below'}`,
    '',
    'Talk to it from another terminal:',
    `  ruche chat --home ${quoted(home)}`,
    `  ruche ask ${agent} "list the files" --home ${quoted(home)}`,
    `or with any client for OpenAI (base URL ${app.url}/v1, the token as API key, the agent as model):`,
    `  curl ${app.url}/v1/chat/completions -H "Authorization: Bearer ${token}" -H "Content-Type: application/json" \\`,
    `    -d '{"model":"${agent}","user":"me","messages":[{"role":"user","content":"list the files"}]}'`,
    'Ctrl-C stops it; what it has begun goes on at the next start.',
  ];
  if (app.problems.length > 0)
    lines.push('', 'Problems:', ...app.problems.map((problem) => `  ${problemText(problem)}`));
  return `${lines.map(plain).join('\n')}\n`;
}

/** A path as a shell takes it. */
const quoted = (path: string): string => (/^[\w./~-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);
