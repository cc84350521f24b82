import type { BlobRef } from './blob.ts';
import type { Label } from './labels.ts';

/** What a person says to an approval. */
export type ApprovalVerdict = 'approve' | 'deny';

/** What people are asked for and agree to, as events (`core/event.ts`). */
export type AgreedBody =
  | {
      type: 'approval.asked';
      /**
       * `rule`: the one that asks. `kind`: equal for calls that are the same again (`CallKind`), and otherwise without meaning.
       * `approvers`: how many different persons have to say yes; one unless given.
       */
      data: {
        approval: string;
        call: string;
        tool: string;
        shown: BlobRef;
        rule?: string;
        kind?: BlobRef;
        approvers?: number;
      };
    }
  /** One of several persons has said yes; `person` is who that is, `by` where it was said. */
  | { type: 'approval.seconded'; data: { approval: string; by: string; person: string } }
  | {
      type: 'approval.answered';
      /** `reason`: a person's words for the agent, whatever the verdict. `also`: those who had said yes before, where it needs several. */
      data: {
        approval: string;
        verdict: ApprovalVerdict;
        by: string;
        reason: BlobRef | null;
        also?: readonly string[];
      };
    }
  // what people agree to beyond a single call
  /**
   * Calls of this agent and tool with the values in `terms` (`GrantTerms`) are let through where a rule asks, in runs without other
   * labels than `over`. `task`: only in this one. `approval`: the answer to it.
   */
  | {
      type: 'grant.given';
      data: {
        grant: string;
        scope: 'task' | 'standing';
        agent: string;
        tool: string;
        terms: BlobRef;
        over: readonly Label[];
        task: string | null;
        until: number | null;
        count: number | null;
        approval: string | null;
      };
    }
  /** `use`: of a counted grant, the number of this use. */
  | { type: 'grant.used'; data: { grant: string; run: string; call: string; use: number | null } }
  | { type: 'grant.revoked'; data: { grant: string } }
  /** A person vouches for what the blob holds (`EndorsedValue`). */
  | {
      type: 'value.endorsed';
      data: {
        endorsement: string;
        kind: 'address' | 'url' | 'number' | 'file' | 'text';
        value: BlobRef;
        approval: string | null;
      };
    }
  | { type: 'value.revoked'; data: { endorsement: string } };
