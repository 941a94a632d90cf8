import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { evaluate } from '@marcbachmann/cel-js';
import { load } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { catalogue, type ReasonEntry } from '../../operator/api/conditions.ts';
import { kinds } from '../../operator/api/meta.ts';
import { statusConditions } from '../../operator/plan/conditions.ts';
import type { KubeObject } from '../../operator/reconcile/ports.ts';
import { type KStatus, kstatusOf } from './kstatus.ts';
import { healthOf } from './lua.ts';
import { recordedStatuses, stateOf, statesIn } from './statuses.ts';

/* The files of docs/gitops as users copy them, on statuses that the operator wrote. */
const docs = join(import.meta.dirname, '../../docs/gitops');
const read = (file: string) => load(readFileSync(join(docs, file), 'utf8'));
const recorded = recordedStatuses();
const title = (object: KubeObject): string =>
  `${object.kind}, ${kstatusOf(object).status}: ${statusConditions(object['status'])
    .map(({ reason }) => reason)
    .join()}`;
const alive = recorded.filter(({ metadata }) => !metadata.deletionTimestamp);

/** States that no test with the operator as a process brings about, and why. */
const notRecorded: Readonly<Record<string, string>> = {
  'Connection Ready=Unknown Error': 'nothing is written for a Connection that could be refused',
  'Tenant Accepted=False Invalid': 'the API server refuses what the operator would',
  'Integration Accepted=False UnknownFlow': 'the API server refuses it',
  'Connection Accepted=False AmbiguousKey': 'a Connection has no free keys yet',
  'Integration ConnectionsReady=False ConnectionOfOtherSystem': 'there is one system',
  'Tenant MessagingReady=False AccountOutOfSync': 'needs several NATS servers, of which one is behind',
};

describe('the recorded statuses', () => {
  const shown = new Set(recorded.flatMap(statesIn));
  const entries: readonly ReasonEntry[] = catalogue;
  const known = entries.flatMap(({ kinds: of, type, status, reason }) =>
    of.map((kind) => stateOf(kind, type, status, reason)),
  );

  it('show every state of the catalogue; `node test/gitops/main.ts` records what a test brings about', () => {
    expect(known.filter((state) => !shown.has(state)).sort()).toEqual(Object.keys(notRecorded).sort());
  });

  it('show nothing that the catalogue does not have', () => {
    const conditions = [...shown].filter((state) => !state.endsWith('for kstatus'));
    expect(conditions.filter((state) => !known.includes(state))).toEqual([]);
    expect(Object.keys(notRecorded).filter((state) => !known.includes(state))).toEqual([]);
  });

  it.each(kinds.map(({ kind }) => kind))('show %s in each state of kstatus', (kind) => {
    const states: readonly KStatus[] = ['InProgress', 'Failed', 'Current'];
    for (const state of states) expect(shown).toContain(`${kind} is ${state} for kstatus`);
  });
});

describe('Argo CD', () => {
  const { data } = read('argocd-cm.yaml') as { data: Record<string, string> };
  const scriptOf = (kind: string) => data[`resource.customizations.health.kanava.dev_${kind}`] as string;
  const expected = (object: KubeObject): string => {
    const isSuspended = statesIn(object).some((state) => state.includes(' Suspended=True '));
    return {
      InProgress: 'Progressing',
      Failed: 'Degraded',
      Current: isSuspended ? 'Suspended' : 'Healthy',
      Terminating: '',
    }[kstatusOf(object).status];
  };

  it.each(kinds.map(({ kind }) => kind))('says of every %s what is so, and why', async (kind) => {
    // Objects that are being deleted are Progressing before a script is asked.
    const objects = alive.filter((object) => object.kind === kind);
    const found = await healthOf(scriptOf(kind), objects);
    expect(found.map(({ status }, index) => [title(objects[index] as KubeObject), status])).toEqual(
      objects.map((object) => [title(object), expected(object)]),
    );
    for (const [index, { status, message }] of found.entries()) {
      const stalled = statusConditions(objects[index]?.['status']).find(({ type }) => type === 'Stalled');
      expect(message).not.toBe('');
      if (status === 'Degraded') expect(message).toContain(stalled?.message.replaceAll(/\s/g, ' '));
    }
  });

  it('waits for an object that nobody has looked at', async () => {
    const fresh = { kind: 'Integration', metadata: { name: 'new', generation: 1 }, apiVersion: 'kanava.dev/v1alpha1' };
    const found = await healthOf(scriptOf('Integration'), [fresh, { ...fresh, status: { observedGeneration: -1 } }]);
    expect(found.map(({ status }) => status)).toEqual(['Progressing', 'Progressing']);
  });
});

describe('Flux', () => {
  type Exprs = Record<'kind' | 'inProgress' | 'failed' | 'current', string>;
  const { spec } = read('flux.yaml') as { spec: { healthCheckExprs: Exprs[] } };

  /** In the order of Flux: the generation, and then the expressions. */
  const fluxOf = (object: KubeObject): KStatus => {
    const exprs = spec.healthCheckExprs.find(({ kind }) => kind === object.kind) as Exprs;
    const { observedGeneration } = object['status'] as { observedGeneration?: number };
    if (observedGeneration !== undefined && observedGeneration !== object.metadata.generation) return 'InProgress';
    const holds = (expression: string) => evaluate(expression, { ...object }) === true;
    if (holds(exprs.inProgress)) return 'InProgress';
    if (holds(exprs.failed)) return 'Failed';
    return holds(exprs.current) ? 'Current' : 'InProgress';
  };

  it('concludes what kstatus concludes', () => {
    expect(alive.map((object) => [title(object), fluxOf(object)])).toEqual(
      alive.map((object) => [title(object), kstatusOf(object).status]),
    );
  });
});
