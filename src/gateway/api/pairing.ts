import { unknownText } from '../../core/text/unknown.ts';
import { readObject, text } from '../http/body.ts';
import { HttpError } from '../http/errors.ts';
import type { Face } from '../http/face.ts';
import { sendJson, type Exchange } from '../http/reply.ts';

/** `POST /api/pairings` `{channel}`: a code that makes whoever sends it over that channel an owner, once. */
export async function makePairing(face: Face, exchange: Exchange): Promise<void> {
  const channel = text(await readObject(exchange.incoming, face.limits), 'channel');
  const pairing = await face.runtime.pair(channel);
  if (pairing === null)
    throw new HttpError(
      404,
      'unknown_channel',
      `${unknownText('channel', channel)} Add it under channels in ruche.yaml, or set TELEGRAM_BOT_TOKEN for telegram.`,
    );
  await sendJson(exchange, 200, { channel, ...pairing });
}
