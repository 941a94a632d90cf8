import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import type { SettingsOptions } from './operator-settings.ts';
import { addExamples, asYaml, endWithFindings, say, sayValue } from './output.ts';
import type { Rendered } from './render.ts';

interface Options extends SettingsOptions {
  namespace: string;
  tenant?: string;
  natsCa?: string;
  output: 'json' | 'yaml';
}

export const addRender = (program: Command): void => {
  const command = program
    .command('render')
    .description('print the objects that the operator would apply for those in files; needs no cluster')
    .argument('<file...>', 'YAML files or folders with Integrations, their Connections and Tenant, or -')
    .option('-n, --namespace <name>', 'namespace of objects that name none', '')
    .option('--tenant <name>', 'name of the Tenant, with defaults, when the files hold none')
    .option(
      '--config <file>',
      "the operator's config.json (ConfigMap kanava-operator); default: as the chart's defaults",
    )
    .option('--image <image>', 'image of gateway and workers')
    .option('--nats-url <url>', 'where pods find NATS')
    .option('--nats-ca <file>', 'CA that pods trust there')
    .option('--closed-range <cidr...>', 'pod, service and node ranges of the cluster', [])
    .option('--operator-namespace <name>', 'namespace of the operator', 'kanava-system')
    .addOption(new Option('-o, --output <format>', 'form of the output').choices(['yaml', 'json']).default('yaml'))
    .action(async (paths: string[], { namespace, tenant, natsCa, output, ...rest }: Options) => {
      const [{ readSources }, { collectObjects }, { render }, { operatorSettings }] = await Promise.all([
        import('./sources.ts'),
        import('./objects.ts'),
        import('./render.ts'),
        import('./operator-settings.ts'),
      ]);
      const { objects, findings } = collectObjects(readSources(paths));
      const settings = operatorSettings(rest);
      const ca = caOf(natsCa, settings.config.nats.url);
      const rendered = render(objects, {
        namespace,
        settings,
        ...(tenant === undefined ? {} : { tenant }),
        ...(ca === undefined ? {} : { natsCa: ca }),
      });
      const broken = findings.filter(({ severity }) => severity === 'error');
      const problems = [
        ...broken.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`),
        ...rendered.refused,
      ];
      if (output === 'json') sayValue(output, rendered);
      else say(yamlOf(rendered));
      for (const problem of problems) console.error(problem);
      if (problems.length > 0 || rendered.objects.length === 0) endWithFindings();
    });
  addExamples(
    command,
    'kanava render tenant.yaml integration.yaml',
    'kanava render integration.yaml --tenant acme -n acme',
    'kubectl get integrations.kanava.dev,connections.kanava.dev,tenants.kanava.dev -A -o yaml | kanava render -',
  );
};

/** Pods mount the CA where there is TLS, so what is rendered needs one to stand for it. */
const caOf = (file: string | undefined, url: string): string | undefined => {
  if (file !== undefined) return readFileSync(file, 'utf8');
  return url.startsWith('tls:') ? 'the CA of NATS: kanava render --nats-ca FILE\n' : undefined;
};

const yamlOf = ({ objects, streams, readings, secrets }: Rendered): string => {
  const made = streams.flatMap(({ tenant, streams: specs }) =>
    specs.map(({ name, retention, storage, maxBytes, replicas }) =>
      [`account ${tenant}: stream ${name}`, retention, storage, `${maxBytes} bytes`, `${replicas} replicas`].join(', '),
    ),
  );
  const notes = [
    ...made.map((text) => `# NATS ${text}`),
    ...readings.flatMap(({ name, types, schedules }) => [
      ...(types.length > 0 ? [`# NATS Integration ${name} hears events of type ${types.join(', ')}`] : []),
      ...schedules.map(
        ({ source, cron, timeZone }) => `# NATS Integration ${name}: schedule ${source}, ${cron}, ${timeZone}`,
      ),
    ]),
    ...secrets.map((name) => `# Secret ${name}: made by the operator, its values are not known here`),
  ];
  return [objects.map(asYaml).join('---\n'), ...notes].join('\n');
};
