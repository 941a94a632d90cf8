import type { Image } from '../images/build.ts';
import type { Progress } from '../progress.ts';

export interface ClusterStatus {
  /** Everything is as it should be. */
  up: boolean;
  kubeconfig: string;
  /** What else there is to say, by part. */
  parts: Record<string, string>;
}

/** Where a cluster for the demo and the end-to-end tests comes from. */
export interface Provider {
  name: 'current' | 'kind' | 'native';
  /** Why it cannot be used on this machine; nothing when it can. */
  unavailable(): Promise<string | undefined>;
  /** Makes sure that it is up; returns a sentence about what was done. */
  up(onProgress: Progress): Promise<string>;
  down(onProgress: Progress): Promise<string>;
  status(): Promise<ClusterStatus>;
  kubeconfig: string;
  /** Makes images available to pods under their references. */
  load(images: Image[], onProgress: Progress): Promise<void>;
}
