import { query } from './query.ts';

/** Where the page is. Every one is an address that survives a reload, and back. */
export type Route =
  | { name: 'home' }
  /** `steps`: the task whose steps are shown beside. */
  | { name: 'chat'; agent: string; session: string; steps: string | null }
  /** `probes`: `show` if scripts by the clock that found nothing new are listed too. */
  | { name: 'work'; agent: string; state: string; text: string; probes: string }
  | { name: 'board'; agent: string }
  | { name: 'item'; task: string }
  | { name: 'exact'; task: string; hash: string }
  | { name: 'agents' }
  | { name: 'rights'; agent: string }
  | { name: 'inbox' }
  | { name: 'models' }
  | { name: 'costs' }
  | { name: 'nowhere' };

export function parse(path: string, search: string): Route {
  const [first = '', second, third, fourth, ...rest] = path.split('/').slice(1).map(decoded);
  const of = new URLSearchParams(search);
  if (rest.length > 0) return { name: 'nowhere' };
  if (first === '' && second === undefined) return { name: 'home' };
  if (first === 'chat' && second && third && !fourth)
    return { name: 'chat', agent: second, session: third, steps: of.get('steps') };
  if (first === 'work' && !second) return workOf((name) => of.get(name) ?? '');
  if (first === 'board' && !second) return { name: 'board', agent: of.get('agent') ?? '' };
  if (first === 'work' && second && !third) return { name: 'item', task: second };
  if (first === 'work' && second && third === 'exact' && fourth) return { name: 'exact', task: second, hash: fourth };
  if (first === 'agents' && second && !third) return { name: 'rights', agent: second };
  if ((first === 'agents' || first === 'inbox' || first === 'models' || first === 'costs') && !second)
    return { name: first };
  return { name: 'nowhere' };
}

const workOf = (of: (name: string) => string): Extract<Route, { name: 'work' }> => ({
  name: 'work',
  agent: of('agent'),
  state: of('state'),
  text: of('text'),
  probes: of('probes'),
});

/** The list of work, of one agent or of all, without other filters. */
export const allWork = (agent = ''): Route => workOf((name) => (name === 'agent' ? agent : ''));

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // no name looks like that: it leads nowhere
  }
}

export function href(route: Route): string {
  const of = encodeURIComponent;
  switch (route.name) {
    case 'home':
    case 'nowhere':
      return '/';
    case 'chat':
      return withQuery(`/chat/${of(route.agent)}/${of(route.session)}`, { steps: route.steps ?? '' });
    case 'work':
      return withQuery('/work', { agent: route.agent, state: route.state, text: route.text, probes: route.probes });
    case 'board':
      return withQuery('/board', { agent: route.agent });
    case 'item':
      return `/work/${of(route.task)}`;
    case 'exact':
      return `/work/${of(route.task)}/exact/${of(route.hash)}`;
    case 'rights':
      return `/agents/${of(route.agent)}`;
    case 'agents':
    case 'inbox':
    case 'models':
    case 'costs':
      return `/${route.name}`;
  }
}

const withQuery = (path: string, fields: Record<string, string>): string => {
  const text = query(fields);
  return text === '' ? path : `${path}?${text}`;
};

/** Two routes with the same key are the same place, seen with other settings. */
export const placeOf = (route: Route): string =>
  href(
    route.name === 'work'
      ? allWork()
      : route.name === 'chat'
        ? { ...route, steps: null }
        : route.name === 'board'
          ? { ...route, agent: '' }
          : route,
  );
