import type { Agent } from '../../src/core/agent.ts';
import type { PolicyDesk } from '../../src/core/api/policy.ts';
import type { Rule } from '../../src/core/policy.ts';
import { fetchTool } from '../../src/tools/fetch.ts';
import { tellTool } from '../../src/tools/tell.ts';
import { writeTool } from '../../src/tools/write.ts';
import { openPolicyDesk } from '../../src/views/policy.ts';
import { realClock } from '../gateway/help.ts';
import { anAgent, governing, SETTINGS } from '../fakes/governance.ts';

/** The real desk over rules and rights that a test gives; everything stands in line 7. */
export class Ruled {
  rules: Rule[] = [];
  rights: Partial<Agent> = { tools: ['write', 'fetch', 'tell'] };
  readonly desk: PolicyDesk;

  constructor(agents: () => readonly { name: string }[]) {
    this.desk = openPolicyDesk({
      governance: () =>
        governing(
          agents().map(({ name }) => anAgent({ name, ...this.rights })),
          { settings: { ...SETTINGS, rules: this.rules } },
        ),
      tools: () => new Map([writeTool, fetchTool(), tellTool].map((tool) => [tool.name, tool])),
      sandboxed: () => true,
      lines: async () => () => 7,
      gate: (path) => (path === 'ruche.yaml' ? 'it governs the network' : null),
      clock: realClock,
      zone: () => 'UTC',
    });
  }
}
