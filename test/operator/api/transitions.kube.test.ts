import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  connectionChange,
  integrationChange,
  parseConnection,
  parseIntegration,
  parseTenant,
  tenantChange,
} from '../../../operator/api/parse.ts';
import { integration, tenant } from '../../build.ts';
import { type CrdServer, startCrdServer } from './crd-server.ts';

let server: CrdServer;
beforeAll(async () => {
  server = await startCrdServer();
});
afterAll(() => server?.stop());

const kinds = {
  Integration: { parse: parseIntegration, change: integrationChange },
  Connection: { parse: parseConnection, change: connectionChange },
  Tenant: { parse: parseTenant, change: tenantChange },
} as const;

const findingsOf = (before: unknown, after: unknown) => {
  const { parse, change } = kinds[(before as { kind: keyof typeof kinds }).kind];
  const [old, now] = [parse(before), parse(after)];
  if (!old.ok || !now.ok) throw new Error('both objects of a row are valid by themselves');
  return (change as (now: unknown, old: unknown) => { path: string; message: string }[])(now.value, old.value);
};

const storageText = 'inbox.storage cannot change: stored messages would be lost; create another Integration';
const partitionsText = 'delivery.partitions cannot change: keys would lose their order; create another Integration';
const memory = integration({ inbox: { storage: 'Memory' } });
const keyed = (partitions?: number) =>
  integration({ delivery: { ordering: 'Key', key: 'body.id', ...(partitions ? { partitions } : {}) } });

const rows: readonly { why: string; before: unknown; after: unknown; path?: string; text?: string }[] = [
  {
    why: 'a storage that is written out changes',
    before: memory,
    after: integration({ inbox: { storage: 'File' } }),
    path: 'spec.inbox.storage',
    text: storageText,
  },
  {
    why: 'the default was File, though the whole inbox was absent',
    before: integration(),
    after: memory,
    path: 'spec.inbox.storage',
    text: storageText,
  },
  {
    why: 'dropping the inbox means File again',
    before: memory,
    after: integration(),
    path: 'spec.inbox.storage',
    text: storageText,
  },
  {
    why: 'dropping the field alone does, too',
    before: memory,
    after: integration({ inbox: { maxBytes: '64Mi' } }),
    path: 'spec.inbox.storage',
    text: storageText,
  },
  {
    why: 'writing the default out changes nothing',
    before: integration(),
    after: integration({ inbox: { storage: 'File', maxBytes: '64Mi' } }),
  },
  { why: 'partitions grow', before: keyed(2), after: keyed(4), path: 'spec.delivery.partitions', text: partitionsText },
  {
    why: 'partitions were 1, though the whole delivery was absent',
    before: integration(),
    after: keyed(4),
    path: 'spec.delivery.partitions',
    text: partitionsText,
  },
  {
    why: 'dropping delivery means one partition',
    before: keyed(4),
    after: integration(),
    path: 'spec.delivery.partitions',
    text: partitionsText,
  },
  { why: 'one partition is the default', before: keyed(1), after: keyed() },
  {
    why: 'the deletion policy is free',
    before: integration({ deletionPolicy: 'Retain' }),
    after: integration({ deletionPolicy: 'Delete' }),
  },
  {
    why: 'a tenant does not move',
    before: tenant(),
    after: tenant({ namespace: { name: 'other' } }),
    path: 'spec.namespace.name',
    text: 'the namespace of a Tenant cannot change; create another Tenant',
  },
  {
    why: 'everything else of a tenant may change',
    before: tenant(),
    after: tenant({ suspend: true, namespace: { name: 'acme', adopt: true }, deletionPolicy: 'Delete' }),
  },
];

test.each(rows)('$why', async ({ before, after, path, text }) => {
  const created = await server.create(before);
  expect(created.message).toBe('');
  try {
    const answer = await server.replace(after, { dryRun: true });
    const findings = findingsOf(before, after);
    if (text === undefined) {
      expect(answer.message).toBe('');
      expect(findings).toEqual([]);
      return;
    }
    expect(answer.status).toBe(422);
    const cause = answer.causes.find(({ field, message }) => field === path && message.endsWith(text));
    expect(cause, JSON.stringify(answer.causes)).toBeDefined();
    expect(findings).toMatchObject([{ path, message: text }]);
  } finally {
    await server.remove(before);
  }
});
