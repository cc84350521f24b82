import type { JSX } from 'preact';
import { allWork, href } from '../lib/route.ts';
import { useApp } from '../stores/app.ts';
import { valueOf } from '../stores/resource.ts';
import { Icon } from './icons.tsx';

/** The same work, seen the other way. */
export const Switch = ({ to, agent }: { to: 'board' | 'work'; agent: string }): JSX.Element => (
  <a class="button plain" href={href(to === 'board' ? { name: 'board', agent } : allWork(agent))}>
    <Icon of={to === 'board' ? 'board' : 'list'} /> {to === 'board' ? 'Board' : 'List'}
  </a>
);

export function AgentSelect({ agent, change }: { agent: string; change: (agent: string) => void }): JSX.Element {
  const { network } = useApp();
  const names = (valueOf(network.state.value)?.agents ?? []).map((each) => each.name);
  if (agent !== '' && !names.includes(agent)) names.push(agent);
  return (
    <select aria-label="Agent" value={agent} onChange={(event) => change(event.currentTarget.value)}>
      <option value="">All agents</option>
      {names.map((name) => (
        <option value={name}>{name}</option>
      ))}
    </select>
  );
}
