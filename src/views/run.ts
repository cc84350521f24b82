import type { Event, EventOf } from '../core/event.ts';
import { runStream } from '../core/ids.ts';
import type { ModelMessage } from '../core/model.ts';
import type { Reads } from '../core/ports/store.ts';
import type { RunStep, RunView } from '../core/api/views.ts';
import { readJson } from '../core/records/json-blob.ts';
import { readOrder, readSaid, readSentence } from './exact.ts';
import type { Facts } from './facts.ts';

type ModelStep = Extract<RunStep, { kind: 'model' }>;
type CallStep = Extract<RunStep, { kind: 'call' }>;
type LandingStep = Extract<RunStep, { kind: 'landing' }>;

/** Characters of one text; the whole is behind its hash. */
const SHOWN = 20_000;

const cut = (text: string): string =>
  text.length <= SHOWN ? text : `${text.slice(0, SHOWN).toWellFormed()}\n[… ${text.length - SHOWN} more characters]`;

/** A run with its steps, by task or by run; null if there is none. */
export async function readRun(facts: Facts, id: string): Promise<RunView | null> {
  const task = await taskOf(facts, id);
  const entry = task === null ? null : await facts.entry(task);
  if (entry === null) return null;
  const { store } = facts;
  const summary = await facts.summary(entry);
  const message = entry.message ? await readSaid(store, entry.message.content) : null;
  const folded = summary.run === null ? null : await foldSteps(store, summary.run);
  return {
    ...summary,
    request: message?.text ?? (entry.content === null ? summary.title : await readOrder(store, entry.content)),
    reply: entry.result === null ? null : (await readSaid(store, entry.result)).text,
    base: folded?.started?.data.base ?? '',
    config: folded?.started?.data.config ?? '',
    list: folded?.list ?? [],
  };
}

/** The task of this name, or of the run of this name. */
export async function taskOf({ store }: Pick<Facts, 'store'>, id: string): Promise<string | null> {
  if (!id.startsWith('run_')) return id;
  for await (const event of store.read({ stream: runStream(id), limit: 1 }))
    if (event.type === 'run.started') return event.data.task;
  return null;
}

interface Folded {
  started: EventOf<'run.started'> | null;
  list: RunStep[];
}

async function foldSteps(store: Reads, run: string): Promise<Folded> {
  const steps = new Steps(store);
  let started: Folded['started'] = null;
  for await (const event of store.read({ stream: runStream(run) })) {
    if (event.type === 'run.started') started = event;
    await steps.add(event);
  }
  return { started, list: steps.list };
}

/** The steps of a run as its events tell them. */
class Steps {
  readonly list: RunStep[] = [];
  readonly #store: Reads;
  readonly #calls = new Map<string, CallStep>();
  #model: ModelStep | null = null;
  #landing: LandingStep | null = null;
  #parked = false;

  constructor(store: Reads) {
    this.#store = store;
  }

  async add(event: Event): Promise<void> {
    switch (event.type) {
      case 'run.parked':
        this.#parked = true;
        return;
      case 'run.resumed':
        this.list.push({ kind: 'resumed', at: event.at, waited: this.#parked });
        this.#parked = false;
        return;
      case 'message.taken': {
        const { text } = await readSaid(this.#store, event.data.content.hash);
        this.list.push({
          kind: 'message',
          at: event.at,
          text: cut(text),
          from: await this.#sender(event.data.message),
        });
        return;
      }
      case 'note.added': {
        const { text } = await readSaid(this.#store, event.data.note.hash);
        this.list.push({ kind: 'note', at: event.at, text: cut(text.replace(/^\[Ruche\] /, '')) });
        return;
      }
      case 'model.called':
      case 'model.answered':
      case 'model.failed':
        return this.#addModel(event);
      case 'landing.started':
      case 'landing.finished':
      case 'landing.conflicted':
        return this.#addLanding(event);
      case 'approval.asked':
      case 'approval.answered':
      case 'question.asked':
      case 'question.answered':
        return this.#addWait(event);
      default:
        return this.#addCall(event);
    }
  }

  async #sender(message: string): Promise<string> {
    const event = await this.#store.event(message);
    return event?.type === 'message.received' ? event.data.from : '';
  }

  async #addModel(event: EventOf<'model.called'> | EventOf<'model.answered'> | EventOf<'model.failed'>): Promise<void> {
    const { step, purpose, provider, model } = event.data;
    if (event.type === 'model.called') {
      const request = event.data.request.hash;
      const rest = { ms: null, finish: null, usage: null, costUsd: 0, unpriced: false };
      const said = { text: '', reasoning: '', error: null };
      this.#model = {
        kind: 'model',
        step,
        purpose,
        ...(event.data.route === undefined ? {} : { route: event.data.route }),
        at: event.at,
        provider,
        model,
        ...rest,
        ...said,
        request,
        answer: null,
      };
      this.list.push(this.#model);
      return;
    }
    if (this.#model === null) return;
    this.#model.ms = event.data.ms;
    const hash = event.type === 'model.answered' ? event.data.answer.hash : (event.data.partial?.hash ?? null);
    this.#model.answer = hash;
    if (hash !== null) {
      const { text, reasoning } = await readSaid(this.#store, hash);
      Object.assign(this.#model, { text: cut(text), reasoning: cut(reasoning) });
    }
    if (event.type === 'model.failed') {
      this.#model.error = await readSentence(this.#store, event.data.detail.hash);
      return;
    }
    const { finish, usage, costUsd, unpriced = false } = event.data;
    Object.assign(this.#model, { finish, usage, costUsd, unpriced });
    if (purpose === 'turn') await this.#addCalls(event);
  }

  /** The runtime names the calls of an answer by step and place, since models repeat their own names. */
  async #addCalls({ at, data }: EventOf<'model.answered'>): Promise<void> {
    const answer = await readJson<ModelMessage>(this.#store, data.answer);
    const found = (answer?.parts ?? []).filter((part) => part.type === 'call');
    for (const [index, { tool, args }] of found.entries()) {
      const call = `s${data.step}c${index + 1}`;
      const step: CallStep = {
        kind: 'call',
        call,
        tool,
        args: cut(args),
        at,
        decision: null,
        approval: null,
        question: null,
        startedAt: null,
        ms: null,
        ok: null,
        result: null,
        labels: [],
        full: null,
      };
      this.#calls.set(call, step);
      this.list.push(step);
    }
  }

  async #addCall(event: Event): Promise<void> {
    const call = 'call' in event.data ? this.#calls.get(event.data.call) : undefined;
    if (!call) return;
    switch (event.type) {
      case 'decision.made': {
        const { verdict, rule, reason } = event.data;
        call.decision = { verdict, rule, reason };
        return;
      }
      case 'tool.started':
        call.startedAt = event.at;
        return;
      case 'tool.returned': {
        const { ms, ok, labels, result } = event.data;
        const { text } = await readSaid(this.#store, result.hash);
        Object.assign(call, { ms, ok, labels, result: cut(text), full: result.hash });
        return;
      }
      default:
    }
  }

  async #addWait(
    event:
      | EventOf<'approval.asked'>
      | EventOf<'approval.answered'>
      | EventOf<'question.asked'>
      | EventOf<'question.answered'>,
  ): Promise<void> {
    const { at, data } = event;
    if ('call' in data && data.call === 'landing') {
      const approval = { id: 'approval' in data ? data.approval : '', verdict: null, by: null };
      this.#landing = { kind: 'landing', at, commit: null, paths: 0, state: 'asked', approval };
      this.list.push(this.#landing);
      return;
    }
    const calls = [...this.#calls.values()];
    if (event.type === 'approval.asked') {
      const call = this.#calls.get(event.data.call);
      if (call) call.approval = { id: event.data.approval, verdict: null, by: null };
    } else if (event.type === 'question.asked') {
      const { question: id, doubt, text } = event.data;
      const call = this.#calls.get(event.data.call);
      if (call) call.question = { id, text: await readSentence(this.#store, text.hash), answer: null, doubt };
    } else if (event.type === 'approval.answered') {
      const { approval: id, verdict, by } = event.data;
      const asked = [this.#landing, ...calls].find((each) => each?.approval?.id === id);
      if (asked) asked.approval = { id, verdict, by };
    } else {
      const call = calls.find((each) => each.question?.id === event.data.question);
      if (call?.question) call.question.answer = (await readSaid(this.#store, event.data.answer.hash)).text;
    }
  }

  #addLanding(event: EventOf<'landing.started'> | EventOf<'landing.finished'> | EventOf<'landing.conflicted'>): void {
    if (this.#landing === null || event.type === 'landing.started') {
      const approval = this.#landing?.approval ?? null;
      // One that was asked about goes on as itself.
      if (this.#landing === null || this.#landing.state !== 'asked') {
        this.#landing = { kind: 'landing', at: event.at, commit: null, paths: 0, state: 'started', approval };
        this.list.push(this.#landing);
      }
    }
    if (event.type === 'landing.conflicted') {
      this.#landing.state = 'conflict';
      // What is tried afterwards is a landing of its own.
      this.#landing = null;
      return;
    }
    this.#landing.paths = event.data.paths;
    if (event.type === 'landing.started') this.#landing.state = 'started';
    else Object.assign(this.#landing, { state: 'landed', commit: event.data.commit });
  }
}
