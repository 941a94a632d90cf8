import type { ConnectionSpec } from '../operator/api/connection.ts';
import type { IntegrationSpec } from '../operator/api/integration.ts';
import { apiVersion, type Metadata } from '../operator/api/meta.ts';
import type { TenantSpec } from '../operator/api/tenant.ts';

/*
 * Objects as a user writes them: valid and small; a test says only what it is about. `integration({sinks: []})` changes fields of the
 * spec, the second argument those of the metadata.
 */
type Meta = Partial<Metadata>;

export const integration = (spec: Partial<IntegrationSpec> = {}, metadata: Meta = {}) => ({
  apiVersion,
  kind: 'Integration',
  metadata: { name: 'orders', namespace: 'acme', ...metadata },
  spec: { sources: [http()], ...spec },
});

export const tenant = (spec: Partial<TenantSpec> = {}, metadata: Meta = {}) => ({
  apiVersion,
  kind: 'Tenant',
  metadata: { name: 'acme', ...metadata },
  spec: { namespace: { name: 'acme' }, ...spec },
});

export const connection = (
  spec: ConnectionSpec = { http: { url: 'https://erp.example.com/api' } },
  metadata: Meta = {},
) => ({
  apiVersion,
  kind: 'Connection',
  metadata: { name: 'erp', namespace: 'acme', ...metadata },
  spec,
});

interface HttpSource {
  readonly path?: string;
  readonly [field: string]: unknown;
}
/** A source that listens. */
export const http = (config: HttpSource = {}, name = 'in') => ({ name, http: { path: `/${name}`, ...config } });

/** A source that subscribes to events of the tenant. */
export const bus = (types: readonly string[], name = 'events') => ({ name, bus: { types: [...types] } });
/** A source that makes messages at set times. */
export const schedule = (config: { readonly cron: string; readonly [field: string]: unknown }, name = 'nightly') => ({
  name,
  schedule: config,
});
/** A sink that publishes to the tenant. */
export const busSink = (type?: string, name = 'publish') => ({ name, bus: type === undefined ? {} : { type } });

interface HttpSink {
  readonly connectionRef?: { readonly name: string };
  readonly [field: string]: unknown;
}
/** A sink that sends to the Connection `erp`. */
export const httpSink = (config: HttpSink = {}, name = 'erp') => ({
  name,
  http: { connectionRef: { name: 'erp' }, ...config },
});

/** A step that keeps the messages for which `when` holds. */
export const filter = (when: string, name = 'keep') => ({ name, filter: { when } });
/** A step that makes a new body. */
export const map = (body: unknown, name = 'shape') => ({ name, map: { body } });
/** A step that leads messages through the first flow whose condition holds. */
export const choice = (
  cases: readonly (readonly [when: string, flow: string])[],
  otherwise?: string,
  name = 'way',
) => ({
  name,
  choice: {
    cases: cases.map(([when, flow]) => ({ when, flow })),
    ...(otherwise === undefined ? {} : { otherwise }),
  },
});

export const secretKeyRef = (name: string, key: string) => ({ secretKeyRef: { name, key } });
