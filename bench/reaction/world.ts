import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect, credsAuthenticator } from '@nats-io/transport-node';
import { Registry } from 'prom-client';
import { request } from 'undici';
import { Connections, Integrations, Tenants } from '../../operator/api/meta.ts';
import { apiPath } from '../../operator/kube/api-path.ts';
import { loadIdentity } from '../../operator/kube/identity.ts';
import { createTransport } from '../../operator/kube/transport.ts';
import { readAccountKeys } from '../../operator/plan/account.ts';
import { ConfigMaps, Namespaces, Secrets, Services } from '../../operator/plan/kinds.ts';
import { ApiError, type KubeObject, type ResourceKind } from '../../operator/reconcile/ports.ts';
import { connection, filter, http, httpSink, integration, secretKeyRef, tenant } from '../../test/build.ts';
import { applyReceiver, receiverNamespace, removeReceiver } from '../../test/e2e/demo/objects.ts';
import { type Platform, systemNamespace } from '../../test/e2e/demo/platform.ts';
import { forwardService, reachService } from '../../test/e2e/demo/reach.ts';
import type { Delivery } from '../../test/e2e/demo/receiver.ts';
import { adminCreds } from '../../test/operator/broker/world.ts';

/* A tenant with one Integration that listens and sends, each with a Secret; the API server and NATS, asked without a process in between. */
export const name = 'reaction';
export const badStep = filter('body.total >');

export const specOf = (steps: readonly unknown[]) => ({
  sources: [http({ auth: { bearer: secretKeyRef('gate', 'token') } })],
  steps: [...steps] as ReturnType<typeof filter>[],
  sinks: [httpSink()],
  scaling: { minReplicas: 1 },
  deletionPolicy: 'Delete' as const,
});
export const goodStep = filter('true');

export interface ReactionWorld {
  get(kind: ResourceKind, name: string): Promise<KubeObject | undefined>;
  apply(kind: ResourceKind, object: KubeObject): Promise<KubeObject>;
  remove(kind: ResourceKind, name: string): Promise<void>;
  setToken(secret: 'gate' | 'erp', token: string): Promise<void>;
  /** HTTP status of the gateway's answer, or 0 when there is none. */
  post(token: string): Promise<number>;
  /** Tokens with which messages were delivered since the last call. */
  delivered(): Promise<(string | undefined)[]>;
  readonly streams: JetStreamManager;
  close(): Promise<void>;
}

const isAbsent = (error: unknown) => error instanceof ApiError && error.status === 404;

export const startReactionWorld = async (platform: Platform, receiverImage: string): Promise<ReactionWorld> => {
  const identity = await loadIdentity({ kubeconfig: platform.provider.kubeconfig, env: {} });
  const transport = createTransport({ identity, registry: new Registry(), mayWrite: () => true });
  const at = (kind: ResourceKind, object: string, namespace = name) =>
    apiPath(kind, { ...(kind.namespaced ? { namespace } : {}), name: object });
  const read = async (path: string): Promise<KubeObject | undefined> => {
    try {
      return (await transport.request({ method: 'GET', path })) as KubeObject;
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  };
  const apply = async (kind: ResourceKind, object: KubeObject): Promise<KubeObject> =>
    (await transport.request({
      method: 'PATCH',
      path: at(kind, object.metadata.name),
      query: { fieldManager: 'bench', force: 'true' },
      contentType: 'application/apply-patch+yaml',
      body: object,
    })) as KubeObject;
  const setToken = async (secret: string, token: string): Promise<void> => {
    const metadata = { name: secret, namespace: name };
    const data = { token: Buffer.from(token).toString('base64') };
    await apply(Secrets, { apiVersion: 'v1', kind: 'Secret', metadata, data });
  };

  await applyReceiver(platform, receiverImage);
  const allow = [
    { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': receiverNamespace } }, ports: [8080] },
  ];
  const ingressFrom = platform.hostRanges.map((cidr) => ({ cidr }));
  const network = { egress: { allow }, ingressFrom };
  await apply(Tenants, tenant({ namespace: { name }, network, deletionPolicy: 'Delete' }, { name }));
  await until(async () => isTrue(await read(at(Tenants, name)), 'Ready'));
  await Promise.all([setToken('gate', 'first'), setToken('erp', 'first')]);
  const url = `http://receiver.${receiverNamespace}.svc:8080/${name}`;
  const auth = { bearer: secretKeyRef('erp', 'token') };
  await apply(Connections, connection({ http: { url, auth } }, { namespace: name }));
  await apply(Integrations, integration(specOf([goodStep]), { name, namespace: name }));
  await until(async () => isTrue(await read(at(Integrations, name)), 'Ready'));

  const receiver = await reachService(platform, receiverNamespace, 'receiver', 8080);
  const nats = await forwardService(platform, systemNamespace, 'kanava-nats', 4222);
  const keys = readAccountKeys((await read(at(Secrets, `tenant-keys-${name}`, systemNamespace))) as KubeObject);
  const ca = await read(at(ConfigMaps, 'kanava-nats-ca', systemNamespace));
  if (!keys || !ca) throw new Error(`the account of tenant ${name} has no keys, or NATS no CA`);
  const admin = await connect({
    servers: `${nats.host}:${nats.port}`,
    authenticator: credsAuthenticator(new TextEncoder().encode(adminCreds(keys))),
    inboxPrefix: '_INBOX',
    tls: { ca: (ca['data'] as Record<string, string>)['ca.crt'] ?? '' },
  });

  return {
    get: (kind, object) => read(at(kind, object)),
    apply,
    remove: async (kind, object) => void (await transport.request({ method: 'DELETE', path: at(kind, object) })),
    setToken,
    post: async (token) => {
      try {
        // Asked for each time: a Service that was deleted comes back with another address.
        const { clusterIP } = ((await read(at(Services, 'gateway')))?.['spec'] ?? {}) as { clusterIP?: string };
        const { statusCode, body } = await request(`http://${clusterIP}/${name}/in`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
          body: '{}',
          signal: AbortSignal.timeout(5_000),
        });
        await body.dump();
        return statusCode;
      } catch {
        return 0;
      }
    },
    delivered: async () => {
      const where = `http://${receiver.host}:${receiver.port}/deliveries`;
      const { body } = await request(where, { signal: AbortSignal.timeout(15_000) });
      const all = (await body.json()) as Delivery[];
      await (await request(where, { method: 'DELETE' })).body.dump();
      return all
        .filter(({ path }) => path.startsWith(`/${name}`))
        .map(({ headers }) => headers['authorization'] as string);
    },
    streams: await jetstreamManager(admin),
    close: async () => {
      await admin.close();
      await transport.request({ method: 'DELETE', path: at(Tenants, name) });
      await until(async () => !(await read(at(Namespaces, name))) && !(await read(at(Tenants, name))));
      await removeReceiver(platform);
      for (const reached of [receiver, nats]) reached.close();
      await transport.close();
    },
  };
};

interface Conditions {
  readonly observedGeneration?: number;
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
}
/** Of this generation: what was true of an older spec is no answer. */
export const isTrue = (object: KubeObject | undefined, type: string): boolean => {
  const { observedGeneration, conditions = [] } = (object?.['status'] ?? {}) as Conditions;
  return (
    observedGeneration === object?.metadata.generation &&
    conditions.some((condition) => condition.type === type && condition.status === 'True')
  );
};

/** Seconds from now until it holds; looks again `everyMs` after each answer. */
export const until = async (holds: () => Promise<boolean>, everyMs = 20, withinMs = 180_000): Promise<number> => {
  const started = performance.now();
  while (!(await holds())) {
    if (performance.now() - started > withinMs) throw new Error(`not within ${withinMs / 1000} s: ${holds.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  return (performance.now() - started) / 1000;
};
