import { binaryPath } from '../binaries.ts';
import { mustRun } from '../command.ts';
import type { ImageStore } from '../images/load.ts';
import { withThinArchive } from '../images/thin.ts';
import { type NodeLayout, pathsOf } from './layout.ts';

/** The node's containerd. */
export const nodeImageStore = (layout: NodeLayout): ImageStore => {
  const command = binaryPath('ctr');
  const args = ['--address', pathsOf(layout).containerdSocket];
  const ctr = (...more: string[]) => mustRun(command, [...args, '--namespace', 'k8s.io', ...more]);
  return {
    ctr: [command, ...args],
    importArchive: async (archive) => {
      const present = new Set((await ctr('content', 'list', '--quiet')).split('\n'));
      await withThinArchive(archive, present, async (thin) => {
        await ctr('images', 'import', thin);
      });
    },
  };
};
