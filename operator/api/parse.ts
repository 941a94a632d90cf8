import { z } from 'zod';
import { dnsLabel } from '../../runtime/schema.ts';
import { ambiguousKeys, foreignLanguages, type IntegrationCheck, integrationChecks, tooManyKeys } from './checks.ts';
import { type Connection, connectionSpec, connectionTransitions } from './connection.ts';
import { type Finding, findingsOf } from './findings.ts';
import { type Integration, integrationSpec } from './integration.ts';
import { integrationTransitions } from './integration-rules.ts';
import { apiVersion, Connections, Integrations, type Kind, type Metadata, Tenants } from './meta.ts';
import { annotated } from './openapi.ts';
import { remembered, rememberedWith } from './remembered.ts';
import { brokenTransitions, type Transition } from './rules.ts';
import { type Tenant, tenantSpec, tenantTransitions } from './tenant.ts';

/*
 * Objects as they come from the API server or a file, into what the operator works with. A user's mistake is a finding; nothing here
 * throws. `status` is ours and not looked at.
 */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false;
      /** The first one, for a status. */
      readonly finding: Finding;
      /** All of them, for people. */
      readonly findings: readonly [Finding, ...Finding[]];
    };

export const longestName = 40;
/** The only rule about metadata. It binds new objects only, so that none becomes undeletable. */
export const nameRule = {
  rule: `oldSelf.hasValue() || (self.metadata.name.size() <= ${longestName} && self.metadata.name.matches('${dnsLabel.source}'))`,
  message: `metadata.name must be a DNS label (a-z, 0-9, -) of at most ${longestName} characters; choose a shorter name`,
  optionalOldSelf: true,
};

/** Names, labels and times are the API server's business; here only what is used of them. */
const texts = z.record(z.string(), z.string()).optional();
const metadata = z.object({
  name: z.string().refine((name) => name.length <= longestName && dnsLabel.test(name), { message: nameRule.message }),
  namespace: z.string().optional(),
  uid: z.string().optional(),
  generation: z.number().optional(),
  creationTimestamp: z.string().nullable().optional(),
  deletionTimestamp: z.string().optional(),
  labels: texts,
  annotations: texts,
  finalizers: z.array(z.string()).optional(),
});

interface Shaped<S> {
  readonly metadata: Metadata;
  readonly spec: S;
}

const parser = <S>(kind: Kind, spec: z.ZodType<S>, checks: readonly ((spec: S) => Finding[])[]) => {
  const model = z.object({ apiVersion: z.literal(apiVersion), kind: z.literal(kind.kind), metadata, spec });
  const parse = (object: unknown): Parsed<Shaped<S>> => {
    const parsed = model.safeParse(object);
    const specSchema = annotated(spec);
    if (!parsed.success) return refused(findingsOf(parsed.error.issues, object, { properties: { spec: specSchema } }));
    const { data } = parsed;
    const findings = [
      ...tooManyKeys(specSchema, data.spec),
      ...ambiguousKeys(specSchema, data.spec),
      ...foreignLanguages(specSchema, data.spec),
      ...checks.flatMap((check) => check(data.spec)),
    ];
    if (findings.length > 0) return refused(findings);
    return { ok: true, value: { metadata: data.metadata as Metadata, spec: data.spec } };
  };
  // A spec outlives many versions of its object, each of which says something else about its status.
  const bySpec = rememberedWith<Parsed<Shaped<S>>>();
  const once = remembered((object: Partial<Record<'apiVersion' | 'kind' | 'metadata' | 'spec', unknown>>) => {
    const named = metadata.safeParse(object.metadata);
    if (!named.success || !isFrozen(object.spec)) return parse(object);
    const parsed = bySpec(object.spec, [object.apiVersion, object.kind, named.data.name], () => parse(object));
    return parsed.ok ? { ...parsed, value: { ...parsed.value, metadata: named.data as Metadata } } : parsed;
  });
  // Objects of a cache are frozen; what is not may have changed since.
  return (object: unknown) => (isFrozen(object) ? once(object) : parse(object));
};
const isFrozen = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && Object.isFrozen(value);

const refused = (findings: readonly Finding[]): Parsed<never> => {
  const all = findings as readonly [Finding, ...Finding[]];
  return { ok: false, finding: all[0], findings: all };
};

export const parseTenant: (object: unknown) => Parsed<Tenant> = parser(Tenants, tenantSpec, []);
export const parseConnection: (object: unknown) => Parsed<Connection> = parser(Connections, connectionSpec, []);
export const parseIntegration: (object: unknown) => Parsed<Integration> = parser(
  Integrations,
  integrationSpec,
  integrationChecks satisfies readonly IntegrationCheck[],
);

/** What a change of a parsed object breaks. The API server refuses it; this says so before, with the same texts. */
const changes =
  <S>(transitions: readonly Transition<S>[]) =>
  (object: Shaped<S>, old: Shaped<S>): Finding[] =>
    brokenTransitions(transitions, object.spec, old.spec).map((broken) => ({
      ...broken,
      reason: 'Invalid',
      rule: 'FieldValueInvalid',
    }));

export const tenantChange: (object: Tenant, old: Tenant) => Finding[] = changes(tenantTransitions);
export const connectionChange: (object: Connection, old: Connection) => Finding[] = changes(connectionTransitions);
export const integrationChange: (object: Integration, old: Integration) => Finding[] = changes(integrationTransitions);
