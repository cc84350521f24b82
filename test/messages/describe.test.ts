import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Problem } from '../../src/core/agent.ts';
import { governing } from '../fakes/governance.ts';
import { describeNetwork } from '../../src/runtime/describe.ts';

test('A problem is told once, though the saved file, the commit and a model all have it', () => {
  const problem = (key: string): Problem => ({ file: 'ruche.yaml', line: 2, key, message: 'no', severity: 'error' });
  const governance = governing([], { problems: [problem('a')] });
  const models = {
    choices: () => [],
    describe: () => ({ model: 'demo/demo', demo: true, offer: null }),
    assumed: () => ({}),
    problems: () => [problem('a'), problem('c')],
  };
  const place = { version: '1', workspace: '/w', home: '/h' };
  const { problems } = describeNetwork(place, governance, models, [problem('b'), problem('b')]);
  assert.deepEqual(
    problems.map(({ key }) => key),
    ['b', 'a', 'c'],
  );
});
