import { describe, expect, it } from 'vitest';
import type { SinkContext } from '../../../runtime/connector.ts';
import { busConnector } from '../../../runtime/connectors/bus.ts';
import type { Message } from '../../../runtime/message.ts';
import { attempt, messageOf, scope } from '../steps/harness.ts';

const { sink } = busConnector;
if (!sink) throw new Error('the bus has a sink');

const published = async (config: unknown, message: Message): Promise<Message[]> => {
  const seen: Message[] = [];
  const context = { scope, publish: async (one: Message) => void seen.push(one) } as unknown as SinkContext;
  const open = await sink.open(sink.config.parse(config), context);
  await open.send(message, attempt);
  return seen;
};

describe('the bus sink', () => {
  it.each([
    ['its own type without any', {}, 'order'],
    ['a fixed one', { type: 'order.placed' }, 'order.placed'],
    ['a computed one', { type: '="order." + body.kind' }, 'order.large'],
  ])('gives an event %s, and leaves its other attributes', async (_, config, type) => {
    const message = messageOf({ kind: 'large' });
    const [event] = await published(config, message);
    expect(event).toEqual({ ...message, attrs: { ...message.attrs, type } });
  });

  it.each([
    ['a number', { type: '=body.count' }],
    ['an absent optional', { type: '=body.?nothing' }],
    ['nothing', { type: '=""' }],
    ['a wildcard', { type: '="order.*"' }],
    ['half a character', { type: '=body.half' }],
    ['a line break', { type: '="a\\nb"' }],
    ['too much', { type: '=body.long' }],
  ])('rejects a type that is %s', async (_, config) => {
    const message = messageOf({ count: 1, half: '\ud800', long: 'x'.repeat(254) });
    await expect(published(config, message)).rejects.toMatchObject({ instruction: 'reject', code: 'InvalidType' });
  });

  it('refuses types that nobody could subscribe to where it is configured', () => {
    for (const type of ['', 'a b', 'order.*', '>', 'a\tb', '=body.']) {
      expect(sink.config.safeParse({ type }).success, type).toBe(false);
    }
  });
});
