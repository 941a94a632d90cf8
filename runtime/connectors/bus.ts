import type { z } from 'zod';
import { type Connector, defineBrokerSource, defineSink } from '../connector.ts';
import { listOf, pattern, shape } from '../schema.ts';
import { compileTyped, longestType, typeField, typeForm } from './bus-type.ts';

/*
 * The bus: publish and subscribe between the Integrations of a tenant. Events go by their CloudEvents type. A subscriber reads the bus itself,
 * so each has its own position, retries and dead letters, and a slow one holds up nobody.
 */
const sourceConfig = shape('Subscribes to events of the tenant.', {
  types: listOf(
    'CloudEvents types; a new one starts with its next event.',
    pattern('CloudEvents type, such as order.placed.', typeForm, longestType),
    1,
    32,
    {
      doc: 'Exactly these: there are no wildcards. A type that is taken away is not delivered any more, the others go on.',
    },
  ),
});

const busSource = defineBrokerSource<z.infer<typeof sourceConfig>>({
  name: 'bus',
  summary: 'Subscribes to events of the tenant.',
  placement: 'broker',
  config: sourceConfig,
  examples: () => [{ why: 'two kinds of events', config: { types: ['order.placed', 'order.cancelled'] } }],
  bind: ({ types }) => ({ stream: 'bus', types }),
});

const sinkConfig = shape('Publishes events to the tenant.', {
  type: typeField,
});

const busSink = defineSink<z.infer<typeof sinkConfig>>({
  name: 'bus',
  summary: 'Publishes events to the tenant.',
  config: sinkConfig,
  // Within the two minutes in which the stream remembers ids.
  idempotent: () => true,
  examples: () => [
    { why: 'events of one type', config: { type: 'order.placed' } },
    { why: 'the type follows from the body', config: { type: "='order.' + body.status" } },
    { why: 'the message keeps its own type', config: {} },
  ],
  async open({ type }, { scope, publish }) {
    const typed = compileTyped('bus.type', type, scope);
    return { send: (message, attempt) => publish(typed(message, attempt), attempt) };
  },
});

export const busConnector: Connector = { name: 'bus', source: busSource, sink: busSink };
