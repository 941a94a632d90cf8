import { type FSWatcher, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';

/*
 * Calls when something changed under the paths, one call at a time. Folders are watched, not files: editors put a new file in the place of
 * the old one.
 */
export const watchFiles = (
  paths: readonly string[],
  changed: () => Promise<void>,
  failed: (error: Error) => void,
): { readonly close: () => Promise<void> } => {
  const settleMs = 50;
  let timer: NodeJS.Timeout | undefined;
  let working: Promise<void> = Promise.resolve();
  const soon = () => {
    clearTimeout(timer);
    // An editor writes in several steps.
    timer = setTimeout(() => {
      working = working.then(changed);
    }, settleMs);
  };
  const watched = paths
    .filter((path) => path !== '-')
    .map((path) => ({ path, isFolder: statSync(path).isDirectory() }));
  const folders = new Map<string, boolean>();
  for (const { path, isFolder } of watched) {
    const folder = isFolder ? path : dirname(path);
    folders.set(folder, isFolder || (folders.get(folder) ?? false));
  }
  const watchers = [...folders].map(
    ([folder, recursive]): FSWatcher => watch(folder, { recursive }, soon).on('error', failed),
  );
  return {
    async close() {
      clearTimeout(timer);
      for (const each of watchers) each.close();
      await working;
    },
  };
};
