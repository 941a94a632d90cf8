import { expect } from 'vitest';
import { effectiveIntegration } from '../../../operator/api/effective.ts';
import { planSchedules } from '../../../operator/plan/shared-streams.ts';
import { catalog } from '../../../runtime/catalog.ts';
import type { BrokerSource } from '../../../runtime/connector.ts';
import { tickHeaders } from '../../../runtime/nats/ticks.ts';
import { integration as integrationOf, schedule } from '../../build.ts';
import { brokerSourceConformance } from '../../conformance/source.ts';
import { hasty, subscribe, waiting } from '../engine/shared-streams.ts';
import { integration } from '../engine/workshop.ts';

const config = { cron: '* * * * * *' };

brokerSourceConformance('schedule', {
  definition: catalog.sources.get('schedule') as BrokerSource,
  config,
  bad: [
    ['no times', {}],
    ['a day that never comes', { cron: '0 0 31 2 *' }],
    ['a time zone that there is not', { cron: '0 2 * * *', timeZone: 'Mars/Base' }],
  ],
  subscribe: (workshop, source) => subscribe(workshop, integration, [source], hasty),
  left: (workshop) => waiting(workshop, 'tick', integration),
  async put({ tenant, manager }) {
    const { spec } = integrationOf({ sources: [schedule(config, 'in')] });
    const schedules = planSchedules({ tenant: 'acme', integration }, effectiveIntegration(spec));
    await tenant.broker.ensureSchedules(integration, schedules);
    const last = () => manager.streams.getMessage('tick', { last_by_subj: `tick.${integration}.in` });
    await expect.poll(last, { timeout: 60_000, interval: 50 }).not.toBeNull();
    // The last one for now: what nobody read is one message.
    await manager.streams.purge('tick', { filter: 'cron.>' });
    const tick = await last();
    const headers = { 'ce-source': tick?.header.get('ce-source') ?? '' };
    return [tickHeaders(headers, tick?.time.getTime() ?? 0)['ce-id'] ?? ''];
  },
});
