import type { CostReport, CostsBy } from '../../src/core/api/costs.ts';
import type { EscalationState } from '../../src/core/escalation.ts';
import type { AgentState, Pending, RuntimeStatus } from '../../src/core/api/runtime.ts';
import type { ScheduleState } from '../../src/core/schedule.ts';
import type { TriggerState } from '../../src/core/trigger.ts';
import type {
  BoardView,
  ChainView,
  ConversationSummary,
  ConversationView,
  DiffView,
  FailureView,
  ModelsView,
  NetPage,
  ModelTest,
  RunsPage,
  RunView,
  SetupRequest,
  SetupResult,
} from '../../src/core/api/views.ts';
import type { Explanation, PolicyQuestion, RightsTable } from '../../src/core/api/policy.ts';
import { query } from './query.ts';
import type { Answering, EndorsementView, GrantView } from '../../src/core/standing.ts';
import type { ApprovalVerdict } from '../../src/core/agreed.ts';

/** A request that was refused, or (status 0) did not reach the gateway. The message is for people. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  /** Milliseconds that the gateway asks to wait. */
  readonly retryAfter: number;
  constructor(status: number, code: string, message: string, retryAfter = 0) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
  /** True if the same request may succeed later by itself. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || [502, 503, 504].includes(this.status);
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export interface Attachment {
  name: string;
  mediaType: string;
  /** Base64. */
  data: string;
}

export interface Pixels {
  width: number;
  height: number;
}

/** A picture that is larger than what models look at, and the same scaled. */
export interface ScaledPicture {
  original: File;
  file: File;
  from: Pixels;
  to: Pixels;
}

export interface Accepted {
  /** Null: nothing was to be done, only somebody to be turned to. */
  task: string | null;
  /** In whose conversation it is: the agent it was addressed to, or that the conversation was handed over to. */
  agent: string;
  session: string;
  joined: boolean;
}

export interface RunsFilter {
  agent: string;
  /** With commas between. */
  status: string;
  /** Of the board. */
  column: string;
  text: string;
  /** `hide`: without scripts by the clock that found nothing new. */
  probes: string;
}

const ME = '/api/me';
const UNREACHABLE = 'Ruche does not answer.';
const FOREIGN =
  'The answer does not come from Ruche but from something in between, such as the login page of a proxy. Reload this page.';

/** What people agree to. */
const standingApi = (get: <T>(path: string) => Promise<T>, post: <T>(path: string, body: unknown) => Promise<T>) => ({
  approve: (approval: string, verdict: ApprovalVerdict, answering: Answering = {}) =>
    post<{ task: string | null }>(`/api/approvals/${id(approval)}`, { verdict, ...answering }),
  grants: async () => (await get<{ grants: GrantView[] }>('/api/grants')).grants,
  endorsements: async () => (await get<{ endorsements: EndorsementView[] }>('/api/endorsements')).endorsements,
  revoke: (what: 'grants' | 'endorsements', which: string) => post<unknown>(`/api/${what}/${id(which)}/revoke`, {}),
});

/** How the gateway is asked. */
function openWire(out: () => void) {
  let known = true;
  const request = async (path: string, init: RequestInit = {}): Promise<Response> => {
    // A person who is not logged in is asked to; asking the gateway on would only fill its log.
    if (!known && path !== ME) throw new ApiError(401, 'unauthorized', 'You are not logged in.');
    let response: Response;
    try {
      response = await fetch(path, { ...init, credentials: 'same-origin', cache: 'no-store' });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new ApiError(0, 'unreachable', UNREACHABLE);
    }
    if (response.ok) {
      known = true;
      return response;
    }
    if (response.status === 401) {
      known = false;
      out();
    }
    throw await refusal(response);
  };
  const get = <T>(path: string, signal?: AbortSignal): Promise<T> =>
    request(path, signal ? { signal } : {}).then((response) => read<T>(response, signal));
  const post = <T>(path: string, body: unknown): Promise<T> => {
    const headers = { 'content-type': 'application/json' };
    return request(path, { method: 'POST', headers, body: JSON.stringify(body) }).then((response) => read<T>(response));
  };
  return { request, get, post };
}

/** Everything this page knows of the gateway. `out` is called when it no longer knows who we are. */
export function createApi(out: () => void) {
  const { request, get, post } = openWire(out);
  return {
    me: () => get<unknown>(ME),
    /** The page itself, as it is served now. */
    page: async () => (await request('/')).text(),
    logout: () => post<unknown>('/api/logout', {}),
    status: () => get<RuntimeStatus>('/api/status'),
    agents: async () => (await get<{ agents: AgentState[] }>('/api/agents')).agents,
    conversations: async (limit: number, text: string) => {
      const asked = `/api/conversations?${query({ limit: String(limit), text })}`;
      return (await get<{ conversations: ConversationSummary[] }>(asked)).conversations;
    },
    conversation: (agent: string, session: string, before: string | null, limit: number) =>
      get<ConversationView>(
        `/api/conversations/${id(agent)}/${id(session)}?${query({ before: before ?? '', limit: String(limit) })}`,
      ),
    runs: (filter: RunsFilter, after: string | null, limit: number, signal?: AbortSignal) =>
      get<RunsPage>(`/api/runs?${query({ ...filter, after: after ?? '', limit: String(limit) })}`, signal),
    board: (agent: string, cards: number) => get<BoardView>(`/api/board?${query({ agent, cards: String(cards) })}`),
    chain: (task: string) => get<ChainView>(`/api/tasks/${id(task)}/chain`),
    schedules: async () => (await get<{ schedules: ScheduleState[] }>('/api/schedules')).schedules,
    changeSchedule: (schedule: string, verb: 'run' | 'pause' | 'resume') =>
      post<{ task: string | null }>(`/api/schedules/${id(schedule)}/${verb}`, {}),
    net: (agent: string, limit: number) => get<NetPage>(`/api/net?${query({ agent, limit: String(limit) })}`),
    triggers: async () => (await get<{ triggers: TriggerState[] }>('/api/triggers')).triggers,
    changeTrigger: (trigger: string, verb: 'run' | 'pause' | 'resume') =>
      post<unknown>(`/api/triggers/${id(trigger)}/${verb}`, {}),
    pauseAgent: (agent: string, reason: string) => post<unknown>(`/api/agents/${id(agent)}/pause`, { reason }),
    resumeAgent: (agent: string) => post<unknown>(`/api/agents/${id(agent)}/resume`, {}),
    run: (task: string) => get<RunView>(`/api/runs/${id(task)}`),
    diff: (task: string) => get<DiffView>(`/api/runs/${id(task)}/diff`),
    exact: async (task: string, hash: string) => (await request(exactPath(task, hash))).text(),
    pending: async () => (await get<{ pending: Pending[] }>('/api/pending')).pending,
    escalations: async () => (await get<{ escalations: EscalationState[] }>('/api/escalations')).escalations,
    acknowledge: (escalation: string) => post<unknown>(`/api/escalations/${id(escalation)}/ack`, {}),
    failures: async () => (await get<{ failures: FailureView[] }>('/api/failures')).failures,
    costs: (by: CostsBy) => get<CostReport>(`/api/costs?${query({ by })}`),
    ...askedOf(get, post),
    send: (message: { agent: string; session: string; text: string; id: string; files: Attachment[] }) =>
      post<Accepted>('/api/messages', message),
    ...standingApi(get, post),
    answer: (question: string, text: string) =>
      post<{ task: string | null }>(`/api/questions/${id(question)}`, { text }),
    retry: (task: string) => post<unknown>(`/api/tasks/${id(task)}/retry`, {}),
    dismiss: (task: string) => post<{ dismissed: boolean }>(`/api/tasks/${id(task)}/dismiss`, {}),
    cancel: (task: string) => post<{ cancelled: boolean }>(`/api/tasks/${id(task)}/cancel`, {}),
    /** Tells that the answer has been seen here, so that it is not taken for undelivered. */
    seen: (task: string) => request(`/api/tasks/${id(task)}/wait?seconds=0`),
  };
}

type Get = <T>(path: string, signal?: AbortSignal) => Promise<T>;
type Post = <T>(path: string, body: unknown) => Promise<T>;

/** What is looked at and tried: rules, and models. */
const askedOf = (get: Get, post: Post) => ({
  policy: () => get<{ agents: string[]; tools: string[] }>('/api/policy'),
  rights: (agent: string) => get<RightsTable>(`/api/policy/agents/${id(agent)}`),
  explain: (question: PolicyQuestion) => post<Explanation>('/api/policy/explain', question),
  models: () => get<ModelsView>('/api/models'),
  testModel: (ref: string) => post<ModelTest>('/api/models/test', { ref }),
  setup: (wanted: SetupRequest) => post<SetupResult>('/api/setup', wanted),
});

export type Api = ReturnType<typeof createApi>;

const id = encodeURIComponent;

export const exactPath = (task: string, hash: string): string => `/api/runs/${id(task)}/exact/${id(hash)}`;

async function read<T>(response: Response, signal?: AbortSignal): Promise<T> {
  const text = await response.text().catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'unreachable', UNREACHABLE); // the connection broke in the middle
  });
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ApiError(response.status, 'foreign', FOREIGN);
  }
}

/** What a proxy says in its own way, in ours. */
const foreign = (status: number): string =>
  status === 413
    ? 'This is larger than a proxy between this page and Ruche lets through (413). Send less, or raise its limit.'
    : `Ruche, or a proxy in front of it, answered ${status}.`;

async function refusal(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null); // a proxy answers in its own way
  const { error } = (body ?? {}) as { error?: { message?: string; code?: string } };
  const message = error?.message ?? foreign(response.status);
  const seconds = Number(response.headers.get('retry-after') ?? 0); // a date is none
  return new ApiError(response.status, error?.code ?? '', message, seconds > 0 ? seconds * 1_000 : 0);
}
