import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { readAccountKeys } from '../../../operator/plan/account.ts';
import type { KubeObject } from '../../../operator/reconcile/ports.ts';
import { mustKubectl } from '../../cluster/kubectl.ts';
import { adminCreds } from '../../operator/broker/world.ts';
import type { TenantName } from './expectations.ts';
import { integration } from './objects.ts';
import { type Platform, systemNamespace } from './platform.ts';
import { forwardService } from './reach.ts';

/** The real server in the cluster, entered with the credentials that lie there. */
export interface Accounts {
  /** May do everything in the tenant's account. Nobody has such credentials: they are made from the account's key for this purpose. */
  admin(tenant: TenantName): Promise<NatsConnection>;
  /** With exactly what the tenant's pods have mounted. */
  pod(tenant: TenantName, role: 'worker' | 'gateway'): Promise<NatsConnection>;
  manager(tenant: TenantName): Promise<JetStreamManager>;
  close(): Promise<void>;
}

export const openAccounts = async (platform: Platform): Promise<Accounts> => {
  const { kubectl } = platform;
  const get = async (kind: string, name: string, namespace: string) =>
    JSON.parse(await mustKubectl(kubectl, ['get', kind, name, '-n', namespace, '-o', 'json'])) as KubeObject;
  const reached = await forwardService(platform, systemNamespace, 'kanava-nats', 4222);
  const { data } = (await get('configmap', 'kanava-nats-ca', systemNamespace)) as unknown as {
    data: Record<string, string>;
  };
  const opened: NatsConnection[] = [];
  const enter = async (creds: string, inboxPrefix: string): Promise<NatsConnection> => {
    const connection = await connect({
      servers: `${reached.host}:${reached.port}`,
      authenticator: credsAuthenticator(new TextEncoder().encode(creds)),
      inboxPrefix,
      tls: { ca: data['ca.crt'] ?? '' },
      maxReconnectAttempts: 3,
    });
    opened.push(connection);
    return connection;
  };
  const admin = async (tenant: TenantName) => {
    const keys = readAccountKeys(await get('secret', `tenant-keys-${tenant}`, systemNamespace));
    if (!keys)
      throw new Error(`Secret tenant-keys-${tenant} in ${systemNamespace} does not hold the keys of an account`);
    return enter(adminCreds(keys), '_INBOX');
  };
  return {
    admin,
    pod: async (tenant, role) => {
      const name = role === 'worker' ? `nats-worker-${integration}` : 'nats-gateway';
      const secret = (await get('secret', name, tenant)) as unknown as { data: { creds: string } };
      const creds = Buffer.from(secret.data.creds, 'base64').toString();
      return enter(creds, role === 'worker' ? `_INBOX_w_${integration}` : '_INBOX_gw');
    },
    manager: async (tenant) => jetstreamManager(await admin(tenant)),
    close: async () => {
      await Promise.all(opened.map((connection) => connection.close()));
      reached.close();
    },
  };
};
