import { NetError } from '../core/ports/net.ts';
import type { Tool, ToolContext, ToolResult } from '../core/ports/tool.ts';
import { neutralise, wrapUntrusted } from '../core/text/untrusted.ts';
import { argsSchema, readArgs, type ArgsOf } from './args.ts';
import { decodeText, htmlText, type Kind, kindOf, looksBinary, prettyJson } from './page.ts';
import { shownSize } from './text.ts';

export interface FetchLimits {
  /** Bytes of body, after decompression; what comes later is cut off. */
  maxBytes: number;
  /** Milliseconds for everything, redirects included. */
  timeoutMs: number;
  /** Milliseconds without a byte. */
  idleMs: number;
  maxRedirects: number;
  /** Characters of text in the result. */
  maxText: number;
}

const LIMITS: FetchLimits = {
  maxBytes: 5_000_000,
  timeoutMs: 30_000,
  idleMs: 15_000,
  maxRedirects: 5,
  maxText: 200_000,
};
/** Characters of the body that comes with an error status. */
const ERROR_TEXT = 2000;

const ARGS = { url: 'text' } as const;
type FetchInput = ArgsOf<typeof ARGS>;

/** Even a failure may carry words of the other side, such as the host name of a redirect. */
const result = (ok: boolean, text: string): ToolResult => ({ ok, text, labels: ['untrusted'], changes: [] });

const failure = (why: string): ToolResult => {
  const { text } = neutralise(why);
  return result(false, `Nothing was fetched: ${text.replace(/\s+/g, ' ')}.`);
};

/** `cut`: why the end is missing; null if it is all there. What arrived of a body that never ends is worth showing. */
async function readBody(response: Response): Promise<{ bytes: Uint8Array; cut: 'large' | 'slow' | null }> {
  const chunks: Uint8Array[] = [];
  let cut: 'large' | 'slow' | null = null;
  try {
    for await (const chunk of response.body ?? []) chunks.push(chunk as Uint8Array);
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    if (error.code === 'too-large') cut = 'large';
    else if (error.code === 'timeout' && chunks.length > 0) cut = 'slow';
    else throw error;
  }
  return { bytes: Buffer.concat(chunks), cut };
}

async function textOf(kind: Kind, raw: string, url: string): Promise<{ title: string; text: string }> {
  const start = raw.slice(0, 512).trimStart().toLowerCase();
  const html = kind === 'html' || (kind === 'unknown' && /^<(?:!doctype html|html|head|body)\b/.test(start));
  if (html) return htmlText(raw, url);
  const json = kind === 'json' || (kind === 'unknown' && /^[[{]/.test(start));
  return { title: '', text: json ? prettyJson(raw) : raw };
}

async function shown(response: Response, url: string, limits: FetchLimits, ctx: ToolContext): Promise<ToolResult> {
  const { status } = response;
  const { kind, type, charset } = kindOf(response.headers.get('content-type') ?? '');
  const said = type === '' ? 'no type' : neutralise(type).text.slice(0, 100);
  const binary = (size: string): ToolResult =>
    result(false, `HTTP ${status}, but it is not text: ${said}, ${size}. Only text can be shown.`);
  if (kind === 'binary') {
    await response.body?.cancel();
    const length = Number(response.headers.get('content-length') ?? NaN);
    return binary(Number.isSafeInteger(length) && length >= 0 ? shownSize(length) : 'size unknown');
  }
  const { bytes, cut } = await readBody(response);
  const raw = decodeText(bytes, charset);
  if (looksBinary(raw))
    return binary(cut === 'large' ? `more than ${shownSize(limits.maxBytes)}` : shownSize(bytes.length));
  const final = response.url === '' ? url : response.url;
  const { title, text } = await textOf(kind, raw, final);
  const most = status >= 400 ? ERROR_TEXT : limits.maxText;
  const about = [`HTTP ${status}, ${said}, ${shownSize(bytes.length)}.`];
  if (cut === 'large') about.push(`The body was cut after ${shownSize(limits.maxBytes)}.`);
  if (cut === 'slow') about.push('The body did not end in time; this is what had arrived.');
  const again = response.headers.get('retry-after');
  if (again !== null && status >= 400) about.push(`Retry-After: ${neutralise(again).text.slice(0, 60)}.`);
  if (text.length > most) about.push(`Shown are the first ${most} of ${text.length} characters.`);
  if (text.trim() === '') about.push('There is no text in it.');
  const body = (title === '' ? '' : `# ${title}\n\n`) + text.slice(0, most).toWellFormed();
  return result(status < 400, `${about.join(' ')}\n${wrapUntrusted(body, final, ctx.mark)}`);
}

/**
 * Reads one URL. It sends no credentials and no headers of the model's; who may be contacted, and what redirects may
 * lead to, is decided by the policy and enforced by the net guard.
 */
export function fetchTool(options: { limits?: Partial<FetchLimits> } = {}): Tool<FetchInput> {
  const limits = { ...LIMITS, ...options.limits };
  return {
    name: 'fetch',
    usualFor: 'addresses',
    description: 'Read a web page or file by HTTP(S), as text.',
    effect: 'read',
    idempotent: true,
    critical: ['url'],
    schema: argsSchema(ARGS),
    parse: (args) => readArgs(ARGS, args),
    facts: ({ url }) => ({ url }),
    run: async ({ url }, ctx) => {
      const headers = { accept: 'text/html, application/json;q=0.9, text/*;q=0.9, */*;q=0.5' };
      const { maxBytes, timeoutMs, idleMs, maxRedirects } = limits;
      try {
        ctx.boundary('fetch.before');
        // The loop's Net puts this run's grant in place of this one, which opens nothing.
        const response = await ctx.net.request(
          { url, headers, signal: ctx.signal, maxBytes, timeoutMs, idleMs, maxRedirects },
          { who: 'tool:fetch', agent: null, run: null, privateHosts: [], only: null },
        );
        const answer = await shown(response, url, limits, ctx);
        ctx.boundary('fetch.after');
        return answer;
      } catch (error) {
        if (error instanceof NetError) return failure(error.message);
        throw error;
      }
    },
  };
}
