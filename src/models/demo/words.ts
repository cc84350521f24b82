import { appending, asking, editing, oneCall, saying, scheduled, type Step, writing } from './steps.ts';

/** What a sentence may be about besides itself. */
export interface Heard {
  /** What people said before, oldest first. */
  earlier: readonly string[];
}

interface Verb {
  /** As shown by `help`. */
  form: string;
  /** The whole sentence, or null if it is not this verb's. */
  parse(sentence: string, heard: Heard): Step | null;
}

const ABOUT =
  'I am the demo model built into Ruche. No language model is configured: I follow a dozen fixed sentences, but what they do is real.';

/** `PATH: TEXT`. One space after the colon belongs to the sentence, everything else to the text. */
function pathAndText(rest: string): { path: string; text: string } | null {
  const match = /^([^\n]+?):(?: |(?=\n)|$)/.exec(rest) ?? /^([^\n:]+):/.exec(rest);
  const path = match?.[1]?.trim();
  return match && path ? { path, text: rest.slice(match[0].length) } : null;
}

const after = (verb: RegExp, sentence: string): string | null => {
  const match = verb.exec(sentence);
  return match ? sentence.slice(match[0].length) : null;
};

const withPath = (verb: RegExp, make: (path: string, text: string) => Step | null) => (sentence: string) => {
  const rest = after(verb, sentence);
  const parsed = rest === null ? null : pathAndText(rest);
  return parsed && make(parsed.path, parsed.text);
};

/** The rest of the sentence as one argument. */
const withRest = (verb: RegExp, make: (rest: string) => Step) => (sentence: string) => {
  const rest = after(verb, sentence);
  return rest === null || rest.trim() === '' ? null : make(rest);
};

const LIST = /^list(?: (?:all )?(?:the )?files?(?: in (.+))?)?[.!]?\s*$/is;

/** `ask AGENT [with PATH] to: ORDER`. All that follows is the order, further sentences included. */
const ASK = /^ask ([a-z][a-z0-9-]*)(?: with (\S+))? to: ?/i;

const HAND_OVER = /^hand over to ([a-z][a-z0-9-]*): ?/i;

/** `every 10m: ORDER`, `in 30m: ORDER`, `every weekday at 08:15: ORDER`, `at 2026-12-24T08:00: ORDER`: all that follows is the order, too. */
const BY_THE_CLOCK =
  /^(?:every (day|weekday) at (\d{1,2}):(\d\d)|every (\d+[smhd])|in (\d+[smhd])|at (\d{4}-\d\d-\d\dT\d\d:\d\d)): ?/i;

/** What is done by the clock from now on, under a name that says when. */
function scheduling(sentence: string): Step | null {
  const match = BY_THE_CLOCK.exec(sentence);
  const task = match === null ? '' : sentence.slice(match[0].length).trim();
  if (match === null || task === '') return null;
  const [, , hour = '0', minute = '0'] = match;
  if (Number(hour) > 23 || Number(minute) > 59)
    return saying('schedule', `${hour}:${minute} is not a time of the day. Write one from 00:00 to 23:59.`);
  const [name, when] = firingOf(match);
  return scheduled(name, { ...when, task });
}

function firingOf([, days, hour = '', minute = '', every, later, at = '']: RegExpExecArray): [
  string,
  Record<string, string>,
] {
  if (every !== undefined) return [`every-${every.toLowerCase()}`, { every: every.toLowerCase() }];
  if (later !== undefined) return [`in-${later.toLowerCase()}`, { in: later.toLowerCase() }];
  if (days === undefined) return [`at-${at.replaceAll(/\D/g, '')}`, { at: at.toUpperCase() }];
  const [name, weekdays] = days.toLowerCase() === 'weekday' ? ['weekdays', '1-5'] : ['daily', '*'];
  return [`${name}-${hour.padStart(2, '0')}${minute}`, { cron: `${Number(minute)} ${Number(hour)} * * ${weekdays}` }];
}

/** To teach it another sentence, add a verb. */
const VERBS: readonly Verb[] = [
  {
    form: 'list the files [in FOLDER]',
    parse(sentence) {
      const match = LIST.exec(sentence);
      if (!match) return null;
      const folder = match[1]?.trim();
      return oneCall(folder ? `list ${folder}` : 'list', { tool: 'list', args: folder ? { path: folder } : {} });
    },
  },
  {
    form: 'read PATH',
    parse: withRest(/^read /i, (rest) => oneCall(`read ${rest.trim()}`, { tool: 'read', args: { path: rest.trim() } })),
  },
  { form: 'write PATH: TEXT', parse: withPath(/^write /i, writing) },
  { form: 'append PATH: TEXT', parse: withPath(/^append /i, appending) },
  {
    form: 'edit PATH: OLD => NEW',
    parse: withPath(/^edit /i, (path, text) => {
      const arrow = text.indexOf(' => ');
      return arrow > 0 ? editing(path, text.slice(0, arrow), text.slice(arrow + 4)) : null;
    }),
  },
  {
    form: 'search TEXT',
    parse: withRest(/^search (?:for )?/i, (pattern) =>
      oneCall(`search ${pattern}`, { tool: 'search', args: { pattern } }),
    ),
  },
  {
    form: 'run: COMMAND',
    parse: withRest(/^run: ?/i, (command) => oneCall(`run ${command}`, { tool: 'shell', args: { command } })),
  },
  {
    form: 'fetch URL',
    parse(sentence) {
      const url = /^fetch:? (\S+)\s*$/i.exec(sentence)?.[1];
      return url === undefined ? null : oneCall(`fetch ${url}`, { tool: 'fetch', args: { url } });
    },
  },
  {
    form: 'ask me: QUESTION',
    parse: withRest(/^ask me: ?/i, (question) =>
      oneCall(`You were asked "${question.trim()}" and answered`, { tool: 'ask', args: { question } }),
    ),
  },
  {
    form: 'ask AGENT [with PATH] to: ORDER',
    parse(sentence) {
      const match = ASK.exec(sentence);
      const text = match && sentence.slice(match[0].length).trim();
      return match?.[1] && text ? asking(match[1].toLowerCase(), text, match[2] ?? null) : null;
    },
  },
  {
    form: 'every day|weekday at HH:MM: ORDER, every 10m: ORDER, in 30m: ORDER, at YYYY-MM-DDTHH:MM: ORDER',
    parse: scheduling,
  },
  {
    form: 'list the schedules',
    parse: (sentence) =>
      /^list (?:the |my )?schedules[.!]?\s*$/i.test(sentence)
        ? oneCall('schedules', { tool: 'schedule', args: {} })
        : null,
  },
  {
    form: 'remove the schedule NAME',
    parse(sentence) {
      const remove = /^remove (?:the )?schedule (\S+)\s*$/i.exec(sentence)?.[1];
      return remove === undefined ? null : oneCall(`remove ${remove}`, { tool: 'schedule', args: { remove } });
    },
  },
  {
    form: 'hand over to AGENT: BRIEF',
    parse(sentence) {
      const match = HAND_OVER.exec(sentence);
      const [agent, brief] = [match?.[1]?.toLowerCase(), sentence.slice(match?.[0].length).trim()];
      return agent && brief ? oneCall(`hand over to ${agent}`, { tool: 'hand_over', args: { agent, brief } }) : null;
    },
  },
  {
    form: 'tell owner: TEXT',
    parse(sentence) {
      const match = /^tell (owner|[a-z][a-z0-9-]*:\S+): ?(?=\S)/i.exec(sentence);
      const to = match?.[1]?.toLowerCase();
      const text = sentence.slice(match?.[0].length);
      return to === undefined ? null : oneCall(`tell ${to}`, { tool: 'tell', args: { to, text } });
    },
  },
  {
    form: 'what did I say?',
    parse(sentence, { earlier }) {
      if (!/^what did i say\b[\w ]*\??\s*$/i.test(sentence)) return null;
      const lines = earlier.slice(-20).map((text) => `- ${text}`);
      return saying(
        'memory',
        lines.length > 0 ? `You said:\n${lines.join('\n')}` : 'Nothing yet: this is your first message.',
      );
    },
  },
  {
    form: 'hello',
    parse: (sentence) =>
      /^(?:hello|hi|hey)[ \w,]{0,30}[.!]*\s*$/i.test(sentence) ? saying('hello', `Hello! ${ABOUT}`) : null,
  },
  {
    form: 'help',
    parse: (sentence) => (/^help[.!?]*\s*$/i.test(sentence) ? saying('help', helpText()) : null),
  },
];

function helpText(): string {
  const forms = VERBS.map((verb) => `- ${verb.form}`).join('\n');
  return `${ABOUT}\n\nI understand:\n${forms}\n\nJoin them with ", then ", for example: write notes.md: hello, then run: wc -c notes.md`;
}

function parseSentence(sentence: string, heard: Heard): Step | null {
  for (const verb of VERBS) {
    const step = verb.parse(sentence, heard);
    if (step) return step;
  }
  return null;
}

const JOINT = ', then ';

/** What a message asks for, in order. A `, then ` that no sentence follows belongs to the text before it. */
export function stepsOf(message: string, heard: Heard): Step[] {
  const sentences: string[] = [];
  for (const [index, piece] of message.trimStart().split(JOINT).entries()) {
    const last = sentences.at(-1) ?? '';
    const ordering = ASK.test(last) || BY_THE_CLOCK.test(last);
    if (index === 0 || (!ordering && parseSentence(piece, heard))) sentences.push(piece);
    else sentences.push(`${sentences.pop()}${JOINT}${piece}`);
  }
  return sentences.map(
    (sentence) =>
      parseSentence(sentence, heard) ??
      saying('unknown', `I did not understand "${short(sentence)}". ${ABOUT} Say "help" to see them.`),
  );
}

const short = (text: string): string => (text.length > 200 ? `${text.slice(0, 200)}…` : text);
