import { existsSync } from 'node:fs';
import { mustRun, run } from '../command.ts';
import { type NodeLayout, pathsOf } from './layout.ts';

const ip = (...args: string[]) => mustRun('ip', args);
const link = ({ name }: NodeLayout) => `${name}0`;

/** A network namespace that is the node, a cable to it, and routes to its pods and services. Repairs what is missing. */
export const ensureNetwork = async (layout: NodeLayout): Promise<void> => {
  const { name, hostAddress, nodeAddress, podRange, serviceRange } = layout;
  if (!existsSync(pathsOf(layout).netns)) await ip('netns', 'add', name);
  await ip('-n', name, 'link', 'set', 'lo', 'up');
  if ((await run('ip', ['link', 'show', link(layout)])).code !== 0)
    await ip('link', 'add', link(layout), 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  await ip('address', 'replace', `${hostAddress}/24`, 'dev', link(layout));
  await ip('link', 'set', link(layout), 'up');
  await ip('-n', name, 'address', 'replace', `${nodeAddress}/24`, 'dev', 'eth0');
  await ip('-n', name, 'link', 'set', 'eth0', 'up');
  await ip('-n', name, 'route', 'replace', 'default', 'via', hostAddress);
  await mustRun('nsenter', [`--net=${pathsOf(layout).netns}`, 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  // kube-proxy translates service addresses inside the namespace, so both ranges work from the host.
  await ip('route', 'replace', podRange, 'via', nodeAddress);
  await ip('route', 'replace', serviceRange, 'via', nodeAddress);
};

/** The routes go with the link. */
export const removeNetwork = async (layout: NodeLayout): Promise<void> => {
  if ((await run('ip', ['link', 'show', link(layout)])).code === 0) await ip('link', 'delete', link(layout));
  if (existsSync(pathsOf(layout).netns)) await ip('netns', 'delete', layout.name);
};
