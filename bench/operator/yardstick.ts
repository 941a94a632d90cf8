import { type ConsumerConfig, jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { ApiRequest, Transport } from '../../operator/kube/transport.ts';
import { bucketStream, bucketSubject, gatewayBucket, routeKey } from '../../runtime/nats/names.ts';

/*
 * What the bare client writes: recorded from the operator's own reconcilers, each object and subresource once, as it was in the end.
 * So it is the least that anybody must write who wants the same result, and it is never out of step with the plans.
 */
export interface Write {
  readonly method: ApiRequest['method'];
  readonly path: string;
  readonly contentType: string;
  readonly body: string;
}
/** Texts with placeholders. */
export interface Yardstick {
  /** Of an Integration. */
  readonly writes: readonly Write[];
  /** Of its Tenant, whose gateway and counts follow. */
  readonly tenantWrites: readonly Write[];
  /** JetStream requests: subject and payload. */
  readonly requests: readonly (readonly [subject: string, payload: string])[];
}

/** Stand for the real names; as long as those, so that sizes stay. */
export interface Names {
  readonly tenant: string;
  readonly integration: string;
  readonly uid: string;
}
export const placeholders: Names = { tenant: 'tenant-000', integration: 'sample-0000', uid: 'uid-of-the-sample' };

export const filledIn = (text: string, real: Names): string =>
  text
    .replaceAll(placeholders.integration, real.integration)
    .replaceAll(placeholders.tenant, real.tenant)
    .replaceAll(placeholders.uid, real.uid);

export const recordingTransport = (transport: Transport) => {
  const requests: ApiRequest[] = [];
  const recording: Transport = {
    ...transport,
    request: (request) => {
      if (request.method !== 'GET' && !request.query?.['dryRun']) requests.push(request);
      return transport.request(request);
    },
  };
  /** All that was written since the last call. */
  const taken = (uid: string): Write[] => {
    const last = new Map(requests.map((request) => [`${request.method} ${targetOf(request)}`, request]));
    requests.length = 0;
    return [...last.values()].map((request) => writeOf(request, uid));
  };
  return { recording, taken };
};

export const yardstickOf = (writes: readonly Write[], requests: Yardstick['requests']): Yardstick => {
  const isItsOwn = ({ path, body }: Write) =>
    path.includes(placeholders.integration) || body.includes(placeholders.uid);
  return {
    writes: writes.filter(isItsOwn),
    tenantWrites: writes.filter((write) => !isItsOwn(write)),
    requests,
  };
};

/** What was asked of JetStream for the sample, seen from what is there. */
export const jetStreamRequests = async (
  connection: NatsConnection,
  uid: string,
): Promise<[subject: string, payload: string][]> => {
  const manager = await jetstreamManager(connection);
  const requests: [string, string][] = [];
  const add = (subject: string, payload: object) =>
    requests.push([subject, JSON.stringify(payload).replaceAll(uid, placeholders.uid)]);
  for await (const { config } of manager.streams.list()) {
    if (!config.name.endsWith(placeholders.integration)) continue;
    add(`$JS.API.STREAM.CREATE.${config.name}`, own(config));
    for await (const consumer of manager.consumers.list(config.name)) {
      const { filter_subject = '' } = consumer.config;
      const payload = { stream_name: config.name, config: own(consumer.config), action: 'create' };
      add(`$JS.API.CONSUMER.CREATE.${config.name}.${consumer.name}.${filter_subject}`, payload);
    }
  }
  const subject = bucketSubject(gatewayBucket, routeKey(placeholders.integration));
  const found = JSON.stringify({ last_by_subj: subject });
  const stored = await connection.request(`$JS.API.DIRECT.GET.${bucketStream(gatewayBucket)}`, found);
  requests.push([subject, stored.string().replaceAll(uid, placeholders.uid)]);
  return requests;
};

/** Without what the server has added to the metadata. */
const own = <Config extends StreamConfig | ConsumerConfig>({ metadata = {}, ...config }: Config) => ({
  ...config,
  metadata: Object.fromEntries(Object.entries(metadata).filter(([name]) => !name.startsWith('_nats.'))),
});

const targetOf = ({ path, query = {} }: ApiRequest): string => {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length > 0 ? `${path}?${new URLSearchParams(given).toString()}` : path;
};

const writeOf = (request: ApiRequest, uid: string): Write => {
  const body = request.body as { metadata?: { resourceVersion?: string } } | undefined;
  const { resourceVersion: _, ...metadata } = body?.metadata ?? {};
  const text = JSON.stringify(body?.metadata ? { ...body, metadata } : body);
  return {
    method: request.method,
    path: targetOf(request),
    contentType: request.contentType ?? 'application/json',
    body: text.replaceAll(uid, placeholders.uid),
  };
};
