import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureBinaries } from '../binaries.ts';
import { lastLines } from '../command.ts';
import { ensureDebianPackages } from '../debian.ts';
import { systemImages } from '../images/build.ts';
import { loadImages } from '../images/load.ts';
import { type Progress, step } from '../progress.ts';
import { applyAddons, recycleVolumes } from './addons.ts';
import { ensureCgroup } from './cgroups.ts';
import { type Component, companions, componentsOf } from './components.ts';
import { writeConfig } from './config.ts';
import { removeNode } from './down.ts';
import { nodeImageStore } from './image-store.ts';
import { type NodeLayout, pathsOf } from './layout.ts';
import { ensureNetwork } from './network.ts';
import { isRunning, killAll, nodeProcesses, startDetached } from './processes.ts';
import { dnsReady, nodeReady, nodeStatus } from './status.ts';

const debianPackages = ['containernetworking-plugins', 'iptables', 'iproute2', 'procps', 'openssl', 'util-linux'];

const until = async (what: string, check: () => Promise<boolean>, seconds = 60): Promise<void> => {
  const deadline = performance.now() + seconds * 1000;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`${what} after ${seconds} s`);
    await delay(50);
  }
};

/** Waits for a component that was just started; one that ends instead is an error at once. */
const untilHealthy = async (
  layout: NodeLayout,
  { name, command, healthy }: Component,
  hasEnded: () => boolean,
): Promise<void> => {
  const log = join(pathsOf(layout).logs, `${name}.log`);
  await until(`${name} is not healthy (log: ${log})`, async () => {
    // First whether it answers, then whether it is the one that answers. A process that is just being loaded has no command line yet.
    const answers = await healthy();
    if (hasEnded()) throw new Error(`${name} ended. The end of ${log}:\n${lastLines(await readFile(log, 'utf8'), 20)}`);
    return answers && isRunning(await nodeProcesses(layout), command);
  });
};

/** Ends what runs under the component's name, sick or with other arguments, and starts it. */
const restart = async (layout: NodeLayout, { name, command }: Component): Promise<() => boolean> => {
  await killAll(name, async () =>
    (await nodeProcesses(layout)).filter(({ argv }) => isPart(argv, name)).map(({ pid }) => pid),
  );
  return startDetached(layout, name, command);
};

const isPart = (argv: string[], name: string): boolean => new RegExp(`/${name}-v\\d[^/]*$`).test(argv[0] ?? '');

/** Those that need a start. What runs gets a moment to recover from the trouble of what it depends on. */
const sickOf = async (layout: NodeLayout, components: Component[]): Promise<Component[]> => {
  const processes = await nodeProcesses(layout);
  const checked = await Promise.all(
    components.map(async (component) => {
      if (!isRunning(processes, component.command)) return component;
      const recovered = await until(component.name, component.healthy, 15).catch(() => 'sick');
      return recovered === 'sick' ? component : undefined;
    }),
  );
  return checked.filter((component) => component !== undefined);
};

/** Starts what is missing or sick and waits until all of it is healthy. */
const ensureComponents = async (layout: NodeLayout, components: Component[], onProgress: Progress): Promise<void> => {
  const sick = await sickOf(layout, components);
  if (sick.length === 0) return;
  await step(onProgress, `starting ${sick.map(({ name }) => name).join(', ')}`, async () => {
    const started = await Promise.all(
      sick.map(async (component) => ({ component, hasEnded: await restart(layout, component) })),
    );
    await Promise.all(started.map(({ component, hasEnded }) => untilHealthy(layout, component, hasEnded)));
  });
};

/** Brings a node up, or what is missing of it. Does nothing to one that is as it should be. */
export const ensureNode = async (
  layout: NodeLayout,
  onProgress: Progress,
): Promise<'was up' | 'repaired' | 'created'> => {
  await ensureDebianPackages(debianPackages, { onProgress });
  const components = componentsOf(layout);
  await ensureBinaries([...components.map(({ name }) => name), ...companions], { onProgress });
  if ((await nodeStatus(layout)).up) {
    const wiped = await recycleVolumes(layout);
    if (wiped > 0) onProgress(`wiped ${wiped} volumes whose claims are gone`);
    return 'was up';
  }
  const images = await systemImages(onProgress);
  const alive = (await nodeProcesses(layout)).some(({ argv }) => components.some(({ name }) => isPart(argv, name)));
  // Nothing lives: what is left is of no use (a reboot, a cluster killed as a whole) and would only be stale.
  if (!alive) {
    await removeNode(layout);
    await rm(pathsOf(layout).logs, { recursive: true, force: true });
  }
  await ensureNetwork(layout);
  await ensureCgroup(layout);
  await writeConfig(layout);
  const wave = (number: Component['wave']) => components.filter((component) => component.wave === number);
  await ensureComponents(layout, wave(1), onProgress);
  await ensureComponents(layout, wave(2), onProgress);
  await Promise.all([
    ensureComponents(layout, wave(3), onProgress),
    // In this order: a pod whose image comes later waits for the next try to pull it.
    loadImages(nodeImageStore(layout), [images.pause, images.coredns], onProgress).then(() =>
      applyAddons(layout, images.coredns.ref),
    ),
  ]);
  await step(onProgress, 'waiting for the node and its DNS', async () => {
    await until('The node is not Ready', () => nodeReady(layout));
    await until('CoreDNS is not available', () => dnsReady(layout));
  });
  await recycleVolumes(layout);
  return alive ? 'repaired' : 'created';
};
