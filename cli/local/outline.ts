import { catalog } from '../../runtime/catalog.ts';
import { pluginOf } from '../../runtime/flow.ts';
import type { LocalIntegration } from './plan.ts';

/* What an Integration looks like, in one line. */

/** `shop http://localhost:8080/orders/in -> valid -> erp(http)`. */
export const outlineOf = ({ name, flow, schedules, suspended }: LocalIntegration, url: string): string => {
  const sources = flow.sources.map((item) => {
    const { kind, definition, config } = pluginOf(item, catalog.sources);
    if (definition.placement === 'gateway')
      return `${item.name} ${definition
        .paths(config)
        .map((path) => `${url}/${name}${path}`)
        .join(' ')}`;
    const schedule = schedules.find(({ source }) => source === item.name)?.schedule;
    return schedule ? `${item.name} "${schedule.cron}" ${schedule.timeZone}` : `${item.name}(${kind})`;
  });
  const steps = flow.steps.map((step) => step.name);
  const sinks = flow.sinks.map((item) => `${item.name}(${pluginOf(item, catalog.sinks).kind})`);
  const way = [sources.join(', '), ...steps, sinks.join(', ')].filter((part) => part !== '').join(' -> ');
  return suspended ? `${way} (suspended: accepts, and works on nothing)` : way;
};

/** The Connection that a sink sends to; none when it needs none. */
export const connectionOf = ({ flow }: LocalIntegration, sink: string): string | undefined => {
  const item = flow.sinks.find(({ name }) => name === sink);
  const config = item && pluginOf(item, catalog.sinks).config;
  return (config as { connectionRef?: { name?: string } } | undefined)?.connectionRef?.name;
};
