import { expect, it } from 'vitest';
import { choice, filter, map } from '../../build.ts';
import { eventually, flowTo, startReceiver, startWorkshop } from './workshop.ts';

it('a worker leads messages through named flows; a dead letter names the step inside', async () => {
  const receiver = await startReceiver();
  const workshop = await startWorkshop();
  const flow = flowTo(receiver.url, {
    steps: [
      choice(
        [
          ['body.total > 100', 'large'],
          ['body.total < 0', 'broken'],
        ],
        'small',
      ),
      map({ kind: '=body.kind', shaped: true }, 'after'),
    ],
    flows: [
      { name: 'large', steps: [map({ kind: 'large' }, 'make-large')] },
      { name: 'small', steps: [filter('body.total > 0', 'worth-it'), map({ kind: 'small' }, 'make-small')] },
      { name: 'broken', steps: [map('=body.customer.name', 'needs-customer')] },
    ],
  });
  await workshop.startWorker(flow);
  await workshop.publish(['a'], { total: 500 });
  await workshop.publish(['b'], { total: 5 });
  await workshop.publish(['c'], { total: 0 });
  await workshop.publish(['d'], { total: -1 });
  await eventually(() => workshop.messages('inbox_orders')).toBe(0);

  const delivered = receiver.calls.map(({ id, body }) => [id, JSON.parse(body) as unknown]);
  expect(new Map(delivered as [string, unknown][])).toEqual(
    new Map([
      ['a', { kind: 'large', shaped: true }],
      ['b', { kind: 'small', shaped: true }],
    ]),
  );
  const dead = await workshop.manager.streams.getMessage('dlq_orders', { last_by_subj: 'dlq.orders.needs-customer' });
  expect(['ce-id', 'kanava-code', 'kanava-part'].map((name) => dead?.header.get(name))).toEqual([
    'd',
    'ExpressionFailed',
    'needs-customer',
  ]);
  expect(await workshop.messages('dlq_orders')).toBe(1);
});
