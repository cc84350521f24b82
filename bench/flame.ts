import type { Profiler } from 'node:inspector';
import { basename } from 'node:path';

/** A function with all it called, and the microseconds they took together. */
interface Frame {
  name: string;
  time: number;
  calls: Map<string, Frame>;
}

const WIDTH = 1600;
const HEIGHT = 16;
/** Narrower than this is not drawn: it could not be seen. */
const NARROW = 0.4;

/** A CPU profile as a flame graph: wide is what took long, above it is what it called. Names and times are in the titles. */
export function flameGraph(profile: Profiler.Profile): string {
  const root = framesOf(profile);
  const boxes: string[] = [];
  let deepest = 0;
  const draw = (frame: Frame, x: number, depth: number): void => {
    const width = (frame.time / root.time) * WIDTH;
    if (width < NARROW) return;
    deepest = Math.max(deepest, depth);
    boxes.push(box(frame, { x, y: depth * HEIGHT, width }, frame.time / root.time));
    let at = x;
    for (const called of [...frame.calls.values()].toSorted((a, b) => b.time - a.time)) {
      draw(called, at, depth + 1);
      at += (called.time / root.time) * WIDTH;
    }
  };
  draw(root, 0, 0);
  const style = 'text{font:11px monospace;pointer-events:none}rect{stroke:#fff;stroke-width:.3}';
  const size = `width="${WIDTH}" height="${(deepest + 1) * HEIGHT}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size}><style>${style}</style>${boxes.join('')}</svg>\n`;
}

function framesOf({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Frame {
  const own = new Map<number, number>();
  for (const [at, id] of samples.entries()) own.set(id, (own.get(id) ?? 0) + (timeDeltas[at] ?? 0));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const add = (node: Profiler.ProfileNode, into: Frame): number => {
    const { functionName, url, lineNumber } = node.callFrame;
    const name = `${functionName || 'anonymous'} ${basename(url)}:${lineNumber + 1}`;
    const frame = into.calls.get(name) ?? { name, time: 0, calls: new Map<string, Frame>() };
    into.calls.set(name, frame);
    let time = functionName === '(idle)' ? 0 : (own.get(node.id) ?? 0);
    for (const id of node.children ?? []) {
      const child = byId.get(id);
      if (child) time += add(child, frame);
    }
    frame.time += time;
    return time;
  };
  const all: Frame = { name: 'all', time: 0, calls: new Map() };
  const [first] = nodes;
  if (first) all.time = add(first, all);
  return all;
}

interface Place {
  x: number;
  y: number;
  width: number;
}

function box(frame: Frame, { x, y, width }: Place, share: number): string {
  const escaped = (text: string): string => text.replace(/[<>&"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  const title = `${escaped(frame.name)}: ${(frame.time / 1000).toFixed(1)} ms, ${(share * 100).toFixed(1)} %`;
  // The same function has the same colour wherever it stands.
  const hue = Buffer.from(frame.name).reduce((sum, byte) => (sum * 31 + byte) % 60, 0);
  const rect = `<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${HEIGHT}" fill="hsl(${hue} 80% 65%)"/>`;
  const fits = Math.floor(width / 7);
  const label =
    fits < 4 ? '' : `<text x="${(x + 2).toFixed(1)}" y="${y + 12}">${escaped(frame.name.slice(0, fits))}</text>`;
  return `<g><title>${title}</title>${rect}${label}</g>`;
}
