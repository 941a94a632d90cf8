import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { configSchema, type Settings } from '../operator/settings.ts';
import packageFile from '../package.json' with { type: 'json' };
import { UsageError } from './outcome.ts';

export interface SettingsOptions {
  readonly operatorNamespace: string;
  /** The operator's `config.json`, as the chart writes it. */
  readonly config?: string;
  readonly image?: string;
  readonly natsUrl?: string;
  readonly closedRange: readonly string[];
}

/** As the chart would set the operator up with its default values, changed by what the user says. */
export const operatorSettings = (options: SettingsOptions): Settings => {
  const { operatorNamespace: namespace, config, image, natsUrl, closedRange } = options;
  const given = config === undefined ? defaults(namespace) : fromFile(config);
  const parsed = configSchema.safeParse({
    ...given,
    ...(image === undefined ? {} : { runtime: { ...given['runtime'], image } }),
    ...(natsUrl === undefined ? {} : { nats: { ...given['nats'], url: natsUrl } }),
    ...(closedRange.length === 0 ? {} : { network: { ...given['network'], closedRanges: closedRange } }),
  });
  if (!parsed.success)
    throw new UsageError(
      `${config ?? 'the flags'}: no configuration of the operator: ${z.prettifyError(parsed.error)}`,
    );
  return {
    config: parsed.data,
    namespace,
    podName: 'kanava-cli',
    serviceAccount: 'kanava-operator',
    logLevel: 'info',
    healthPort: 0,
    natsFolder: '',
  };
};

type Given = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;

const defaults = (namespace: string): Given => ({
  runtime: { image: `docker.io/kanava/runtime:${packageFile.version}` },
  nats: {
    url: `tls://kanava-nats.${namespace}.svc:4222`,
    network: {
      namespace,
      podLabels: { 'app.kubernetes.io/name': 'kanava', 'app.kubernetes.io/component': 'nats' },
    },
  },
});

const fromFile = (file: string): Given => {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Given;
  } catch (cause) {
    throw new UsageError(`${file} is no JSON file that can be read: ${(cause as Error).message}`, { cause });
  }
};
