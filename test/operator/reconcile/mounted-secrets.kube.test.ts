import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { secretsAnnotation } from '../../../operator/plan/mounted-secrets.ts';
import { connection, http, httpSink, integration, secretKeyRef, tenant } from '../../build.ts';
import { type OperatorWorld, startOperatorWorld, until } from './operator-world.ts';

/*
 * A Secret that changes is told to the pods that mount it, as the kubelet understands it: by a change of the pod. The operator has the
 * chart's rights; pods are made by Kubernetes' own controllers and run nowhere. That files follow is seen on a node (bench `reaction`).
 */
const namespace = 'acme';
let world: OperatorWorld;
const secret = (name: string, token: string) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace },
  stringData: { token },
});
const pods = async (component: string) =>
  (await world.list('pods', namespace)).filter(
    ({ metadata }) => metadata.labels?.['app.kubernetes.io/component'] === component && !metadata.deletionTimestamp,
  );
const told = async (component: string) =>
  (await pods(component)).map(({ metadata }) => metadata.annotations?.[secretsAnnotation] ?? '');
const versionOf = async (name: string) =>
  `${name}.${(await world.get('secret', name, namespace))?.metadata.resourceVersion}`;

beforeAll(async () => {
  world = await startOperatorWorld({ controllers: true });
  await world.keepOperator();
  await world.apply(tenant());
  await world.becomes('tenants.kanava.dev', 'acme', { Ready: 'True' });
  const url = 'https://erp.example.com/api';
  await world.apply(
    secret('shop', 'a'),
    secret('erp', 'a'),
    secret('other', 'a'),
    connection({ http: { url, auth: { bearer: secretKeyRef('erp', 'token') } } }),
    integration({
      sources: [http({ auth: { bearer: secretKeyRef('shop', 'token') } })],
      sinks: [httpSink()],
      scaling: { mode: 'Manual', replicas: 2 },
    }),
  );
  await until('pods', async () => (await pods('worker')).length === 2 && (await pods('gateway')).length === 1);
}, 300_000);
afterAll(async () => {
  await world?.stop();
});

describe('a Secret that changes', () => {
  it('is told to every worker that mounts it, and the pods stay', async () => {
    const uids = async () => new Set((await pods('worker')).map(({ metadata }) => metadata.uid));
    const before = await uids();
    await world.apply(secret('erp', 'b'));
    const version = await versionOf('erp');
    await until('both are told', async () => (await told('worker')).every((text) => text === version));
    expect(await uids()).toEqual(before);
  });

  it('reaches the gateway as part of the Secret that is composed for it', async () => {
    await world.apply(secret('shop', 'b'));
    await until('it is told', async () => {
      const version = await versionOf('gateway-secrets');
      return (await told('gateway')).every((text) => text === version);
    });
    const composed = (await world.get('secret', 'gateway-secrets', namespace))?.['data'] as Record<string, string>;
    expect(Buffer.from(composed['shop..token'] ?? '', 'base64').toString()).toBe('b');
  });

  it('is told when it was deleted and made again', async () => {
    await world.kubectl(['delete', 'secret', 'erp', '-n', namespace]);
    await world.apply(secret('erp', 'c'));
    const version = await versionOf('erp');
    await until('both are told', async () => (await told('worker')).every((text) => text === version));
  });

  it('is told to nobody who does not mount it, nor when its values stay', async () => {
    const before = [await told('worker'), await told('gateway')];
    await world.apply(secret('other', 'b'));
    await world.kubectl(['label', 'secret', 'erp', '-n', namespace, 'team=a']);
    // Keys are worked on in order: when this one is told, the others have had their turn.
    await world.apply(secret('shop', 'c'));
    await until('the last one is told', async () => {
      const version = await versionOf('gateway-secrets');
      return (await told('gateway')).every((text) => text === version);
    });
    expect(await told('worker')).toEqual(before[0]);
  });
});
