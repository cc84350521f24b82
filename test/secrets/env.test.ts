import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { envSecrets } from '../../src/secrets/env.ts';
import { spellings } from '../fakes/canary.ts';
import { workClock } from '../fakes/work-ms.ts';

const CANARY = 'sk-Canary+7/x?&=ü"\\z';

const has = (text: string, secret: string): boolean => text.includes(secret);

test('resolves env references and says which variable is missing and for what', async () => {
  const secrets = envSecrets({ env: { LOCAL_KEY: ' abc-12345678\n', EMPTY: ' ' } });
  assert.equal(await secrets.resolve('env:LOCAL_KEY', 'provider "local"'), 'abc-12345678');
  await assert.rejects(secrets.resolve('env:OTHER_KEY', 'provider "local"'), /OTHER_KEY is not set.*provider "local"/);
  await assert.rejects(secrets.resolve('env:EMPTY', 'provider "local"'), /EMPTY is not set/);
});

test('a key written where a reference belongs is neither used nor repeated', async () => {
  const secrets = envSecrets({ env: {} });
  await assert.rejects(secrets.resolve(CANARY, 'provider "local"'), (error: Error) => {
    assert.match(error.message, /write env:NAME/);
    assert.equal(has(error.message, CANARY), false);
    return true;
  });
  assert.equal(secrets.redact(`the key is ${CANARY}.`), 'the key is [redacted].');
});

test('what looks like a key in the environment is redacted without being resolved, other values are not', () => {
  const env = {
    GH_TOKEN: 'ghp_0123456789',
    AWS_SECRET_ACCESS_KEY: 'aws-secret-value',
    DB_PASSWORD: 'correct horse',
    SERVICE_SECRET: 'shortie',
    DATABASE_URL: 'postgres://app:s3cr%24t-pass@db:5432/app',
    HOME: '/home/someone',
    PATH: '/usr/bin:/usr/local/bin',
    PWD: '/srv/workspace',
    SSH_AUTH_SOCK: '/tmp/agent.1234',
    KEY_FILE: '/etc/keys/this-file',
  };
  const secrets = envSecrets({ env, values: ['gateway-token-1'] });
  const text = secrets.redact(Object.values(env).join(' | ') + ' gateway-token-1 s3cr$t-pass');
  assert.equal(
    text,
    '[redacted] | [redacted] | [redacted] | shortie | postgres://app:[redacted]@db:5432/app | /home/someone | ' +
      '/usr/bin:/usr/local/bin | /srv/workspace | /tmp/agent.1234 | /etc/keys/this-file [redacted] [redacted]',
  );
});

test('a key of several lines is found line by line', () => {
  const body = ['MIIEvQIBADANBgkqhkiG9w0BAQEFAASC', 'AoIBAQC7VJTUt9Us8cKjMzEfYyjiWA4R4'];
  const pem = `-----BEGIN PRIVATE KEY-----\n${body.join('\n')}\n-----END PRIVATE KEY-----`;
  const secrets = envSecrets({ env: { TLS_KEY: pem } });
  for (const text of [pem, JSON.stringify(pem), `> ${body[0]}`, `> ${body[1]}`])
    for (const line of body) assert.equal(has(secrets.redact(text), line), false);
});

test('secrets that overlap leave no end behind', () => {
  const secrets = envSecrets({ env: {}, values: ['abcdefghij', 'ghijklmnop', 'abcdefghijXYZ'] });
  assert.equal(secrets.redact('-abcdefghijklmnop-abcdefghijXYZ-'), '-[redacted]-[redacted]-');
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const ENCODINGS: Record<string, (text: string) => string> = {
  raw: (text) => text,
  base64,
  base64url: (text) => Buffer.from(text).toString('base64url'),
  hex: (text) => Buffer.from(text).toString('hex'),
  HEX: (text) => Buffer.from(text).toString('hex').toUpperCase(),
  url: encodeURIComponent,
  'url, lower case': (text) => encodeURIComponent(text).replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
  form: (text) => new URLSearchParams({ v: text }).toString(),
  json: (text) => JSON.stringify(text),
  'json in json': (text) => JSON.stringify({ inner: JSON.stringify({ text }) }),
};

test('A64 a canary in any form, amid any text, survives no redaction', () => {
  const checked = new Map<string, number>();
  const secret = fc.oneof(
    fc.string({ minLength: 8, maxLength: 60, unit: 'grapheme' }),
    fc.string({ minLength: 8, maxLength: 60, unit: 'binary-ascii' }),
    fc.base64String({ minLength: 8, maxLength: 60 }),
    fc.constant(CANARY),
  );
  const around = fc.string({ maxLength: 7, unit: 'grapheme' });
  fc.assert(
    fc.property(secret, around, around, fc.constantFrom(...Object.keys(ENCODINGS)), (raw, before, after, name) => {
      const value = raw.trim();
      fc.pre(value.length >= 8 && value.isWellFormed());
      const encode = ENCODINGS[name] ?? String;
      const secrets = envSecrets({ env: { SOME_TOKEN: value } });
      const encoded = encode(`${before}${value}${after}`);
      const redacted = secrets.redact(encoded);
      assert.equal(redacted.includes('[redacted]'), true);
      // Decoding what is left does not find it either.
      for (const form of [value, encode(value)]) assert.equal(has(redacted, form) && form.length >= 8, false);
      checked.set(name, (checked.get(name) ?? 0) + 1);
    }),
    { numRuns: 1_000 },
  );
  assert.equal(checked.size, Object.keys(ENCODINGS).length);
});

test('A64 a text that comes in pieces is redacted like the whole, wherever it is cut', () => {
  let held = 0;
  // Values that begin and end alike overlap each other and themselves.
  const secrets = envSecrets({ env: { A_KEY: 'abcabcabcabc', B_KEY: 'bcabcxyz!', C_KEY: CANARY } });
  const word = fc.oneof(
    fc.constantFrom('abc', 'a', 'bc', 'xyz!', 'abcabcabcabc', CANARY, 'e'),
    fc.string({ maxLength: 4 }),
  );
  const pieces = fc.array(fc.tuple(word, fc.nat({ max: 20 })), { maxLength: 12 });
  fc.assert(
    fc.property(pieces, (given) => {
      const whole = given.map(([text]) => text).join('');
      const redactor = secrets.redactPieces();
      let [shown, at] = ['', 0];
      for (const [, length] of given) {
        shown += redactor.push(whole.slice(at, at + length));
        at += length;
        if (shown.length < at) held += 1;
      }
      shown += redactor.push(whole.slice(at)) + redactor.end();
      assert.equal(shown, secrets.redact(whole));
    }),
    { numRuns: 2_000 },
  );
  assert.ok(held > 100, `only ${held} pieces were held back`);
});

test('A64 an ordinary text in pieces is shown at once', () => {
  const redactor = envSecrets({ env: { A_KEY: 'sk-0123456789' } }).redactPieces();
  assert.deepEqual(['The ask', ' is', ' done'].map(redactor.push), ['The a', 'sk i', 's done']);
});

test('A64 a megabyte is redacted at once, with the keys of a whole environment known', () => {
  const env: Record<string, string> = {};
  for (let n = 0; n < 40; n += 1) env[`SERVICE_${n}_KEY`] = `sk-${n}-${'x'.repeat(20)}${n * 7919}`;
  const secrets = envSecrets({ env });
  const line = 'the quick brown fox jumps over the lazy dog sk-1- 0123456789abcdef\n';
  const text = line.repeat(16_000) + env.SERVICE_39_KEY;
  const worked = workClock();
  const redacted = secrets.redact(text);
  const ms = worked();
  assert.equal(redacted, `${line.repeat(16_000)}[redacted]`);
  assert.ok(ms < 2_000, `took ${ms.toFixed(0)} ms`);
});

test('of many values each is found as of one: whole, in pieces, in every spelling, and nothing else', () => {
  const value = (n: number): string => `key-${n}/+${'x'.repeat(n % 7)}ü&${(n * 7919).toString(36)}-0123`;
  const all = Array.from({ length: 80 }, (_, n) => value(n));
  const many = envSecrets({ env: {}, values: all });
  fc.assert(
    fc.property(
      fc.nat(79),
      fc.nat(40),
      fc.string({ maxLength: 12 }),
      fc.string({ maxLength: 12 }),
      (n, form, before, after) => {
        const one = envSecrets({ env: {}, values: [value(n)] });
        const forms = [...spellings(value(n)), 'key-', value(n).slice(0, 7), 'nothing'];
        const text = `${before}${forms[form % forms.length]}${after}`;
        const clean = one.redact(text);
        assert.equal(many.redact(text), clean);
        for (let cut = 0; cut <= text.length; cut += 1) {
          const pieces = many.redactPieces();
          assert.equal(pieces.push(text.slice(0, cut)) + pieces.push(text.slice(cut)) + pieces.end(), clean);
        }
      },
    ),
    { numRuns: 60, seed: 4747 },
  );
});
