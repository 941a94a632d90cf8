import { describe, expect, it } from 'vitest';
import { claimWinner, type NamespaceRequest, namespaceRefusal } from '../../../operator/plan/namespace.ts';

const live = (labels: Record<string, string> = {}, annotations: Record<string, string> = {}, rest: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'acme', labels, annotations, ...rest },
});
const request: NamespaceRequest = {
  tenant: 'acme',
  namespace: 'acme',
  adopt: false,
  operatorNamespace: 'kanava-system',
  claims: [{ tenant: 'acme', namespace: 'acme', since: '2026-01-02T00:00:00Z' }],
  live: undefined,
};
const older = { tenant: 'older', namespace: 'acme', since: '2026-01-01T00:00:00Z' };
const offered = { 'kanava.dev/adopt': 'acme' };

const rows: [why: string, changes: Partial<NamespaceRequest>, reason: string | undefined][] = [
  ['it is not there yet', {}, undefined],
  ['it is ours', { live: live({ 'kanava.dev/tenant': 'acme' }) }, undefined],
  ['default', { namespace: 'default' }, 'NamespaceReserved'],
  ['of Kubernetes', { namespace: 'kube-system' }, 'NamespaceReserved'],
  ["the operator's own, which holds all keys", { namespace: 'kanava-system' }, 'NamespaceReserved'],
  ['an older Tenant wants it', { claims: [...request.claims, older] }, 'NamespaceTaken'],
  ['it is going', { live: live({ 'kanava.dev/tenant': 'acme' }, {}, { deletionTimestamp: 'now' }) }, 'Terminating'],
  ["somebody else's", { live: live() }, 'AdoptionNotAllowed'],
  ["another tenant's", { live: live({ 'kanava.dev/tenant': 'globex' }) }, 'AdoptionNotAllowed'],
  ['the Tenant alone cannot take it', { adopt: true, live: live() }, 'AdoptionNotAllowed'],
  ['the annotation alone does not give it away', { live: live({}, offered) }, 'AdoptionNotAllowed'],
  [
    'it was offered to another',
    { adopt: true, live: live({}, { 'kanava.dev/adopt': 'globex' }) },
    'AdoptionNotAllowed',
  ],
  ['both sides agree', { adopt: true, live: live({}, offered) }, undefined],
];

describe('a namespace', () => {
  it.each(rows)('%s', (_why, changes, reason) => {
    const refusal = namespaceRefusal({ ...request, ...changes });
    expect(refusal?.reason).toBe(reason);
    if (refusal) expect(refusal.message).toContain(changes.namespace ?? 'acme');
  });

  it('goes to the first by name when two claims are equally old', () => {
    const claims = ['b', 'a'].map((tenant) => ({ tenant, namespace: 'x', since: '2026-01-01T00:00:00Z' }));
    expect(claimWinner('x', claims)).toBe('a');
    expect(claimWinner('y', claims)).toBeUndefined();
  });
});
