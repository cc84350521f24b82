import assert from 'node:assert/strict';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { echo, raw, withGateway } from './help.ts';
import { withPage } from './views-kit.ts';

test('the page is served to anybody, with a policy that lets it run and reach nothing else', async () => {
  await withPage((page) =>
    withGateway(
      echo,
      async ({ gateway }) => {
        for (const path of ['/', '/chat/assistant/s1', '/work?text=x', '/login-not', '/apix', '/index.html']) {
          const answer = await fetch(`${gateway.url}${path}`);
          assert.equal(answer.status, 200, path);
          assert.match(await answer.text(), /the page/);
          assert.equal(answer.headers.get('cache-control'), 'no-store');
          assert.equal(answer.headers.get('content-type'), 'text/html; charset=utf-8');
          assert.equal(
            answer.headers.get('content-security-policy'),
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
          );
          assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
          assert.equal(answer.headers.get('referrer-policy'), 'no-referrer');
        }
        const script = await fetch(`${gateway.url}/assets/index-a1b2.js`);
        assert.equal(script.headers.get('cache-control'), 'public, max-age=31536000, immutable');
        assert.equal(script.headers.get('content-type'), 'text/javascript; charset=utf-8');
        const icon = await fetch(`${gateway.url}/favicon.svg`);
        assert.equal(icon.headers.get('cache-control'), 'no-cache');
        const whole = await fetch(`${gateway.url}/`, { method: 'HEAD' });
        assert.deepEqual([whole.status, await whole.text()], [200, '']);
        assert.equal((await fetch(`${gateway.url}/assets/none.js`)).status, 404);
        assert.equal((await fetch(`${gateway.url}/`, { method: 'POST' })).status, 401);
        // Somebody follows a link from elsewhere; a frame or a script of theirs gets nothing.
        const from = (mode: string): Promise<string> =>
          raw(
            gateway.port,
            `GET / HTTP/1.1\r\nHost: 127.0.0.1:${gateway.port}\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: ${mode}\r\nConnection: close\r\n\r\n`,
          );
        assert.match(await from('navigate'), /^HTTP\/1\.1 200 /);
        assert.match(await from('no-cors'), /^HTTP\/1\.1 403 /);
      },
      page,
    ),
  );
});

test('a client of another API gets JSON that says where this one is, and a browser the page', async () => {
  await withPage((page) =>
    withGateway(
      echo,
      async ({ gateway, call }) => {
        for (const path of [
          '/models',
          '/health',
          '/v2/models',
          '/props',
          '/chat/completions',
          '/openai/deployments/x',
        ]) {
          const answer = await fetch(`${gateway.url}${path}`);
          assert.deepEqual([answer.status, answer.headers.get('content-type')], [404, 'application/json'], path);
          assert.match(await answer.text(), /base URL ends in \/v1/, path);
          const seen = await fetch(`${gateway.url}${path}`, { headers: { accept: 'text/html,*/*;q=0.8' } });
          assert.match(await seen.text(), /the page/, path);
        }
        const json = await fetch(`${gateway.url}/whatever`, { headers: { accept: 'application/json' } });
        assert.equal(json.status, 404);
        for (const path of ['/v1/responses', '/v1/completions', '/v1/embeddings', '/v1/messages', '/responses']) {
          const answer = await call(path, { body: {} });
          assert.equal(answer.status, 404, path);
          assert.match(await answer.text(), /POST \/v1\/chat\/completions.*set the client to chat completions/, path);
        }
      },
      page,
    ),
  );
});

test('the API tells a stranger nothing, page or not', async () => {
  await withPage((page) =>
    withGateway(
      echo,
      async ({ gateway }) => {
        const paths = [
          '/api/me',
          '/api/conversations',
          '/api/runs',
          '/api/live',
          '/api/nothing',
          '/v1/models',
          '/metrics',
          '/api',
          '/v1',
        ];
        for (const path of paths) assert.equal((await fetch(`${gateway.url}${path}`)).status, 401, path);
        // No spelling of a guarded path reaches what lies there.
        for (const path of [
          '/%61pi/me',
          '//api/me',
          '/./api/me',
          '/API/me',
          '/x/../api/me',
          '/api%2fme',
          '/v1%2e/models',
        ]) {
          const answer = await raw(
            gateway.port,
            `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${gateway.port}\r\nConnection: close\r\n\r\n`,
          );
          assert.doesNotMatch(answer, /"who"|"data"|"object"/, path);
          assert.match(answer, /^HTTP\/1\.1 (?:200|401|404) /, path);
        }
      },
      page,
    ),
  );
});

test('no path leads out of the folder of the page', async () => {
  await withPage((page, dir) =>
    withGateway(
      echo,
      async ({ gateway: { port } }) => {
        await symlink(join(dir, 'secret.txt'), join(dir, 'web', 'assets', 'link.txt'));
        await symlink(dir, join(dir, 'web', 'out'));
        await mkdir(join(dir, 'web', 'folder.txt'));
        const paths = [
          '/../secret.txt',
          '/assets/../../secret.txt',
          '/%2e%2e/secret.txt',
          '/..%2fsecret.txt',
          '/%2e%2e%2fsecret.txt',
          '/..\\secret.txt',
          '/assets/..%5c..%5csecret.txt',
          '/....//secret.txt',
          '/./../secret.txt',
          `/${dir}/secret.txt`,
          '/.hidden.txt',
          '/assets/link.txt',
          '/out/secret.txt',
          '/folder.txt',
          '/secret.txt%00.js',
          '/secret.txt?.js',
          '/assets//../../secret.txt',
          '/web/../../secret.txt',
          `/a/b/c/d/e${'/f'.repeat(2000)}.txt`,
        ];
        for (const path of paths) {
          const answer = await raw(
            port,
            `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`,
          );
          assert.doesNotMatch(answer, /a secret/, path);
          assert.match(answer, /^HTTP\/1\.1 404 /, path);
        }
        assert.equal(paths.length, 19);
      },
      page,
    ),
  );
});

test('a page that was not built says what to do', async () => {
  await withPage((page, dir) =>
    withGateway(
      echo,
      async ({ gateway }) => {
        const answer = await fetch(`${gateway.url}/`);
        assert.equal(answer.status, 200);
        assert.match(await answer.text(), /npm run build/);
        const login = await fetch(`${gateway.url}/login`);
        assert.match(await login.text(), /<script src="\/login\.js">/);
        assert.match(await (await fetch(`${gateway.url}/login.js`)).text(), /\/api\/sessions/);
      },
      { ...page, web: join(dir, 'nowhere') },
    ),
  );
});
