import { MAX_PATHS, type Change, type FileEntry } from '../core/files.ts';
import { type Label, unionLabels } from '../core/labels.ts';
import type { CallFacts } from '../core/policy.ts';
import { OVER } from '../core/ports/clock.ts';
import type { Egress, EgressHandle } from '../core/ports/egress.ts';
import { SandboxError, type JobResult, type Limits, type Sandbox } from '../core/ports/sandbox.ts';
import type { Checkout, Checkouts, Collected } from '../core/ports/workspace.ts';
import type { Parsed, Reconciled, Tool, ToolContext, ToolDeclaration, ToolResult } from '../core/ports/tool.ts';
import { pathMatch } from '../core/text/glob.ts';
import { errorText } from '../core/text/sentence.ts';
import { shownByTerminal } from '../core/text/terminal.ts';

export interface ShellInput {
  command: string;
  /** Milliseconds; null for the limit. */
  timeoutMs: number | null;
}

export interface ShellOptions {
  sandbox: Sandbox;
  checkouts: Checkouts;
  egress: Egress;
  /** Of each command; a call may ask for less time, never for more. */
  limits: Limits;
}

/** Longer command lines belong in a file. */
const MAX_COMMAND = 65_536;
/** Names of one kind in a result. */
const MAX_NAMES = 50;
/** Bytes of a command's output that are kept. */
const OUTPUT = 1_000_000;

const SHELL = { name: 'shell', usualFor: 'commands' } as const;

const SCHEMA = {
  type: 'object',
  properties: {
    command: { type: 'string' },
    timeout: { type: 'number', description: 'Seconds' },
  },
  required: ['command'],
  additionalProperties: false,
};

function parse(args: unknown): Parsed<ShellInput> {
  if (args === null || typeof args !== 'object' || Array.isArray(args))
    return { ok: false, error: 'the arguments must be an object' };
  const { command, timeout, ...rest } = args as Record<string, unknown>;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) return { ok: false, error: `unknown argument ${JSON.stringify(unknown)}` };
  if (typeof command !== 'string' || command.trim() === '') return { ok: false, error: 'command must be a text' };
  if (command.includes('\0')) return { ok: false, error: 'command contains a NUL character' };
  if (command.length > MAX_COMMAND) return { ok: false, error: `command is longer than ${MAX_COMMAND} characters` };
  if (timeout !== undefined && (typeof timeout !== 'number' || !(timeout > 0)))
    return { ok: false, error: 'timeout must be a number of seconds above 0' };
  return { ok: true, value: { command, timeoutMs: timeout === undefined ? null : timeout * 1000 } };
}

const failed = (text: string): ToolResult => ({ ok: false, text, labels: [], changes: [] });

/** Pieces of output as text, as they come. */
function progressOf(ctx: ToolContext): (chunk: Uint8Array) => void {
  const decoder = new TextDecoder();
  return (chunk) => ctx.progress(decoder.decode(chunk, { stream: true }).replaceAll('\0', ''));
}

/** What is no UTF-8 becomes U+FFFD, NUL goes. */
const readable = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).replaceAll('\0', '');

/** JSON quotes where a name could be taken for something else. */
const names = (paths: readonly string[]): string => {
  const shown = paths.slice(0, MAX_NAMES).map((path) => (/^[\w./@+=:-]+$/.test(path) ? path : JSON.stringify(path)));
  return paths.length > MAX_NAMES ? `${shown.join(', ')} and ${paths.length - MAX_NAMES} more` : shown.join(', ');
};

function outputText({ output, outputSize, cutAt }: JobResult): string {
  if (outputSize === 0) return '';
  if (cutAt === null) return shownByTerminal(readable(output)).replace(/\n?$/, '\n');
  const missing = `\n… ${outputSize - output.length} bytes left out …\n`;
  let [head, tail] = [readable(output.subarray(0, cutAt)), readable(output.subarray(cutAt))];
  // The line that was cut is drawn anew behind the cut.
  if (/^[^\n]*\r(?!\n)/.test(tail)) head = head.slice(0, head.lastIndexOf('\n') + 1);
  [head, tail] = [shownByTerminal(head), shownByTerminal(tail)];
  return head + missing + tail.replace(/\n?$/, '\n');
}

function endText({ exit, ended }: JobResult, limits: Limits): string {
  if (ended === 'aborted') return `exit ${exit}: aborted`;
  if (ended === 'timeout') return `exit ${exit}: killed after ${limits.timeMs / 1000} s, the time limit`;
  if (ended === 'memory')
    return `exit ${exit}: a process was killed at the memory limit of ${Math.round(limits.memory / 1024 / 1024)} MB`;
  return `exit ${exit}`;
}

function changeText({ changes, dropped, refused }: Collected): string[] {
  if (refused !== null) return [`none of its changes were kept: ${refused}`];
  const of = (keep: (change: Change) => boolean): string => names(changes.filter(keep).map((change) => change.path));
  const lines: [string, string][] = [
    ['changed', of((change) => change.oid !== null)],
    ['removed', of((change) => change.oid === null)],
    ['not kept (ignored by Git, or a repository)', names(dropped)],
  ];
  return lines.filter(([, list]) => list !== '').map(([title, list]) => `${title}: ${list}`);
}

/** Whether a line names a file, by its path, a folder above it or a pattern. */
const isNamed = (paths: readonly string[], path: string): boolean =>
  paths.some(
    (named) => named === '' || path === named || path.startsWith(`${named}/`) || pathMatch(`${named}/**`, path),
  );

/** Whether a named path, or pattern, goes on below this one. */
const leadsThrough = (named: string, path: string): boolean =>
  named.includes('**') || pathMatch(named.split('/').slice(0, path.split('/').length).join('/'), path);

/**
 * What the rules keep from the command; and, since what runs may send all it sees, private files that its line does not
 * name if it has a network.
 */
function isHidden(paths: readonly string[], ctx: ToolContext, entry: FileEntry): boolean {
  if (!ctx.mayRead(entry.path)) return true;
  if (ctx.network === null || !ctx.labelsOf(entry).includes('private')) return false;
  return !isNamed(paths, entry.path);
}

/**
 * Labels of all that the command could read: of the files its line names where that is all it reads, else of every file it
 * saw, because a program can open any.
 */
async function labelsRead({ command }: ShellInput, ctx: ToolContext): Promise<Label[]> {
  const { named, past } = ctx.readBy(command);
  const { paths = [''], names = [] } = named ?? {};
  const seen = (await ctx.files.list('')).filter((entry) => !isHidden(named?.paths ?? [], ctx, entry));
  const read = seen.filter(({ path }) => isNamed(paths, path));
  const listed = names.length === 0 ? [] : seen.filter(({ path }) => isNamed(names, path));
  // A link leads to a file of another name, and one to a folder to all that is in it.
  const isFollowed = ({ path, mode }: FileEntry): boolean =>
    mode === '120000' && (isNamed(paths, path) || paths.some((named) => leadsThrough(named, path)));
  const all = seen.some(isFollowed) ? seen : read;
  // Where a link leads is shown beside its name.
  const shown = listed.map((entry) => (entry.mode === '120000' ? ctx.labelsOf(entry) : ctx.nameLabels(entry)));
  return unionLabels(past, ...all.map((entry) => ctx.labelsOf(entry)), ...shown);
}

/** Runs commands on the run's files. Each has a checkout of its own; what it changes joins the run's overlay. */
class ShellTool implements Tool<ShellInput> {
  readonly name = SHELL.name;
  readonly usualFor = SHELL.usualFor;
  readonly description = 'Run a shell command in /workspace. File changes are kept, except files ignored by Git.';
  readonly effect = 'exec';
  readonly critical = ['command'];
  readonly readsTree = true;
  readonly idempotent = false;
  readonly schema = SCHEMA;
  readonly parse = parse;
  readonly #options: ShellOptions;

  constructor(options: ShellOptions) {
    this.#options = options;
  }

  facts({ command }: ShellInput): CallFacts {
    return { command };
  }

  async run(input: ShellInput, ctx: ToolContext): Promise<ToolResult> {
    const { checkouts, sandbox } = this.#options;
    let checkout: Checkout;
    try {
      const paths = ctx.readBy(input.command).named?.paths ?? [];
      const all = await ctx.files.list('');
      const hidden = all.filter((entry) => isHidden(paths, ctx, entry)).map(({ path }) => path);
      checkout = await checkouts.take(ctx.files.base, ctx.files.changes(), ctx.key, hidden);
    } catch (error) {
      return failed(`The command was not run, there is no checkout for it: ${errorText(error)}`);
    }
    const limits = this.#limits(input);
    try {
      return await this.#attend(checkout, input, ctx, (signal, network) => {
        const job = { key: ctx.key, command: input.command, checkout, limits, network, sandbox: ctx.sandbox };
        return sandbox.exec(job, progressOf(ctx), signal);
      });
    } catch (error) {
      const never = error instanceof SandboxError && error.code === 'start';
      return failed(`${never ? 'The command was not run: ' : ''}${errorText(error)}\nnone of its changes were kept`);
    }
  }

  /** What was applied before a crash is collected again from the same checkout: it is held until `settled`. */
  async reconcile(input: ShellInput, ctx: ToolContext): Promise<Reconciled> {
    const { checkouts, sandbox } = this.#options;
    const state = await sandbox.find(ctx.key);
    if (state === 'absent') {
      await this.settled(ctx.key);
      return { state: 'not-started' };
    }
    const where = 'The command had started when Ruche was interrupted, and';
    if (state === 'doubt') return { state: 'doubt', why: `${where} how it ended is not known.` };
    const checkout = await checkouts.adopt(ctx.key);
    if (checkout === null) return { state: 'doubt', why: `${where} the folder it worked in is gone.` };
    try {
      const adopt = (signal: AbortSignal) => sandbox.adopt(ctx.key, this.#limits(input), progressOf(ctx), signal);
      return { state: 'done', result: await this.#attend(checkout, input, ctx, adopt) };
    } catch (error) {
      return { state: 'doubt', why: `${where} its result cannot be read: ${errorText(error)}` };
    }
  }

  /** The command first: nothing may run in a checkout that goes back to the pool. */
  async settled(key: string): Promise<void> {
    const { checkouts, egress, sandbox } = this.#options;
    await sandbox.forget(key);
    await egress.forget(key);
    const checkout = await checkouts.adopt(key);
    if (checkout !== null) await checkouts.release(checkout);
  }

  async sweep(liveKeys: ReadonlySet<string>): Promise<void> {
    const { checkouts, egress, sandbox } = this.#options;
    const kept = new Set([...(await sandbox.list()), ...(await checkouts.held()), ...(await egress.list())]);
    for (const key of kept) if (!liveKeys.has(key)) await this.settled(key);
  }

  #limits(input: ShellInput): Limits {
    const { limits } = this.#options;
    return { ...limits, timeMs: Math.min(limits.timeMs, input.timeoutMs ?? limits.timeMs) };
  }

  /** The command first, as in `settled`; but what is known of it stays until then, so that it is not taken for one that never ran. */
  async #outgrown(result: JobResult | null, why: string, checkout: Checkout, key: string): Promise<ToolResult> {
    const { checkouts, sandbox } = this.#options;
    await sandbox.find(key);
    await checkouts.release(checkout);
    const said = result === null ? '' : `${outputText(result)}exit ${result.exit}: `;
    return failed(`${said}killed, because ${why}\nnone of its changes were kept`);
  }

  /**
   * Follows a command to its end. One that outgrows its bounds is ended, and its folder is given back at once: whatever is to be
   * written next, its own result too, needs the space. Its way out is there for as long as it runs, also once it was adopted.
   */
  async #attend(
    checkout: Checkout,
    input: ShellInput,
    ctx: ToolContext,
    go: (signal: AbortSignal, network: EgressHandle | null) => Promise<JobResult>,
  ): Promise<ToolResult> {
    const { checkouts, egress } = this.#options;
    const labels = await labelsRead(input, ctx);
    const network = await this.#wayOut(ctx);
    const over = new AbortController();
    const bounds = checkouts.watch(checkout, over.signal);
    const isOutgrown = (): boolean => bounds.aborted && !ctx.signal.aborted;
    let result: JobResult | null = null;
    try {
      result = await go(AbortSignal.any([ctx.signal, bounds]), network);
    } catch (error) {
      // On a full disk nothing can be written about its end.
      if (!isOutgrown()) throw error;
    } finally {
      over.abort(OVER);
      if (network !== null) await egress.forget(ctx.key);
    }
    const ended =
      result === null || (result.ended === 'aborted' && isOutgrown())
        ? await this.#outgrown(result, String(bounds.reason), checkout, ctx.key)
        : await this.#end(result, checkout, input, ctx);
    if (network === null) return { ...ended, labels };
    const refused = network.refused();
    return {
      ...ended,
      text: refused.length === 0 ? ended.text : `${ended.text}\nnot reached: ${refused.join('; ')}`,
      labels: unionLabels(labels, network.reached() ? ['untrusted'] : []),
    };
  }

  async #wayOut({ key, network }: ToolContext): Promise<EgressHandle | null> {
    if (network === null) return null;
    try {
      return await this.#options.egress.open(key, network);
    } catch (cause) {
      throw new SandboxError('start', `its way to the network cannot be opened: ${errorText(cause)}`, { cause });
    }
  }

  async #end(result: JobResult, checkout: Checkout, input: ShellInput, ctx: ToolContext): Promise<ToolResult> {
    const end = `${outputText(result)}${endText(result, this.#limits(input))}`;
    if (result.ended === 'aborted') return failed(`${end}\nnone of its changes were kept`);
    let collected: Collected;
    try {
      collected = await this.#options.checkouts.collect(checkout);
    } catch (error) {
      return failed(`${end}\nnone of its changes were kept: ${errorText(error)}`);
    }
    const { refused } = collected;
    const touched = collected.changes.map((change) => change.path);
    const barred = touched.filter((path) => !ctx.mayRead(path) || !ctx.mayWrite(path));
    // A command must not do what the rules keep from the file tools, or ask a person about.
    if (barred.length > 0)
      return failed(`${end}\nnone of its changes were kept: a rule does not let a command change ${names(barred)}`);
    const paths = new Set([...ctx.files.changes().map((change) => change.path), ...touched]).size;
    if (paths > MAX_PATHS)
      return failed(
        `${end}\nnone of its changes were kept: with them, this run would have changed ${paths} files, more than the limit of ${MAX_PATHS}`,
      );
    const changes = refused === null ? collected.changes : [];
    if (changes.length > 0) ctx.files.apply(changes);
    const ok = result.exit === 0 && refused === null;
    // What it has removed is known to be gone, and may be written anew; what it has changed has not been looked at.
    const seen = Object.fromEntries(changes.flatMap(({ path, oid }) => (oid === null ? [[path, null]] : [])));
    return { ok, text: [end, ...changeText(collected)].join('\n'), labels: [], changes, seen };
  }
}

export const shellTool = (options: ShellOptions): Tool<ShellInput> => new ShellTool(options);

export const shell: ToolDeclaration = {
  ...SHELL,
  open({ sandbox, checkouts, egress, limits: { shellMs: timeMs, shellMemory: memory, shellProcesses: processes } }) {
    return shellTool({ sandbox, checkouts, egress, limits: { timeMs, memory, processes, output: OUTPUT } });
  },
};
