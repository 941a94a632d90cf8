import { type NatsServer, startNats } from './nats.ts';
import { freePort } from './ports.ts';

/** Three servers `n0` to `n2` that know each other. `configOf` is more for the top level of each one's nats.conf. */
export const startNatsCluster = async (configOf: (dir: string) => string = () => ''): Promise<NatsServer[]> => {
  const ports = [await freePort(), await freePort(), await freePort()];
  const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(', ');
  const starting = await Promise.allSettled(
    ports.map((port, index) =>
      startNats({
        monitor: true,
        config: ({ dir }) =>
          `server_name: n${index}\n${configOf(dir)}\ncluster { name: c, listen: "127.0.0.1:${port}", routes: [${routes}] }`,
      }),
    ),
  );
  const started = starting.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  if (started.length === ports.length) return started;
  // Between asking for a free port and listening on it, another test may have taken it.
  await Promise.all(started.map((node) => node.close()));
  return startNatsCluster(configOf);
};
