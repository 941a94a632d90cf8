import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureBinary } from './binaries.ts';
import { accepts, freePort } from './ports.ts';
import { startServer } from './server-process.ts';
import { temporaryFolder } from './temporary.ts';

export interface NatsServer {
  /** `nats://127.0.0.1:<port>`; the same over restarts. */
  readonly url: string;
  readonly port: number;
  /** `http://127.0.0.1:<port>` with `monitor: true`, else undefined. */
  readonly monitorUrl: string | undefined;
  readonly pid: number;
  /** Holds `nats.conf`, `server.log` and the store (`store/`); stays until `close()`. */
  readonly dir: string;
  /** Ends the process, keeps port and store. Default SIGTERM; `SIGUSR2` is NATS's lame duck mode. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** SIGKILL: as a crash. */
  kill(): Promise<void>;
  /** Again, with the same port, config and store. */
  start(): Promise<void>;
  /** Ends it for good and removes the folder. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

interface NatsOptions {
  /** Text for the top level of nats.conf: accounts, operator, resolver, tls, max_payload ... Relative paths are from `dir`. */
  config?: string | ((server: { port: number; dir: string }) => string);
  /** Text inside the `jetstream` block, such as `sync_interval: always`; false switches JetStream off. */
  jetstream?: string | false;
  /** Opens the monitoring port on 127.0.0.1. */
  monitor?: boolean;
}

/**
 * Starts one real nats-server on a free port and waits until it accepts. It ends with this process. Several may run at once.
 *
 * @example
 * await using server = await startNats();
 * const connection = await connect({ servers: server.url });
 */
export const startNats = async ({
  config = '',
  jetstream = '',
  monitor = false,
}: NatsOptions = {}): Promise<NatsServer> => {
  const command = await ensureBinary('nats-server');
  const dir = await temporaryFolder('nats');
  const port = await freePort();
  const monitorPort = monitor ? await freePort() : undefined;
  const file = join(dir, 'nats.conf');
  const log = join(dir, 'server.log');
  await writeFile(
    file,
    [
      `host: 127.0.0.1`,
      `port: ${port}`,
      ...(monitorPort ? [`http: "127.0.0.1:${monitorPort}"`] : []),
      // Of a busy machine's clients some need longer than the two seconds that a login may take by default.
      'authorization { timeout: 60 }',
      ...(jetstream === false ? [] : [`jetstream {`, `  store_dir: "${join(dir, 'store')}"`, jetstream, `}`]),
      typeof config === 'string' ? config : config({ port, dir }),
    ].join('\n'),
  );
  const server = await startServer({
    name: 'nats-server',
    command,
    args: ['--config', file],
    log,
    // The greeting comes last: accounts and JetStream are there by then.
    ready: () => accepts(port, { greeting: 'INFO ' }),
  });
  const close = async () => {
    await server.stop('SIGKILL');
    await rm(dir, { recursive: true, force: true });
  };
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    monitorUrl: monitorPort ? `http://127.0.0.1:${monitorPort}` : undefined,
    get pid() {
      return server.pid;
    },
    dir,
    stop: (signal) => server.stop(signal),
    kill: () => server.stop('SIGKILL'),
    start: () => server.start(),
    close,
    [Symbol.asyncDispose]: close,
  };
};
