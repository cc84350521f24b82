import { createParser } from 'eventsource-parser';
import type { Feed } from './feed.ts';

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
    onEvent: ({ data }) => event(data),
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
