import type { JSX } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { ModelTest, ModelView, ProviderView } from '../../src/core/api/views.ts';
import { messageOf } from '../lib/api.ts';
import { count, duration, money } from '../lib/format.ts';
import { Await, Button, Empty, Plain } from '../parts/small.tsx';
import { useApp } from '../stores/app.ts';
import { resource } from '../stores/resource.ts';
import { Setup } from './setup.tsx';

/** Which models think here, and the way to another one. */
export function ModelsView(): JSX.Element {
  const { api, network } = useApp();
  const models = useMemo(() => resource(() => api.models()), []);
  useEffect(() => network.state.subscribe(models.changed), []);
  return (
    <div class="page">
      <h1>Models</h1>
      <Await of={models.state} what="models" retry={() => void models.refresh()}>
        {(view) => (
          <>
            <p>
              {view.demo ? 'The built-in demo answers until you connect a model.' : 'New work goes to '}
              {!view.demo && <b>{view.model}</b>}
              {!view.demo && ', unless an agent names another.'}
            </p>
            {view.models.length === 0 ? (
              <Empty title="No models are configured or found." />
            ) : (
              <ul class="cards">
                {view.models.map((model) => (
                  <li key={model.ref} class="card">
                    <Model model={model} />
                  </li>
                ))}
              </ul>
            )}
            <Setup />
            <Providers list={view.providers} />
          </>
        )}
      </Await>
    </div>
  );
}

function Model({ model }: { model: ModelView }): JSX.Element {
  const { api } = useApp();
  const result = useSignal<ModelTest | string | null>(null);
  const test = async (): Promise<void> => {
    try {
      result.value = await api.testModel(model.ref);
    } catch (error) {
      result.value = messageOf(error);
    }
  };
  const facts = [
    model.tiers.map(({ tier, place }) => (place === 0 ? tier : `${tier}, choice ${place + 1}`)).join(', '),
    model.window !== null
      ? `${count(model.window)} tokens`
      : model.assumed !== undefined
        ? `${count(model.assumed)} tokens assumed`
        : '',
    model.images ? 'sees images' : '',
    model.reasoning ? 'reasons' : '',
    model.price
      ? `$${model.price.input} in, $${model.price.output} out per million tokens (${model.price.asOf})`
      : model.unpriced && 'price unknown',
  ].filter(Boolean);
  return (
    <>
      <div class="card-head">
        <h2>{model.ref}</h2>
        <Button onClick={test} title="Make one small call">
          Test
        </Button>
      </div>
      <p class="quiet">{facts.join(' · ')}</p>
      {model.problem !== '' && <p class="bad">{model.problem}</p>}
      <p role="status">{result.value !== null && <Result of={result.value} />}</p>
    </>
  );
}

function Result({ of }: { of: ModelTest | string }): JSX.Element {
  if (typeof of === 'string') return <span class="bad">{of}</span>;
  const facts = [duration(of.ms), money(of.costUsd, of.unpriced)].filter(Boolean).join(', ');
  return (
    <span class={of.ok ? 'good' : 'bad'}>
      {of.ok ? 'It works: ' : ''}
      <Plain text={of.said} /> {of.ok && `(${facts})`}
    </span>
  );
}

const SOURCES: Readonly<Record<ProviderView['source'], string>> = {
  'ruche.yaml': 'in ruche.yaml',
  environment: 'in the environment',
  home: 'entered on this page',
  found: 'found on this machine',
  'built in': 'built in',
};

const Providers = ({ list }: { list: readonly ProviderView[] }): JSX.Element | null =>
  list.length === 0 ? null : (
    <section>
      <h2 class="section-title">Providers</h2>
      <dl class="facts">
        {list.map((each) => (
          <div key={each.name}>
            <dt>{each.name}</dt>
            <dd>
              {SOURCES[each.source]}
              {each.baseUrl !== '' && `, at ${each.baseUrl}`}
              {each.key !== null && `, key from ${each.key}`}
              {each.problem !== '' && <span class="bad"> {each.problem}</span>}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
