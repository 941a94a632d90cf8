import { parseArgs } from 'node:util';
import { chooseProvider, providerNames } from '../../cluster/providers/choice.ts';
import { demo } from './demo.ts';
import { integration, removeAllTenants, removeReceiver } from './objects.ts';
import { type Platform, platformOf, systemNamespace, uninstallChart } from './platform.ts';
import { createReport, type Report } from './report.ts';

const help = `npm run demo [-- down | --help] [-- --keep] [-- --provider <name>]

Sets up everything on this machine and shows two tenants' real messages going through one operator: a cluster, images, the
chart, tenants acme and globex, each with its own Integration "github-issues". Sends them 329 real GitHub webhooks and compares
every delivery with what plain JavaScript says must arrive. A third tenant comes from Helm values: 300 orders go over its bus while its
workers go from none to many and back, and a schedule asks for a report. Exit code 0 only if all of it was verified.

  down               remove the demo, the chart and the cluster
  --keep             go on with the tenants of the last run instead of fresh ones; only new messages are compared
  --provider <name>  ${providerNames.join(', ')}; default: kind where it can run, else a native node (Linux, root)
`;

const tearDown = async (platform: Platform, report: Report): Promise<void> => {
  const { provider } = platform;
  const { up } = await provider.status();
  if (up) {
    await report.phase('Removing tenants and receiver', () =>
      Promise.all([removeAllTenants(platform), removeReceiver(platform)]),
    );
    await report.phase('Removing the chart', () => uninstallChart(platform));
  }
  await report.phase('Removing the cluster', async () => report.note(await provider.down(report.note)));
};

const next = (platform: Platform) => `
Try next (export KUBECONFIG=${platform.provider.kubeconfig}):
  kubectl get integrations.kanava.dev -A --watch
  kubectl describe integrations.kanava.dev ${integration} -n acme
  kubectl explain integrations.kanava.dev.spec.sources.http
  kubectl get deployments -n shop --watch                  # workers come with the schedule, every ten seconds, and go
  kubectl edit integrations.kanava.dev ${integration} -n acme      # a mistake is refused, or the last accepted flow runs on
  kubectl logs deployment/worker-${integration} -n globex
  kubectl logs deployment/kanava-operator -n ${systemNamespace}
  examples/github-issues/README.md shows how to send a webhook by hand
  npm run demo -- down                                     # removes everything
`;

const usage = (problem: string): number => {
  console.error(`${problem}\n\n${help}`);
  return 2;
};

const run = async (args: string[]): Promise<number> => {
  const options = {
    help: { type: 'boolean', short: 'h' },
    keep: { type: 'boolean' },
    provider: { type: 'string' },
  } as const;
  let parsed: ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    return usage((error as Error).message);
  }
  const { values, positionals } = parsed;
  if (values.help) {
    console.log(help);
    return 0;
  }
  if (positionals.length > 1 || (positionals[0] ?? 'down') !== 'down')
    return usage(`unknown: ${positionals.join(' ')}`);
  if (values.provider !== undefined && !providerNames.some((name) => name === values.provider))
    return usage(`unknown provider ${values.provider}`);

  const report = createReport((line) => console.log(line));
  const platform = await platformOf(await chooseProvider(values.provider, report.note));
  if (positionals[0] === 'down') {
    await tearDown(platform, report);
    return 0;
  }
  await demo(platform, { keep: values.keep ?? false, report });
  const { failures } = report;
  console.log(next(platform));
  for (const [title, ms] of report.timings) console.log(`${(ms / 1000).toFixed(1).padStart(8)} s  ${title}`);
  console.log(`\n${report.checks() - failures.length} of ${report.checks()} checks held`);
  for (const failure of failures) console.log(`FAILED ${failure}`);
  return failures.length === 0 ? 0 : 1;
};

const code = await run(process.argv.slice(2)).catch((error: unknown) => {
  console.error(`\nThe demo stopped: ${error instanceof Error ? error.message : String(error)}`);
  console.error('Run it again: what is built and running is kept. `npm run demo -- down` removes everything.');
  return 1;
});
// A part that stopped half-way may have left connections open, and nothing is to be waited for.
process.exit(code);
