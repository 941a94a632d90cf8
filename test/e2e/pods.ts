import { setTimeout as pause } from 'node:timers/promises';
import { mustRun } from '../cluster/command.ts';
import { type Kubectl, mustKubectl } from '../cluster/kubectl.ts';
import { nodeImageStore } from '../cluster/node/image-store.ts';
import type { NodeLayout } from '../cluster/node/layout.ts';

interface Pod {
  readonly metadata: { readonly name: string };
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

/** SIGKILL for the first process of each matching pod, as the kernel would do it: nothing in the pod gets to say goodbye. */
export const killPods = async (
  kubectl: Kubectl,
  layout: NodeLayout,
  namespace: string,
  selector: string,
): Promise<number> => {
  const [ctr = 'ctr', ...prefix] = nodeImageStore(layout).ctr;
  const pods = await podsOf(kubectl, namespace, selector);
  for (const { status } of pods) {
    const container = status.containerStatuses?.[0]?.containerID?.replace('containerd://', '');
    if (!container) throw new Error(`a pod of ${namespace} (${selector}) has no running container to kill`);
    await mustRun(ctr, [...prefix, '--namespace', 'k8s.io', 'tasks', 'kill', '--signal', 'SIGKILL', container]);
  }
  return pods.length;
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
