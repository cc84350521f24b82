import type { JSX } from 'preact';
import { useLayoutEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { AgentState } from '../../src/core/api/runtime.ts';
import type { ScheduleState } from '../../src/core/schedule.ts';
import type { TriggerState } from '../../src/core/trigger.ts';
import { money } from '../lib/format.ts';
import { allWork, href } from '../lib/route.ts';
import { Rules, type Rule } from '../parts/rules.tsx';
import { useAct } from '../parts/act.tsx';
import { AnswerForm } from '../parts/answer-form.tsx';
import { SentOf } from '../parts/sent.tsx';
import { Ago, Await, Away, Button, Empty, Plain } from '../parts/small.tsx';
import { useApp, useOpened } from '../stores/app.ts';
import { resource, valueOf } from '../stores/resource.ts';

/** Who there is, what each is at, what happens by itself, and who is off work. */
export function AgentsView(): JSX.Element {
  const { network, api, live } = useApp();
  const { rules } = useOpened('rules', () => {
    const opened = resource(async (): Promise<AllRules> => {
      const [schedules, triggers] = await Promise.all([api.schedules(), api.triggers()]);
      return { schedules, triggers };
    }, 1_000);
    const close = live.onChange(opened.changed);
    void opened.refresh();
    return { rules: opened, close };
  });
  return (
    <div class="page wide-page">
      <h1>Agents</h1>
      <p class="quiet">
        <a href={href({ name: 'costs' })}>Costs</a>
      </p>
      <Await of={network.state} what="the agents" retry={() => void network.refresh()}>
        {({ agents }) =>
          agents.length === 0 ? (
            <Empty title="No agents are running.">
              <p class="quiet">An agent is a folder in agents/ with an AGENT.md.</p>
            </Empty>
          ) : (
            <ul class="agents">
              {agents.map((each) => (
                <li key={each.name} class="card">
                  <Agent of={each} rules={valueOf(rules.state.value)} changed={rules.refresh} />
                </li>
              ))}
            </ul>
          )
        }
      </Await>
      {rules.state.value.kind === 'failed' && (
        <p class="note trouble">Schedules and triggers could not be loaded: {rules.state.value.message}</p>
      )}
    </div>
  );
}

interface AllRules {
  schedules: readonly ScheduleState[];
  triggers: readonly TriggerState[];
}

interface AgentProps {
  of: AgentState;
  rules: AllRules | null;
  changed: () => Promise<void>;
}

const ofSchedule = (of: ScheduleState): Rule => ({ ...of, hint: '' });
const ofTrigger = (of: TriggerState): Rule => ({ ...of, when: of.on, hint: of.when === null ? '' : `if ${of.when}` });

function Agent({ of, rules, changed }: AgentProps): JSX.Element {
  const { settings, api, names } = useApp();
  const { name, description, paused } = of;
  return (
    <article aria-label={name}>
      <header class="card-head">
        <h2>
          <a href={href(allWork(name))} title={`All work of ${name}`}>
            {name}
          </a>
        </h2>
        <AgentAt of={of} />
      </header>
      {description !== '' && (
        <p>
          <Plain text={description} />
        </p>
      )}
      {paused && (
        <p class="note">
          Paused <Ago at={paused.at} /> by {names.value.sender(paused.by)}
          {paused.reason !== '' && ': '}
          <Plain text={paused.reason} />
        </p>
      )}
      <Facts of={of} />
      <div class="row">
        <Pausing of={of} />
        <a href="/" onClick={() => settings.write('agent', name)}>
          Write to {name}
        </a>
        <a href={href({ name: 'board', agent: name })}>Board</a>
        <a href={href({ name: 'rights', agent: name })}>Rights</a>
      </div>
      <Rules
        title="Schedules"
        agent={name}
        list={(rules?.schedules ?? []).filter((each) => each.agent === name).map(ofSchedule)}
        change={api.changeSchedule}
        changed={changed}
        runs
      />
      <Rules
        title="Triggers"
        agent={name}
        list={(rules?.triggers ?? []).filter((each) => each.agent === name).map(ofTrigger)}
        change={api.changeTrigger}
        changed={changed}
        runs={false}
      />
      <SentOf agent={name} />
    </article>
  );
}

function AgentAt({ of: { paused, running, waiting, queued, later = 0 } }: { of: AgentState }): JSX.Element {
  const [state, words] = paused
    ? ['failed', 'Paused']
    : running > 0
      ? ['working', 'Working']
      : queued > later
        ? ['queued', 'About to start']
        : waiting > 0
          ? ['waiting', 'Waiting']
          : ['answered', later > 0 ? `Idle, ${later} for later` : 'Idle'];
  return (
    <span class={`state state-${state}`}>
      <span class="dot" aria-hidden="true" />
      {words}
    </span>
  );
}

function Facts({ of }: { of: AgentState }): JSX.Element {
  const {
    running,
    queued,
    later = 0,
    waiting,
    lastRun,
    nextFiring,
    costTodayUsd = 0,
    unpricedToday = false,
    models,
  } = of;
  return (
    <dl class="facts">
      <dt>Tasks</dt>
      <dd>
        {running} running, {queued} queued{later > 0 && ` (${later} for later)`}, {waiting} waiting
      </dd>
      <dt>Last run</dt>
      <dd>
        {lastRun ? (
          <a href={href({ name: 'item', task: lastRun.task })}>
            <Ago at={lastRun.at} /> ({lastRun.status})
          </a>
        ) : (
          'none'
        )}
      </dd>
      <dt>Next firing</dt>
      <dd>{nextFiring === null ? 'none' : <Away at={nextFiring} />}</dd>
      <dt>Cost today</dt>
      <dd>{unpricedToday && costTodayUsd === 0 ? 'unknown' : money(costTodayUsd, unpricedToday) || 'nothing'}</dd>
      <dt>Model</dt>
      <dd class="facts-model">{models[0] ?? 'none'}</dd>
    </dl>
  );
}

/** Off work, with a reason that people who write to it are told; and back. */
function Pausing({ of: { name, paused } }: { of: AgentState }): JSX.Element {
  const { api, network } = useApp();
  const { act, trouble } = useAct();
  const asking = useSignal(false);
  const reason = useSignal('');
  const done = async (what: () => Promise<unknown>, said: string): Promise<void> => {
    const did = await act(what, said);
    await network.refresh();
    // Where it failed, what was typed stays.
    if (did) close();
  };
  const close = (): void => {
    asking.value = false;
    reason.value = '';
  };
  // Paused elsewhere meanwhile: the question would come back with its next resumption.
  useLayoutEffect(() => {
    if (paused) close();
  }, [paused?.at]);
  if (asking.value && !paused)
    return (
      <>
        {trouble}
        <AnswerForm
          label={`Why ${name} is paused`}
          placeholder="Reason (shown to people who write to it)"
          text={reason}
          submit="Pause"
          send={() => done(() => api.pauseAgent(name, reason.value), `${name} is paused`)}
          longest={500}
          focused
        >
          <Button onClick={close}>Cancel</Button>
        </AnswerForm>
      </>
    );
  return (
    <>
      {trouble}
      {paused ? (
        <Button
          kind="primary"
          label={`Resume ${name}`}
          onClick={() => done(() => api.resumeAgent(name), `${name} is resumed`)}
        >
          Resume
        </Button>
      ) : (
        <Button label={`Pause ${name}`} onClick={() => void (asking.value = true)}>
          Pause…
        </Button>
      )}
    </>
  );
}
