/* Group, version and kinds of the API, and the names that Kanava writes on objects. */
export const group = 'kanava.dev';
export const version = 'v1alpha1';
export const apiVersion = `${group}/${version}`;
/** Grows with every change of a schema; the operator writes only under CRDs whose revision is at least its own. */
export const schemaRevision = 1;
export const schemaRevisionAnnotation = `${group}/schema-revision`;

export const Tenants = { apiVersion, kind: 'Tenant', plural: 'tenants', namespaced: false } as const;
export const Connections = { apiVersion, kind: 'Connection', plural: 'connections', namespaced: true } as const;
export const Integrations = { apiVersion, kind: 'Integration', plural: 'integrations', namespaced: true } as const;
export const kinds = [Tenants, Connections, Integrations] as const;
export type Kind = (typeof kinds)[number];

export const crdName = (kind: Kind): string => `${kind.plural}.${group}`;

/** What the operator reads of an object's metadata. */
export interface Metadata {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly uid?: string | undefined;
  readonly generation?: number | undefined;
  readonly creationTimestamp?: string | undefined;
  readonly deletionTimestamp?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly finalizers?: readonly string[] | undefined;
}
