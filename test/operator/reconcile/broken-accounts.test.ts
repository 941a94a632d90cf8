import { expect, it } from 'vitest';
import type { Cluster, StreamLag } from '../../../operator/reconcile/ports.ts';
import { brokenAccounts } from '../../../operator/reconcile/wake.ts';
import { tenant } from '../../build.ts';

it('wakes the tenants whose accounts lost a stream, once each', () => {
  const named = (name: string, id?: string) => ({
    ...tenant({ namespace: { name } }, { name }),
    ...(id && { status: { account: { id } } }),
  });
  const list = () => [named('acme', 'A1'), named('globex', 'A2'), named('initech', 'A3'), named('new')];
  const woken: string[] = [];
  const wake = brokenAccounts({ list } as unknown as Cluster, { tenant: (name) => void woken.push(name) });
  const lag = (account: string, stream: string) => ({ account, stream }) as StreamLag;
  wake({ gone: [] });
  wake({ gone: [lag('A1', 'KV_state'), lag('A1', 'bus'), lag('A3', 'inbox_orders'), lag('other', 'x')] });
  expect(woken).toEqual(['acme', 'initech']);
});
