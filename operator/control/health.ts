import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import type { Controller } from './controller.ts';
import type { ListWatch } from './list-watch.ts';

/** Says what is wrong, or nothing. */
export type Check = () => string | undefined;
export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Twice the longest watch: by then it has been replaced several times. */
const silentAfterSeconds = 1200;

/** A watch that hears nothing for so long does not get out of it by itself. One that is refused is heard: a restart changes nothing. */
export const watchAlive =
  (watch: Pick<ListWatch, 'name' | 'silentSeconds'>, seconds = silentAfterSeconds): Check =>
  () =>
    watch.silentSeconds() > seconds
      ? `the watch of ${watch.name} has heard nothing for ${Math.round(watch.silentSeconds())} s`
      : undefined;
export const watchSynced =
  (watch: Pick<ListWatch, 'name' | 'hasSynced'>): Check =>
  () =>
    watch.hasSynced() ? undefined : `the first list of ${watch.name} is not complete`;
export const controllerMoves = (controller: Pick<Controller, 'stuck'>): Check => controller.stuck;

/** Each look has deadlines of its own, so this cannot happen; and if it does, nobody would be scaled any more. */
const standsStillAfterMs = 60_000;
export const lagMoves =
  (meter: { silentMs(): number }): Check =>
  () =>
    meter.silentMs() > standsStillAfterMs
      ? `what waits in NATS has not been looked at for ${Math.round(meter.silentMs() / 1000)} s`
      : undefined;

/** `/healthz` (restart me), `/readyz` (I do my work) and `/metrics`. The checks are asked anew for each request. */
export const startHealth = async (options: {
  readonly port: number;
  readonly alive: () => readonly Check[];
  readonly ready: () => readonly Check[];
  readonly registry: Registry;
}): Promise<HealthServer> => {
  const answers: Readonly<Record<string, () => readonly Check[]>> = {
    '/healthz': options.alive,
    '/readyz': options.ready,
  };
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const checks = answers[path];
    if (path === '/metrics') {
      options.registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': options.registry.contentType }).end(text),
        (error: unknown) => response.writeHead(500).end(`${String(error)}\n`),
      );
    } else if (checks) {
      const wrong = checks().flatMap((check) => check() ?? []);
      response.writeHead(wrong.length > 0 ? 503 : 200, { 'content-type': 'text/plain; charset=utf-8' });
      response.end(wrong.length > 0 ? `${wrong.join('\n')}\n` : 'ok\n');
    } else response.writeHead(404).end('not here: /healthz, /readyz, /metrics\n');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
