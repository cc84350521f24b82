import type { JSX } from 'preact';
import { useSignal } from '@preact/signals';
import { Composer } from '../parts/composer.tsx';
import { Await, Plain } from '../parts/small.tsx';
import { useApp, type Network } from '../stores/app.ts';
import type { Unsent } from '../stores/unsent.ts';
import { Setup } from './setup.tsx';
import { Sidebar } from './sidebar.tsx';

/** Sentences that really work: the demo follows only fixed ones. */
const TRY = {
  demo: [
    { text: 'list the files', about: 'See what is in the workspace' },
    { text: 'write notes.md: hello, then run: wc -c notes.md', about: 'Write a file and run a command on it' },
    { text: 'ask me: which colour?', about: 'Let it ask you something' },
  ],
  model: [
    { text: 'What files are in the workspace, and what are they for?', about: 'See what is in the workspace' },
    {
      text: 'Write a haiku about bees to haiku.md, then count its words with a command.',
      about: 'Write a file and run a command on it',
    },
    { text: 'Ask me which colour I like, then keep my answer in colour.md.', about: 'Let it ask you something' },
  ],
} as const;

/** A new conversation; at first use also what runs here, and with what. */
export function HomeView(): JSX.Element {
  const { network } = useApp();
  return (
    <div class="split">
      <Sidebar />
      <section class="talk-pane home" aria-label="New chat">
        <Await of={network.state} what="what is running" retry={() => void network.refresh()}>
          {(value) => <Start network={value} />}
        </Await>
      </section>
    </div>
  );
}

function Start({ network: { status, agents } }: { network: Network }): JSX.Element {
  const { router, outgoing, newId, settings, unsent } = useApp();
  const mine = unsent('draft:new');
  const agent = useSignal(agents.find((each) => each.name === settings.read('agent'))?.name ?? agents[0]?.name ?? '');
  const chosen = agents.find((each) => each.name === agent.value);
  return (
    <>
      <div class="scroll">
        <div class="column">
          <h1>{status.demo ? 'Ruche is running' : 'What would you like done?'}</h1>
          {status.demo && (
            <p>
              Your agents work in <code>{status.workspace}</code>. Nothing leaves this machine: until you connect a
              model, a small built-in demo answers. It understands a few fixed sentences and does real work for them.
            </p>
          )}
          {chosen && chosen.description !== '' && !status.demo && (
            <p class="quiet">
              <Plain text={chosen.description} />
            </p>
          )}
          <h2 class="section-title">Three things to try</h2>
          <ul class="tries">
            {TRY[status.demo ? 'demo' : 'model'].map(({ text, about }) => (
              <li>
                <button type="button" class="try" onClick={() => offer(mine, text)}>
                  <span class="try-about">{about}</span>
                  <span class="try-text">{text}</span>
                </button>
              </li>
            ))}
          </ul>
          {status.demo && <Setup />}
        </div>
      </div>
      <div class="column foot">
        {agents.length > 1 && (
          <label class="to">
            To{' '}
            <select
              value={agent.value}
              onChange={(event) => {
                agent.value = event.currentTarget.value;
                settings.write('agent', agent.value);
              }}
            >
              {agents.map(({ name }) => (
                <option value={name}>{name}</option>
              ))}
            </select>
          </label>
        )}
        <Composer
          unsent={mine}
          placeholder={`Write to ${agent.value}`}
          working={null}
          send={(text, files) => {
            const session = newId();
            outgoing.send({ agent: agent.value, session, text, files, begins: true });
            router.go({ name: 'chat', agent: agent.value, session, steps: null });
          }}
        />
      </div>
    </>
  );
}

function offer({ text }: Unsent, offered: string): void {
  text.value = offered;
  document.querySelector<HTMLElement>('#composer')?.focus();
}
