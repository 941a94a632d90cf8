import { type ConnectionSpec, connectionSpec } from './connection.ts';
import { type IntegrationSpec, integrationSpec } from './integration.ts';
import { annotated, type SchemaNode } from './openapi.ts';
import { remembered } from './remembered.ts';
import { type Path, pathText, walkSchema } from './schema-walk.ts';

/*
 * What a parsed spec refers to. Found by the schema, never by the look of a value: a body that happens to have a key `secretKeyRef`
 * is data.
 */
export interface References {
  readonly connections: readonly { readonly path: string; readonly name: string; readonly system: string }[];
  readonly secrets: readonly { readonly path: string; readonly name: string; readonly key: string }[];
  readonly cas: readonly {
    readonly path: string;
    readonly kind: 'Secret' | 'ConfigMap';
    readonly name: string;
    readonly key: string;
  }[];
  /** Names of flows that steps refer to. */
  readonly flows: readonly { readonly path: Path; readonly name: string }[];
}

export const referencesIn = (schema: SchemaNode, value: unknown, root: Path): References => {
  const connections: { path: string; name: string; system: string }[] = [];
  const secrets: { path: string; name: string; key: string }[] = [];
  const cas: { path: string; kind: 'Secret' | 'ConfigMap'; name: string; key: string }[] = [];
  const flows: { path: Path; name: string }[] = [];
  walkSchema(schema, value, root, (node, found, path) => {
    const system = node['x-kanava-connection'];
    if (system !== undefined) connections.push({ path: pathText(path), system, ...(found as { name: string }) });
    if (node['x-kanava-flow']) flows.push({ path: [...path], name: found as string });
    const key = path.at(-1);
    if (key === 'secretKeyRef') secrets.push({ path: pathText(path), ...(found as { name: string; key: string }) });
    if (key === 'caRef') {
      cas.push({ path: pathText(path), ...(found as { kind: 'Secret' | 'ConfigMap'; name: string; key: string }) });
    }
  });
  return { connections, secrets, cas, flows };
};

/** Checks and plans ask for them one after the other. */
export const referencesOfIntegration: (spec: IntegrationSpec) => References = remembered((spec) =>
  referencesIn(annotated(integrationSpec), spec, ['spec']),
);
/** Each once. */
export const connectionsNamedBy: (spec: IntegrationSpec) => readonly string[] = remembered((spec) => [
  ...new Set(referencesOfIntegration(spec).connections.map(({ name }) => name)),
]);
export const referencesOfConnection = (spec: ConnectionSpec): References =>
  referencesIn(annotated(connectionSpec), spec, ['spec']);
