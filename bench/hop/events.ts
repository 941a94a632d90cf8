/* The messages of the hop, and what each participant makes of them. 1 KiB of JSON, as orders look. */
export interface OrderEvent {
  readonly id: string;
  readonly type: string;
  readonly ts: number;
  readonly tenant: string;
  readonly customer: { readonly id: number; readonly name: string; readonly email?: string; readonly vip: boolean };
  readonly items: readonly { readonly sku: string; readonly qty: number; readonly price: number }[];
  readonly total: number;
  readonly tags: readonly string[];
  readonly note: string;
  /** Time of sending, where latency is measured. */
  readonly t?: number;
}

const bytes = 1024;

export const orderEvent = (index: number): OrderEvent => {
  const event = {
    id: `evt-${index}`,
    type: 'order.created',
    ts: 1_763_740_800_000 + index,
    tenant: 'acme',
    customer: { id: index % 9973, name: 'Jane Doe', email: 'jane@example.com', vip: index % 7 === 0 },
    items: [
      { sku: 'A-100', qty: 2, price: 19.9 },
      { sku: 'B-200', qty: 1, price: 5.25 },
    ],
    total: 45.05,
    tags: ['web', 'eu', 'retail'],
    note: '',
  };
  return { ...event, note: 'x'.repeat(bytes - JSON.stringify(event).length) };
};

/** What the yardsticks in JavaScript compute, and Kanava by its `map` step. */
export const transformed = (event: OrderEvent) => ({
  ...event,
  total: Math.round(event.total * 119) / 100,
  customer: { ...event.customer, email: undefined },
  seen: event.ts + 1,
});

const fields = ['id', 'type', 'ts', 'tenant', 'items', 'tags', 'note'];
/** The same as configuration; `t` passes where there is one. */
export const mapBody = (withTime: boolean) => ({
  ...Object.fromEntries([...fields, ...(withTime ? ['t'] : [])].map((field) => [field, `=body.${field}`])),
  customer: { id: '=body.customer.id', name: '=body.customer.name', vip: '=body.customer.vip' },
  total: '=double(int(body.total * 119.0 + 0.5)) / 100.0',
  seen: '=body.ts + 1',
});

/** How much of the content a participant promises: all of it, one patched byte (C, which has no JSON), or the ids only. */
export type Promised = 'transformed' | 'patched' | 'ids';

/** Number of the event, or an error that says what is wrong with it. */
export const verifiedIndex = (text: string, promised: Promised): number => {
  const event = JSON.parse(text) as OrderEvent & { readonly seen?: number };
  const index = Number(/^evt-(\d+)$/.exec(event.id)?.[1] ?? Number.NaN);
  const { seen, total, customer, note } = event;
  const whole = seen === event.ts + 1 && total === 53.61 && customer.email === undefined;
  const right = promised === 'ids' || (promised === 'patched' ? total === 95.05 : whole);
  if (Number.isNaN(index) || !right || note !== orderEvent(index).note) {
    throw new Error(`a message arrived wrong: ${text.slice(0, 300)}`);
  }
  return index;
};
