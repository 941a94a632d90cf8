import { setTimeout as pause } from 'node:timers/promises';
import { run } from '../cluster/command.ts';
import { type Kubectl, mustKubectl } from '../cluster/kubectl.ts';
import { nodeImageStore } from '../cluster/node/image-store.ts';
import type { NodeLayout } from '../cluster/node/layout.ts';

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status: {
    readonly containerStatuses?: readonly {
      readonly containerID?: string;
      readonly restartCount: number;
      readonly ready: boolean;
    }[];
  };
}

/** Pods by label; the first container says all, because ours have one. */
export const podsOf = async (kubectl: Kubectl, namespace: string, selector: string): Promise<Pod[]> => {
  const out = await mustKubectl(kubectl, ['get', 'pods', '-n', namespace, '-l', selector, '-o', 'json']);
  return (JSON.parse(out) as { items: Pod[] }).items;
};

export const restartsOf = async (kubectl: Kubectl, namespace: string, selector: string): Promise<number> =>
  (await podsOf(kubectl, namespace, selector)).reduce(
    (sum, { status }) => sum + (status.containerStatuses?.[0]?.restartCount ?? 0),
    0,
  );

/**
 * SIGKILL for the first process of each matching pod, as the kernel would do it: nothing in the pod gets to say goodbye. Returns how many it
 * hit, one at least: a pod may begin or end at this very moment, such as one of a rollout or a worker that is not needed any more.
 */
export const killPods = async (
  kubectl: Kubectl,
  layout: NodeLayout,
  namespace: string,
  selector: string,
): Promise<number> => {
  const [ctr = 'ctr', ...prefix] = nodeImageStore(layout).ctr;
  const kill = async ({ metadata, status }: Pod): Promise<boolean> => {
    const container = status.containerStatuses?.[0]?.containerID?.replace('containerd://', '');
    if (!container || metadata.deletionTimestamp) return false;
    const args = [...prefix, '--namespace', 'k8s.io', 'tasks', 'kill', '--signal', 'SIGKILL', container];
    const { code, stderr } = await run(ctr, args);
    if (code === 0) return true;
    if (stderr.includes('no running task found')) return false;
    throw new Error(`${metadata.name} in ${namespace} could not be killed: ${stderr}`);
  };
  const killAll = async () => {
    const hits: boolean[] = [];
    for (const pod of await podsOf(kubectl, namespace, selector)) hits.push(await kill(pod));
    return hits.filter(Boolean).length;
  };
  return await eventually(`a pod of ${namespace} (${selector}) killed`, killAll, (count) => count > 0);
};

/** Waits for a condition; the error says what did not become true and what was seen last. */
export const eventually = async <T>(
  what: string,
  look: () => Promise<T>,
  holds: (seen: T) => boolean,
  seconds = 90,
): Promise<T> => {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (performance.now() > end)
      throw new Error(`${what}: not within ${seconds} s; last seen: ${JSON.stringify(seen)}`);
    await pause(250);
  }
};
