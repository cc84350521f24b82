import type { Settings } from '../core/agent.ts';
import type { Checkouts } from '../core/ports/workspace.ts';
import type { Sandbox } from '../core/ports/sandbox.ts';
import type { ScheduleBook } from '../core/schedule.ts';
import type { Tool } from '../core/ports/tool.ts';
import { askTool } from './ask.ts';
import { editTool } from './edit.ts';
import { escalateTool } from './escalate.ts';
import { fetchTool } from './fetch.ts';
import { handOverTool } from './hand-over.ts';
import { listTool } from './list.ts';
import { readTool } from './read.ts';
import { scheduleTool } from './schedule.ts';
import { searchTool } from './search.ts';
import { shellTool } from './shell.ts';
import { taskTool } from './task.ts';
import { writeTool } from './write.ts';

/** Bytes of a command's output that are kept. */
const SHELL_OUTPUT = 1_000_000;

/** The tools every agent can be given, in the order in which models see them. */
export function builtinTools(
  { sandbox, checkouts, book }: { sandbox: Sandbox; checkouts: Checkouts; book: ScheduleBook },
  { limits }: Settings,
): ReadonlyMap<string, Tool> {
  const { shellMs: timeMs, shellMemory: memory, shellProcesses: processes } = limits;
  const shell = shellTool({ sandbox, checkouts, limits: { timeMs, memory, processes, output: SHELL_OUTPUT } });
  const tools = [
    readTool,
    writeTool,
    editTool,
    listTool,
    searchTool,
    shell,
    fetchTool(),
    askTool,
    taskTool,
    handOverTool,
    escalateTool,
    scheduleTool(book),
  ];
  return new Map(tools.map((tool) => [tool.name, tool as Tool]));
}
