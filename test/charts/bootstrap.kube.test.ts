import { createPrivateKey, X509Certificate } from 'node:crypto';
import { execPath } from 'node:process';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CommandResult, run } from '../cluster/command.ts';
import type { KubeApi } from '../cluster/kube-api.ts';
import { mustKubectl } from '../cluster/kubectl.ts';
import { borrowServer } from '../operator/api/shared-server.ts';
import { program } from '../programs.ts';

/* `kanava bootstrap` as a process against a real API server: once, never again, and to the end when it was interrupted. */
const namespace = 'kanava-system';
const names = [
  'secret/kanava-nats-keys',
  'secret/kanava-nats-config',
  'secret/kanava-nats-tls',
  'configmap/kanava-nats-ca',
];

let api: KubeApi;
beforeAll(async () => {
  api = await borrowServer();
});
afterAll(() => api.stop());

beforeEach(async () => {
  await api.kubectl(['delete', 'secrets,configmaps', '--all', '-n', namespace]);
  await api.kubectl(['create', 'namespace', namespace]);
});

const bootstrap = (kubeconfig = api.kubeconfig, ...more: string[]): Promise<CommandResult> =>
  run(execPath, [program('cli/launch.js'), 'bootstrap', '--namespace', namespace, '--kubeconfig', kubeconfig, ...more]);
const stored = (): Promise<string> =>
  mustKubectl(api.kubectl, ['get', ...names, '-n', namespace, '-o', 'yaml', '--ignore-not-found']);
const dataOf = async (name: string): Promise<Record<string, string>> => {
  const { data } = JSON.parse(await mustKubectl(api.kubectl, ['get', name, '-n', namespace, '-o', 'json'])) as {
    data: Record<string, string>;
  };
  const secret = name.startsWith('secret');
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, secret ? Buffer.from(value, 'base64').toString() : value]),
  );
};
const remove = (...gone: string[]) => mustKubectl(api.kubectl, ['delete', ...gone, '-n', namespace]);

describe('kanava bootstrap', () => {
  it('makes everything that operator and server need, and no value appears in its output', async () => {
    const result = await bootstrap();
    expect(result).toMatchObject({ code: 0 });
    const [keys, config, tls, ca] = await Promise.all(names.map(dataOf));
    expect(Object.keys(keys ?? {}).sort()).toEqual([
      'ctl.creds',
      'identity.seed',
      'meter.creds',
      'operator.jwt',
      'operator.seed',
      'system.account',
      'system.jwt',
      'system.seed',
    ]);
    expect(config?.['resolver.conf']).toContain(keys?.['operator.jwt']);
    expect(ca?.['ca.crt']).toBe(tls?.['ca.crt']);
    for (const value of [...Object.values(keys ?? {}), tls?.['tls.key'], tls?.['ca.key']])
      expect(`${result.stdout}${result.stderr}`).not.toContain(value);
  });

  it('makes a certificate that the authority signed, for the Service and the names asked for', async () => {
    await bootstrap(undefined, '--dns', 'nats.example.com');
    const tls = await dataOf('secret/kanava-nats-tls');
    const ca = new X509Certificate(tls['ca.crt'] ?? '');
    const server = new X509Certificate(tls['tls.crt'] ?? '');
    expect(ca.ca).toBe(true);
    expect(server.ca).toBe(false);
    expect(server.verify(ca.publicKey)).toBe(true);
    expect(server.checkPrivateKey(createPrivateKey(tls['tls.key'] ?? ''))).toBe(true);
    for (const host of [
      `kanava-nats.${namespace}.svc`,
      `kanava-nats-0.kanava-nats-pods.${namespace}.svc`,
      'nats.example.com',
    ])
      expect(server.checkHost(host), host).toBe(host.includes('-0.') ? `*.kanava-nats-pods.${namespace}.svc` : host);
    expect(server.checkHost('kanava-nats.other.svc')).toBeUndefined();
  });

  it('changes nothing the second time, and says so', async () => {
    await bootstrap();
    const before = await stored();
    const again = await bootstrap();
    expect(again).toMatchObject({ code: 0 });
    expect(again.stdout.match(/exists, kept/g)).toHaveLength(names.length);
    expect(await stored()).toBe(before);
  });

  it('two at once agree', async () => {
    const results = await Promise.all([bootstrap(), bootstrap(), bootstrap()]);
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0]);
    const [keys, config] = await Promise.all([dataOf('secret/kanava-nats-keys'), dataOf('secret/kanava-nats-config')]);
    expect(config['resolver.conf']).toContain(keys['operator.jwt']);
  });

  it.each([
    ['after the first root', ['secret/kanava-nats-config', 'secret/kanava-nats-tls', 'configmap/kanava-nats-ca']],
    ['before the certificate', ['secret/kanava-nats-tls', 'configmap/kanava-nats-ca']],
    ['before the last', ['configmap/kanava-nats-ca']],
  ])('completes a run that ended %s, and keeps what that run made', async (_, lost) => {
    await bootstrap();
    const keys = await dataOf('secret/kanava-nats-keys');
    await remove(...lost);
    expect(await bootstrap()).toMatchObject({ code: 0 });
    expect(await dataOf('secret/kanava-nats-keys')).toEqual(keys);
    expect((await dataOf('secret/kanava-nats-config'))['resolver.conf']).toContain(keys['operator.jwt']);
    expect((await dataOf('configmap/kanava-nats-ca'))['ca.crt']).toBe(
      (await dataOf('secret/kanava-nats-tls'))['ca.crt'],
    );
  });

  it.each([
    ['the keys are gone and what was made from them is not', ['secret/kanava-nats-keys'], 'kanava-nats-config'],
    ['the authority is gone and is still trusted', ['secret/kanava-nats-tls'], 'kanava-nats-ca'],
  ])('stops when %s', async (_, lost, named) => {
    await bootstrap();
    await remove(...lost);
    const before = await stored();
    const result = await bootstrap();
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(named);
    expect(await stored()).toBe(before);
  });

  it('stops when two installations were mixed', async () => {
    await bootstrap();
    await remove('secret/kanava-nats-keys', 'configmap/kanava-nats-ca');
    const other = await dataOf('secret/kanava-nats-config');
    await remove('secret/kanava-nats-config');
    await bootstrap();
    await mustKubectl(api.kubectl, ['delete', 'secret/kanava-nats-config', '-n', namespace]);
    await mustKubectl(api.kubectl, [
      'create',
      'secret',
      'generic',
      'kanava-nats-config',
      '-n',
      namespace,
      `--from-literal=resolver.conf=${other['resolver.conf']}`,
    ]);
    expect(await bootstrap()).toMatchObject({ code: 1, stderr: expect.stringContaining('does not fit') as string });
  });

  it('tells of a name that the kept certificate does not hold for', async () => {
    await bootstrap();
    const before = await stored();
    const result = await bootstrap(undefined, '--dns', 'new.example.com');
    expect(result).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('does not hold for new.example.com') as string,
    });
    expect(await stored()).toBe(before);
  });

  it('exits with 3 when it may not, or reaches nobody', async () => {
    expect(await bootstrap(await api.userKubeconfig('nobody'))).toMatchObject({ code: 3 });
    expect(await bootstrap('/does/not/exist')).toMatchObject({ code: 3 });
  });
});
