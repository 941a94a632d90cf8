import type { z } from 'zod';
import { defineStep } from '../connector.ts';
import { compileTyped, typeField } from '../connectors/bus-type.ts';
import { reject } from '../errors.ts';
import { compileTree, exprTree } from '../expr/tree.ts';
import { Body, type Message } from '../message.ts';
import { shape } from '../schema.ts';

const config = shape(
  'Publishes an event to the tenant and lets the message go on.',
  {
    type: typeField,
    body: exprTree('Body of the event; absent: that of the message.').optional(),
  },
  {
    doc: 'The message goes on when the bus has stored the event, which stays there whatever becomes of the message later. An attempt that is repeated within two minutes publishes nothing twice. Events of one step differ in the id of the message; one that should be published twice needs two steps.',
  },
);

/** Event message: what happened is told from within a flow, beside what the sinks get. */
export const publishStep = defineStep<z.infer<typeof config>>({
  name: 'publish',
  summary: 'Publishes an event and lets the message go on.',
  config,
  state: 'none',
  connectors: ['bus'],
  open({ type, body }, { scope, publish }) {
    const typed = compileTyped('publish.type', type, scope);
    const tree = body === undefined ? undefined : compileTree(body);
    return {
      async run(message, attempt) {
        // Both are computed from the message as it came.
        const event = typed(message, attempt);
        await publish(tree ? withBody(event, tree.evaluate(scope(message, attempt))) : event, attempt);
        return message;
      },
    };
  },
  examples: () => [
    {
      why: 'the message is an event',
      config: { type: 'order.placed' },
      given: { body: { no: 7 } },
      becomes: [{ body: { no: 7 } }],
      publishes: [{ type: 'order.placed', body: { no: 7 } }],
    },
    {
      why: 'an event of its own, made of the message',
      config: { type: "='order.' + body.status", body: { order: '=body.no' } },
      given: { body: { no: 7, status: 'paid', card: '4111' } },
      becomes: [{ body: { no: 7, status: 'paid', card: '4111' } }],
      publishes: [{ type: 'order.paid', body: { order: 7 } }],
    },
    {
      why: 'a body that is no JSON is published as it is',
      config: { type: 'file.came' },
      given: { text: 'no=7' },
      becomes: [{ text: 'no=7' }],
      publishes: [{ type: 'file.came', text: 'no=7' }],
    },
    {
      why: 'a type that no event can have',
      config: { type: '=body.status' },
      given: { body: { status: 'just paid' } },
      rejects: 'InvalidType',
    },
    { why: 'a wildcard is no type', config: { type: 'order.*' }, refused: 'type' },
  ],
});

const withBody = (message: Message, value: ReturnType<ReturnType<typeof compileTree>['evaluate']>): Message => {
  if (value === undefined) throw reject('NothingMapped', 'publish.body is an absent optional; give it orValue(...)');
  return {
    ...message,
    attrs: { ...message.attrs, datacontenttype: 'application/json' },
    body: Body.fromValue(value),
  };
};
