import type { Command } from 'commander';
import { apiVersion, schemaRevision } from '../operator/api/meta.ts';
import packageFile from '../package.json' with { type: 'json' };
import { type Format, formatOption, say, sayValue } from './output.ts';

export const addVersion = (program: Command): void => {
  program
    .command('version')
    .description('print the version, and the API that it knows')
    .addOption(formatOption())
    .action(({ output }: { output: Format }) => {
      const { version } = packageFile;
      if (output === 'text') say(version);
      else sayValue(output, { version, apiVersion, schemaRevision });
    });
};
