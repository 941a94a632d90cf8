import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { makeCertificates } from '../../cli/certificates.ts';
import { makeOperator, resolverConfig } from '../../operator/broker/bootstrap.ts';
import { ensureBinary } from '../cluster/binaries.ts';
import { run } from '../cluster/command.ts';
import { temporaryFolder } from '../cluster/temporary.ts';
import { renderChart } from './chart.ts';

interface ConfigMap {
  kind: string;
  metadata: { name: string };
  data: Record<string, string>;
}

const renderedConfig = async (values: unknown): Promise<string> => {
  const objects = loadAll((await renderChart(values)).stdout) as (ConfigMap | null)[];
  const found = objects.find((object) => object?.kind === 'ConfigMap' && object.metadata.name === 'kanava-nats');
  return found?.data['nats.conf'] ?? '';
};

/** What the pod has in /etc/nats, below a folder; the server's own check of it. */
const checked = async (config: string) => {
  const dir = await temporaryFolder('nats-config');
  const { cert, key } = await makeCertificates(['localhost'], new Date());
  const files = {
    'nats.conf': config.replaceAll('/etc/nats', dir).replaceAll('/data', join(dir, 'data')),
    'resolver.conf': resolverConfig(makeOperator(), join(dir, 'accounts')),
    'tls.crt': cert,
    'tls.key': key,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text);
  return run(await ensureBinary('nats-server'), ['-t', '--config', join(dir, 'nats.conf')], {
    env: { POD_NAME: 'kanava-nats-0' },
  });
};

describe('nats.conf of the chart', () => {
  it.each([
    ['defaults', {}],
    [
      'other sizes',
      {
        nats: {
          managed: { jetstream: { maxFile: '1Ti', maxMemory: '512Ki', defaultMaxConsumers: 5 }, maxPayload: '64Mi' },
        },
      },
    ],
  ])('is one that the server takes: %s', async (_, values) => {
    const { code, stderr } = await checked(await renderedConfig(values));
    expect(stderr).toContain('is valid');
    expect(code).toBe(0);
  });

  it('syncs every write, and the server says so to a setting that it does not know', async () => {
    const config = await renderedConfig({});
    expect(config).toMatch(/^\s*sync_interval: always\b/m);
    expect((await checked(config.replace('sync_interval:', 'sync_intervall:'))).code).not.toBe(0);
  });
});
