import type { SecretRefused, SecretsDesk } from '../../core/api/secrets.ts';
import { readObject, text } from '../http/body.ts';
import type { GatewayContext } from '../http/context.ts';
import { type ApiRequest, badRequest, HttpError, sendJson } from '../http/reply.ts';

/** `GET /api/secrets`: names, times and places; no value is ever answered. */
export async function getSecrets(desk: SecretsDesk, request: ApiRequest): Promise<void> {
  await sendJson(request, 200, await desk.list());
}

/** `POST /api/secrets/:name` `{value, known?}`: with `known` only one that is there gets a new value. */
export async function setSecret(
  context: GatewayContext,
  desk: SecretsDesk,
  request: ApiRequest<'name'>,
): Promise<void> {
  const fields = await readObject(request.incoming, context.limits);
  const { known = false } = fields;
  if (typeof known !== 'boolean') throw badRequest('"known" must be true or false.', 'known');
  const done = await desk.set(request.params.name, text(fields, 'value'), { known });
  if (!done.ok) throw refusal(done, 'value');
  await sendJson(request, 200, { what: done.what, places: done.places });
}

/** `POST /api/secrets/:name/remove` `{}`. */
export async function removeSecret(
  context: GatewayContext,
  desk: SecretsDesk,
  request: ApiRequest<'name'>,
): Promise<void> {
  await readObject(request.incoming, context.limits);
  const done = await desk.remove(request.params.name);
  if (!done.ok) throw refusal(done);
  await sendJson(request, 200, { removed: true, places: done.places });
}

/** `POST /api/secrets-key` `{}`: everything is encrypted with a new key, which takes the place of the old one. */
export async function rotateKey(context: GatewayContext, desk: SecretsDesk, request: ApiRequest): Promise<void> {
  await readObject(request.incoming, context.limits);
  const done = await desk.rotateKey();
  if (!done.ok) throw refusal(done);
  await sendJson(request, 200, { publicKey: done.publicKey, where: done.where });
}

const refusal = ({ why, message }: SecretRefused, param?: string): HttpError =>
  why === 'unknown'
    ? new HttpError(404, 'unknown_secret', message)
    : new HttpError(409, 'secret_refused', message, { param });
