import type { Command } from 'commander';
import { fileText } from './file-text.ts';
import { UsageError } from './outcome.ts';
import { addExamples, endWithFindings } from './output.ts';

interface Options {
  namespace: string;
  port: string;
  host: string;
  print: boolean;
  secrets?: string;
  volumes?: string;
  nats?: string;
  creds?: string;
  ca?: string;
  once?: string;
  to?: string;
}

export const addRun = (program: Command): void => {
  const command = program
    .command('run')
    .description('run Integrations of files here, with a broker in memory or on a NATS server; needs no cluster')
    .argument('<file...>', 'YAML files, or folders (all .yaml and .yml below)')
    .option('-n, --namespace <name>', 'namespace of objects that name none', 'local')
    .option('--port <number>', 'where http sources listen; further namespaces get the next ports; 0: any', '8080')
    .option('--host <address>', 'address to listen at', 'localhost')
    .option('--print', 'write messages for Connections to stdout, one JSON line each, instead of sending them', false)
    .option('--secrets <dir>', 'folder with values of Secrets: <dir>/<secret>/<key>')
    .option('--volumes <dir>', 'folder with folders in place of volumes: <dir>/<claim>')
    .option('--nats <url>', 'a NATS server with JetStream, such as nats://localhost:4222; default: a broker in memory')
    .option('--creds <file>', 'with --nats: credentials of a user who may make streams')
    .option('--ca <file>', 'with --nats: CA of the server, PEM; default: the public ones')
    .option('--once <file>', 'send one message (a file, or - for the standard input), and end when it is done')
    .option('--to <integration>', 'with --once: whose first source gets it; default: the first Integration')
    .action(
      async (paths: string[], { namespace, port, host, print, secrets, volumes, once, to, ...server }: Options) => {
        const number = Number(port);
        if (!Number.isInteger(number) || number < 0 || number > 65_000)
          throw new UsageError(`--port ${port}: write a number from 0 to 65000`);
        const { run } = await import('./local/run.ts');
        const ok = await run({
          paths,
          namespace,
          secretsFolder: secrets,
          volumesFolder: volumes,
          once,
          to,
          port: number,
          host,
          print,
          nats: accessOf(server),
          data: process.stdout,
          notes: process.stderr,
          ended: untilSignal,
        });
        if (!ok) endWithFindings();
      },
    );
  addExamples(
    command,
    'kanava run integration.yaml --print',
    'kanava run examples/order-events --print --secrets ./secrets',
    'kanava run integration.yaml --nats nats://localhost:4222',
    'echo \'{"id": "1", "status": "placed"}\' | kanava run examples/order-events --print --secrets ./secrets --to orders --once -',
  );
};

const accessOf = ({ nats, creds, ca }: Pick<Options, 'nats' | 'creds' | 'ca'>) => {
  if (nats === undefined) {
    if (creds !== undefined || ca !== undefined) throw new UsageError('--creds and --ca go with --nats');
    return undefined;
  }
  return {
    url: nats,
    creds: creds === undefined ? undefined : fileText(creds, '--creds'),
    ca: ca === undefined ? undefined : fileText(ca, '--ca'),
  };
};

/** Ctrl-C ends in good order, a second one at once; so does a reader of the output that goes away. */
const untilSignal = (): Promise<void> =>
  new Promise((resolve) => {
    process.stdout.on('error', () => resolve());
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(130));
        resolve();
      });
    }
  });
