import { catalogue, conditionTypes, type ReasonEntry } from '../../../operator/api/conditions.ts';
import type { Condition } from '../../../operator/api/fields.ts';
import type { Kind } from '../../../operator/api/meta.ts';
import { statusConditions } from '../../../operator/plan/conditions.ts';
import { deploymentState } from '../../../operator/plan/deployment.ts';
import type { KubeObject } from '../../../operator/reconcile/ports.ts';
import { kstatusOf } from '../../gitops/kstatus.ts';
import { revisionOf, type StoredVersion } from './status-recorder.ts';

/*
 * What holds for every status that the operator ever writes, checked on the record of a whole test: what Helm, Flux and Argo CD conclude
 * from it is true.
 */
interface Told {
  readonly object: KubeObject;
  /** The one before it, of the same object. */
  readonly before: KubeObject | undefined;
  /** Versions of its workers' Deployment: the one that was there at `before`, and all until now. */
  readonly deployments: readonly KubeObject[];
  /** All of its versions until now. */
  readonly history: readonly KubeObject[];
}
type Rule = (told: Told) => string | false | undefined;

const entries: readonly ReasonEntry[] = catalogue;
const conditionOf = (object: KubeObject | undefined, type: string): Condition | undefined =>
  statusConditions(object?.['status']).find((condition) => condition.type === type);
const isTrue = (object: KubeObject | undefined, type: string) => conditionOf(object, type)?.status === 'True';
const isCurrent = (object: KubeObject | undefined) => object !== undefined && kstatusOf(object).status === 'Current';
const observed = (object: KubeObject) =>
  (object['status'] as { observedGeneration?: number } | undefined)?.observedGeneration;

const onlyCatalogued: Rule = ({ object }) => {
  const unknown = statusConditions(object['status']).find(
    ({ type, status, reason }) =>
      !entries.some(
        (entry) =>
          (entry.kinds as readonly string[]).includes(object.kind) &&
          entry.type === type &&
          entry.status === status &&
          entry.reason === reason,
      ),
  );
  return unknown && `${unknown.type}=${unknown.status} ${unknown.reason} is not in the catalogue`;
};

const currentIsTrue: Rule = ({ object }) => {
  if (!isCurrent(object)) return undefined;
  const conditions = statusConditions(object['status']);
  const stale = conditions.find(({ observedGeneration }) => observedGeneration !== object.metadata.generation);
  if (stale) return `Current, and ${stale.type} is about generation ${stale.observedGeneration}`;
  const missing = conditionTypes(object.kind as Kind['kind']).find((type) => !conditionOf(object, type));
  if (missing) return `Current without ${missing}`;
  if (!isTrue(object, 'Accepted')) return 'Current, and the spec is not accepted';
  return false;
};

/** kstatus has no other way to fail, and would wait for ever. */
const notReadyIsFailed: Rule = ({ object }) =>
  conditionOf(object, 'Ready')?.status === 'False' &&
  !['Failed', 'Terminating'].includes(kstatusOf(object).status) &&
  observed(object) === object.metadata.generation &&
  'Ready=False without Stalled=True';

const runningIsRunning: Rule = ({ object, deployments, history }) => {
  if (!isCurrent(object) || conditionOf(object, 'Ready')?.reason !== 'Running') return undefined;
  const runs = deployments.some((deployment) => {
    const { ready, rollout } = deploymentState(asLookedAt(deployment, history));
    return rollout === 'done' && ready > 0;
  });
  return !runs && `Running, and no worker of the newest template was ready: ${deployments.map(shown).join('; ')}`;
};
/** While the Deployment's controller has not looked at a scale, what it says is true of the same template. */
const asLookedAt = (deployment: KubeObject, history: readonly KubeObject[]): KubeObject => {
  const { uid } = deployment.metadata;
  const generation = observed(deployment);
  const lookedAt = history.findLast(({ metadata }) => metadata.uid === uid && metadata.generation === generation);
  if (!lookedAt || template(lookedAt) !== template(deployment)) return deployment;
  return { ...deployment, metadata: { ...deployment.metadata, generation } };
};
const shown = (deployment: KubeObject): string => {
  const { replicas } = deployment['spec'] as { replicas: number };
  const { ready, rollout } = deploymentState(deployment);
  return `version ${revisionOf(deployment)} wants ${replicas}, ${ready} ready, ${rollout}`;
};

const reconcilesOnce: Rule = ({ object, before }) =>
  conditionOf(object, 'Reconciling')?.reason === 'NewGeneration' &&
  conditionOf(before, 'Reconciling')?.reason === 'UpToDate' &&
  before?.metadata.generation === object.metadata.generation &&
  observed(object) === observed(before as KubeObject) &&
  'Reconciling again, in the generation that was in place';

const template = (deployment: KubeObject) => JSON.stringify((deployment['spec'] as { template: unknown }).template);

/** Ready pods that stay ready, and more that are wanted: that is a scale, and no trouble. */
const scalingIsNoTrouble: Rule = ({ object, before, deployments: [first, ...later] }) => {
  if (!isCurrent(before) || isCurrent(object) || before?.metadata.generation !== object.metadata.generation)
    return undefined;
  if (conditionOf(object, 'Ready')?.reason !== 'WorkersNotReady' || !first) return undefined;
  const wanted = (deployment: KubeObject) => (deployment['spec'] as { replicas: number }).replicas;
  const isOnlyScaled = later.every(
    (deployment) =>
      wanted(deployment) >= wanted(first) &&
      template(deployment) === template(first) &&
      deploymentState(deployment).ready >= deploymentState(first).ready,
  );
  return later.some((deployment) => wanted(deployment) > wanted(first)) && isOnlyScaled && 'not ready for a scale';
};

const rules: readonly Rule[] = [
  onlyCatalogued,
  currentIsTrue,
  notReadyIsFailed,
  runningIsRunning,
  reconcilesOnce,
  scalingIsNoTrouble,
];

const keyOf = ({ kind, metadata }: KubeObject) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;

/** The statuses that were told in this record, each once. */
export const statusesIn = (versions: readonly StoredVersion[]): Told[] => {
  const last = new Map<string, KubeObject>();
  const deployments = Map.groupBy(
    versions.map(({ object }) => object).filter(({ kind }) => kind === 'Deployment'),
    keyOf,
  );
  const told: Told[] = [];
  for (const { type, object } of versions) {
    if (object.kind === 'Deployment') continue;
    const before = last.get(object.metadata.uid ?? '');
    last.set(object.metadata.uid ?? '', object);
    if (type === 'DELETED' || JSON.stringify(object['status']) === JSON.stringify(before?.['status'])) continue;
    const { namespace = '', name } = object.metadata;
    const workers = deployments.get(`Deployment ${namespace}/worker-${name}`) ?? [];
    const until = workers.filter((deployment) => revisionOf(deployment) <= revisionOf(object));
    const known = until.findLastIndex((deployment) => before && revisionOf(deployment) <= revisionOf(before));
    told.push({ object, before, deployments: until.slice(Math.max(0, known)), history: until });
  }
  return told;
};

/** What is not true of it, each with the object that says so. */
export const dishonest = (versions: readonly StoredVersion[]): string[] =>
  statusesIn(versions).flatMap((told) =>
    rules.flatMap((rule) => {
      const problem = rule(told);
      if (!problem) return [];
      const shown = statusConditions(told.object['status']).map(({ type, status, reason, message }) =>
        `${type}=${status} ${reason} ${message}`.trimEnd(),
      );
      return [
        `${keyOf(told.object)} (version ${told.object.metadata.resourceVersion}): ${problem}\n  ${shown.join('\n  ')}`,
      ];
    }),
  );
