import type { BlobRef } from '../core/blob.ts';
import { accountIdText } from '../core/budget.ts';
import type { DataOf, Event, EventType } from '../core/event.ts';
import type { Purpose, Usage } from '../core/model.ts';
import type { Route } from '../core/routing.ts';
import { whenText } from '../core/schedule.ts';

// What happened, in plain words: the subject of a commit in journal.git, and a line of `ruche log`.

/** Content by blob hash; null if its key has been erased. */
export type Contents = ReadonlyMap<string, Uint8Array | null>;

/** Text of a blob as far as it may be shown, in quotes and with a space before; '' if it may not. */
type Say = (ref: BlobRef) => string;
type Words = { readonly [T in EventType]: (data: DataOf<T>, say: Say) => string };

const short = (commit: string): string => commit.slice(0, 10);
/** Without the noise of binary fractions. */
const amount = (number: number): string => String(Number(number.toFixed(4)));
const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
const seconds = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

const time = (at: number): string => new Date(at).toISOString().replace('.000Z', 'Z');
const SKIPPED: Readonly<Record<DataOf<'schedule.skipped'>['why'], string>> = {
  missed: 'Ruche was off',
  overlap: 'the previous task has not ended',
  full: 'too many tasks wait',
};

const PASSED: Readonly<Record<DataOf<'trigger.skipped'>['why'], string>> = {
  condition: 'the condition could not be evaluated',
  limit: 'it has reached its limit',
  hops: 'the chain of tasks would be too long',
  tasks: 'the number of tasks would be too large',
  input: 'the input does not fit the queue',
  placeholder: 'a value the text needs is missing',
};
const causes = ({ first, last, count: number }: { first: string; last: string; count: number }): string =>
  number === 1 ? first : first === last ? `${number} files of ${first}` : `${number} causes from ${first} to ${last}`;
const REACHED: Readonly<Record<DataOf<'escalation.reached'>['outcome'], string>> = {
  told: 'told',
  unreachable: 'could not be reached',
  denies: 'nobody answered',
};
const HELD: Readonly<Record<DataOf<'message.held'>['why'], string>> = {
  quiet: 'quiet hours',
  many: 'it has had several within a minute',
};
const ENDED: Readonly<Record<DataOf<'escalation.ended'>['why'], string>> = {
  answered: 'it was answered',
  denied: 'it was denied',
  gone: 'nothing waits any more',
};

const size = (bytes: number): string => (bytes < 1000 ? `${bytes} B` : `${(bytes / 1000).toFixed(1)} kB`);

const ASKED_FOR: Readonly<Record<Purpose, string>> = {
  turn: '',
  compact: ' for a summary',
  title: ' for a title',
  extract: ' to extract values',
  classify: ' to classify',
};
function routeText(route: Route | undefined): string {
  if (route === undefined) return '';
  const [kind, detail = ''] = route.by.split(':');
  const why: Readonly<Record<string, string>> = {
    step: 'for such steps',
    agent: "as the agent's file says",
    rule: `by rule ${detail}`,
    after: `after the light tier failed: ${detail}`,
    window: 'too long for the light tier',
  };
  return ` (${route.to}, ${why[kind ?? ''] ?? route.by})`;
}
const tokensText = ({ input, output, cacheRead }: Usage): string =>
  `${input} + ${output} tokens${cacheRead > 0 ? `, ${Math.round((100 * cacheRead) / Math.max(1, input))} % of the input cached` : ''}`;

const WORDS: Words = {
  'net.sent': ({ who, agent, host, port, bytesOut, bytesIn, outcome, calls = 1 }) =>
    `${outcome === 'ok' ? 'sent' : `could not send (${outcome})`} ${size(bytesOut)}${calls > 1 ? ` in ${calls} calls` : ''} to ${host}:${port} for ${agent ?? 'the runtime'} (${who}), ${size(bytesIn)} came back`,
  'message.received': (data, say) => `wrote to ${data.agent} via ${data.channel}${say(data.content)}`,
  'history.given': (data) => `brought ${count(data.messages.length, 'earlier message')}`,
  'sender.denied': (data) => `rejected ${data.sender} on ${data.channel}`,
  'pairing.opened': (data) => `created a code that pairs an owner with ${data.channel}`,
  'owner.paired': (data) => `made ${data.sender} an owner on ${data.channel}`,
  'chat.session': (data) => `began ${data.session} with ${data.agent} on ${data.channel}`,
  'chat.renamed': (data) => `follows the chat ${data.from} on ${data.channel}, which is ${data.to} now`,
  'turn.ended': (data) => `ended the turn: ${data.status}`,
  'conversation.compacted': (data) => `summarised the conversation, ${data.tokensBefore} to ${data.tokensAfter} tokens`,
  'message.queued': (data, say) =>
    data.told === undefined ? `answers${say(data.content)}` : `tells ${data.channel}:${data.to}${say(data.content)}`,
  'message.held': (data) =>
    `holds a message for ${data.channel}:${data.to} until ${time(data.until)}: ${HELD[data.why]}`,
  'message.collected': (data) =>
    `sends ${count(data.messages.length, 'message')} to ${data.channel}:${data.to}${data.messages.length === 1 ? '' : ' as one'}`,
  'message.drafted': (data) => `shows the reply by ${data.channel} while it is written`,
  'message.sending': (data) =>
    `is sending the reply by ${data.channel}, attempt ${data.attempt}${data.parts === 1 ? '' : `, part ${data.part + 1} of ${data.parts}`}`,
  'message.progressed': (data) => `sent part ${data.part + 1} of the reply by ${data.channel}`,
  'message.sent': (data) => `sent the reply by ${data.channel}${data.repeated ? ', marked as a possible repeat' : ''}`,
  'message.unsure': (data) => `does not know whether the reply arrived by ${data.channel}: ${data.error}`,
  'message.failed': (data) =>
    `could not send the reply by ${data.channel}: ${data.error}${data.final ? ' (given up)' : ''}`,
  'task.queued': (data) => `queued ${data.task.id} for ${data.task.agent}`,
  'task.retried': (data) => `tries ${data.task} again, attempt ${data.attempt}: ${data.error}`,
  'task.finished': (data) => `finished ${data.task}: ${data.status}`,
  'task.late': (data) => `${data.task} has missed its deadline, ${new Date(data.deadline).toISOString()}`,
  'task.restored': (data) => `restored the file of ${data.task}`,
  'task.rejected': (data, say) => `made no task of a file in the inbox of ${data.queue}${say(data.detail)}`,
  'task.created': (data) => (data.joined ? `joins ${data.child} of ${data.to}` : `gives ${data.child} to ${data.to}`),
  'task.joined': (data) => `is also wanted by ${data.by}`,
  'tasks.awaited': (data) =>
    `will go on when ${data.children.join(', ')} ${data.children.length === 1 ? 'has' : 'have'} ended`,
  'matter.raised': (data, say) => `asks the owner ${data.matter} (${data.kind}, ${data.about})${say(data.text)}`,
  'matter.settled': (data, say) => `closed ${data.matter}${say(data.answer)}`,
  'escalation.started': (data) => `takes ${data.about} up the chain ${data.chain}`,
  'escalation.reached': (data) =>
    `level ${data.level + 1}, ${data.to}: ${REACHED[data.outcome]}${data.why === null ? '' : ` (${data.why})`}`,
  'escalation.acknowledged': (data) => `acknowledged ${data.escalation}`,
  'escalation.ended': (data) => `${data.escalation} is closed: ${ENDED[data.why]}`,
  'conversation.moved': (data, say) => `handed the conversation over to ${data.to}${say(data.brief)}`,
  'task.dismissed': (data) => `dismissed ${data.task} from the list of failures`,
  'schedule.set': (data) => `is set: ${whenText(data.timing)} (${data.timing.zone})`,
  'schedule.removed': () => 'was removed',
  'schedule.fired': (data) =>
    `${data.by === null ? 'fired' : 'was run by hand'} for ${time(data.at)}: ${data.task}${data.missed > 0 ? `, for ${count(data.missed, 'missed firing')} too` : ''}`,
  'schedule.skipped': (data) => `skipped ${count(data.count, 'firing')} up to ${time(data.at)}: ${SKIPPED[data.why]}`,
  'schedule.paused': () => 'is paused',
  'schedule.resumed': () => 'is resumed',
  'trigger.set': (data) => `${data.trigger} applies from here on`,
  'trigger.removed': () => 'was removed',
  'trigger.fired': ({ task, first, last, count: number, by }) =>
    first === null || last === null
      ? `was run by ${by ?? 'someone'}: ${task}`
      : `fired for ${causes({ first, last, count: number })}: ${task}`,
  'trigger.skipped': (data, say) =>
    `skipped ${causes(data)}: ${PASSED[data.why]}${data.detail === null ? '' : say(data.detail)}`,
  'trigger.paused': () => 'is paused',
  'trigger.resumed': () => 'is resumed',
  'triggers.seen': (data) => `triggers have seen the journal up to ${data.upTo}`,
  'mail.received': (data, say) => `mail ${data.mail} came in${say(data.content)}`,
  'mail.seen': (data) =>
    `has followed ${data.account} ${data.folder} up to ${data.validity}.${data.uid}${data.anew ? ', which its server has numbered anew' : ''}`,
  'webhook.received': (data) => `received a webhook on ${data.hook} (delivery ${data.delivery})`,
  'main.moved': (data) =>
    `found main moved to ${short(data.to)} ${data.by === 'person' ? 'by a commit' : 'from elsewhere'}`,
  'run.started': (data) => `started ${data.run} for ${data.task} at ${short(data.base)}`,
  'run.resumed': (data) => `resumed at step ${data.step}`,
  'base.moved': (data) => `goes on from ${short(data.to)}, with what has changed since`,
  'files.placed': (data) => `finds ${count(data.files, 'file')} of the message in its view`,
  'message.taken': (data, say) => `took in another message${say(data.content)}`,
  'model.called': (data) => `asked ${data.provider}/${data.model}${ASKED_FOR[data.purpose]}${routeText(data.route)}`,
  'model.answered': (data, say) =>
    `${data.provider}/${data.model} answered in ${seconds(data.ms)} (${data.finish}, ${data.estimated ? 'at most ' : ''}${tokensText(data.usage)})${say(data.answer)}`,
  'model.failed': (data, say) =>
    `${data.provider}/${data.model} failed after ${seconds(data.ms)}: ${data.error}${say(data.detail)}`,
  'decision.made': (data) => `${data.tool}: ${data.verdict} by ${data.rule}: ${data.reason}`,
  'approval.asked': (data, say) => `asks approval for ${data.tool} (${data.approval})${say(data.shown)}`,
  'approval.seconded': (data) => `approves ${data.approval} as one of several`,
  'approval.answered': (data) => `${data.verdict === 'approve' ? 'approved' : 'denied'} ${data.approval}`,
  'question.asked': (data, say) =>
    `${data.doubt ? 'cannot tell what happened and asks' : 'asks'} (${data.question})${say(data.text)}`,
  'question.answered': (data, say) => `answered ${data.question}${say(data.answer)}`,
  'run.parked': (data) =>
    data.waits.length === 0 ? 'is paused with its agent' : `waits for ${data.waits.map((wait) => wait.id).join(', ')}`,
  'tool.started': (data) => `starts ${data.tool}`,
  'tool.returned': (data, say) =>
    `${data.tool} ${data.ok ? 'done' : 'failed'} in ${seconds(data.ms)}${data.reconciled ? ' (found after a restart)' : ''}${say(data.result)}`,
  'files.labelled': (data) => `put on record where ${count(data.files, 'file')} came from`,
  'landing.started': (data, say) => `is landing ${count(data.paths, 'path')}${say(data.message)}`,
  'landing.finished': (data) =>
    data.commit === null ? 'had nothing to land' : `landed ${count(data.paths, 'path')} as ${short(data.commit)}`,
  'landing.conflicted': (data) => `could not land onto ${short(data.onto)} and goes on from there`,
  'note.added': (data, say) => `was told${say(data.note)}`,
  'run.finished': (data) =>
    `ended ${data.run}: ${data.status} after ${count(data.steps, 'step')}${data.error === null ? '' : ` (${data.error})`}`,
  'person.committed': (data) => `changed ${count(data.paths, 'file')} (${short(data.commit)})`,
  'config.applied': (data) => `the settings at ${short(data.commit)} apply`,
  'config.refused': (data, say) =>
    `refused new settings, ${count(data.problems, 'problem')}; the old ones stay${say(data.detail)}`,
  'config.held': (data) => `settings from outside at ${short(data.commit)} wait for approval ${data.approval}`,
  'agent.paused': (data, say) => `paused ${data.agent}${data.reason === null ? '' : say(data.reason)}`,
  'agent.resumed': (data) => `resumed ${data.agent}`,
  'grant.given': (data, say) =>
    `lets ${data.agent} use ${data.tool} ${data.scope === 'task' ? `in ${data.task}` : 'from now on'}${data.count === null ? '' : `, ${count(data.count, 'time')}`}${data.until === null ? '' : `, until ${time(data.until)}`} (${data.grant})${say(data.terms)}`,
  'grant.used': (data) => `uses ${data.grant}`,
  'grant.revoked': (data) => `revoked ${data.grant}`,
  'value.endorsed': (data, say) => `vouches for the ${data.kind} ${data.endorsement}${say(data.value)}`,
  'value.revoked': (data) => `vouches for ${data.endorsement} no more`,
  'secret.changed': (data) =>
    data.what === 'removed'
      ? `removed the secret ${data.name}`
      : data.what === 'set'
        ? `gave the secret ${data.name}`
        : `replaced the secret ${data.name}`,
  'secret.key': (data) => `encrypted the secrets with another key, ${data.publicKey}`,
  'secret.used': (data) => `read the secret ${data.name} for ${data.for}`,
  'budget.met': (data) =>
    `reached the budget (${accountIdText(data.account)}), ${amount(data.spent)} of ${amount(data.limit)} spent: ${data.action}${data.to === null ? '' : ` to ${data.to}`}`,
  'budget.answered': (data) =>
    data.raised === null
      ? `went on at the budget (${accountIdText(data.account)}) without a raise`
      : data.raised > 0
        ? `raised the budget (${accountIdText(data.account)}) by ${amount(data.raised)}`
        : `did not raise the budget (${accountIdText(data.account)})`,
  'price.corrected': (data) =>
    `corrected the price of ${data.model} since ${time(data.since)}: ${data.price.input} in, ${data.price.output} out`,
  'gateway.started': (data) =>
    `started, version ${data.version}${data.recovered > 0 ? `, ${count(data.recovered, 'task')} taken up again` : ''}${data.lost === undefined ? '' : `, without ${count(data.lost.events, 'lost event')} (kept in ${data.lost.kept})`}${data.newer === undefined ? '' : `; main has ${count(data.newer.commits, 'commit')} of runs that this home does not know${data.newer.accepted ? ', which a person has accepted' : ''}`}`,
  'gateway.stopped': (data) => `stopped: ${data.reason}`,
};

export const EVENT_TYPES: readonly string[] = Object.keys(WORDS);

/** What happened; content that is not given is left out. */
export function describe(event: Event, contents: Contents): string {
  const say: Say = (ref) => {
    const bytes = contents.get(ref.hash);
    if (bytes === null) return ' (erased)';
    const text = bytes === undefined ? '' : textOf(bytes);
    return text === '' ? '' : `: "${text}"`;
  };
  const words = WORDS[event.type] as ((data: object, say: Say) => string) | undefined;
  return words ? words(event.data, say) : event.type;
}

const SHOWN = 300;

/** The words in a blob: a message's text, what was shown, or the bytes as text. */
function textOf(bytes: Uint8Array): string {
  const raw = new TextDecoder().decode(bytes.subarray(0, 64 * 1024));
  return wordsIn(parsed(raw) ?? raw).slice(0, SHOWN);
}

function parsed(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    // Not JSON, or cut: shown as it is.
    return null;
  }
}

function wordsIn(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(wordsIn).filter(Boolean).join(' ');
  if (value === null || typeof value !== 'object') return '';
  const { text, message, parts, tool, args } = value as Record<string, unknown>;
  if (typeof tool === 'string' && typeof args === 'string') return `${tool} ${args}`;
  return [text, message, parts].map(wordsIn).find(Boolean) ?? '';
}

const LIGHT: ReadonlySet<EventType> = new Set([
  'mail.seen',
  'net.sent',
  'triggers.seen',
  'task.queued',
  'turn.ended',
  'message.drafted',
  'message.sending',
  'message.progressed',
  'run.started',
  'base.moved',
  'files.placed',
  'model.called',
  'model.answered',
  'decision.made',
  'grant.used',
  'run.parked',
  'task.created',
  'tasks.awaited',
  'tool.started',
  'files.labelled',
  'landing.started',
  'note.added',
  'run.finished',
  'message.queued',
  'secret.used',
]);

/** Whether an event deserves a commit of its own; the light ones go with the next that does. */
export const isWeighty = (event: Event): boolean => !LIGHT.has(event.type);
