import { readObject, text } from '../http/body.ts';
import { OWNER, type GatewayContext } from '../http/context.ts';
import type { Logins } from '../http/logins.ts';
import { PAGE_CSP } from '../http/static.ts';
import {
  HttpError,
  sendJson,
  sendText,
  tooManyFailures,
  type ApiRequest,
  type Exchange,
  badRequest,
} from '../http/reply.ts';
import { createHmac } from 'node:crypto';

/** Path of the one endpoint besides health that takes no token: it takes a code. */
export const ENTER_PATH = '/api/sessions';

/** Bytes of the body that brings a code: its sender has proved nothing. */
const CODE_BYTES = 1_000;

/** The code stands behind the `#`, which browsers send to nobody: not to us, not to a proxy's log, not as referrer. */
export const loginLink = (url: string, logins: Logins): string => `${url}/login#${logins.code()}`;

/** `POST /api/logins` `{}`: a link that logs one browser in, once. Only for who holds the token itself. */
export async function makeLogin(context: GatewayContext, logins: Logins, request: ApiRequest): Promise<void> {
  await readObject(request.incoming, context.limits);
  if (request.incoming.headers.authorization === undefined)
    throw new HttpError(403, 'token_needed', 'A login link needs the token. Create one with: ruche login.');
  const code = logins.code();
  await sendJson(request, 200, { code, path: `/login#${code}`, publicUrl: context.publicUrl(), seconds: 600 });
}

/** `POST /api/sessions` `{code}`: 200 with the session's cookie. */
export async function enter(context: GatewayContext, logins: Logins, request: ApiRequest): Promise<void> {
  const code = text(await readObject(request.incoming, { ...context.limits, bodyBytes: CODE_BYTES }), 'code');
  // A browser that came by the proxy sends the cookie over TLS alone. On this machine the page goes on without.
  const { origin } = request.incoming.headers;
  const secure = origin !== undefined && origin === context.publicUrl() && origin.startsWith('https:');
  const cookie = await logins.enter(code, secure);
  // A right code is let in whatever others try: nobody guesses one.
  const peer = request.incoming.socket.remoteAddress ?? '';
  const wait = cookie === null ? context.failures.pay(peer, context.clock.now()) : 0;
  if (wait > 0) throw tooManyFailures(wait);
  if (cookie === null)
    throw new HttpError(401, 'bad_code', 'This link has been used or has expired. Create another with: ruche login.');
  await sendJson(request, 200, { who: OWNER }, { 'set-cookie': cookie });
}

/** `POST /api/logout` `{}`. */
export async function logOut(context: GatewayContext, logins: Logins, request: ApiRequest): Promise<void> {
  await readObject(request.incoming, context.limits);
  const cookie = logins.cookieIn(request.incoming.headers.cookie);
  await sendJson(request, 200, {}, { 'set-cookie': cookie === null ? logins.gone : await logins.leave(cookie) });
}

/** `GET /api/me`: who asks, by what, and until when. */
export async function whoAmI(logins: Logins, request: ApiRequest): Promise<void> {
  const { authorization, cookie: header } = request.incoming.headers;
  const cookie = authorization === undefined ? logins.cookieIn(header) : null;
  const until = cookie === null ? null : logins.until(cookie);
  await sendJson(request, 200, { who: OWNER, by: cookie === null ? 'token' : 'session', until });
}

const SCRIPT = `'use strict';
const say = (text) => { document.querySelector('p').textContent = text; };
const code = location.hash.slice(1);
history.replaceState(null, '', '/login');
if (code === '') say('This page needs a link with a code. Create one with: ruche login.');
else
  fetch('/api/sessions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code }),
  }).then(
    async (answer) => (answer.ok ? location.replace('/') : say((await answer.json()).error.message)),
    () => say('Ruche does not answer. Open the link again.'),
  );
`;

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Ruche</title>
<p role="status">Logging in …</p>
<noscript>This page needs JavaScript.</noscript>
<script src="/login.js"></script>
</html>
`;

/** `GET /login`: takes the code out of the address and exchanges it. It does not depend on the page that is built. */
export const loginPage = (request: Exchange): Promise<boolean> =>
  sendText(request, 200, PAGE, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': PAGE_CSP });

export const loginScript = (request: Exchange): Promise<boolean> =>
  sendText(request, 200, SCRIPT, { 'content-type': 'text/javascript; charset=utf-8' });

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
