import { parseTarget } from '../../core/net/host.ts';
import { type Net, onlyAt } from '../../core/ports/net.ts';
import type { Secrets } from '../../core/ports/secrets.ts';
import { isObject } from '../../core/text/json.ts';
import { type Fields, parseJson } from './fields.ts';
import type { ServerPlace } from './provider.ts';

/** Lists of routers hold hundreds of models. */
const MAX_BYTES = 8 * 1024 * 1024;

/** What a server says of itself, as JSON; null if it refuses. Rejects if it cannot be reached. `body`: null for a GET. */
export async function askServer(
  { net, secrets }: { net: Net; secrets: Secrets },
  place: ServerPlace,
  path: string,
  body: Fields | null,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Fields | null> {
  const parsed = parseTarget(`${place.baseUrl}${path}`);
  if (!parsed.ok) throw new Error(parsed.reason);
  const { url, host, port } = parsed.target;
  const headers: Record<string, string> = body ? { 'content-type': 'application/json' } : {};
  if (place.apiKey !== null)
    headers.authorization = `Bearer ${await secrets.resolve(place.apiKey, `provider "${place.provider}"`)}`;
  const forWhom = onlyAt(`model:${place.provider}`, { host, port });
  const limits = { maxBytes: MAX_BYTES, timeoutMs, idleMs: timeoutMs, maxRedirects: 0 };
  const sent = body ? { method: 'POST', body: JSON.stringify(body) } : {};
  const response = await net.request({ url, ...sent, headers, signal, ...limits }, forWhom);
  const text = await response.text();
  const value = parseJson(text);
  return response.ok && isObject(value) ? value : null;
}
