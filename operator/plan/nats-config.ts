import type { KubeObject } from '../reconcile/ports.ts';
import { child, type Home, natsConfigName } from './children.ts';
import { ConfigMaps } from './kinds.ts';

const caFile = 'ca.crt';

/** How pods of a tenant find NATS and whom they trust there. Without a CA the connection is not encrypted. */
export const planNatsConfig = (home: Home, nats: { url: string; ca: string | undefined }): KubeObject =>
  child(ConfigMaps, home, natsConfigName, {
    data: { url: nats.url, ...(nats.ca === undefined ? {} : { [caFile]: nats.ca }) },
  });

/** Sources of a projected volume: `url`, `creds` and, with TLS, `ca.crt`, below a folder. */
export const natsSources = (credentials: string, tls: boolean, folder = ''): Record<string, unknown>[] => [
  {
    configMap: {
      name: natsConfigName,
      items: ['url', ...(tls ? [caFile] : [])].map((key) => ({ key, path: `${folder}${key}` })),
    },
  },
  { secret: { name: credentials, items: [{ key: 'creds', path: `${folder}creds` }] } },
];
