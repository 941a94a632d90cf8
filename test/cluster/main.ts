import { Command, CommanderError } from 'commander';
import { ensureBinary } from './binaries.ts';
import { isServerName, type ServerName, serverNames } from './servers.ts';

const program = new Command('cluster')
  .description(
    'Real servers for tests and the demo: pinned binaries, a single-node Kubernetes, images without a registry',
  )
  .showHelpAfterError()
  .exitOverride();

program
  .command('binaries')
  .description('build the pinned servers that are missing and print their paths')
  .argument('[names...]', `of ${serverNames.join(', ')} (default: all)`)
  .action(async (names: string[]) => {
    const unknown = names.filter((name) => !isServerName(name));
    if (unknown.length > 0) program.error(`unknown: ${unknown.join(', ')}; known: ${serverNames.join(', ')}`);
    for (const name of names.length > 0 ? (names as ServerName[]) : serverNames) console.log(await ensureBinary(name));
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
