import { type Command, Option } from 'commander';
import { UsageError } from './outcome.ts';
import { addExamples, endWithFindings, say, sayValue } from './output.ts';

interface Options {
  output: 'text' | 'json' | 'junit';
}

export const addTest = (program: Command): void => {
  const command = program
    .command('test')
    .description('try Integrations with messages and answers from *.test.yaml files; needs no cluster')
    .argument('[file...]', 'test files, or folders (all *.test.yaml below)', ['.'])
    .addOption(
      new Option('-o, --output <format>', 'form of the output').choices(['text', 'json', 'junit']).default('text'),
    )
    .action(async (paths: string[], { output }: Options) => {
      const [{ testFilesIn }, { runTests }, { allPassed, junit, testText }] = await Promise.all([
        import('./local/test-read.ts'),
        import('./local/test-run.ts'),
        import('./local/test-report.ts'),
      ]);
      const files = testFilesIn(paths);
      if (files.length === 0) throw new UsageError(`${paths.join(' ')}: there is no file named *.test.yaml`);
      const results = await runTests(files);
      if (output === 'json') sayValue('json', results);
      else say(output === 'junit' ? junit(results) : testText(results));
      if (!allPassed(results)) endWithFindings();
    });
  addExamples(command, 'kanava test', 'kanava test examples -o junit > results.xml');
};
