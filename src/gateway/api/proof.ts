import { createHmac } from 'node:crypto';
import { badRequest, sendJson, type ApiRequest } from '../http/reply.ts';

export const PROOF_PATH = '/proof';

/**
 * `GET /proof?nonce=…`: shows a command that this port belongs to the gateway of its home, before it sends the token. The port
 * is part of it, so that a program on another port cannot pass the question on and the answer back.
 */
export async function proveOwn(proof: string, request: ApiRequest): Promise<void> {
  const nonce = request.query.get('nonce') ?? '';
  if (!/^[\w-]{1,128}$/.test(nonce))
    throw badRequest('"nonce" must be up to 128 letters, digits, "-" and "_".', 'nonce');
  const port = request.incoming.socket.localPort ?? 0;
  const mac = createHmac('sha256', proof).update(`ruche gateway ${port} ${nonce}`).digest('base64url');
  await sendJson(request, 200, { proof: mac });
}
