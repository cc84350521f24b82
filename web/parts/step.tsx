import type { ComponentChildren, JSX } from 'preact';
import type { RunStep } from '../../src/core/api/views.ts';
import { brief, count, duration, money, plural } from '../lib/format.ts';
import { href } from '../lib/route.ts';
import { LABELS, ruleName } from '../lib/words.ts';
import { useApp } from '../stores/app.ts';
import { Arguments, parsed } from './json.tsx';
import { Plain } from './small.tsx';

type Of<K extends RunStep['kind']> = Extract<RunStep, { kind: K }>;

/** One thing that was done, in a line; opened, all that is known of it. */
export function Step({ step, task }: { step: RunStep; task: string }): JSX.Element {
  const { names } = useApp();
  switch (step.kind) {
    case 'model':
      return <ModelStep step={step} task={task} />;
    case 'call':
      return <CallStep step={step} task={task} />;
    case 'message':
      return (
        <Line mark="said" title={`Meanwhile ${names.value.sender(step.from)} wrote`}>
          <Plain text={step.text} />
        </Line>
      );
    case 'note':
      return (
        <Line mark="note" title="Note">
          <Plain text={step.text} />
        </Line>
      );
    case 'landing':
      return <Line mark={step.state === 'landed' ? 'ok' : 'note'} title={landing(step)} />;
    case 'resumed':
      return (
        <Line
          mark="note"
          title={step.waited ? 'Continued with the answer it waited for' : 'Continued after an interruption'}
        />
      );
  }
}

function landing({ state, paths }: Of<'landing'>): string {
  const files = plural(paths, 'file');
  switch (state) {
    case 'started':
      return `Saving ${files} to the workspace`;
    case 'landed':
      return `Saved ${files} to the workspace`;
    case 'conflict':
      return 'Someone else changed the same place; it checks again';
    case 'asked':
      return 'Wants to change protected files: waiting for your approval';
  }
}

const Line = (props: { mark: string; title: string; children?: ComponentChildren }): JSX.Element => (
  <div class="step-line">
    <span class={`step-mark mark-${props.mark}`} aria-hidden="true" />
    <div>
      <span class="step-title">{props.title}</span>
      {props.children && <p class="step-text">{props.children}</p>}
    </div>
  </div>
);

function ModelStep({ step, task }: { step: Of<'model'>; task: string }): JSX.Element {
  const { usage } = step;
  const facts = [
    step.ms === null ? 'in progress' : duration(step.ms),
    // In the line of a step there is room for one: what it cost, or where that is nothing or unknown what it took.
    money(step.costUsd) || (usage && `${count(usage.input + usage.output)} tokens`),
  ].filter(Boolean);
  return (
    <details class="step">
      <summary>
        <span class={`step-mark mark-${step.error === null ? 'model' : 'bad'}`} aria-hidden="true" />
        <span class="step-title">
          {ASKED[step.purpose]} <b>{step.model}</b>
        </span>
        <span class="step-facts">{facts.join(' · ')}</span>
      </summary>
      <div class="step-body">
        {step.error !== null && (
          <p class="bad">
            <Plain text={step.error} />
          </p>
        )}
        {step.reasoning !== '' && <Block title="Reasoning" text={step.reasoning} />}
        {step.text !== '' && <Block title="Answer" text={step.text} />}
        <dl class="facts">
          <Fact name="Model">
            {step.provider}/{step.model}
          </Fact>
          {step.route !== undefined && <Fact name="Chosen">{routeText(step.route)}</Fact>}
          {usage && <Fact name="Tokens">{tokens(usage)}</Fact>}
          {step.finish === 'length' && <Fact name="Cut off">at the output limit of the model</Fact>}
          {step.finish === 'refused' && <Fact name="Refused">by the provider</Fact>}
        </dl>
        <p class="links">
          <a href={href({ name: 'exact', task, hash: step.request })}>Exact request</a>
          {step.answer !== null && <a href={href({ name: 'exact', task, hash: step.answer })}>Exact answer</a>}
        </p>
      </div>
    </details>
  );
}

const ASKED: Readonly<Record<Of<'model'>['purpose'], string>> = {
  turn: 'Asked',
  compact: 'Shortened the conversation with',
  title: 'Made a title with',
  extract: 'Extracted values with',
  classify: 'Classified with',
};

/** Which tier was asked, and why. */
function routeText({ to, by }: NonNullable<Of<'model'>['route']>): string {
  const [kind, detail = ''] = by.split(':');
  if (kind === 'rule') return `${to}, by rule ${detail}`;
  if (kind === 'after') return `${to}, after the light tier failed (${detail})`;
  if (kind === 'window') return `${to}, because it is too long for the light tier`;
  if (kind === 'step') return `${to}, for steps of this kind`;
  return kind === 'agent' ? `${to}, as the agent's file says` : `${to}, ${by}`;
}

function tokens({ input, output, cacheRead, cacheWrite }: NonNullable<Of<'model'>['usage']>): string {
  const cached = [
    cacheRead > 0 && `${count(cacheRead)} from the cache`,
    cacheWrite > 0 && `${count(cacheWrite)} written to it`,
  ];
  const known = cached.filter(Boolean).join(', ');
  return `${count(input)} in${known === '' ? '' : ` (${known})`}, ${count(output)} out`;
}

function CallStep({ step, task }: { step: Of<'call'>; task: string }): JSX.Element {
  return (
    <details class="step">
      <summary>
        <span class={`step-mark mark-${markOf(step)}`} aria-hidden="true" />
        <span class="step-title">
          <b>{step.tool}</b>{' '}
          <code>
            <Plain text={gist(step.args)} />
          </code>
        </span>
        <span class="step-facts">
          {[verdict(step), step.ms === null ? '' : duration(step.ms)].filter(Boolean).join(' · ')}
        </span>
      </summary>
      <div class="step-body">
        <Arguments text={step.args} />
        <Decision step={step} />
        {step.question && (
          <dl class="facts">
            <Fact name={step.question.doubt ? 'In doubt after an interruption' : 'It asked'}>
              <Plain text={step.question.text} />
            </Fact>
            <Fact name="Answer">
              {step.question.answer === null ? 'not yet' : <Plain text={step.question.answer} />}
            </Fact>
          </dl>
        )}
        {step.result !== null && <Block title={step.ok === false ? 'What went wrong' : 'Result'} text={step.result} />}
        {step.labels.map((label) => (
          <p class="note">The result is {LABELS[label]}.</p>
        ))}
        {step.full !== null && (
          <p class="links">
            <a href={href({ name: 'exact', task, hash: step.full })}>Whole result</a>
          </p>
        )}
      </div>
    </details>
  );
}

function Decision({ step }: { step: Of<'call'> }): JSX.Element | null {
  const { names } = useApp();
  const { decision, approval } = step;
  if (!decision) return null;
  return (
    <dl class="facts">
      <Fact name={VERDICTS[decision.verdict]}>
        <Plain text={decision.reason} /> <span class="quiet">({ruleName(decision.rule)})</span>
      </Fact>
      {approval && (
        <Fact name="Answer">
          {approval.verdict === null
            ? 'not yet'
            : `${approval.verdict === 'approve' ? 'approved' : 'denied'}${approval.by === null ? '' : ` by ${names.value.sender(approval.by)}`}`}
        </Fact>
      )}
    </dl>
  );
}

const VERDICTS = { allow: 'Allowed', ask: 'Asked you', deny: 'Denied' } as const;

function verdict({ decision, approval, ok }: Of<'call'>): string {
  if (decision?.verdict === 'deny') return 'denied';
  if (approval?.verdict === 'deny') return 'denied by you';
  if (approval?.verdict === 'approve') return ok === false ? 'approved, failed' : 'approved';
  if (decision?.verdict === 'ask') return 'waiting for you';
  return ok === false ? 'failed' : '';
}

function markOf({ decision, approval, ok, question }: Of<'call'>): string {
  if (decision?.verdict === 'deny' || approval?.verdict === 'deny' || ok === false) return 'bad';
  if (ok === true) return 'ok';
  return (decision?.verdict === 'ask' && approval?.verdict !== 'approve') || question ? 'wait' : 'work';
}

/** What says most of a call in a few words. */
export function gist(args: string): string {
  const value = parsed(args);
  if (value === undefined || value === null || typeof value !== 'object') return brief(args, 90);
  const words = Object.values(value).find((each) => typeof each === 'string');
  return brief(typeof words === 'string' ? words : Object.keys(value).length === 0 ? '' : args, 90);
}

const Block = ({ title, text }: { title: string; text: string }): JSX.Element => (
  <>
    <p class="block-title">{title}</p>
    <pre class="block" tabIndex={0}>
      <Plain text={text} />
    </pre>
  </>
);

const Fact = ({ name, children }: { name: string; children: ComponentChildren }): JSX.Element => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);
