import { createParser } from 'eventsource-parser';
import { isObject } from '../../core/text/json.ts';
import { parseJson } from './fields.ts';

/** Text events out of bytes cut anywhere. */
export interface Feed {
  /** The JSON text of each event that the bytes complete. Null: the stream has ended, and its last event counts as complete. */
  bytes(chunk: Uint8Array | null): string[];
  /** Whether any event has come. */
  readonly any: boolean;
  /** The text before the first event, up to a bound: what the server said if it is no stream of events at all. */
  readonly head: string;
}

/** Server-sent events out of bytes cut anywhere. A line longer than `maxLine` characters becomes one event that says so. */
export function sseFeed(maxLine: number): Feed {
  const decoder = new TextDecoder();
  let out: string[] = [];
  let any = false;
  let full = false;
  let head = '';
  const event = (data: string): void => {
    any = true;
    out.push(data);
  };
  const parser = createParser({
    maxBufferSize: maxLine,
    onEvent: ({ data, event: name }) => event(name === 'error' ? asError(data) : data),
    onError: (error) => {
      // llama.cpp used to report errors in a field of their own.
      if (error.type === 'unknown-field' && error.field === 'error') event(`{"error":${error.value}}`);
      if (error.type !== 'max-buffer-size-exceeded') return;
      full = true;
      event(`a line of more than ${maxLine} characters`);
    },
  });
  return {
    bytes(chunk) {
      const text = chunk === null ? decoder.decode() : decoder.decode(chunk, { stream: true });
      if (!any && head.length < maxLine) head += text;
      if (!full) parser.feed(chunk === null ? `${text}\n\n` : text);
      const ready = out;
      out = [];
      return ready;
    },
    get any() {
      return any;
    },
    get head() {
      return head;
    },
  };
}

/** An event that calls itself an error is one, whatever its fields are called. */
function asError(data: string): string {
  const parsed = parseJson(data);
  if (isObject(parsed) && parsed.error !== undefined) return data;
  return JSON.stringify({ error: parsed ?? data });
}

/** JSON objects, one a line, out of bytes cut anywhere. A line longer than `maxLine` characters becomes one that says so. */
export function lineFeed(maxLine: number): Feed {
  const decoder = new TextDecoder();
  let rest = '';
  let any = false;
  let full = false;
  let head = '';
  return {
    bytes(chunk) {
      const text = chunk === null ? decoder.decode() : decoder.decode(chunk, { stream: true });
      if (!any && head.length < maxLine) head += text;
      if (full) return [];
      const lines = `${rest}${text}`.split('\n');
      rest = lines.pop() ?? '';
      if (chunk === null) lines.push(rest);
      // A web page has lines as well.
      const ready = lines.map((line) => line.trim()).filter((line) => line !== '' && (any || line.startsWith('{')));
      if (rest.length > maxLine) {
        full = true;
        ready.push(`a line of more than ${maxLine} characters`);
      }
      any ||= ready.length > 0;
      return ready;
    },
    get any() {
      return any;
    },
    get head() {
      return head;
    },
  };
}
