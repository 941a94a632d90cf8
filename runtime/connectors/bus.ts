import type { z } from 'zod';
import { type Connector, defineBrokerSource, defineSink } from '../connector.ts';
import { reject } from '../errors.ts';
import { compileTree, exprText } from '../expr/tree.ts';
import type { Attributes } from '../message.ts';
import { listOf, pattern, shape } from '../schema.ts';

/*
 * The bus: publish and subscribe between the Integrations of a tenant. Events go by their CloudEvents type. A subscriber reads the bus itself,
 * so each has its own position, retries and dead letters, and a slow one holds up nobody.
 */
const longestType = 253;
/** Neither blanks nor what looks like a wildcard, which it would not be. */
const typeForm = /^[^ \t\n\r\f*>]+$/;

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
  type: exprText(
    'CloudEvents type of the event; = is CEL.',
    /^(=[\s\S]+|[^= \t\n\r\f*>][^ \t\n\r\f*>]*)$/,
    4096,
    'Without it the message keeps its own type. Its other attributes stay in any case, id and source too.',
  ).optional(),
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
  async open({ type: configured }, { scope, publish }) {
    const tree = configured === undefined ? undefined : compileTree(configured);
    return {
      send(message, attempt) {
        const type = typeOf(tree ? tree.evaluate(scope(message, attempt)) : message.attrs.type);
        if (type === message.attrs.type) return publish(message, attempt);
        const attrs: Attributes = { ...message.attrs, type };
        return publish({ ...message, attrs }, attempt);
      },
    };
  },
});

const typeOf = (value: unknown): string => {
  if (typeof value === 'string' && value.length <= longestType && typeForm.test(value) && value.isWellFormed()) {
    return value;
  }
  const found = typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : value === null ? 'null' : typeof value;
  throw reject(
    'InvalidType',
    `an event's type is text of 1 to ${longestType} characters without blanks, * and >; bus.type gave ${found}`,
  );
};

export const busConnector: Connector = { name: 'bus', source: busSource, sink: busSink };
