import { wrongAddress } from '../config/recipients.ts';
import type { Adapters } from './adapters.ts';
import { isConfined } from './builtin.ts';
import { ConversationCache } from '../agent/run/conversation.ts';
import { agentLabels } from '../agent/run/agent-labels.ts';
import type { AgentDeps } from '../agent/run/deps.ts';
import { Hindrances } from '../agent/run/hindrances.ts';
import { LandingOrder } from '../agent/run/landing-order.ts';
import { cancelTask } from '../runtime/end.ts';
import type { Pauses } from '../runtime/pauses.ts';
import { Standing } from '../pending/standing.ts';
import type { Messengers } from './messengers.ts';
import { nextTry } from '../models/choice/retry.ts';
import type { ToolsAndModels } from './models.ts';
import type { Trust } from '../trust/trust.ts';
import { machineZone } from '../platform/system.ts';
import { momentText, openWall, type Wall } from '../core/time/wall.ts';
import { Spending } from '../spend/spending.ts';
import { offeredSkills } from '../skills/gate.ts';

/** What people have agreed to beyond single calls. */
export const openStanding = ({ hub, ...adapters }: Adapters): Promise<Standing> =>
  Standing.open({
    ...adapters,
    onCommitted: (listener) => hub.onCommitted(listener),
    onRunEnded: (listener) => hub.onRunEnded(listener),
  });

/** All that runs can reach. */
export function openAgents(
  adapters: Adapters,
  trust: Trust,
  models: ToolsAndModels,
  { channels }: Messengers,
  pauses: Pauses,
  standing: Standing,
): AgentDeps {
  const { store, ids, secrets, hub, sandbox, random, redact } = adapters;
  const pushes = (channel: string): boolean => channels.has(channel);
  const zone = (): string => trust.current().settings.timezone ?? machineZone();
  const walls = new Map<string, Wall>();
  const governance = () => trust.current();
  const timeText = (at: number, named = zone()): string => {
    // To make one costs as much as a commit of events.
    const wall = walls.get(named) ?? openWall(named);
    if (wall === null) throw new Error(`there is no time zone "${named}"`);
    walls.set(named, wall);
    return momentText(at, named, wall);
  };
  const onCommitted = hub.onCommitted.bind(hub);
  return {
    ...adapters,
    governance,
    zone,
    timeText,
    spend: new Spending({ ...adapters, governance, zone, onCommitted }),
    governanceLanded: (commit) => trust.applyLanded(commit),
    governanceLook: () => trust.look(),
    skills: (agent) => offeredSkills(adapters.gate, trust.current(), agent),
    models: (agent) => models().models.choices(agent.model),
    nextTry,
    tools: () => models().tools,
    sandboxed: ({ sandbox: picked }) => isConfined(adapters.builtin, sandbox, picked),
    standing,
    paused: (agent) => pauses.of(agent) !== null,
    pushes,
    wrongAddress(place) {
      const { channels: configured } = trust.current().settings;
      return wrongAddress(place, { channels: configured, messengers: adapters.builtin.messengers });
    },
    redactPieces: () => secrets.redactPieces(),
    emit: (delta) => hub.emit(delta),
    cancelTask: (task, by) => cancelTask({ store, ids, redact, pushes, governance }, task, by),
    agentLabels: (agent) => agentLabels({ ...adapters, governance, standing }, agent),
    conversations: new ConversationCache(),
    landingOrder: new LandingOrder(adapters.clock),
    hindrances: new Hindrances(),
    random: random.number,
  };
}
