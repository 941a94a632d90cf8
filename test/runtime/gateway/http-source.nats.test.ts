import { createHmac, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Gateway } from '../../../runtime/gateway/gateway.ts';
import { startTenant, type TestTenant } from './tenant.ts';

let world: TestTenant;
let gateway: Gateway & { url: string };

beforeAll(async () => {
  world = await startTenant();
  gateway = await world.gateway();
  await world.secret('shop', 'token', 's3cret-token');
  await world.secret('shop', 'password', 'pa:ss wörd');
  await world.secret('github', 'secret', 'it is a secret to everybody\n');
  await world.inbox('orders');
  const ref = (name: string, key: string) => ({ secretKeyRef: { name, key } });
  const applied = await world.route('orders', [
    { name: 'open', http: { path: '/open', headers: ['X-Kept', 'X-GitHub-Event'] } },
    { name: 'token', http: { path: '/token', auth: { bearer: ref('shop', 'token') } } },
    {
      name: 'basic',
      http: { path: '/basic', auth: { basic: { username: 'joe', password: ref('shop', 'password') } } },
    },
    {
      name: 'github',
      http: { path: '/github', auth: { hmac: ref('github', 'secret') }, idHeader: 'X-GitHub-Delivery', type: 'github' },
    },
    { name: 'small', http: { path: '/small', maxBytes: '1Ki', methods: ['PUT', 'POST'] } },
    { name: 'lost', http: { path: '/lost', auth: { bearer: ref('lost', 'token') } } },
  ]);
  // One secret is not there: its path refuses, the others are served.
  expect(applied.error).toContain('Secret lost');
});
afterAll(() => world[Symbol.asyncDispose]());

const post = (
  path: string,
  body: RequestInit['body'] | undefined,
  headers: Record<string, string> = {},
  method = 'POST',
) =>
  fetch(`${gateway.url}/orders${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body, duplex: 'half' }),
  });
const json = { 'content-type': 'application/json' };
const lastStored = async () => (await world.stored('orders')).at(-1);

describe('what is accepted', () => {
  test('JSON: 202 with the id once the inbox has it, byte by byte', async () => {
    const sent = '{ "a" : 1.0, "b": "\\u00e4" }';
    const response = await post('/open', sent, { ...json, 'x-kept': 'yes', 'x-dropped': 'yes', 'nats-rollup': 'all' });
    expect(response.status).toBe(202);
    expect(response.headers.get('content-type')).toBe('application/json');
    const { id } = (await response.json()) as { id: string };
    const message = await lastStored();
    expect(Buffer.from(message?.body.bytes() ?? []).toString()).toBe(sent);
    expect(message).toMatchObject({
      subject: 'inbox.orders.0.open',
      attrs: {
        id,
        source: '/acme/orders/open',
        type: 'http.request',
        specversion: '1.0',
        datacontenttype: 'application/json',
        correlationid: id,
      },
      headers: { 'x-kept': 'yes' },
    });
    const names = Object.keys(message?.rawHeaders ?? {}).map((name) => name.toLowerCase());
    expect(names).not.toContain('nats-rollup');
    expect(names).toContain('nats-msg-id');
  });

  test('any bytes, without a content type', async () => {
    const sent = Uint8Array.from([0, 255, 10, 13, 0, 128]);
    const response = await post('/open', new Blob([sent]));
    expect(response.status).toBe(202);
    const message = await lastStored();
    expect([...(message?.body.bytes() ?? [])]).toEqual([...sent]);
    expect(message?.attrs['datacontenttype']).toBeUndefined();
  });

  test('an empty body', async () => {
    expect((await post('/open', undefined)).status).toBe(202);
    expect((await lastStored())?.body.bytes()).toHaveLength(0);
  });

  test('a CloudEvent in binary mode keeps its attributes and trace', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const response = await post('/open', 'hello', {
      'content-type': 'text/plain; charset=utf-8',
      'ce-specversion': '1.0',
      'ce-id': 'A-1',
      'ce-source': '/shop',
      'ce-type': 'order.placed',
      'ce-subject': 'Gr%C3%B6%C3%9Fe%20XL',
      'ce-region': 'eu',
      traceparent,
      tracestate: 'a=b',
    });
    expect(await response.json()).toEqual({ id: 'A-1' });
    expect((await lastStored())?.attrs).toMatchObject({
      id: 'A-1',
      source: '/shop',
      type: 'order.placed',
      subject: 'Größe XL',
      region: 'eu',
      datacontenttype: 'text/plain; charset=utf-8',
      traceparent,
      tracestate: 'a=b',
    });
  });

  test.each<[why: string, event: object, body: string, type: string | undefined]>([
    ['JSON data', { data: { a: [1] } }, '{"a":[1]}', 'application/json'],
    ['text data', { datacontenttype: 'text/plain', data: 'hi' }, 'hi', 'text/plain'],
    ['text that says it is JSON', { datacontenttype: 'application/json', data: 'hi' }, '"hi"', 'application/json'],
    ['binary data', { datacontenttype: 'a/b', data_base64: 'aGk=' }, 'hi', 'a/b'],
    ['no data', {}, '', undefined],
  ])('a structured CloudEvent with %s', async (_why, event, body, type) => {
    const id = randomUUID();
    const response = await post(
      '/open',
      JSON.stringify({ specversion: '1.0', id, source: '/s', type: 't', ...event }),
      {
        'content-type': 'application/cloudevents+json; charset=utf-8',
      },
    );
    expect(await response.json()).toEqual({ id });
    const message = await lastStored();
    expect(Buffer.from(message?.body.bytes() ?? []).toString()).toBe(body);
    expect(message?.attrs['datacontenttype']).toBe(type);
  });

  test('the same id twice is stored once, and the sender is told', async () => {
    const headers = { ...json, 'idempotency-key': 'order-77' };
    const before = (await world.stored('orders')).length;
    expect(await (await post('/open', '{}', headers)).json()).toEqual({ id: 'order-77' });
    expect(await (await post('/open', '{}', headers)).json()).toEqual({ id: 'order-77', duplicate: true });
    expect(await world.stored('orders')).toHaveLength(before + 1);
  });
});

describe('what is refused', () => {
  const big = new Uint8Array(2048);
  const event = { specversion: '1.0', id: '1', source: '/s', type: 't' };
  const structured = { 'content-type': 'application/cloudevents+json' };
  const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` });
  test.each<
    [
      why: string,
      send: () => Promise<Response>,
      status: number,
      code: string,
      header?: readonly [name: string, value: RegExp],
    ]
  >([
    ['no token', () => post('/token', '{}', json), 401, 'Unauthorized', ['www-authenticate', /^Bearer realm/]],
    [
      'a wrong token',
      () => post('/token', '{}', { ...json, authorization: 'Bearer s3cret-tokeN' }),
      401,
      'Unauthorized',
      ['www-authenticate', /invalid_token/],
    ],
    ['an empty token', () => post('/token', '{}', { authorization: 'Bearer ' }), 401, 'Unauthorized'],
    ['another scheme', () => post('/token', '{}', basic('joe:s3cret-token')), 401, 'Unauthorized'],
    [
      'a wrong password',
      () => post('/basic', '{}', basic('joe:x')),
      401,
      'Unauthorized',
      ['www-authenticate', /^Basic/],
    ],
    ['a wrong user', () => post('/basic', '{}', basic('jim:pa:ss wörd')), 401, 'Unauthorized'],
    ['no signature', () => post('/github', '{}', json), 401, 'Unauthorized', ['www-authenticate', /x-hub-signature/]],
    [
      'a signature of another body',
      () => post('/github', '{"a":2}', { ...json, 'x-hub-signature-256': signed('{"a":1}') }),
      401,
      'Unauthorized',
    ],
    ['a secret that is not there', () => post('/lost', '{}', json), 401, 'Unauthorized'],
    [
      'a secret that is not there, with a token',
      () => post('/lost', '{}', { authorization: 'Bearer x' }),
      503,
      'SecretUnreadable',
      ['retry-after', /\d/],
    ],
    ['an unknown path', () => post('/nowhere', '{}', json), 404, 'UnknownPath'],
    ['a path below a route', () => post('/open/more', '{}', json), 404, 'UnknownPath'],
    ['an encoded path', () => post('/%6fpen', '{}', json), 404, 'UnknownPath'],
    ['a path that is no URL', () => post('/%zz', '{}', json), 404, 'UnknownPath'],
    ['an unknown Integration', () => fetch(`${gateway.url}/other/open`, { method: 'POST' }), 404, 'UnknownPath'],
    ['the root', () => fetch(gateway.url), 404, 'UnknownPath'],
    ['another method', () => post('/open', undefined, {}, 'GET'), 405, 'MethodNotAllowed', ['allow', /^POST$/]],
    [
      'another of several',
      () => post('/small', '{}', json, 'PATCH'),
      405,
      'MethodNotAllowed',
      ['allow', /^PUT, POST$/],
    ],
    ['a method that few know', () => post('/open', undefined, {}, 'PROPFIND'), 405, 'MethodNotAllowed'],
    ['a large body', () => post('/small', big), 413, 'BodyTooLarge'],
    ['a large body without a length', () => post('/small', endless(2048)), 413, 'BodyTooLarge'],
    ['a body beyond what NATS takes', () => post('/open', new Uint8Array(1024 * 1024)), 413, 'BodyTooLarge'],
    [
      'a batch of CloudEvents',
      () => post('/open', '[]', { 'content-type': 'application/cloudevents-batch+json' }),
      415,
      'MediaTypeUnsupported',
      ['accept', /cloudevents\+json/],
    ],
    [
      'a compressed body',
      () => post('/open', 'x', { 'content-encoding': 'gzip' }),
      415,
      'EncodingUnsupported',
      ['accept-encoding', /identity/],
    ],
    ['broken JSON', () => post('/open', '{"a": 1,}', json), 400, 'BodyNotJson'],
    [
      'broken JSON of a dialect',
      () => post('/open', '{', { 'content-type': 'application/x+json' }),
      400,
      'BodyNotJson',
    ],
    ['JSON that is not UTF-8', () => post('/open', Uint8Array.from([0x22, 0xff, 0x22]), json), 400, 'BodyNotJson'],
    ['no JSON at all', () => post('/open', '', json), 400, 'BodyNotJson'],
    ['an event of another version', () => post('/open', '', { 'ce-specversion': '0.3' }), 400, 'CloudEventInvalid'],
    ['an event without id', () => post('/open', '', { 'ce-specversion': '1.0' }), 400, 'CloudEventInvalid'],
    ['a structured event that is a list', () => post('/open', '[]', structured), 400, 'CloudEventInvalid'],
    [
      'a structured event with an odd attribute',
      () => post('/open', JSON.stringify({ ...event, 'No-Name': 1 }), structured),
      400,
      'CloudEventInvalid',
    ],
    [
      'a structured event with both kinds of data',
      () => post('/open', JSON.stringify({ ...event, data: 1, data_base64: '' }), structured),
      400,
      'CloudEventInvalid',
    ],
    [
      'broken base64',
      () => post('/open', JSON.stringify({ ...event, data_base64: '*' }), structured),
      400,
      'CloudEventInvalid',
    ],
  ])('%s', async (_why, send, status, code, header) => {
    const before = (await world.manager.streams.info('inbox_orders')).state.last_seq;
    const response = await send();
    const problem = (await response.json()) as { code: string; status: number; detail: string };
    expect([response.status, problem.code, problem.status]).toEqual([status, code, status]);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(problem.detail.length).toBeGreaterThan(10);
    if (header) expect(response.headers.get(header[0])).toMatch(header[1]);
    expect((await world.manager.streams.info('inbox_orders')).state.last_seq).toBe(before);
  });

  test('broken JSON: the answer says where', async () => {
    const { detail } = (await (await post('/open', '{"a": 1,}', json)).json()) as { detail: string };
    expect(detail).toMatch(/position 8/);
  });
});

const endless = (bytes: number): ReadableStream<Uint8Array> => ReadableStream.from([new Uint8Array(bytes)]);
const signed = (body: string, secret = 'it is a secret to everybody'): string =>
  `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;

describe('who may send', () => {
  test('bearer and basic', async () => {
    expect((await post('/token', '{}', { ...json, authorization: 'bearer s3cret-token' })).status).toBe(202);
    const authorization = `Basic ${Buffer.from('joe:pa:ss wörd').toString('base64')}`;
    expect((await post('/basic', '{}', { ...json, authorization })).status).toBe(202);
  });

  test('a rotated secret holds for the next request', async () => {
    await world.secret('shop', 'token', 'rotated');
    expect((await post('/token', '{}', { ...json, authorization: 'Bearer s3cret-token' })).status).toBe(401);
    expect((await post('/token', '{}', { ...json, authorization: 'Bearer rotated' })).status).toBe(202);
    await world.secret('shop', 'token', '');
    expect((await post('/token', '{}', { ...json, authorization: 'Bearer ' })).status).not.toBe(202);
    await world.secret('shop', 'token', 's3cret-token');
  });

  test('every real GitHub payload, signed as GitHub signs, with the delivery as id', async () => {
    const events = createRequire(import.meta.url)('@octokit/webhooks-examples') as {
      name: string;
      examples: object[];
    }[];
    const payloads = events.flatMap(({ name, examples }) => examples.map((example) => ({ name, example })));
    expect(payloads).toHaveLength(329);
    const sent = new Map<string, string>();
    await Promise.all(
      payloads.map(async ({ name, example }) => {
        const [id, body] = [randomUUID(), JSON.stringify(example)];
        sent.set(id, body);
        const response = await post('/github', body, {
          ...json,
          'x-github-delivery': id,
          'x-github-event': name,
          'x-hub-signature-256': signed(body),
        });
        expect([response.status, await response.json()]).toEqual([202, { id }]);
      }),
    );
    const found = (await world.stored('orders')).filter(({ attrs }) => attrs.type === 'github');
    expect(new Map(found.map(({ attrs, body }) => [attrs.id, Buffer.from(body.bytes()).toString()]))).toEqual(sent);
  });
});
