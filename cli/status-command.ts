import { styleText } from 'node:util';
import type { Command } from 'commander';
import type { IntegrationStatus } from '../operator/api/integration.ts';
import type { KubeObject } from '../operator/reconcile/ports.ts';
import { addExamples, counted, endWithFindings, type Format, formatOption, say, sayValue, table } from './output.ts';
import type { IntegrationRow, Problem, StatusReport } from './status.ts';

interface Options {
  namespace?: string;
  allNamespaces: boolean;
  kubeconfig?: string;
  output: Format;
}

/** `env` is the process's own: it may name a kubeconfig. */
export const addStatus = (program: Command, env: NodeJS.ProcessEnv): void => {
  const command = program
    .command('status')
    .description(
      'say what is wrong in the cluster, what to do, and how Integrations are; ends with 1 when something is',
    )
    .argument('[name]', 'one Integration, in detail')
    .option('-n, --namespace <name>', "namespace; default: the kubeconfig's")
    .option('-A, --all-namespaces', 'all namespaces', false)
    .option('--kubeconfig <file>', 'default: $KUBECONFIG, ~/.kube/config; in a pod its own ServiceAccount')
    .addOption(formatOption())
    .action(async (name: string | undefined, { namespace, allNamespaces, kubeconfig, output }: Options) => {
      const [{ connectKubeClient }, read, { statusReport }] = await Promise.all([
        import('./kube-client.ts'),
        import('./status-read.ts'),
        import('./status.ts'),
      ]);
      const client = await connectKubeClient({ env, ...(kubeconfig === undefined ? {} : { kubeconfig }) });
      try {
        const where = namespace ?? client.namespace;
        const objects =
          name === undefined
            ? await read.readObjects(client, allNamespaces ? undefined : where)
            : [await read.readIntegration(client, where, name)];
        const report = statusReport(objects, Date.now());
        const pods = name === undefined ? [] : await read.readPods(client, where, name);
        if (output !== 'text') sayValue(output, report);
        else
          say(
            name === undefined
              ? overview(report, allNamespaces ? 'any namespace' : where)
              : detail(report, objects, pods),
          );
        if (report.problems.some(({ severity }) => severity === 'error')) endWithFindings();
      } finally {
        await client.close();
      }
    });
  addExamples(command, 'kanava status -A', 'kanava status orders -n acme');
};

const overview = ({ problems, integrations }: StatusReport, where: string): string =>
  [
    ...problems.map(problemText),
    problems.length === 0 ? styleText('green', 'no problems') : counted(problems.length, 'problem'),
    '',
    integrations.length === 0 ? `no Integration in ${where}` : table([header, ...integrations.map(cells)]),
  ].join('\n');

const problemText = ({ object, severity, reason, message, action }: Problem): string =>
  [
    `${styleText(severity === 'error' ? 'red' : 'yellow', object)}: ${reason}`,
    ...(message === '' ? [] : [`  ${message}`]),
    ...(action === undefined ? [] : [`  -> ${action}`]),
  ].join('\n');

const header = ['NAMESPACE', 'NAME', 'READY', 'STATE', 'PODS', 'PENDING', 'FAILED', 'LAST-MSG'];
const cells = ({ namespace, name, ready, state, pods, pending, failed, lastMessage }: IntegrationRow): string[] => [
  namespace,
  name,
  ready,
  state,
  pods,
  String(pending),
  String(failed),
  lastMessage,
];

const detail = (report: StatusReport, [object]: readonly KubeObject[], pods: readonly KubeObject[]): string => {
  const status = (object?.['status'] ?? {}) as IntegrationStatus;
  const conditions = (status.conditions ?? []).map(({ type, status: state, reason, message }) => [
    `  ${type}`,
    state,
    reason,
    message,
  ]);
  return [
    overview(report, ''),
    '',
    `From ${status.sources ?? '(not known yet)'} to ${status.sinks ?? '(not known yet)'}`,
    ...(status.endpoints ?? []).map((url) => `  accepts at ${url}`),
    ...(status.deadLetters?.lastReason ? [`Last dead letter: ${status.deadLetters.lastReason}`] : []),
    'Conditions:',
    table(conditions),
    ...(pods.length === 0 ? [] : ['Pods:', ...pods.map(podText)]),
  ].join('\n');
};

interface PodStatus {
  readonly phase?: string;
  readonly containerStatuses?: readonly {
    readonly ready?: boolean;
    readonly restartCount?: number;
    readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } };
  }[];
}
const podText = ({ metadata, status }: KubeObject): string => {
  const { phase = 'Unknown', containerStatuses = [] } = (status ?? {}) as PodStatus;
  const waiting = containerStatuses.find(({ state }) => state?.waiting)?.state?.waiting;
  const restarts = containerStatuses.reduce((sum, { restartCount = 0 }) => sum + restartCount, 0);
  const ready = containerStatuses.length > 0 && containerStatuses.every((container) => container.ready);
  const why = waiting ? ` (${[waiting.reason, waiting.message].filter(Boolean).join(': ')})` : '';
  return `  ${metadata.name}  ${ready ? 'ready' : phase}${why}  ${counted(restarts, 'restart')}`;
};
