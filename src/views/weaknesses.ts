import type { LineOf } from './policy.ts';
import { type Agent, type SecretBinding, type Settings, SETTINGS_FILE } from '../core/agent.ts';
import type { Weakness } from '../core/api/policy.ts';
import type { PolicyCall, PolicyFacts, Rule } from '../core/policy.ts';
import { hostKind, parseHostPattern } from '../core/net/host.ts';
import type { Reach } from '../core/net/reach.ts';
import type { AnyTool } from '../core/ports/tool.ts';
import { decide } from '../policy/decide.ts';

type Path = readonly (string | number)[];

interface Judged {
  settings: Settings;
  agents: ReadonlyMap<string, Agent>;
  tools: readonly Pick<AnyTool, 'name' | 'effect' | 'critical'>[];
  /** Whether commands of an agent with this choice are confined by more than the machine's user. */
  confines(choice: Agent['sandbox']): boolean;
  line: LineOf;
  /** Where files name variables of the environment. */
  environment: readonly { file: string; variable: string; path: Path }[];
}

type Found = Omit<Weakness, 'line' | 'key' | 'file'> & { path: Path; file?: string };

/** What the files that govern weaken of the defaults, in the order of the files. */
export function weaknesses(judged: Judged): Weakness[] {
  const found = [
    ...sandboxes(judged),
    ...networks(judged),
    ...judged.settings.rules.flatMap((rule, at) => looseRule(rule, at, judged)),
    ...contacts(judged.settings),
    ...bindings(judged.settings),
    ...judged.environment.map(({ file, variable, path }): Found => ({ ...inEnvironment(variable), file, path })),
    ...plainHttp(judged.settings),
    ...ownerless(judged.settings),
  ];
  return found.map(({ path, file = SETTINGS_FILE, ...rest }) => ({
    ...rest,
    file,
    line: judged.line(file, path),
    key: path.join('.'),
  }));
}

const agentFile = (name: string): string => `agents/${name}/AGENT.md`;

function sandboxes({ settings, agents, confines }: Judged): Found[] {
  const found = (file: string, whose: string): Found => ({
    id: 'sandbox-none',
    file,
    path: ['sandbox'],
    what: `nothing confines the commands of ${whose}: each one that is approved or allowed can do what you can`,
    instead: 'Remove the line: commands then run in the strictest sandbox of this machine.',
  });
  if (settings.sandbox !== undefined && !confines(settings.sandbox)) return [found(SETTINGS_FILE, 'all agents')];
  return [...agents.values()].flatMap(({ name, sandbox }) =>
    sandbox !== undefined && !confines(sandbox) ? [found(agentFile(name), name)] : [],
  );
}

/** A pattern of fewer than two whole names at its end is open to anybody who buys a name below it. */
const isBroad = (host: string): boolean =>
  /[*?]/.test(host) &&
  host
    .split('.')
    .toReversed()
    .findIndex((label) => /[*?]/.test(label)) < 2;

function networks({ settings, agents }: Judged): Found[] {
  const lists: [string, readonly Reach[]][] = [
    [SETTINGS_FILE, settings.network ?? []],
    ...[...agents.values()].map(({ name, network }): [string, readonly Reach[]] => [agentFile(name), network ?? []]),
  ];
  return lists.flatMap(([file, list]) =>
    list.flatMap((reach, at) => [
      ...(reach.verdict === 'allow' && isBroad(reach.host) ? [broadReach(file, reach.host, at)] : []),
      ...(file === SETTINGS_FILE ? openEntry(reach, ['network', at]) : []),
    ]),
  );
}

const broadReach = (file: string, host: string, at: number): Found => ({
  id: 'network-broad',
  file,
  path: ['network', at],
  what: `"${host}" lets ${file === SETTINGS_FILE ? 'agents' : 'the agent and its commands'} reach hosts that nobody has named`,
  instead: 'Name each host: `- api.example.com`, or `- { host: "*.example.com", methods: [GET], ask: true }`.',
});

/** An entry that asks opens nothing by itself, but for where credentials are. */
const openEntry = ({ host, verdict }: Reach, path: Path): Found[] =>
  opened(host, path, `Let it ask: \`{ host: "${host}", ports: [8080], ask: true }\`, or remove it.`).filter(
    ({ id }) => verdict === 'allow' || id === 'metadata-open',
  );

/** A private address that is open to agents, and what is narrower. */
function opened(host: string, path: Path, narrower: string): Found[] {
  const kind = /[*?]/.test(host) ? 'public' : hostKind(host);
  if (kind === 'public') return [];
  const credentials = kind === 'link-local';
  return [
    {
      id: credentials ? 'metadata-open' : 'private-open',
      path,
      what: `${host} is open to agents${credentials ? ', and there clouds keep the credentials of the machine' : ', though it is on this machine or its network'}`,
      instead: credentials ? 'Remove it.' : narrower,
    },
  ];
}

const NOBODY: Omit<PolicyFacts, 'rules' | 'tools' | 'sandboxed'> = { agentRules: [], network: null, labels: [] };

/** Whether this rule alone lets a call through that the defaults ask about. */
function lets(rule: Rule, call: PolicyCall, sandboxed = true): boolean {
  // What narrows a rule by circumstances (labels, hours, sender, queue) does not narrow what it lets through then.
  const { tool, effect, path, command, host, to, args } = rule.match;
  const match = Object.entries({ tool, effect, path, command, host, to, args }).filter(
    ([, each]) => each !== undefined,
  );
  const rules = [{ ...rule, match: Object.fromEntries(match) }];
  const facts = { ...NOBODY, tools: [call.tool], sandboxed };
  return (
    decide(call, { ...facts, rules }).verdict === 'allow' && decide(call, { ...facts, rules: [] }).verdict !== 'allow'
  );
}

const SOMEWHERE = ['https://somebody.example/', 'https://somebody.elsewhere.test/'];

function looseRule(rule: Rule, at: number, { tools }: Judged): Found[] {
  if (rule.verdict !== 'allow') return [];
  const path = ['policy', 'rules', at];
  const said = (id: string, what: string, instead: string): Found => ({
    id,
    path,
    what: `the rule ${rule.id} ${what}`,
    instead,
  });
  const found: Found[] = [];
  const taking = (name: string) => tools.filter(({ critical = [] }) => critical.includes(name));
  const any = taking('url').find(({ name: tool, effect }) =>
    SOMEWHERE.every((url) => lets(rule, { tool, effect, url, method: 'POST' })),
  );
  const host = rule.match.host === undefined ? null : parseHostPattern(rule.match.host);
  if (any !== undefined || (host !== null && isBroad(host.host)))
    found.push(
      said(
        'rule-any-host',
        `lets ${any?.name ?? 'agents'} contact hosts that nobody has named`,
        'Name the host: `allow: { host: "docs.example.org" }`.',
      ),
    );
  if (host?.literal === true)
    found.push(...opened(host.host, path, 'Let it ask: write `ask` in place of `allow`. Or remove it.'));
  const { to = '*:*' } = rule.match;
  const told = !/^[^:]*:?[^*?]{0,3}[*?]/.test(to)
    ? undefined
    : taking('to').find(({ name: tool, effect }) => lets(rule, { tool, effect, to: to.replace(/[*?]/g, '0') }));
  if (told !== undefined)
    found.push(
      said(
        'rule-anybody',
        `lets ${told.name} write to anybody`,
        `Name the address: \`allow: { tool: ${told.name}, to: "CHANNEL:ADDRESS" }\`.`,
      ),
    );
  const runs = tools.find(
    ({ name: tool, effect }) => effect === 'exec' && lets(rule, { tool, effect, command: 'a-program a-word' }, false),
  );
  if (runs !== undefined)
    found.push(
      said(
        'rule-any-command',
        'lets every command run without asking where nothing confines it',
        'Name the command: `allow: { command: "git status *" }`.',
      ),
    );
  const unknown = tools.find(({ name: tool, effect }) => effect === 'send' && lets(rule, { tool, effect }));
  if (found.length === 0 && unknown !== undefined)
    found.push(
      said(
        'rule-any-call',
        `lets ${unknown.name} do whatever it can`,
        `Name what it may do: \`args: { ${unknown.critical?.[0] ?? 'to'}: "…" }\`.`,
      ),
    );
  return found;
}

/** A path can hold anything: a reader of one host's log reads what was sent there. */
const contacts = ({ contacts: approved = [] }: Settings): Found[] =>
  approved.flatMap((contact, at) =>
    /^[a-z]+:\/\/[^/]*\/?\*$/i.test(contact)
      ? [
          {
            id: 'contact-broad',
            path: ['policy', 'contacts', at],
            what: `"${contact}" approves every path of its host, for runs that have read anything at all`,
            instead: 'Name the path: `- https://hooks.example.org/ours/*`.',
          },
        ]
      : [],
  );

const bindings = ({ secrets = [] }: Settings): Found[] => secrets.flatMap(broadBinding);

function broadBinding({ name, path, methods }: SecretBinding): Found[] {
  const open = [path === null || path === '/' ? 'every path' : '', methods === null ? 'every method' : ''].filter(
    Boolean,
  );
  if (open.length === 0) return [];
  return [
    {
      id: 'secret-broad',
      path: ['secrets', name],
      what: `the secret ${name} goes along with ${open.join(' and ')} of its host`,
      instead: 'Say what it is for: `methods: [GET]` and `path: /repos/our/`.',
    },
  ];
}

/** The environment is read by every program of the same user, and ends up in dumps and unit files. */
export const inEnvironment = (variable: string): Pick<Weakness, 'id' | 'what' | 'instead'> => {
  const name = variable.toLowerCase().replaceAll('_', '-');
  return {
    id: 'key-in-environment',
    what: `${variable} is in the environment, which other programs of this user can read`,
    instead: `Put it into the vault (\`ruche secrets set ${name}\`) and write \`secret:${name}\`.`,
  };
};

/** True for what crosses networks of others without TLS. */
function isPlain(url: unknown): boolean {
  const parsed = typeof url === 'string' ? URL.parse(url) : null;
  return parsed?.protocol === 'http:' && hostKind(parsed.hostname.replace(/^\[|\]$/g, '')) === 'public';
}

function plainHttp({ providers, channels, publicUrl, escalation }: Settings): Found[] {
  const found = (url: unknown, path: Path, carries: string): Found[] =>
    isPlain(url)
      ? [
          {
            id: 'plain-http',
            path,
            what: `${String(url)} has no TLS, so ${carries} can be read and changed on the way`,
            instead: `Write https:// there${path[0] === 'publicUrl' ? ', and put a proxy with TLS before Ruche (docs/proxy.md)' : ''}.`,
          },
        ]
      : [];
  return [
    ...found(publicUrl, ['publicUrl'], 'logins and messages'),
    ...providers.flatMap(({ name, baseUrl }) =>
      found(baseUrl, ['models', 'providers', name, 'baseUrl'], 'its key and everything that agents read'),
    ),
    ...channels.flatMap(({ name, settings }) =>
      Object.entries(settings).flatMap(([key, value]) =>
        found(value, ['channels', name, key], 'its token and messages'),
      ),
    ),
    ...Object.entries(escalation).flatMap(([name, levels]) =>
      levels.flatMap((level, at) =>
        found(/^webhook:(.*)$/.exec(level.to)?.[1], ['escalation', name, at, 'to'], 'what waits for a person'),
      ),
    ),
  ];
}

const ownerless = ({ channels }: Settings): Found[] =>
  channels.flatMap(({ name, owners }) =>
    owners.length > 0
      ? []
      : [
          {
            id: 'no-owner',
            path: ['channels', name],
            what: `${name} has no owner: nobody is asked there, and the next person who sends a pairing code becomes one`,
            instead: `Run \`ruche pair ${name}\` and send the code yourself, or remove the channel.`,
          },
        ],
  );
