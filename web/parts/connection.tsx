import type { JSX } from 'preact';
import { useApp } from '../stores/app.ts';
import { valueOf } from '../stores/resource.ts';
import { Button, Plain } from './small.tsx';

/** What keeps the network from working, said where it cannot be missed. */
export function Connection(): JSX.Element {
  const { live, network, outdated, session } = useApp();
  const status = valueOf(network.state.value)?.status;
  const lost = live.state.value === 'lost' && session.value !== 'out';
  return (
    <div class="banners" role="status" aria-live="polite">
      {lost && (
        <p class="banner banner-wait">
          <span>
            The connection to Ruche is lost. This page may be out of date; what you write is kept. Reconnecting…
          </span>
          <Button onClick={live.retry}>Reconnect now</Button>
        </p>
      )}
      {!lost && outdated.value && (
        <p class="banner banner-wait">
          <span>Ruche was updated, and this page is the one from before. What you have written is kept.</span>
          <Button onClick={() => location.reload()}>Reload the page</Button>
        </p>
      )}
      {!lost && status?.notReady && (
        <p class="banner banner-wait">
          <span>
            Agents are not working right now: <Plain text={status.notReady} />
          </span>
        </p>
      )}
      {!lost &&
        status?.problems.map((problem) => (
          <p class="banner banner-bad">
            <span>
              <b>
                <Plain text={problem.file} />
              </b>{' '}
              <Plain text={problem.message} />
            </span>
          </p>
        ))}
    </div>
  );
}
