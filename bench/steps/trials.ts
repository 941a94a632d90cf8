import { Ajv2020 } from 'ajv/dist/2020.js';

/* Steps as users write them, and functions that somebody would write instead. Both read strictly: what is no UTF-8 is an error. */
export interface StepTrial {
  readonly step: Readonly<Record<string, unknown>>;
  readonly flows?: Readonly<Record<string, readonly object[]>>;
  /** It asks the Connection `crm`: its server is in the same process, and counts. */
  readonly asks?: true;
  /** Its work is done in another thread, in batches: several messages at a time, and the CPU time of all threads counts. */
  readonly inThread?: true;
  /** Bytes that were written. */
  readonly byHand?: (bytes: Uint8Array) => number;
}

interface Line {
  readonly sku: string;
  readonly qty: number;
  readonly price: number;
}
interface Order {
  readonly id: string;
  readonly country: string;
  readonly total: number;
  readonly customer: { readonly name: string; readonly email: string; readonly address: object };
  readonly lines: readonly Line[];
}
/** Of ten lines. */
export const order: Order = {
  id: 'order-000123',
  country: 'FI',
  total: 812.5,
  customer: {
    name: 'Ada Virtanen',
    email: 'ada@example.com',
    address: { street: 'Aurakatu 1', zip: '20100', city: 'Turku' },
  },
  lines: Array.from({ length: 10 }, (_, index) => ({ sku: `sku-${index}`, qty: index + 1, price: 10.5 + index })),
};

const decoder = new TextDecoder('utf-8', { fatal: true });
const read = (bytes: Uint8Array): Order => JSON.parse(decoder.decode(bytes)) as Order;
const write = (value: unknown): number => Buffer.from(JSON.stringify(value)).length;

const schema = {
  type: 'object',
  required: ['id', 'total', 'lines'],
  properties: {
    id: { type: 'string', minLength: 1 },
    total: { type: 'number', minimum: 0 },
    lines: {
      type: 'array',
      items: {
        type: 'object',
        required: ['sku', 'qty'],
        properties: { sku: { type: 'string' }, qty: { type: 'integer' }, price: { type: 'number' } },
      },
    },
  },
};
const fits = new Ajv2020({ strict: false }).compile(schema);

export const stepTrials: readonly StepTrial[] = [
  {
    step: { filter: { when: "body.country == 'FI' && body.total > 10.0" } },
    byHand: (bytes) => {
      const { country, total } = read(bytes);
      return country === 'FI' && total > 10 ? bytes.length : 0;
    },
  },
  {
    step: {
      map: {
        body: { no: '=body.id', buyer: '=body.customer.name', to: '=body.customer.address', lines: '=body.lines' },
      },
    },
    byHand: (bytes) => {
      const { id, customer, lines } = read(bytes);
      return write({ no: id, buyer: customer.name, to: customer.address, lines });
    },
  },
  {
    step: { set: { body: { seen: true, customer: { email: '=body.customer.name' }, sum: '=body.total * 2' } } },
    byHand: (bytes) => {
      const body = read(bytes);
      return write({
        ...body,
        seen: true,
        customer: { ...body.customer, email: body.customer.name },
        sum: body.total * 2,
      });
    },
  },
  {
    step: {
      choice: {
        cases: [
          { when: "body.country == 'SE'", flow: 'none' },
          { when: 'body.total > 500.0', flow: 'large' },
        ],
      },
    },
    flows: { none: [{ filter: { when: 'false' } }], large: [{ set: { body: { large: true } } }] },
    byHand: (bytes) => {
      const body = read(bytes);
      if (body.country === 'SE') return 0;
      return body.total > 500 ? write({ ...body, large: true }) : bytes.length;
    },
  },
  {
    step: { split: { items: 'body.lines' } },
    byHand: (bytes) => read(bytes).lines.reduce((size, line) => size + write(line), 0),
  },
  {
    step: { validate: { schema } },
    byHand: (bytes) => (fits(read(bytes)) ? bytes.length : 0),
  },
  {
    step: { remove: { fields: ['customer.email', 'lines.*.price'] } },
    byHand: (bytes) => {
      const { customer, lines, ...rest } = read(bytes);
      const { email: _, ...kept } = customer;
      return write({ ...rest, customer: kept, lines: lines.map(({ price: _price, ...line }) => line) });
    },
  },
  { step: { log: { text: 'an order', fields: { no: '=body.id' } } } },
  { step: { delay: { for: '1ms' } } },
  { step: { throttle: { rate: 1_000_000, per: '1ms', burst: 100_000 } } },
  {
    step: {
      parallel: {
        branches: [
          { name: 'a', flow: 'a' },
          { name: 'b', flow: 'b' },
        ],
      },
    },
    flows: { a: [{ map: { body: '=body.id' } }], b: [{ map: { body: '=body.total' } }] },
  },
  { step: { publish: { type: 'order.came', body: { no: '=body.id' } } } },
  { step: { tap: { flow: 'audit' } }, flows: { audit: [{ map: { body: '=body.id' } }] } },
  { step: { dedupe: { key: 'body.id', window: '1h' } } },
  // All have one number: the first comes out, the others are dropped.
  { step: { resequence: { key: 'body.id', number: '1', first: 1, timeout: '1h', late: 'Drop' } } },
  { step: { checkpoint: {} } },
  { step: { aggregate: { key: 'body.country', until: { count: 10, timeout: '1h' } } } },
  {
    step: { lookup: { as: 'customer', http: { connectionRef: { name: 'crm' }, path: '/a' }, cache: { for: '1h' } } },
    asks: true,
  },
  { step: { call: { as: 'customer', http: { connectionRef: { name: 'crm' }, path: '/a' } } }, asks: true },
  {
    step: {
      template: {
        text: 'Dear {{ body.customer.name }},\n{% for line in body.lines %}{{ line.qty }} x {{ line.sku }}\n{% endfor %}',
      },
    },
    inThread: true,
  },
  {
    step: { jsonata: { expression: '{"no": body.id, "lines": body.lines.{"sku": sku, "sum": qty * price}}' } },
    inThread: true,
  },
  {
    step: {
      script: {
        code: 'const { id, lines } = message.body; return { body: { no: id, lines: lines.map(({ sku, qty, price }) => ({ sku, sum: qty * price })) } };',
      },
    },
    inThread: true,
  },
];
