import { Agent, request } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { apiVersion, kinds } from '../../../operator/api/meta.ts';
import type { KubeApi } from '../../cluster/kube-api.ts';

/** What the API server says about a refusal; `field` is a path below the object. */
export interface Cause {
  readonly reason?: string;
  readonly message: string;
  readonly field: string;
}
export interface Answer {
  readonly status: number;
  readonly message: string;
  readonly causes: readonly Cause[];
  readonly body: unknown;
}

interface Sent {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string | undefined };
}

/** A read is tried again. */
const deadlineMs = (method: string): number => (method === 'GET' ? 15_000 : 60_000);

/** Requests to the API server whose refusals are read as data, not as kubectl's text. */
export const rawApi = (api: KubeApi) => {
  const agent = new Agent({ keepAlive: true, ca: api.ca, cert: api.adminCert, key: api.adminKey });
  const once = (method: string, path: string, body: unknown, type: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const settings = {
        method,
        agent,
        headers: { 'content-type': type },
        signal: AbortSignal.timeout(deadlineMs(method)),
      };
      const sent = request(`${api.url}${path}`, settings, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          try {
            resolve(answerOf(response.statusCode ?? 0, text));
          } catch (cause) {
            reject(new Error(`${response.statusCode}: ${text.slice(0, 200) || 'an empty answer'}`, { cause }));
          }
        });
      });
      sent.on('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  // Right after CRDs are made, a busy API server answers reads of its OpenAPI late or with nothing.
  const call = async (method: string, path: string, body?: unknown, type = 'application/json'): Promise<Answer> => {
    for (let tries = 1; ; tries++) {
      try {
        return await once(method, path, body, type);
      } catch (error) {
        if (method !== 'GET' || tries === 20) throw new Error(`${method} ${path} was not answered`, { cause: error });
        await pause(250);
      }
    }
  };
  const path = ({ kind, metadata }: Sent, name: string) => {
    const found = kinds.find((candidate) => candidate.kind === kind);
    if (!found) throw new Error(`${kind} is no kind of ${apiVersion}`);
    const folder = found.namespaced ? `/namespaces/${metadata.namespace}` : '';
    return `/apis/${apiVersion}${folder}/${found.plural}${name}`;
  };
  const strict = 'fieldValidation=Strict';
  return {
    call,
    /** Asks whether the object could be made; nothing is stored. */
    check: (object: unknown) => call('POST', `${path(object as Sent, '')}?dryRun=All&${strict}`, object),
    create: (object: unknown) => call('POST', `${path(object as Sent, '')}?${strict}`, object),
    /** Writes the whole object over what is stored, or asks whether that would work. */
    replace: async (object: unknown, options: { dryRun?: boolean } = {}) => {
      const at = path(object as Sent, `/${(object as Sent).metadata.name}`);
      for (let tries = 1; ; tries += 1) {
        const { body } = await call('GET', at);
        const { metadata } = body as { metadata: object };
        const whole = { ...(object as object), metadata: { ...metadata, ...(object as Sent).metadata } };
        const answer = await call('PUT', `${at}?${strict}${options.dryRun ? '&dryRun=All' : ''}`, whole);
        // The operator wrote in between.
        if (answer.status !== 409 || tries === 20) return answer;
      }
    },
    remove: (object: unknown) => call('DELETE', path(object as Sent, `/${(object as Sent).metadata.name}`)),
    close: () => agent.destroy(),
  };
};
export type RawApi = ReturnType<typeof rawApi>;

const answerOf = (status: number, text: string): Answer => {
  const body = JSON.parse(text) as { message?: string; details?: { causes?: Cause[] } };
  const message = status < 300 ? '' : (body.message ?? '');
  // Unknown fields are refused before validation, as a text only.
  const unknown = [...message.matchAll(/unknown field "([^"]+)"/g)].map(([, field]) => ({
    reason: 'FieldUnknown',
    message: 'unknown field',
    field: field as string,
  }));
  // CEL writes keys of maps in brackets, the schema after a dot: one way is enough for us.
  const causes = [...(body.details?.causes ?? []), ...unknown].map((cause) => ({
    ...cause,
    field: cause.field?.replaceAll(/\[([^\]\d][^\]]*)\]/g, '.$1'),
  }));
  return { status, message, body, causes: status < 300 ? [] : causes };
};
