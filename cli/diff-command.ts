import { styleText } from 'node:util';
import type { Command } from 'commander';
import type { DiffReport, ObjectChange } from './diff.ts';
import { addExamples, endWithFindings, type Format, formatOption, say, sayValue } from './output.ts';
import type { FieldChange } from './spec-changes.ts';

interface Options {
  namespace?: string;
  kubeconfig?: string;
  closedRange: string[];
  output: Format;
}

/** `env` is the process's own: it may name a kubeconfig. */
export const addDiff = (program: Command, env: NodeJS.ProcessEnv): void => {
  const command = program
    .command('diff')
    .description(
      'say what applying files would change in the cluster, which pods restart, and what happens to stored messages',
    )
    .argument('<file...>', 'YAML files, folders, or - for the standard input')
    .option('-n, --namespace <name>', "namespace of objects that name none; default: the kubeconfig's")
    .option('--closed-range <cidr...>', 'pod, service and node ranges of the cluster, as in its chart', [])
    .option('--kubeconfig <file>', 'default: $KUBECONFIG, ~/.kube/config; in a pod its own ServiceAccount')
    .addOption(formatOption())
    .action(async (paths: string[], { namespace, kubeconfig, closedRange, output }: Options) => {
      const [
        { readSources },
        { collectObjects },
        { diff },
        { readStored },
        { operatorSettings },
        { connectKubeClient },
      ] = await Promise.all([
        import('./sources.ts'),
        import('./objects.ts'),
        import('./diff.ts'),
        import('./diff-read.ts'),
        import('./operator-settings.ts'),
        import('./kube-client.ts'),
      ]);
      const { objects, findings } = collectObjects(readSources(paths));
      const client = await connectKubeClient({ env, ...(kubeconfig === undefined ? {} : { kubeconfig }) });
      try {
        const where = namespace ?? client.namespace;
        const report = diff(objects, await readStored(client, objects, where), {
          namespace: where,
          // Whose Tenant may not be seen has one all the same: the same on both sides.
          tenant: 'unknown',
          settings: operatorSettings({ operatorNamespace: 'kanava-system', closedRange }),
        });
        const broken = findings.filter(({ severity }) => severity === 'error');
        if (output === 'text') say(textOf(report));
        else sayValue(output, report);
        for (const { file, line, column, message } of broken) console.error(`${file}:${line}:${column}: ${message}`);
        if (
          broken.length > 0 ||
          report.notAccepted.length > 0 ||
          report.changes.some(({ change }) => change !== 'unchanged')
        )
          endWithFindings();
      } finally {
        await client.close();
      }
    });
  addExamples(command, 'kanava diff deploy/ -n acme');
  command.addHelpText('after', '\nEnds with 0 when nothing would change, with 1 when something would.');
};

const textOf = ({ changes, effects, notAccepted }: DiffReport): string =>
  [
    ...changes.map(changeText),
    ...(notAccepted.length === 0
      ? []
      : ['', styleText('red', 'Not accepted; what runs goes on as it is:'), ...notAccepted.map((text) => `  ${text}`)]),
    '',
    effects.length === 0 ? 'No pod restarts, stored messages stay.' : 'Effects:',
    ...effects.map(({ object, effect }) => `  ${object}: ${effect}`),
  ].join('\n');

const changeText = ({ object, change, fields, refused }: ObjectChange): string =>
  [
    `${object}: ${change}`,
    ...fields.map(fieldText),
    ...refused.map((text) => styleText('red', `  refused by the API server: ${text}`)),
  ].join('\n');

const fieldText = ({ path, before, after }: FieldChange): string => {
  if (before === undefined) return styleText('green', `  + ${path}: ${short(after)}`);
  if (after === undefined) return styleText('red', `  - ${path}: ${short(before)}`);
  return `  ~ ${path}: ${short(before)} -> ${short(after)}`;
};
const short = (value: unknown): string => {
  const text = JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 97)}...` : text;
};
