import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { statusConditions } from '../../operator/plan/conditions.ts';
import type { KubeObject } from '../../operator/reconcile/ports.ts';
import { kstatusOf } from './kstatus.ts';

/*
 * Statuses as the operator wrote them in tests against real servers, few that show every state. `node test/gitops/main.ts` records them
 * anew; nobody writes them by hand.
 */
export const statusesFile = join(import.meta.dirname, 'statuses.json');
export const recordedStatuses = (): KubeObject[] => JSON.parse(readFileSync(statusesFile, 'utf8')) as KubeObject[];

export const stateOf = (kind: string, type: string, status: string, reason: string): string =>
  `${kind} ${type}=${status} ${reason}`;

/** What a status shows that another may not show. */
export const statesIn = (object: KubeObject): string[] => [
  `${object.kind} is ${kstatusOf(object).status} for kstatus`,
  ...statusConditions(object['status']).map(({ type, status, reason }) => stateOf(object.kind, type, status, reason)),
];

/** The fewest that show all of it, or nearly: each time the one that shows most of what is still missing. */
export const fewest = (objects: readonly KubeObject[]): KubeObject[] => {
  const candidates = new Map(objects.map(essential).map((object) => [JSON.stringify(statesIn(object)), object]));
  const missing = new Set([...candidates.values()].flatMap(statesIn));
  const chosen: KubeObject[] = [];
  const gain = (object: KubeObject) => statesIn(object).filter((state) => missing.has(state)).length;
  while (missing.size > 0) {
    const [best] = [...candidates.values()].toSorted((a, b) => gain(b) - gain(a));
    if (!best) break;
    for (const state of statesIn(best)) missing.delete(state);
    chosen.push(best);
  }
  return chosen.toSorted((a, b) => (JSON.stringify(statesIn(a)) < JSON.stringify(statesIn(b)) ? -1 : 1));
};

/** What health checks look at, with the same times in every record. */
const essential = ({ apiVersion, kind, metadata, status }: KubeObject): KubeObject => {
  const { name, namespace, generation, deletionTimestamp } = metadata;
  const kept = { name, namespace, generation, deletionTimestamp };
  const text = JSON.stringify({ apiVersion, kind, metadata: kept, status });
  return JSON.parse(text.replaceAll(/"\d{4}-\d\d-\d\dT[^"]*Z"/g, '"2026-01-01T00:00:00Z"')) as KubeObject;
};
