import { execPath } from 'node:process';
import { type CommandResult, run } from '../cluster/command.ts';
import type { KubeApi } from '../cluster/kube-api.ts';
import { mustKubectl } from '../cluster/kubectl.ts';
import { watchAll } from '../cluster/watch.ts';
import { program } from '../programs.ts';

/*
 * Controller and node of the chart's hook Jobs on an API server that has neither: runs the command of each Job as a process, as the Job's
 * ServiceAccount, and writes the Job's status by its exit code. Retries and logs of Jobs are the e2e tests' business.
 */
interface Job {
  readonly metadata: { readonly name: string; readonly resourceVersion?: string };
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly serviceAccountName: string;
        readonly containers: readonly [{ readonly command: readonly string[]; readonly args?: readonly string[] }];
      };
    };
  };
  readonly status?: { readonly conditions?: readonly unknown[] };
}
export interface RanJob extends CommandResult {
  readonly job: string;
}

export interface JobRunner {
  /** What has run so far. */
  readonly ran: readonly RanJob[];
  stop(): Promise<void>;
}

export const startJobRunner = (api: KubeApi, namespace: string): JobRunner => {
  const ran: RanJob[] = [];
  const stopped = new AbortController();
  const runOne = async ({ metadata, spec }: Job): Promise<void> => {
    const { containers, serviceAccountName } = spec.template.spec;
    const [, , ...words] = [...containers[0].command, ...(containers[0].args ?? [])];
    const kubeconfig = await api.serviceAccountKubeconfig(namespace, serviceAccountName);
    const startTime = now();
    const result = await run(execPath, [program('cli/launch.js'), ...words, '--kubeconfig', kubeconfig]);
    ran.push({ job: metadata.name, ...result });
    const status =
      result.code === 0
        ? { succeeded: 1, completionTime: now(), conditions: [condition('SuccessCriteriaMet'), condition('Complete')] }
        : { failed: 1, conditions: [condition('FailureTarget'), condition('Failed')] };
    const patch = JSON.stringify({ status: { startTime, ...status } });
    await mustKubectl(api.kubectl, [
      'patch',
      'job',
      metadata.name,
      '-n',
      namespace,
      '--subresource=status',
      '--type=merge',
      '-p',
      patch,
    ]);
  };
  // A Job at a time, in the order in which they are made.
  let running: Promise<unknown> = Promise.resolve();
  const problems: unknown[] = [];
  const watching = watchAll<Job>(
    api,
    `/apis/batch/v1/namespaces/${namespace}/jobs`,
    ({ type, object }) => {
      if (type === 'ADDED' && !object.status?.conditions?.length)
        running = running.then(() => runOne(object)).catch((error: unknown) => problems.push(error));
    },
    stopped.signal,
  );
  return {
    ran,
    stop: async () => {
      stopped.abort();
      await watching;
      await running;
      if (problems.length > 0) throw new Error('a Job could not be run', { cause: problems[0] });
    },
  };
};

const now = (): string => new Date().toISOString().replace(/\.\d+Z$/, 'Z');
const condition = (type: string) => ({
  type,
  status: 'True',
  reason: 'ProcessEnded',
  message: 'The process ended.',
  lastProbeTime: now(),
  lastTransitionTime: now(),
});
