export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** An object out of somebody else's JSON: nothing in it is certain. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

/** JSON with sorted keys and no undefined: equal values give equal bytes, which hashes rely on. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (inner === null || typeof inner !== 'object' || Array.isArray(inner)) return inner;
    const source = inner as Record<string, unknown>;
    return Object.fromEntries(
      Object.keys(source)
        .sort()
        .map((key) => [key, source[key]]),
    );
  });
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
