import type { Effect } from '../../core/event.ts';
import type { Label } from '../../core/labels.ts';
import type { ModelMessage } from '../../core/model.ts';

/** `asking`: a person will be asked once everything before it is done. */
type CallPhase = 'new' | 'asking' | 'allowed' | 'waiting' | 'refused' | 'started' | 'returned';

export interface CallState {
  /** Ours, unique in the run; models repeat theirs. */
  id: string;
  modelId: string;
  tool: string;
  args: string;
  phase: CallPhase;
  /** Names the effect permanently. A retry a person asked for gets a new one. */
  key: string;
  effect: Effect | null;
  idempotent: boolean;
  approval: string | null;
  question: string | null;
  /** True if the question is the runtime's, about a call whose fate is unknown. */
  doubt: boolean;
  /** What a person answered. */
  answer: string | null;
  /** Tasks whose end the call waits for. */
  tasks: string[];
  /** Labels of the run when it was last decided on. */
  labels: readonly Label[];
  /** Why a person is to be asked. */
  asks: { rule: string; reason: string; approvers: number } | null;
  /** The grant that has let it through. */
  grant: string | null;
  /** Grants of which a use is on record, or about to be. */
  uses: Set<string>;
  /** What the person who approved it said. */
  note: string;
  /** Why the call was refused, for the model. */
  refusal: string | null;
  result: { text: string; isError: boolean; digest?: string } | null;
}

/** The calls of an answer. */
export function newCalls({ run, step }: { run: string; step: number }, answer: ModelMessage): CallState[] {
  const calls: CallState[] = [];
  for (const part of answer.parts) {
    if (part.type !== 'call') continue;
    const id = `s${step}c${calls.length + 1}`;
    calls.push({
      id,
      modelId: part.id,
      tool: part.tool,
      args: part.args,
      phase: 'new',
      key: `${run}-${id}`,
      effect: null,
      idempotent: false,
      approval: null,
      question: null,
      doubt: false,
      answer: null,
      tasks: [],
      asks: null,
      grant: null,
      uses: new Set(),
      note: '',
      labels: [],
      refusal: null,
      result: null,
    });
  }
  return calls;
}
