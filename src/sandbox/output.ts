import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const CHUNK = 65_536;

/** Numbers of the segments that are there, in order. The wrapper may have removed some in the middle. */
async function segments(dir: string): Promise<number[]> {
  const names = await readdir(dir);
  return names
    .map((name) => /^out\.(\d+)$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}

/** Hands on what has been added to the output since the last call, until `limit` bytes were handed on in all. */
export interface Follower {
  catchUp(): Promise<void>;
  /** True once the limit is reached: what comes later is seen in the result only. */
  full(): boolean;
}

export function followOutput(dir: string, limit: number, onOutput: (chunk: Uint8Array) => void): Follower {
  let current = 0;
  let offset = 0;
  let sent = 0;

  /** False if the segment is not there. */
  const readOn = async (): Promise<boolean> => {
    const file = await open(join(dir, `out.${current}`)).catch(() => null);
    if (file === null) return false;
    try {
      while (sent < limit) {
        const buffer = new Uint8Array(Math.min(CHUNK, limit - sent));
        const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
        if (bytesRead === 0) break;
        offset += bytesRead;
        sent += bytesRead;
        onOutput(buffer.subarray(0, bytesRead));
      }
    } finally {
      await file.close();
    }
    return true;
  };

  return {
    full: () => sent >= limit,
    async catchUp() {
      while (sent < limit) {
        // Asked before reading: a segment is complete only once the next one exists.
        const next = (await segments(dir)).find((number) => number > current);
        await readOn();
        if (next === undefined) return;
        current = next;
        offset = 0;
      }
    },
  };
}

export interface Kept {
  output: Uint8Array;
  cutAt: number | null;
}

/**
 * Puts the segments together, at most `limit` bytes: all of them, or equal parts from both ends. `total` is what the
 * command wrote.
 */
export async function readOutput(dir: string, total: number, limit: number): Promise<Kept> {
  const numbers = await segments(dir);
  const pieces = await Promise.all(numbers.map((number) => readFile(join(dir, `out.${number}`))));
  const whole = Buffer.concat(pieces);
  if (whole.length >= total && whole.length <= limit) return { output: whole, cutAt: null };
  const gap = numbers.findIndex((number, index) => number !== index);
  const tailPieces = gap === -1 ? [] : pieces.slice(gap);
  const headLength = whole.length - tailPieces.reduce((sum, piece) => sum + piece.length, 0);
  const half = Math.floor(limit / 2);
  const head = whole.subarray(0, Math.min(half, headLength));
  const tail = whole.subarray(Math.max(whole.length - half, gap === -1 ? head.length : headLength));
  return { output: Buffer.concat([head, tail]), cutAt: head.length };
}
