import type { JSX } from 'preact';
import { useApp } from '../stores/app.ts';
import { valueOf } from '../stores/resource.ts';
import { Button, Plain } from './small.tsx';

/** What keeps the network from working, said where it cannot be missed. */
export function Connection(): JSX.Element {
  const { live, network, session } = useApp();
  const status = valueOf(network.state.value)?.status;
  const lost = live.state.value === 'lost' && session.value !== 'out';
  return (
    <div class="banners" role="status" aria-live="polite">
      {lost && (
        <p class="banner banner-wait">
          <span>The connection to Ruche is lost. What you see may be old; what you write is kept. Trying again…</span>
          <Button onClick={live.retry}>Try now</Button>
        </p>
      )}
      {!lost && status?.notReady && (
        <p class="banner banner-wait">
          <span>
            Nothing is worked on at the moment: <Plain text={status.notReady} />
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
