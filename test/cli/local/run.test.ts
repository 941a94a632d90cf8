import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { RunOptions } from '../../../cli/local/run.ts';
import { post, startRun } from './running.ts';

/* Integrations of files in this process; nothing else is needed, and nothing of it is pretended. */

const folder = mkdtempSync(join(tmpdir(), 'kanava-run-'));
const endings: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const connection = (url: string) => `apiVersion: kanava.dev/v1alpha1
kind: Connection
metadata: {name: erp}
spec: {http: {url: "${url}"}}
`;
const integration = (name: string, spec: string) => `---
apiVersion: kanava.dev/v1alpha1
kind: Integration
metadata: {name: ${name}}
spec:
${spec.replace(/^/gm, '  ')}
`;
const orders = (value = '=body.id') =>
  integration(
    'orders',
    `sources: [{name: shop, http: {path: /in}}]
steps: [{name: shape, map: {body: {id: "${value}"}}}]
sinks: [{name: erp, http: {connectionRef: {name: erp}, path: /x}}]`,
  );
const write = (name: string, text: string): string => {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
};

const start = (given: Partial<RunOptions> = {}) => startRun({ paths: [folder], ...given }, (end) => endings.push(end));

describe('kanava run', () => {
  it('takes requests and prints what would be sent', async () => {
    write('a.yaml', connection('https://erp.example.com') + orders());
    const running = start();
    expect(await post(await running.url(), { id: 7 })).toBe(202);
    await expect
      .poll(running.printed, { timeout: 60_000 })
      .toMatchObject([{ integration: 'orders', sink: 'erp', body: { id: 7 } }]);
    expect(await running.end()).toBe(true);
  });

  it.each([
    ['passed on as it is', '', 1],
    ['taken apart', 'steps: [{name: items, split: {items: body}}]', 20],
  ])('20 MB are %s, and of what is printed as large the size', async (_, steps, messages) => {
    const seen: number[] = [];
    const server = createServer((request, response) => {
      let bytes = 0;
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      request.on('end', () => {
        seen.push(bytes);
        response.end();
      });
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    endings.push(async () => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const spec = `inbox: {largeBodies: {}}
sources: [{name: shop, http: {path: /in, maxBytes: 64Mi}}]
${steps}
sinks: [{name: erp, http: {connectionRef: {name: erp}}}]`;
    write('a.yaml', connection(url) + integration('orders', spec));
    const items = Array.from({ length: 20 }, () => 'x'.repeat(1024 ** 2));
    const whole = JSON.stringify(items).length;
    const sending = start({ print: false });
    expect(await post(await sending.url(), items)).toBe(202);
    await expect.poll(() => seen.length, { timeout: 60_000 }).toBe(messages);
    expect(seen).toEqual(messages === 1 ? [whole] : items.map((item) => item.length + 2));
    await sending.end();

    const printing = start();
    expect(await post(await printing.url(), items)).toBe(202);
    await expect
      .poll(() => printing.printed().map(({ body }) => body), { timeout: 60_000 })
      .toEqual(messages === 1 ? [`(${whole} bytes, a large body)`] : items);
    expect(seen).toHaveLength(messages);
    expect(await printing.end()).toBe(true);
  });

  it('sends to the Connection, with its Secret, and repeats what failed', async () => {
    const seen: IncomingMessage[] = [];
    const server = createServer((request, response) => {
      seen.push(request);
      response.writeHead(seen.length === 1 ? 503 : 200).end();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    endings.push(async () => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const auth = 'auth: {bearer: {secretKeyRef: {name: erp, key: token}}}';
    write('a.yaml', connection(url).replace(`"${url}"`, `"${url}", ${auth}`) + orders());
    mkdirSync(join(folder, 'values', 'erp'), { recursive: true });
    write('values/erp/token', 's3cret\n');
    const running = start({ print: false, secretsFolder: join(folder, 'values') });
    await post(await running.url(), { id: 7 });
    await running.says(/erp has /);
    expect(seen.map(({ method, url: path, headers }) => [method, path, headers.authorization])).toEqual([
      ['POST', '/x', 'Bearer s3cret'],
      ['POST', '/x', 'Bearer s3cret'],
    ]);
  });

  const files = (to: string) =>
    `apiVersion: kanava.dev/v1alpha1
kind: Connection
metadata: {name: exchange}
spec: {file: {claim: exchange}}
${integration(
  'copy',
  `sources: [{name: files, file: {connectionRef: {name: exchange}, folder: in, every: 20ms, stableFor: 1ms}}]
sinks: [{name: out, file: {connectionRef: {name: exchange}, folder: ${to}, name: =attrs.filename}}]`,
)}`;
  const filesOf = (name: string) => readdirSync(join(folder, 'volumes', 'exchange', name));

  it('takes files of a folder that stands for a volume, writes others, and follows edits', async () => {
    write('a.yaml', files('out'));
    mkdirSync(join(folder, 'volumes', 'exchange', 'in'), { recursive: true });
    const running = start({ paths: [join(folder, 'a.yaml')], print: false, volumesFolder: join(folder, 'volumes') });
    await running.says(/runs 1 Integration/);
    write('volumes/exchange/in/a.txt', 'a');
    await running.says(/out has /);
    expect(filesOf('out')).toEqual(['a.txt']);
    await expect.poll(() => filesOf('in/done'), { timeout: 60_000 }).toEqual(['a.txt']);
    write('a.yaml', files('other'));
    await running.says(/taken over/);
    write('volumes/exchange/in/b.txt', 'b');
    await expect.poll(() => filesOf('in/done'), { timeout: 60_000 }).toEqual(['a.txt', 'b.txt']);
    expect(await running.end()).toBe(true);
    expect(filesOf('out')).toEqual(['a.txt']);
    expect(filesOf('other')).toEqual(['b.txt']);
  });

  it('gives one message to an Integration that fetches, and leaves the files alone', async () => {
    write('a.yaml', files('out'));
    mkdirSync(join(folder, 'volumes', 'exchange', 'in'), { recursive: true });
    write('volumes/exchange/in/a.txt', 'a');
    const once = write('once.json', '{"sum": 7}');
    const running = start({ paths: [join(folder, 'a.yaml')], volumesFolder: join(folder, 'volumes'), once });
    expect(await running.finished).toBe(true);
    expect(running.printed()).toMatchObject([{ sink: 'out', body: { sum: 7 } }]);
    expect(filesOf('in')).toEqual(['a.txt']);
  });

  it('says of a missing volume how to give it, and starts nothing', async () => {
    write('a.yaml', files('out'));
    const running = start({ paths: [join(folder, 'a.yaml')], volumesFolder: join(folder, 'volumes') });
    expect(await running.finished).toBe(false);
    expect(running.notes()).toMatch(/volume of the claim exchange: make a folder exchange, and name .* --volumes/);
  });

  it('says of a missing Secret both ways to give it, and starts nothing', async () => {
    const auth = '"https://a.example", auth: {bearer: {secretKeyRef: {name: erp, key: token}}}';
    const text = connection('https://a.example').replace('"https://a.example"', auth) + orders();
    write('a.yaml', text);
    const without = start();
    expect(await without.finished).toBe(false);
    expect(without.notes()).toMatch(/a\.yaml:6:1: key token of Secret erp .*add the Secret.*erp\/token.*--secrets/);
    const secret = '---\napiVersion: v1\nkind: Secret\nmetadata: {name: erp}\nstringData: {token: x}\n';
    write('a.yaml', text + secret);
    const withObject = start();
    await withObject.says(/runs 1 Integration/);
  });

  it('says what kanava check says, and starts nothing', async () => {
    write('a.yaml', connection('https://erp.example.com') + orders('=body.'));
    const running = start();
    expect(await running.finished).toBe(false);
    expect(running.notes()).toMatch(/a\.yaml:\d+:\d+: spec\.steps\[0\]\.map\.body\.id: /);
  });

  it('hands events of one Integration to those that subscribe', async () => {
    write(
      'a.yaml',
      connection('https://erp.example.com') +
        integration(
          'publisher',
          'sources: [{name: shop, http: {path: /in}}]\nsinks: [{name: events, bus: {type: "order.placed"}}]',
        ) +
        integration(
          'subscriber',
          'sources: [{name: orders, bus: {types: [order.placed]}}]\nsinks: [{name: erp, http: {connectionRef: {name: erp}}}]',
        ),
    );
    const running = start();
    await post(await running.url(), { id: 7 });
    await expect.poll(running.printed, { timeout: 60_000 }).toMatchObject([
      { integration: 'publisher', sink: 'events' },
      { integration: 'subscriber', body: { id: 7 } },
    ]);
  });

  it('answers requests with what the flow makes of them', async () => {
    write(
      'a.yaml',
      integration(
        'ask',
        'sources: [{name: shop, http: {path: /in, reply: {}}}]\nsteps: [{name: sum, map: {body: {sum: "=body.a + body.b"}}}]',
      ),
    );
    const running = start();
    const answer = await fetch(await running.url(), { method: 'POST', body: '{"a": 1, "b": 2}' });
    expect(await answer.json()).toEqual({ sum: 3 });
  });

  it('has a listener for each namespace, with the paths of a cluster', async () => {
    for (const namespace of ['acme', 'globex']) {
      const text = connection('https://erp.example.com') + orders(`=body.id + ' ${namespace}'`);
      write(`${namespace}.yaml`, text.replaceAll('metadata: {', `metadata: {namespace: ${namespace}, `));
    }
    const running = start();
    await running.says(/runs 2 Integrations/);
    const urls = [...running.notes().matchAll(/http:\S+/g)].map(([url]) => url);
    expect(new Set(urls).size).toBe(2);
    for (const url of urls) expect(await post(url, { id: 'of' })).toBe(202);
    await expect
      .poll(() => running.printed().map(({ body }) => body), { timeout: 60_000 })
      .toEqual(expect.arrayContaining([{ id: 'of acme' }, { id: 'of globex' }]));
  });

  it('accepts for one that is suspended, works on it when it goes on, and shows what steps log', async () => {
    const text = orders().replace('steps: [', 'steps: [{name: say, log: {text: saw, fields: {id: "=body.id"}}}, ');
    write('a.yaml', connection('https://erp.example.com') + text.replace('  sources', '  suspend: true\n  sources'));
    const running = start();
    expect(await post(await running.url(), { id: 7 })).toBe(202);
    expect(running.printed()).toEqual([]);
    write('a.yaml', connection('https://erp.example.com') + text);
    await expect.poll(running.printed, { timeout: 60_000 }).toMatchObject([{ body: { id: 7 } }]);
    expect(running.notes()).toMatch(/orders: saw id=\S+ fields=\{"id":7\}/);
  });

  it('keeps the order of a key, also over an edit', async () => {
    const ordered = (value: string) =>
      connection('https://erp.example.com') +
      orders(value).replace('  sinks:', '  delivery: {ordering: Key, key: "string(body.id)", partitions: 2}\n  sinks:');
    write('a.yaml', ordered('=body.n'));
    const running = start();
    const url = await running.url();
    for (let n = 0; n < 10; n += 1) await post(url, { id: n % 3, n });
    write('a.yaml', ordered('=body.n + 100'));
    await running.says(/orders: restarted/);
    for (let n = 10; n < 20; n += 1) await post(url, { id: n % 3, n });
    await expect.poll(() => running.printed().length, { timeout: 60_000 }).toBe(20);
    const numbers = running.printed().map(({ body }) => (body as { id: number }).id % 100);
    for (const key of [0, 1, 2])
      expect(numbers.filter((n) => n % 3 === key)).toEqual(
        Array.from({ length: 20 }, (_, n) => n).filter((n) => n % 3 === key),
      );
  });

  it('keeps it also of what comes over the bus', async () => {
    const shop = 'sources: [{name: shop, http: {path: /in}}]\nsinks: [{name: events, bus: {type: placed}}]';
    const mail = `sources: [{name: events, bus: {types: [placed]}}]
delivery: {ordering: Key, key: "string(body.id)", partitions: 4}
sinks: [{name: erp, http: {connectionRef: {name: erp}, path: /x}}]`;
    write('a.yaml', connection('https://erp.example.com') + integration('shop', shop) + integration('mail', mail));
    const running = start();
    const url = await running.url();
    for (let n = 0; n < 20; n += 1) await post(url, { id: n % 3, n });
    const mailed = () => running.printed().filter((line) => line.integration === 'mail');
    await expect.poll(() => mailed().length, { timeout: 60_000 }).toBe(20);
    const found = mailed().map(({ body }) => body as { id: number; n: number });
    for (const key of [0, 1, 2]) {
      const numbers = found.filter(({ id }) => id === key).map(({ n }) => n);
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    }
  });

  it('makes messages by the clock', async () => {
    const text = 'sources: [{name: clock, schedule: {cron: "* * * * * *", body: "{}"}}]\n';
    const sinks = 'sinks: [{name: erp, http: {connectionRef: {name: erp}}}]';
    write('a.yaml', connection('https://erp.example.com') + integration('ticks', text + sinks));
    const running = start();
    await expect.poll(() => running.printed().length, { timeout: 60_000 }).toBeGreaterThan(1);
  });

  it('takes an edit over, keeps the last good form of a broken one, and leaves the others alone', async () => {
    write('c.yaml', connection('https://erp.example.com'));
    write('orders.yaml', orders());
    write('other.yaml', orders().replace('name: orders', 'name: other'));
    const running = start();
    const url = (await running.url()).replace(/\/(orders|other)\/in$/, '/orders/in');
    await running.says(/runs 2 Integrations/);
    await post(url, { id: 1 });
    await expect.poll(() => running.printed().length, { timeout: 60_000 }).toBe(1);

    write('orders.yaml', orders("='new ' + string(body.id)"));
    await running.says(/orders: restarted/);
    await post(url, { id: 2 });
    await expect.poll(() => running.printed().at(-1)?.body, { timeout: 60_000 }).toEqual({ id: 'new 2' });

    write('orders.yaml', orders('=body.'));
    await running.says(/not taken over: what ran before goes on/);
    await post(url, { id: 3 });
    await expect.poll(() => running.printed().at(-1)?.body, { timeout: 60_000 }).toEqual({ id: 'new 3' });

    write('orders.yaml', '');
    await running.says(/orders\.yaml is empty: what ran before goes on/);
    rmSync(join(folder, 'orders.yaml'));
    await running.says(/orders: stopped/);
    expect(await post(url, { id: 4 })).toBe(404);
    expect(running.notes()).not.toMatch(/other: (restarted|stopped)/);
  });

  it.each([
    ['a message that arrives', '{"id": 1}', true],
    ['a message that does not', '{"no": 1}', false],
  ])('sends one and tells by its result what became of it: %s', async (_what, body, fine) => {
    write('a.yaml', connection('https://erp.example.com') + orders());
    const running = start({ once: write('message.json', body), to: 'orders' });
    expect(await running.finished).toBe(fine);
    expect(running.printed().length).toBe(fine ? 1 : 0);
    if (!fine) expect(running.notes()).toMatch(/orders: dead letter of shape: \w+: .*; body: {"no":1}/);
  });
});
