import type { ModelError, ModelErrorKind } from '../../core/model.ts';
import { type Fields, parseJson, wordsIn } from './fields.ts';
import { isObject } from '../../core/text/json.ts';
import { NetError } from '../../core/ports/net.ts';
import { errorText } from '../../core/text/sentence.ts';

/** What an error message needs to say where to look. */
export interface ErrorContext {
  provider: string;
  /** As configured, without credentials. */
  baseUrl: string;
  /** How its baseUrl usually ends. */
  urlEnd: string;
  model: string;
  redact(text: string): string;
}

/** Why a stream that the server ended is no answer. */
export type Flaw = 'cut' | 'malformed' | 'nameless' | 'too-long' | { told: Told } | { unusable: string };

/** An error as the server told it, from a body or from the middle of a stream. */
export interface Told {
  status: number | null;
  /** What the error calls itself (`code`, `type`, `status`, quotas), in lower case. */
  codes: string;
  text: string;
  /** Milliseconds the error itself asks us to wait. */
  wait?: number;
}

const MAX_TEXT = 400;
/** Characters of an error that are looked at: each of many patterns goes over all of them. */
const MAX_SAID = 16_384;
/** Milliseconds. Nobody waits longer, and a later moment may be none that can be written down. */
const MAX_WAIT = 366 * 86_400_000;

/** What a server asks to wait, as a number that can be reckoned with; null if it asks nothing. */
const waitOf = (ms: number): number | null => (ms >= 0 && ms < Infinity ? Math.min(Math.ceil(ms), MAX_WAIT) : null);

const CONTEXT =
  /context[_ ](?:length|window|size)[_ ]?exceeded|exceed_context_size|maximum context length|exceeds? (?:the |its )?(?:model'?s )?(?:available )?(?:maximum )?context (?:length|window|size)|exceeds? (?:the )?(?:maximum )?(?:allowed )?(?:input|prompt) length|longer than the model'?s context|context length of only|context the overflows|greater than the context length|exceed context limit|prompt (?:is )?too long|input is too long|context window exceeds limit|range of input length should be|exceeds the limit of \d+|prompt[_ ]tokens[_ ]too[_ ]long|prompt exceeds max|(?:prompt|input|total|context|request)[_ ]tokens?\b.{0,80}exceed|(?:input|prompt|context|conversation|messages?|request).{0,20}(?:is|are) too (?:long|large)|maximum context|max(?:imum)?[_ ](?:model|seq(?:uence)?)[_ ]len|input token count.{0,40}exceeds|input tokens exceed|maximum prompt length|longer than the maximum model length|reduce (?:the length|your prompt)|too large for model with|must (?:be|have) (?:<=|less than) \d+ tokens|max_new_tokens. must be <=|too many tokens|token limit exceeded|exceeded model token limit|context size has been exceeded|configured context size|request[_ ]too[_ ]large|request entity too large|payload too large/i;
/** The same in Chinese, as several makers say it. */
const CONTEXT_CHINESE = /(?:输入|上下文|提示词?|内容|消息|token).{0,20}(?:过长|超长|超出|超过)/i;
const TOO_LARGE = /request too large.{0,200}requested/is;
const CREDIT =
  /insufficient[_ ](?:quota|credits?|balance|funds)|billing[_ ]hard[_ ]limit|exceeded your current quota|payment required|credit balance is too low|requires more credits|out of credits|余额不足|欠费|额度不足/i;
/** Google's name for a quota that comes back tomorrow, though it asks to wait for seconds. */
const PER_DAY = /perday/;
const RATE = /rate[_ -]?limit|too many requests|tokens per min|requests per min|resource[_ ]exhausted|throttl/i;
const OVERLOADED =
  /overload|over capacity|at capacity|no (?:available|healthy) (?:capacity|upstream|server|slot)|server (?:is )?busy|loading model|model is (?:currently )?loading|insufficient_system_resource|engine.{0,20}busy/i;
const AUTH =
  /invalid[_ ]api[_ ]key|incorrect api key|authentication|unauthori[sz]ed|permission[_ ]denied|invalid token|no auth credentials|api key (?:not valid|not found|expired)/i;
const REFUSED =
  /content[_ ](?:filter|policy|management)|responsible ?ai|safety system|flagged|moderation|prohibited[_ ]content|content exists risk|inappropriate content|data[_ ]?inspection|sensitive (?:content|words?)|policy[_ ]violation|敏感|违规/i;
const UNKNOWN_MODEL =
  /model[_ ]not[_ ]found|model.{0,80}(?:not found|does not exist|not exist|is not available|not (?:a )?valid|unknown)|no models? loaded|invalid model|unknown model|try pulling it/i;
/** Of a server or a model that can only talk: an agent without tools could do nothing. */
const NO_TOOLS =
  /(?:does not|doesn't|do not|not) support (?:the use of )?(?:tools?\b|tool[_ -]|function)|tool[_ -]?(?:s|use|choice|calls?|calling)\b.{0,80}(?:not (?:supported|enabled|available|allowed)|unsupported|requires? -)|(?:unsupported|unknown|unrecognized).{0,30}['"`]?tools\b|support tool use|enable-auto-tool-choice|tools? param requires|--jinja/i;
const NO_ENDPOINT = /no (?:allowed )?(?:endpoints|providers) (?:are )?(?:found|available)/i;
const SERVER =
  /server[_ ]error|internal error|api_error|upstream|bad gateway|timed? ?out|runner (?:process )?(?:has )?/i;
/** A call that the server could not read (Ollama, llama.cpp, Groq): a slip of the model, which it may not make again. */
const SLIP =
  /error parsing tool call|failed to parse (?:tool call|input at)|tool_use_failed|failed to call a function|tool call validation failed|failed_generation/i;

function byStatus(status: number | null): ModelErrorKind | null {
  if (status === null) return null;
  if (status === 401 || status === 403) return 'auth';
  if (status === 402 || status === 429) return 'rate';
  if (status === 408) return 'timeout';
  if (status === 413) return 'context';
  if (status === 409 || status === 425) return 'unavailable';
  if (status === 503 || status === 529) return 'overloaded';
  if (status >= 500) return 'unavailable';
  return status >= 300 ? 'invalid' : null;
}

/** The words decide where a status is ambiguous: servers answer 400 or 500 to everything from a bad key to a long prompt. */
function kindOf({ status, codes, text }: Told): ModelErrorKind {
  const said = `${codes} ${text}`;
  const known = byStatus(status);
  // A limit on tokens a minute that this one request exceeds by itself: waiting does not help, a shorter one does.
  if (TOO_LARGE.test(said)) return 'context';
  if (known === 'context' || known === 'timeout') return known;
  if (known !== 'auth' && known !== 'rate' && (CONTEXT.test(said) || CONTEXT_CHINESE.test(text))) return 'context';
  if (known === 'auth') return status === 403 && REFUSED.test(said) ? 'refused' : 'auth';
  if (known === 'rate' || known === 'overloaded') return known;
  if (CREDIT.test(said) || RATE.test(said)) return 'rate';
  if (OVERLOADED.test(said)) return 'overloaded';
  if (known === 'unavailable') return SLIP.test(said) || NO_TOOLS.test(said) ? 'invalid' : known;
  if (status === 404 || UNKNOWN_MODEL.test(said)) return 'invalid';
  if (SLIP.test(said)) return 'invalid';
  if (REFUSED.test(said)) return 'refused';
  if (AUTH.test(said)) return 'auth';
  return known ?? (SERVER.test(said) ? 'unavailable' : 'invalid');
}

/** Waiting a minute does not help. Google says “exceeded your current quota” of minutes too, and then how long to wait. */
function isSpent(told: Told): boolean {
  const said = `${told.codes} ${told.text}`;
  if (told.status === 402 || PER_DAY.test(told.codes) || told.codes.includes('insufficient_quota')) return true;
  return told.wait === undefined && CREDIT.test(said);
}

/** One line that a person can read: no control characters, no secrets, bounded. */
function plain(text: string, redact: (text: string) => string): string {
  const line = redact(text)
    .replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim();
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}…` : line;
}

function explain(kind: ModelErrorKind, told: Told, { provider, baseUrl, urlEnd, model }: ErrorContext): string {
  const where = `models.providers.${provider} in ruche.yaml`;
  const said = `${told.codes} ${told.text}`;
  switch (kind) {
    case 'rate':
      if (!isSpent(told)) return `Provider "${provider}" limits how often it is asked.`;
      return PER_DAY.test(told.codes)
        ? `Provider "${provider}" has no quota left for this key today: raise it, or name another model.`
        : `Provider "${provider}" has no credit left for this key: top it up, or name another model.`;
    case 'overloaded':
      return `Provider "${provider}" is overloaded.`;
    case 'auth':
      return `Provider "${provider}" refused the key: check apiKey of ${where}, and what the key may do.`;
    case 'context':
      return `The conversation is longer than ${provider}/${model} can hold.`;
    case 'refused':
      return `Provider "${provider}" refused this content.`;
    case 'timeout':
      return `Provider "${provider}" gave up waiting.`;
    case 'invalid':
      if (SLIP.test(said))
        return `The model "${model}" of provider "${provider}" wrote a call that its server could not read.`;
      if (NO_TOOLS.test(said))
        return `The model "${model}" of provider "${provider}" takes no tools, and an agent cannot work without: name another model, or start the server with tools (vLLM: --enable-auto-tool-choice --tool-call-parser NAME; llama.cpp: --jinja).`;
      if (NO_ENDPOINT.test(said))
        return `Provider "${provider}" has nothing that may answer as the model "${model}" for this account: check the account's settings there, or name another model.`;
      if (UNKNOWN_MODEL.test(said))
        return `Provider "${provider}" does not know the model "${model}": check its name (with Ollama: ollama pull ${model}).`;
      if (told.status === 404)
        return `Provider "${provider}" found nothing for the model "${model}" at ${baseUrl}: check the model's name, and baseUrl of ${where} (it usually ends in ${urlEnd}).`;
      return `Provider "${provider}" did not accept the request for the model "${model}".`;
    default:
      return `Provider "${provider}" failed.`;
  }
}

const LASTING: ReadonlySet<ModelErrorKind> = new Set(['auth', 'context', 'refused', 'invalid', 'aborted']);

/** Classifies what a server told. `retryAfter`: milliseconds that its headers ask us to wait. */
export function toldError(said: Told, retryAfter: number | null, context: ErrorContext): ModelError {
  const told = retryAfter === null ? said : { ...said, wait: retryAfter };
  const kind = kindOf(told);
  const slip = kind === 'invalid' && SLIP.test(`${told.codes} ${told.text}`);
  const detail = plain(told.text, context.redact);
  const status = told.status === null ? '' : `HTTP ${told.status}`;
  const source = [status, detail].filter((part) => part !== '').join(': ');
  return {
    kind,
    message: `${explain(kind, told, context)}${source === '' ? '' : ` It said: ${source}`}`,
    retryable: (!LASTING.has(kind) || slip) && !(kind === 'rate' && isSpent(told)),
    retryAfter: told.wait ?? waitIn(told.text),
    ...(slip ? { asks: UNUSABLE } : {}),
  };
}

/** An error in any of the forms servers use, or null if the value holds none. */
export function readError(value: unknown): Told | null {
  if (!isObject(value)) return null;
  if (typeof value.error === 'string') {
    const text = typeof value.message === 'string' ? `${value.error}: ${value.message}` : value.error;
    return { status: null, codes: '', text };
  }
  const inner = isObject(value.error) ? value.error : value.object === 'error' ? value : null;
  if (!inner) return null;
  const { codes, wait } = readDetails(inner);
  const number = [inner.code, inner.status, inner.http_code].find((code) => typeof code === 'number');
  const status = typeof number === 'number' && number >= 400 && number < 600 ? number : null;
  const metadata = isObject(inner.metadata) && typeof inner.metadata.raw === 'string' ? ` (${inner.metadata.raw})` : '';
  const message = typeof inner.message === 'string' ? inner.message : JSON.stringify(inner);
  return { status, codes, text: (message + metadata).slice(0, MAX_SAID), ...(wait === null ? {} : { wait }) };
}

/** Fields in which providers say how many seconds to wait. */
const WAITS = ['retry_after', 'retry_after_seconds', 'resets_in_seconds', 'retryAfter'] as const;

/** What an error calls itself; Google adds details: how long to wait, and which quota is used up. */
function readDetails(error: Fields): { codes: string; wait: number | null } {
  const codes = [error.code, error.type, error.status].filter((code) => typeof code === 'string');
  const told = WAITS.map((name) => error[name]).find((value) => typeof value === 'number' && value >= 0);
  let wait = typeof told === 'number' ? waitOf(told * 1000) : null;
  for (const detail of Array.isArray(error.details) ? error.details : []) {
    if (!isObject(detail)) continue;
    const seconds = Number.parseFloat(wordsIn(detail.retryDelay));
    if (seconds >= 0) wait = waitOf(seconds * 1000);
    for (const violation of Array.isArray(detail.violations) ? detail.violations : [])
      if (isObject(violation)) codes.push(wordsIn(violation.quotaId));
  }
  return { codes: codes.join(' ').slice(0, MAX_SAID).toLowerCase(), wait };
}

/** A body that is not an error object: its text, without the tags of a web page. */
export function readErrorBody(status: number, body: string): Told {
  const parsed = parseJson(body);
  const told = readError(Array.isArray(parsed) ? parsed[0] : parsed);
  if (told) return { ...told, status };
  if (isObject(parsed)) {
    const text = [parsed.message, parsed.detail].find((each) => typeof each === 'string');
    return { status, codes: '', text: (typeof text === 'string' ? text : body).slice(0, MAX_SAID) };
  }
  const page = /<(?:!doctype|html)/i.test(body);
  const title = /<title>([^<]{1,200})/i.exec(body)?.[1];
  const said = page ? `a web page${title ? ` (${title.trim()})` : ''}` : body;
  return { status, codes: '', text: said.slice(0, MAX_SAID) };
}

/** “Please try again in 7.66s”: some providers say it only in words. */
function waitIn(text: string): number | null {
  const match = /try again in (?:(\d+)m(?!s))?(?:([\d.]+)(ms|s))?/i.exec(text);
  if (!match || (match[1] === undefined && match[2] === undefined)) return null;
  const minutes = Number(match[1] ?? 0) * 60_000;
  const rest = Number(match[2] ?? 0) * (match[3] === 'ms' ? 1 : 1000);
  return waitOf(minutes + rest);
}

/** Milliseconds the headers ask us to wait; null if they say nothing usable. */
export function retryAfter(headers: Headers, now: number): number | null {
  const ms = Number.parseFloat(headers.get('retry-after-ms') ?? '');
  if (ms >= 0) return waitOf(ms);
  const value = headers.get('retry-after')?.trim() ?? '';
  if (/^\d+(?:\.\d+)?$/.test(value)) return waitOf(Number(value) * 1000);
  // Without a letter it is no HTTP date, though Date.parse would make one of it.
  const at = /[a-z]/i.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? null : waitOf(Math.max(0, at - now));
}

/** It was not even sent. */
const unsent = (error: ModelError): ModelError => ({ ...error, unsent: true });

const failure = (kind: ModelErrorKind, retryable: boolean, message: string, asks?: ModelError['asks']): ModelError => ({
  kind,
  message,
  retryable,
  retryAfter: null,
  ...(asks === undefined ? {} : { asks }),
});

/** The server does answer: what it does wrong three times it will do wrong the next time, too. */
const UNUSABLE = { most: 3, later: false };
/** A page may stand there for minutes, or for good. */
const PAGE = { most: 2, later: true };
/** What a silent server has begun is lost each time it is asked again. */
const SILENT = { most: 2, later: false };

const setting = (provider: string, key: string): string => `${key} of models.providers.${provider} in ruche.yaml`;

export const badUrl = (reason: string, { provider }: ErrorContext): ModelError =>
  failure('invalid', false, `${setting(provider, 'baseUrl')} cannot be used: ${reason}.`);

export const noKey = (error: unknown, { redact }: ErrorContext): ModelError =>
  failure('auth', false, plain(errorText(error), redact));

/**
 * A 200 that holds no answer. `what`: a content type, or what was found instead. A proxy or a login page gives it for a
 * while; a wrong baseUrl gives it each time, which the tries find out.
 */
export const notAStream = (what: string, { provider, baseUrl, urlEnd }: ErrorContext): ModelError =>
  failure(
    'invalid',
    true,
    `Provider "${provider}" at ${baseUrl} gave ${what} instead of a model's answer. Either something in between answered (a proxy, a login page), or the URL is wrong: check ${setting(provider, 'baseUrl')} (it usually ends in ${urlEnd}).`,
    PAGE,
  );

export function explainFlaw(flaw: Flaw, context: ErrorContext): ModelError {
  const { provider } = context;
  if (typeof flaw === 'object' && 'told' in flaw) return toldError(flaw.told, null, context);
  if (typeof flaw === 'object')
    return failure(
      'invalid',
      true,
      `Provider "${provider}" gave no usable answer: ${plain(flaw.unusable, context.redact)}`,
      UNUSABLE,
    );
  switch (flaw) {
    case 'cut':
      return failure(
        'network',
        true,
        `The answer of provider "${provider}" ended early; what had arrived is kept.`,
        UNUSABLE,
      );
    case 'malformed':
      return failure(
        'invalid',
        true,
        `Provider "${provider}" sent a piece of an answer that is not valid JSON.`,
        UNUSABLE,
      );
    case 'nameless':
      return failure('invalid', true, `Provider "${provider}" sent a tool call without the tool's name.`, UNUSABLE);
    case 'too-long':
      return failure('invalid', false, `Provider "${provider}" did not stop answering; the rest was not read.`);
  }
}

/** The chain of causes, innermost words last: `fetch failed` alone helps nobody. */
function causes(error: unknown): string {
  const said: string[] = [];
  for (let at: unknown = error; at instanceof Error && said.length < 4; at = at.cause) {
    if (at.message !== '' && !said.some((each) => each.includes(at.message))) said.push(at.message);
  }
  return said.length > 0 ? said.join(': ') : String(error);
}

/** What broke between us and the server; `begun`: after its answer had started. */
export function netFailure(error: unknown, context: ErrorContext, signal: AbortSignal, begun: boolean): ModelError {
  if (signal.aborted) return failure('aborted', false, 'The model call was stopped.');
  const { provider, baseUrl } = context;
  const detail = plain(causes(error), context.redact);
  const code = !(error instanceof NetError) || (begun && error.code === 'connect') ? 'protocol' : error.code;
  const check = `check ${setting(provider, 'baseUrl')}`;
  switch (code) {
    case 'blocked':
      return failure('unavailable', false, `Provider "${provider}" at ${baseUrl} may not be contacted: ${detail}`);
    case 'dns':
      return unsent(
        failure('network', true, `The host of provider "${provider}" (${baseUrl}) was not found: ${check}. ${detail}`),
      );
    case 'connect': {
      const says = `Provider "${provider}" at ${baseUrl} cannot be reached: is it running? Else ${check}. ${detail}`;
      const unreached = failure('network', true, says);
      return error instanceof NetError && error.unsent ? unsent(unreached) : unreached;
    }
    case 'timeout':
      return failure(
        'timeout',
        true,
        `Provider "${provider}" ${begun ? 'stopped sending' : 'did not begin to answer'}: ${detail}. If it needs longer, set ${setting(provider, 'timeout')}, such as 20m.`,
        SILENT,
      );
    case 'too-large':
      return failure('invalid', false, `Provider "${provider}" did not stop answering; the rest was not read.`);
    case 'redirect':
      return failure('invalid', false, `Provider "${provider}" sends elsewhere: ${check}. ${detail}`);
    default:
      return failure('network', true, `The connection to provider "${provider}" broke: ${detail}`);
  }
}
