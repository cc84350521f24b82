import type { Feed } from './feed.ts';

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
