import { expect, test } from 'vitest';
import { integrationDefaults, tenantDefaults } from '../../../operator/api/defaults.ts';
import { effectiveIntegration, effectiveTenant } from '../../../operator/api/effective.ts';
import { parseIntegration, parseTenant } from '../../../operator/api/parse.ts';
import { deliverySchema } from '../../../runtime/flow.ts';
import { integration, tenant } from '../../build.ts';

test('an empty Integration has every default, in bytes and milliseconds', () => {
  const effective = effectiveIntegration(integration().spec);
  expect(effective).toMatchObject({
    suspend: false,
    steps: [],
    sinks: [],
    inbox: { maxBytes: 32 * 2 ** 20, storage: 'File', replicas: 1 },
    deadLetter: { retentionMs: 7 * 24 * 3_600_000, maxBytes: 16 * 2 ** 20 },
    scaling: { mode: 'Auto', minReplicas: 0, maxReplicas: 10, lagPerReplica: 100, idleAfterMs: 60_000 },
    deletionPolicy: 'Retain',
  });
  // What the runtime gets is complete by its own schema.
  expect(deliverySchema.parse(effective.delivery)).toEqual(integrationDefaults.delivery);
});

test('what is given stays, next to the defaults of what is not', () => {
  const { spec } = integration({
    delivery: { retry: { backoff: { max: '10m' } }, ordering: 'Key', key: 'body.id' },
    inbox: { maxBytes: 1_048_576 },
    scaling: { mode: 'Manual', replicas: 3 },
  });
  const { delivery, inbox, scaling } = effectiveIntegration(spec);
  expect(delivery).toEqual({
    ...integrationDefaults.delivery,
    ordering: 'Key',
    key: 'body.id',
    retry: { attempts: 5, backoff: { initial: '1s', max: '10m' } },
  });
  expect(inbox).toEqual({ maxBytes: 1_048_576, storage: 'File', replicas: 1 });
  expect(scaling).toMatchObject({ mode: 'Manual', replicas: 3 });
});

test('an empty Tenant has every default', () => {
  expect(effectiveTenant('acme', tenant().spec)).toMatchObject({
    displayName: 'acme',
    namespace: { name: 'acme', adopt: false },
    messaging: { storage: 2 * 2 ** 30, memory: 0, streams: 100, connections: 200, maxPayload: 2 ** 20, replicas: 1 },
    network: { egress: { allow: [] }, ingressFrom: [] },
    gateway: { replicas: 1 },
  });
});

test('defaults are values that a user may write', () => {
  const { suspend, delivery, inbox, deadLetter, scaling, deletionPolicy } = integrationDefaults;
  const written = integration({ suspend, delivery, inbox, deadLetter, scaling, deletionPolicy });
  expect(parseIntegration(written)).toMatchObject({ ok: true });
  const { quota, messaging, gateway } = tenantDefaults;
  expect(parseTenant(tenant({ quota, messaging, gateway }))).toMatchObject({ ok: true });
});
