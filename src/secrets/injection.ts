import type { SecretBinding } from '../core/agent.ts';
import { sameHeader } from '../core/net/headers.ts';
import { misleading, reachVerdict } from '../core/net/reach.ts';
import type { FollowedBody, Injected, Injection, Outgoing, Scrub } from '../core/ports/injection.ts';
import { errorText } from '../core/text/sentence.ts';
import { type Found, type Holder, isOwn, LONGEST_PLACEHOLDER, placeholderOf, placeholdersIn } from './placeholder.ts';
import { type Scrubbed, scrubOf } from './scrub.ts';

/** A placeholder that was on its way to where its secret does not belong. */
export interface Misdirected extends Holder {
  /** Names of the secrets; empty where the spelling hides them. */
  names: readonly string[];
  host: string;
}

export interface InjectionOptions {
  /** As they are now. */
  bindings(): readonly SecretBinding[];
  /** Rejects with what is missing and where to set it. */
  resolve(ref: string, forWhom: string): Promise<string>;
  /** The same for a value that is only looked for: it is not used. */
  peek(ref: string, forWhom: string): Promise<string>;
  /** Hides a value in everything that is kept. */
  hide(value: string): void;
  /** Authenticates placeholders. The same after a restart: commands outlive the runtime. */
  key: Uint8Array;
  /** A request of this run is about to leave with a value in it. */
  sent?(run: string): void;
  /** Called for each; a run that goes on may repeat itself. */
  misdirected(what: Misdirected): void;
}

/** Values of one secret that are looked for in answers: a server may repeat what it was sent before a rotation. */
const MAX_KNOWN = 8;

/** Headers with which a caller chooses in what form the answer comes. */
const CHOOSES_FORM = /^(?:(?:request-|if-)?range|a-im|accept-(?:charset|encoding))$/;

type Place = Pick<Outgoing, 'agent' | 'target' | 'method'>;

const isAt = (binding: SecretBinding, host: string, port: number): boolean =>
  binding.host === host && binding.ports.includes(port);

/** Whether a request to the binding's host is one that it covers. */
function covers({ host, ports, methods, path }: SecretBinding, { target, method }: Place): boolean {
  const reach = { host, ports, methods, paths: path === null ? null : [path], verdict: 'allow' as const };
  const http = { method, path: new URL(target.url).pathname };
  return reachVerdict([reach], { host: target.host, port: target.port, http }) !== null;
}

/** The parts of a value that a server could repeat by themselves: a name and password that are joined for `Basic`. */
function partsOf({ format }: SecretBinding, value: string): string[] {
  if (!/^basic\s/i.test(format)) return [value];
  const joined = Buffer.from(value, 'base64').toString('utf8');
  return [value, joined, joined.slice(joined.indexOf(':') + 1)].filter((part) => part !== '');
}

/** The text of a header, with what `Basic` hides. */
function readable(value: string): string {
  const [, encoded] = /^\s*basic\s+([\w+/=-]+)\s*$/i.exec(value) ?? [];
  return encoded === undefined ? value : Buffer.from(encoded, 'base64').toString('latin1');
}

const textOf = (body: string | Uint8Array | null): string =>
  typeof body === 'string' ? body : body === null ? '' : Buffer.from(body).toString('latin1');

class BoundSecrets implements Injection {
  readonly #options: InjectionOptions;
  /** By the name of the binding, the newest last. */
  readonly #known = new Map<string, string[]>();

  constructor(options: InjectionOptions) {
    this.#options = options;
  }

  bound(agent: string | null, host: string, port: number): boolean {
    return this.#mine(agent).some((binding) => isAt(binding, host, port));
  }

  hosts(agent: string): readonly string[] {
    return [...new Set(this.#mine(agent).map(({ host }) => host))];
  }

  placeholders(agent: string, run: string): ReadonlyMap<string, string> {
    const { key } = this.#options;
    return new Map(this.#mine(agent).map(({ name }) => [name, placeholderOf(key, { agent, run }, name)]));
  }

  async outgoing(request: Outgoing): Promise<Injected> {
    const { target, headers } = request;
    const there = this.#mine(request.agent).filter((binding) => isAt(binding, target.host, target.port));
    const fitting = there.filter((binding) => target.secure && covers(binding, request));
    const why = this.#strays(request, fitting) ?? wrong(request, there, fitting);
    if (why !== null) return { ok: false, why };
    const added: Record<string, string> = {};
    for (const binding of fitting) {
      if (added[binding.header] !== undefined) continue;
      const value = await this.#valueOf(binding, this.#options.resolve);
      if (!value.ok) return value;
      added[binding.header] = binding.format.replace('{}', () => value.value);
    }
    if (request.run !== null && fitting.length > 0) this.#options.sent?.(request.run);
    const scrub = await this.#scrubFor(request);
    // What is packed, or comes in parts or a charset of the caller's choice, could not be looked through.
    const kept = Object.entries(headers).filter(
      ([name]) => added[sameHeader(name)] === undefined && (scrub === null || !CHOOSES_FORM.test(sameHeader(name))),
    );
    const own = scrub === null ? added : { ...added, 'accept-encoding': 'identity' };
    return { ok: true, headers: { ...Object.fromEntries(kept), ...own }, scrub };
  }

  follow(request: Omit<Outgoing, 'body'>): FollowedBody {
    const { target } = request;
    const there = this.#mine(request.agent).filter((binding) => isAt(binding, target.host, target.port));
    const fitting = there.filter((binding) => target.secure && covers(binding, request));
    let end = '';
    return {
      push: (chunk) => {
        const text = end + textOf(chunk);
        end = text.slice(-LONGEST_PLACEHOLDER);
        return this.#judge(request, placeholdersIn(text), fitting);
      },
    };
  }

  #mine(agent: string | null): SecretBinding[] {
    return agent === null ? [] : this.#options.bindings().filter((binding) => binding.for.includes(agent));
  }

  /** Why the request must not leave with the placeholders that it holds; null if it may. */
  #strays(request: Outgoing, fitting: readonly SecretBinding[]): string | null {
    const { headers, target, body } = request;
    const parts = [
      target.url,
      textOf(body),
      ...Object.entries(headers).flatMap(([name, value]) => [name, readable(value)]),
    ];
    return this.#judge(
      request,
      parts.flatMap((part) => placeholdersIn(part)),
      fitting,
    );
  }

  #judge(request: Omit<Outgoing, 'body'>, found: readonly Found[], fitting: readonly SecretBinding[]): string | null {
    const { agent, run, target } = request;
    const holder = { agent: agent ?? '', run: run ?? '' };
    const bound = new Set(fitting.map(({ name }) => name));
    // At its own host even an odd spelling is worth nothing: only the header of the binding carries the value.
    const home = ({ name }: Found): boolean => (name === null ? bound.size > 0 : bound.has(name));
    const strays = found.filter(
      (each) => !home(each) || (each.name !== null && !isOwn(this.#options.key, holder, each)),
    );
    if (strays.length === 0) return null;
    const names = [...new Set(strays.flatMap(({ name }) => name ?? []))];
    this.#options.misdirected({ ...holder, names, host: target.host });
    const which = names.length === 0 ? 'a secret' : `the secret ${names.join(', ')}`;
    return `it holds the placeholder of ${which}, which this request must not carry. The owner has been told`;
  }

  async #valueOf(
    binding: SecretBinding,
    read: InjectionOptions['resolve'],
  ): Promise<{ ok: true; value: string } | { ok: false; why: string }> {
    const { name, value: ref } = binding;
    let value: string;
    try {
      value = await read(ref, `secrets.${name} in ruche.yaml`);
    } catch (error) {
      return { ok: false, why: `its credential is missing: ${errorText(error)}` };
    }
    if (!/^[\x20-\x7e]+$/.test(value))
      return {
        ok: false,
        why: `the value of the secret ${name} cannot stand in a header: it must be one line of ASCII`,
      };
    const known = this.#known.get(name) ?? [];
    if (!known.includes(value)) {
      for (const part of partsOf(binding, value)) this.#options.hide(part);
      this.#known.set(name, [...known, value].slice(-MAX_KNOWN));
    }
    return { ok: true, value };
  }

  /** Every value that this host is sent may come back, to any agent and in any answer. Null if none is bound to it. */
  async #scrubFor({ agent, run, target }: Outgoing): Promise<Scrub | null> {
    const { bindings, key } = this.#options;
    const values: Scrubbed[] = [];
    for (const binding of bindings().filter((each) => isAt(each, target.host, target.port))) {
      const { name } = binding;
      // One that cannot be had was not sent either.
      await this.#valueOf(binding, this.#options.peek);
      const own = agent !== null && run !== null && binding.for.includes(agent);
      const mark = own ? placeholderOf(key, { agent, run }, name) : '[redacted]';
      for (const value of this.#known.get(name) ?? [])
        for (const part of partsOf(binding, value)) values.push({ value: part, mark });
    }
    return values.length === 0 ? null : scrubOf(values);
  }
}

/** What is wrong with a request to a host that a secret is bound to; null if nothing is. */
function wrong(
  { target, method, headers }: Outgoing,
  there: readonly SecretBinding[],
  fitting: readonly SecretBinding[],
): string | null {
  const [first] = there;
  if (first === undefined) return null;
  if (!target.secure) return `the secret ${first.name} goes to ${target.host} over TLS only: use https`;
  const set = new Set(fitting.map(({ header }) => header));
  // With a key of somebody else a request could carry what it likes to that somebody's account at a host that is trusted.
  const given = new Set(Object.keys(headers).map(sameHeader));
  const foreign = there.find(({ header }) => given.has(header) && !set.has(header));
  if (foreign !== undefined)
    return `the header ${foreign.header} is set by the secret ${foreign.name} alone at ${target.host}, and that does not cover ${method} of this path`;
  const covered = fitting.map((binding) => ({
    methods: binding.methods,
    paths: binding.path === null ? null : [binding.path],
  }));
  const override = misleading(Object.keys(headers), covered);
  return override === undefined ? null : `the header ${override} could have the server read another request than this`;
}

/** The credentials of `secrets` in `ruche.yaml`, for the guard and for the proxies of commands. */
export const openInjection = (options: InjectionOptions): Injection => new BoundSecrets(options);
