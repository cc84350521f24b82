export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** An object out of somebody else's JSON: nothing in it is certain. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

/** What a text of JSON says; null for what is no JSON. The parser's own message would repeat what stands there. */
export function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** JSON with sorted keys and no undefined: equal values give equal bytes, which hashes rely on. */
export const canonicalJson = (value: unknown): string => JSON.stringify(sorted(value));

/** A copy with its keys in order, made by assignment: three times as quick as a function handed to `JSON.stringify`. */
function sorted(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(sorted);
  const source = value as Record<string, unknown>;
  if (typeof source['toJSON'] === 'function') return sorted((source['toJSON'] as () => unknown).call(source));
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(source).sort()) {
    const member = sorted(source[key]);
    // Assigned, this one would not become a member.
    if (key === '__proto__') Object.defineProperty(copy, key, { value: member, enumerable: true });
    else copy[key] = member;
  }
  return copy;
}

/**
 * Canonical JSON in which secrets are hidden. One that is a number in it would leave what is no JSON: then each value is
 * looked at by itself.
 */
export function redactedJson(value: unknown, redact: (text: string) => string): string {
  const whole = canonicalJson(value);
  const hidden = redact(whole);
  return hidden === whole || isJson(hidden) ? hidden : canonicalJson(hiddenIn(JSON.parse(whole) as Json, redact));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function hiddenIn(value: Json, redact: (text: string) => string): Json {
  if (Array.isArray(value)) return value.map((each) => hiddenIn(each, redact));
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [redact(name), hiddenIn(each, redact)]));
  const text = String(value);
  const hidden = redact(text);
  return hidden === text ? value : hidden;
}

/** How deep brackets nest, told without recursion; counting stops above `enough`. */
export function jsonDepth(text: string, enough: number): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === 0x5c) i += 1;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x5b || code === 0x7b) {
      depth += 1;
      if (depth > deepest) deepest = depth;
      if (deepest > enough) return deepest;
    } else if (code === 0x5d || code === 0x7d) depth -= 1;
  }
  return deepest;
}
