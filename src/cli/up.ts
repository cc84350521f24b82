import { join } from 'node:path';
import type { RunningApp } from './app-port.ts';
import { fromHere } from './connect.ts';
import { asCalled } from './explain.ts';
import { plain, type ExitCode, type Io } from './io.ts';
import { shellWord } from '../core/text/paths.ts';
import type { Options } from './options.ts';
import { passphraseAsker } from './hidden.ts';
import { offerText, problemLines } from './status.ts';

/** Milliseconds after which a signal counts as a second one. */
const SECOND_SIGNAL_MS = 500;

export interface UpFlags {
  /** Every agent is paused until it is resumed. */
  paused?: boolean;
}

/** `ruche up`: runs the network until SIGINT or SIGTERM; a second signal ends it at once. */
export async function up(io: Io, options: Options, { paused = false }: UpFlags = {}): Promise<ExitCode> {
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
    const app = await (
      await io.loadApp()
    ).startApp({ ...options, ...passphraseAsker(io), paused, env: io.env, version: io.version });
    let end = 'it could not continue';
    try {
      io.out(welcome(app, options, io, paused));
      end = await stopped.promise;
      io.err(`\nStopping (${end}); a second signal stops at once.\n`);
    } finally {
      await app.close(end);
    }
    // A step that is left for the next start, such as a command that outlives us, must not hold the process.
    io.exit(0);
    return 0;
  } finally {
    unlisten();
  }
}

const DEMO = `the built-in demo, not a language model; "help" lists the dozen sentences it understands.
             To use a real model, paste a key on the page below, set ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY, or name one in ruche.yaml.`;
const NO_SANDBOX = 'none: Ruche asks you before each shell command';

/** Through the proxy, where there is one; on this machine there is always a way without. */
function links({ loginLink, url: own }: RunningApp, url: string): string[] {
  if (loginLink.startsWith(own)) return [`  ${loginLink.replace(own, url)}`];
  return [`  ${loginLink}`, `  (on this machine also ${url}/login${new URL(loginLink).hash})`];
}

/** Where it is known which proxy has the TLS, all that is left is to keep others from the port. */
const plainHttp = ({ url, loginLink }: RunningApp): string =>
  loginLink.startsWith('https:')
    ? `Warning: ${url} is plain HTTP on every network of this machine. Let only the proxy of ${new URL(loginLink).origin} reach it (docs/proxy.md).`
    : `Warning: ${url} serves plain HTTP to every network of this machine. Put a proxy with TLS before it (docs/proxy.md).`;

/** How to talk to it, in plain words. The token is named by its file and never shown. */
export function welcome(
  app: RunningApp,
  options: Options,
  place: Pick<Io, 'self' | 'userHome'>,
  paused = false,
): string {
  const { self } = place;
  const url = fromHere(app.url) ?? app.url;
  const [agent = 'AGENT'] = app.agents;
  const none =
    app.problems.length > 0 ? 'none running: see below' : 'none: create agents/NAME/AGENT.md in the workspace';
  // Another terminal has neither this one's folder nor its variables.
  const where = options.home === join(place.userHome, '.ruche') ? '' : ` --home ${shellWord(options.home)}`;
  const token = app.tokenFile === null ? '$RUCHE_TOKEN' : `$(cat ${shellWord(app.tokenFile)})`;
  const lines = [
    `Ruche listens at ${app.url}`,
    `  Model      ${app.model}${app.demo ? `: ${DEMO}` : ''}`,
    ...(app.offer ? [`  Found      ${offerText(app.offer)}`] : []),
    `  Sandbox    ${app.sandbox === 'none' ? `${NO_SANDBOX} ("${self} doctor" says what to install)` : app.sandbox}`,
    `  Workspace  ${app.workspace}${app.created ? '  (just created)' : ''}`,
    `  Home       ${options.home}`,
    `  Token      ${app.tokenFile === null ? 'from RUCHE_TOKEN' : `in the file ${app.tokenFile}`}`,
    `  Agents     ${app.agents.join(', ') || none}`,
    ...(paused
      ? [`  Paused     every agent; go on with "${self} agents resume NAME${where}", or --all in place of NAME`]
      : []),
    '',
    `Open it in a browser (this link works once, within ten minutes; "${self} login${where}" prints another):`,
    ...links(app, url),
    `Talk to it from another terminal${self === 'ruche' ? '' : ', in this folder'}:`,
    `  ${self} chat${where}`,
    `  ${self} ask ${agent} "list the files"${where}`,
    `or with any client for OpenAI's API (base URL ${url}/v1, the token as API key, the agent as model):`,
    `  curl ${url}/v1/chat/completions -H "Authorization: Bearer ${token}" -H "Content-Type: application/json" \\`,
    `    -d '{"model":"${agent}","user":"me","messages":[{"role":"user","content":"list the files"}]}'`,
    'Press Ctrl-C to stop. Unfinished work goes on at the next start.',
  ];
  if (!/^https?:\/\/(?:127\.|localhost|\[::1\])/.test(app.url)) lines.push('', plainHttp(app));
  lines.push(...problemLines(app.problems));
  return asCalled(`${lines.map(plain).join('\n')}\n`, self);
}
