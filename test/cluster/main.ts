import { Command, CommanderError, Option } from 'commander';
import { ensureBinary } from './binaries.ts';
import { projectImages } from './images/build.ts';
import { toStderr, withElapsed } from './progress.ts';
import { chooseProvider, providerNames } from './providers/choice.ts';
import { isServerName, type ServerName, serverNames } from './servers.ts';

interface Options {
  provider?: string;
  output?: 'json';
}

const onProgress = withElapsed(toStderr);
const providerOf = ({ provider }: Options, quiet = false) => chooseProvider(provider, quiet ? () => {} : onProgress);

const program = new Command('cluster')
  .description(
    'Real servers for tests and the demo: pinned binaries, a single-node Kubernetes, images without a registry',
  )
  .showHelpAfterError()
  .exitOverride();

const command = (name: string, description: string): Command => program.command(name).description(description);
const provider = () =>
  new Option('--provider <name>', 'default: kind where it can run, else native').choices(providerNames);
const output = () => new Option('-o, --output <format>', 'for machines').choices(['json']);
const table = (rows: [string, string][]): string => {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
};

command('up', 'bring the cluster up; repair what is missing; do nothing when all is well')
  .addOption(provider())
  .action(async (options: Options) => {
    const chosen = await providerOf(options);
    onProgress(await chosen.up(onProgress));
    console.log(`export KUBECONFIG=${chosen.kubeconfig}`);
    console.error('Next: kubectl get nodes,pods --all-namespaces');
  });

command('down', 'remove the cluster; keys and images stay, so that the next one is quick')
  .addOption(provider())
  .action(async (options: Options) => onProgress(await (await providerOf(options)).down(onProgress)));

command('status', 'say what is up; exit code 1 when anything is not')
  .addOption(provider())
  .addOption(output())
  .action(async (options: Options) => {
    const chosen = await providerOf(options, true);
    const status = await chosen.status();
    if (options.output === 'json') console.log(JSON.stringify({ provider: chosen.name, ...status }, undefined, 2));
    else
      console.log(
        table([['provider', chosen.name], ['kubeconfig', status.kubeconfig], ...Object.entries(status.parts)]),
      );
    if (!status.up) process.exitCode = 1;
  });

command('kubeconfig', 'print the path of the kubeconfig')
  .addOption(provider())
  .action(async (options: Options) => console.log((await providerOf(options, true)).kubeconfig));

command('images', 'build the images whose content is new, load those that the cluster lacks, print their references')
  .addOption(provider())
  .addOption(output())
  .action(async (options: Options) => {
    const chosen = await providerOf(options);
    const images = await projectImages(onProgress);
    await chosen.load(Object.values(images), onProgress);
    const refs = Object.entries(images).map(([name, { ref }]): [string, string] => [name, ref]);
    console.log(options.output === 'json' ? JSON.stringify(Object.fromEntries(refs), undefined, 2) : table(refs));
  });

command('binaries', 'build the pinned servers that are missing and print their paths')
  .argument('[names...]', `of ${serverNames.join(', ')} (default: all)`)
  .action(async (names: string[]) => {
    const unknown = names.filter((name) => !isServerName(name));
    if (unknown.length > 0) program.error(`unknown: ${unknown.join(', ')}; known: ${serverNames.join(', ')}`);
    const wanted = names.length > 0 ? (names as ServerName[]) : serverNames;
    for (const name of wanted) console.log(await ensureBinary(name, { onProgress }));
  });

// 0 done, 1 failed, 2 wrong usage.
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
