import type { Command } from 'commander';
import type { Report } from './check.ts';
import { lineOf } from './finding-line.ts';
import { addExamples, counted, endWithFindings, type Format, formatOption, say, sayValue } from './output.ts';

interface Options {
  namespace: string;
  strict: boolean;
  operatorNamespace: string;
  closedRange: string[];
  output: Format;
}

export const addCheck = (program: Command): void => {
  const command = program
    .command('check')
    .description('say what API server and operator would say of objects in files; needs no cluster')
    .argument('<file...>', 'YAML files, folders (all .yaml and .yml below), or - for the standard input')
    .option('-n, --namespace <name>', 'namespace of objects that name none', '')
    .option('--strict', 'warnings are errors, but for advice: what is not in the files counts as missing', false)
    .option('--operator-namespace <name>', 'namespace of the operator, which no Tenant may have', 'kanava-system')
    .option('--closed-range <cidr...>', 'pod, service and node ranges of the cluster, as in its chart', [])
    .addOption(formatOption())
    .action(async (paths: string[], { closedRange, output, ...options }: Options) => {
      const [{ checkSources }, { readSources }] = await Promise.all([import('./check.ts'), import('./sources.ts')]);
      const report = checkSources(readSources(paths), { ...options, closedRanges: closedRange });
      if (output === 'text') say(textOf(report));
      else sayValue(output, report);
      if (report.objects === 0 || report.findings.some(({ severity }) => severity === 'error')) endWithFindings();
    });
  addExamples(
    command,
    'kanava check integration.yaml',
    'kanava check deploy/ --strict',
    'helm template . | kanava check -',
  );
};

const textOf = ({ files, objects, findings }: Report): string => {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const checked = `${counted(objects, 'object')} in ${counted(files, 'file')}`;
  const summary =
    objects === 0 && errors === 0
      ? `no object of kanava.dev in ${counted(files, 'file')}`
      : `${checked}: ${counted(errors, 'error')}, ${counted(findings.length - errors, 'warning')}`;
  return [...findings.map(lineOf), summary].join('\n');
};
