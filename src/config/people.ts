import type { Problem, Settings } from '../core/agent.ts';
import { OWNER } from '../core/recipient.ts';
import { readDuration } from '../core/text/duration.ts';
import { zoneProblems } from './quiet.ts';
import { recipientProblem, type Recipients } from './recipients.ts';
import { problem, type YamlSource } from './yaml-source.ts';

interface Given {
  zones?: Readonly<Record<string, string>> | undefined;
  people?: Readonly<Record<string, readonly string[]>> | undefined;
  policy?: { rules?: readonly { approvers?: number | undefined }[] | undefined } | undefined;
  approvals?: { expire?: string | undefined } | undefined;
}

/** What is wrong with the persons that are named, with the zones they live in, and with rules that want more of them than there are. */
export function peopleProblems(
  { zones = {}, people = {}, policy }: Given,
  recipients: Recipients,
  source: YamlSource,
  file: string,
): Problem[] {
  const found = zoneProblems(zones, recipients, source, file);
  const add = (path: (string | number)[], said: string): void =>
    void found.push(problem(file, source.lineOf(path), path.join('.'), said));
  const seen = new Map<string, string>();
  for (const [name, addresses] of Object.entries(people))
    for (const [index, address] of addresses.entries()) {
      const wrong = address === OWNER ? 'must be CHANNEL:ADDRESS' : recipientProblem(address, recipients);
      if (wrong !== null) add(['people', name, index], wrong);
      const other = seen.get(address);
      if (other !== undefined) add(['people', name, index], `is an address of ${other} already`);
      seen.set(address, name);
    }
  // A person who is not named is the owner.
  const persons = new Set([OWNER, ...Object.keys(people)]).size;
  for (const [index, { approvers = 1 }] of (policy?.rules ?? []).entries())
    if (approvers > persons)
      add(
        ['policy', 'rules', index, 'approvers'],
        `wants ${approvers} persons, and ${persons === 1 ? 'only the owner is known' : `only ${persons} are known`}: name them under people`,
      );
  return found;
}

/** What the file says of persons, and of how long there is time for their answers. */
export const peopleOf = ({ people, zones, approvals }: Given): Pick<Settings, 'people' | 'zones' | 'approvalMs'> => ({
  ...(zones === undefined ? {} : { zones }),
  ...(people === undefined ? {} : { people }),
  ...(approvals?.expire === undefined ? {} : { approvalMs: readDuration(approvals.expire) }),
});
