import { join } from 'node:path';
import { ensureBinary } from '../cluster/binaries.ts';
import { type CommandResult, run } from '../cluster/command.ts';
import type { Kubectl } from '../cluster/kubectl.ts';
import { mustKubectl } from '../cluster/kubectl.ts';

const chart = join(import.meta.dirname, '../../charts/kanava');
export const operatorNamespace = 'kanava-system';

/** `helm <args> charts/kanava`, with values as JSON. */
export const helm = async (args: string[], values: unknown = {}): Promise<CommandResult> =>
  run(await ensureBinary('helm'), [...args, '--values', '-'], { stdin: JSON.stringify(values) });

export const renderChart = (values?: unknown): Promise<CommandResult> =>
  helm(['template', 'kanava', chart, '--namespace', operatorNamespace, '--kube-version', '1.36.3'], values);

export const lintChart = (values?: unknown): Promise<CommandResult> => helm(['lint', '--strict', chart], values);

/** The chart's objects on an API server: CRDs first, and everything else once they are served. */
export const installChart = async (kubectl: Kubectl, values?: unknown): Promise<void> => {
  const { code, stdout, stderr } = await renderChart(values);
  if (code !== 0) throw new Error(`helm template failed: ${stderr}`);
  await kubectl(['create', 'namespace', operatorNamespace]);
  const documents = stdout.split(/^---$/m);
  const isCrd = (document: string) => /^kind: CustomResourceDefinition$/m.test(document);
  const apply = (part: string[]) =>
    mustKubectl(kubectl, ['apply', '--server-side', '-f', '-'], { stdin: part.join('---') });
  await apply(documents.filter(isCrd));
  await mustKubectl(kubectl, ['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
  await apply(documents.filter((document) => !isCrd(document)));
};
