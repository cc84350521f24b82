import type { JSX } from 'preact';
import { useSignal } from '@preact/signals';
import type { Pending } from '../../src/core/api/runtime.ts';
import type { Answering, AskedValue } from '../../src/core/standing.ts';
import { money } from '../lib/format.ts';
import { useApp } from '../stores/app.ts';
import { useAct } from './act.tsx';
import { Button, Plain } from './small.tsx';

/** Approvals of the same kind after which it is offered to be asked no more. */
const OFTEN = 3;
/** Stands for all arguments of a call that has no values of its own. */
const WHOLE_CALL = '*';

const VOUCHED: Readonly<Record<string, string>> = {
  owner: 'you wrote it',
  contact: 'an approved contact',
  constant: 'a person wrote it into the task',
  record: 'you named what it stands in',
  endorsed: 'you vouched for it',
};

/** What the call is about and who vouches for it, what the run has cost, and who has agreed. */
export function Behind({ of }: { of: Pending }): JSX.Element | null {
  if (of.about === undefined) return null;
  const { values, labels, costUsd, unpriced } = of.about;
  const cost = money(costUsd, unpriced);
  const named = values.filter(({ name, critical }) => name !== WHOLE_CALL && critical !== false);
  return (
    <div class="quiet">
      {labels.length > 0 &&
        named.map((value) => (
          <p>
            {value.name}{' '}
            <code>
              <Plain text={value.value} />
            </code>
            : {value.vouched === null ? <b>nobody vouches for it</b> : (VOUCHED[value.vouched] ?? value.vouched)}
          </p>
        ))}
      {cost !== '' && <p>It has cost {cost} so far.</p>}
      {of.approvers !== undefined && (
        <p>
          {of.approvers.have.length} of {of.approvers.needed} persons have approved
          {of.approvers.have.length > 0 && `: ${of.approvers.have.join(', ')}`}.
        </p>
      )}
    </div>
  );
}

/** Whether an approval raises a budget: no call stands behind it. */
export const isRaise = ({ tool, about }: Pending): boolean => tool === 'budget' && about === undefined;

/** The answer to an approval: yes or no, with words for the agent, for once or for more. */
export function Verdict({ of }: { of: Pending }): JSX.Element {
  const { api } = useApp();
  const { act, trouble } = useAct();
  const note = useSignal('');
  const vouch = useSignal<readonly string[]>([]);
  const more = of.approved !== undefined;
  const approve = (answering: Answering, said: string): Promise<boolean> => {
    const words = note.value.trim() === '' ? {} : { note: note.value.trim() };
    const vouched = vouch.value.length === 0 ? {} : { vouch: vouch.value };
    return act(() => api.approve(of.id, 'approve', { ...answering, ...words, ...vouched }), said);
  };
  const deny = (): Promise<boolean> =>
    act(() => api.approve(of.id, 'deny', note.value.trim() === '' ? {} : { note: note.value.trim() }), 'Denied');
  return (
    <>
      {more && <Vouch values={of.about?.values ?? []} chosen={vouch} />}
      {of.about !== undefined && (
        <input
          aria-label="Note for the agent"
          placeholder="Note for the agent (optional)"
          maxLength={2000}
          value={note.value}
          onInput={(event) => (note.value = event.currentTarget.value)}
        />
      )}
      {trouble}
      <div class="row">
        <Button kind="primary" onClick={() => approve({}, 'Approved')}>
          {isRaise(of) ? 'Raise the budget' : 'Approve exactly this'}
        </Button>
        {more && (
          <Button onClick={() => approve({ scope: 'task' }, 'Approved for this task')}>Approve for this task</Button>
        )}
        {(of.approved ?? 0) >= OFTEN && (
          <Button onClick={() => approve({ scope: 'standing' }, 'Approved for 30 days')}>Approve for 30 days</Button>
        )}
        <Button kind="danger" onClick={deny}>
          Deny
        </Button>
      </div>
    </>
  );
}

/** Values that nobody vouches for, each of which the person may vouch for from now on. */
function Vouch(props: { values: readonly AskedValue[]; chosen: { value: readonly string[] } }): JSX.Element | null {
  const { values, chosen } = props;
  const open = values.filter(
    ({ name, vouched, critical }) => name !== WHOLE_CALL && vouched === null && critical !== false,
  );
  const names = [...new Set(open.map(({ name }) => name))];
  if (names.length === 0) return null;
  const toggle = (name: string): void => {
    chosen.value = chosen.value.includes(name) ? chosen.value.filter((each) => each !== name) : [...chosen.value, name];
  };
  return (
    <div>
      {names.map((name) => (
        <label class="quiet">
          <input type="checkbox" checked={chosen.value.includes(name)} onChange={() => toggle(name)} /> Vouch for this{' '}
          {name} from now on
        </label>
      ))}
    </div>
  );
}
