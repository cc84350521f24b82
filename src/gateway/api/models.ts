import type { ModelDesk, SetupRequest } from '../../core/api/views.ts';
import { type Fields, optionalText, readObject, text } from '../http/body.ts';
import { badRequest } from '../http/errors.ts';
import type { Face } from '../http/face.ts';
import { clientSignal, sendJson, type Exchange } from '../http/reply.ts';

/** `GET /api/models`: what is configured and found. */
export async function getModels(face: Face, desk: ModelDesk, exchange: Exchange): Promise<void> {
  await sendJson(exchange, 200, await desk.list(clientSignal(exchange, face.closing)));
}

/** `POST /api/models/test` `{ref}`: one small call, and what came of it. */
export async function testModel(face: Face, desk: ModelDesk, exchange: Exchange): Promise<void> {
  const ref = text(await readObject(exchange.incoming, face.limits), 'ref');
  await sendJson(exchange, 200, await desk.test(ref, clientSignal(exchange, face.closing)));
}

/** `POST /api/setup`, a SetupRequest: tried, and kept if it works. 200 also for what does not: the answer says which field to mend. */
export async function setUpModel(face: Face, desk: ModelDesk, exchange: Exchange): Promise<void> {
  const request = readSetup(await readObject(exchange.incoming, face.limits));
  await sendJson(exchange, 200, await desk.setup(request, clientSignal(exchange, face.closing)));
}

function readSetup(fields: Fields): SetupRequest {
  const optional = <Name extends string>(name: Name): { [key in Name]?: string } => {
    const value = optionalText(fields, name);
    return value === null ? {} : ({ [name]: value } as { [key in Name]: string });
  };
  switch (fields.kind) {
    case 'key': {
      const { provider } = fields;
      if (provider !== 'anthropic' && provider !== 'openai' && provider !== 'gemini')
        throw badRequest('"provider" must be "anthropic", "openai" or "gemini".', 'provider');
      return { kind: 'key', provider, key: text(fields, 'key'), ...optional('model'), ...optional('baseUrl') };
    }
    case 'url':
      return { kind: 'url', baseUrl: text(fields, 'baseUrl'), model: text(fields, 'model'), ...optional('key') };
    case 'ollama':
      return { kind: 'ollama', baseUrl: text(fields, 'baseUrl'), ...optional('model') };
    default:
      throw badRequest('"kind" must be "key", "url" or "ollama".', 'kind');
  }
}
