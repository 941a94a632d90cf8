import { mustRun } from '../command.ts';
import { type Progress, step } from '../progress.ts';
import type { Image } from './build.ts';

// A version tag stays when the content changes: the label tells what is really there.
const label = 'kanava.dev/content';

/** A containerd: how its `ctr` is called, and how an archive on this machine gets into it. */
export interface ImageStore {
  ctr: string[];
  importArchive(archive: string): Promise<void>;
}

/** Puts images into containerd's Kubernetes namespace; those that are there already are left alone. */
export const loadImages = async (store: ImageStore, images: Image[], onProgress: Progress): Promise<void> => {
  const ctr = (...args: string[]) => {
    const [command = 'ctr', ...prefix] = store.ctr;
    return mustRun(command, [...prefix, '--namespace', 'k8s.io', 'images', ...args]);
  };
  const present = (await ctr('list')).split('\n');
  const missing = images.filter(
    ({ ref, hash }) => !present.some((line) => line.startsWith(`${ref} `) && line.includes(`${label}=${hash}`)),
  );
  if (missing.length === 0) return;
  await step(onProgress, `loading ${missing.map(({ ref }) => ref).join(', ')}`, async () => {
    // One after the other: they share their largest layer, and the second need not bring it.
    for (const { ref, hash, archive } of missing) {
      await store.importArchive(archive);
      await ctr('label', ref, `${label}=${hash}`);
    }
  });
};
