import { createHmac } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import type { GivenMessage } from '../../operator/api/test-file.ts';
import { catalog } from '../../runtime/catalog.ts';
import type { InboundAuth } from '../../runtime/connectors/http-auth.ts';
import { pluginOf } from '../../runtime/flow.ts';
import type { SecretRef } from '../../runtime/schema.ts';
import type { LocalIntegration } from './plan.ts';

/* A sender as a test wants one: a request to the listener, and what it answered. */
export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Uint8Array;
}
type Wanted = Pick<GivenMessage, 'source' | 'headers' | 'body'> & {
  readonly request: NonNullable<GivenMessage['request']>;
};

export const sendRequest = async (
  { name, flow }: LocalIntegration,
  { source, headers = {}, body: json, request }: Wanted,
  {
    port,
    content,
    secret,
  }: { readonly port: number; readonly content: Uint8Array; readonly secret: (ref: SecretRef) => string },
): Promise<Answered> => {
  const served = flow.sources.flatMap((item) => {
    const { definition, config } = pluginOf(item, catalog.sources);
    if (definition.placement !== 'gateway') return [];
    const { methods, auth } = config as { methods?: readonly string[]; auth?: InboundAuth };
    return [{ source: item.name, path: definition.paths(config)[0] ?? '/', method: methods?.[0] ?? 'POST', auth }];
  });
  const found = source === undefined ? served[0] : served.find((each) => each.source === source);
  if (!found) {
    const known = served.map((each) => each.source).join(', ') || 'none';
    throw new Error(
      `Integration ${name} has no source${source === undefined ? '' : ` "${source}"`} that takes requests; it has: ${known}`,
    );
  }
  const sent = {
    ...(json === undefined ? {} : { 'content-type': 'application/json' }),
    ...(request.login && found.auth ? login(found.auth, content, secret) : {}),
    ...Object.fromEntries(Object.entries(headers).map(([key, value]) => [key.toLowerCase(), value])),
  };
  const path = request.path ?? `/${name}${found.path}`;
  const method = request.method ?? found.method;
  return await answerTo({ host: '127.0.0.1', port, path, method, headers: sent }, content);
};

/** What a sender who knows the secret sends. */
const login = (
  auth: InboundAuth,
  content: Uint8Array,
  secret: (ref: SecretRef) => string,
): Readonly<Record<string, string>> => {
  if (auth.bearer) return { authorization: `Bearer ${secret(auth.bearer)}` };
  if (auth.basic) {
    const pair = `${auth.basic.username}:${secret(auth.basic.password)}`;
    return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
  }
  if (!auth.hmac) return {};
  const { header = 'x-hub-signature-256' } = auth.hmac;
  return { [header.toLowerCase()]: `sha256=${createHmac('sha256', secret(auth.hmac)).update(content).digest('hex')}` };
};

const answerTo = (options: Parameters<typeof httpRequest>[1] & object, content: Uint8Array): Promise<Answered> =>
  new Promise((resolve, reject) => {
    const asked = httpRequest({ ...options, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, body: Buffer.concat(parts) });
      });
    });
    asked.on('error', reject);
    asked.end(content);
  });
