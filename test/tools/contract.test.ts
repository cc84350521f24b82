import { after, before } from 'node:test';
import type { ScheduleBook } from '../../src/core/schedule.ts';
import type { AnyTool } from '../../src/core/ports/tool.ts';
import { askTool } from '../../src/tools/ask.ts';
import { extractTool } from '../../src/tools/extract.ts';
import { escalateTool } from '../../src/tools/escalate.ts';
import { handOverTool } from '../../src/tools/hand-over.ts';
import { tellTool } from '../../src/tools/tell.ts';
import { taskTool } from '../../src/tools/task.ts';
import { editTool } from '../../src/tools/edit.ts';
import { listTool } from '../../src/tools/list.ts';
import { readTool } from '../../src/tools/read.ts';
import { scheduleTool } from '../../src/tools/schedule.ts';
import { searchTool } from '../../src/tools/search.ts';
import { writeTool } from '../../src/tools/write.ts';
import { toolContract } from '../contracts/tool.ts';
import { contextOf, openBench, type Bench } from './workspace.ts';

let bench: Bench;
before(async () => {
  bench = await openBench({ 'notes.md': 'one\ntwo\n' });
});
after(() => bench.close());

/** What a change comes to is the business of the workspace's test. */
const book: ScheduleBook = {
  list: () => 'None.',
  change: (_agent, text) => ({ ok: true, text, said: 'Made.' }),
};

const cases: [tool: AnyTool, good: Record<string, unknown>, facts: object][] = [
  [readTool, { path: 'notes.md' }, { paths: ['notes.md'] }],
  [writeTool, { path: 'a/b.md', content: 'x' }, { paths: ['a/b.md'] }],
  [editTool, { path: 'notes.md', old: 'one', new: 'three' }, { paths: ['notes.md'] }],
  [listTool, {}, { paths: ['.'] }],
  [searchTool, { pattern: 'o.e', path: 'notes/**/*.md' }, { paths: ['notes'] }],
  [askTool, { question: 'Which one?' }, { question: true }],
  [extractTool, { path: 'notes.md', fields: { due: 'date', total: 'number' } }, { paths: ['notes.md'] }],
  [escalateTool, { matter: 'The disk is full.' }, { question: true }],
  [handOverTool, { agent: 'billing', brief: 'They want an invoice.' }, { paths: ['tasks/billing'] }],
  [scheduleTool(book), { create: { name: 'x', every: '1h', task: 'x' } }, { paths: ['agents'] }],
  [tellTool, { text: 'The disk is full.', to: 'chat:1' }, { to: 'chat:1' }],
  [taskTool, { action: 'create', agent: 'billing', text: 'invoice' }, { paths: ['tasks/billing'] }],
];
for (const [tool, good, facts] of cases)
  toolContract({ tool: tool, good, facts, context: async () => contextOf(await bench.files()) });
