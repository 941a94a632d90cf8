import { describe, expect, it, onTestFinished } from 'vitest';
import { newCounters, serveHealth } from '../../runtime/telemetry.ts';

describe('the health port', () => {
  const serve = async () => {
    const state = { ok: false };
    const counters = newCounters();
    const health = await serveHealth({
      port: 0,
      ready: () => ({ ok: state.ok, detail: { nats: state.ok } }),
      counters,
      gauges: [{ name: 'held', help: 'Held.', value: () => 7 }],
      tallies: [{ name: 'answers', help: 'Answers.', label: 'status', values: new Map([['202', 3]]) }],
    });
    onTestFinished(() => health.close());
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${health.port}${path}`);
      return { status: response.status, text: await response.text() };
    };
    return { state, counters, get };
  };

  it('is alive at once, and ready when it is', async () => {
    const { state, get } = await serve();
    expect((await get('/healthz')).status).toBe(200);
    expect(await get('/readyz')).toEqual({ status: 503, text: '{"ready":false,"nats":false}\n' });
    state.ok = true;
    expect((await get('/readyz')).status).toBe(200);
    expect((await get('/else')).status).toBe(404);
  });

  it('shows counters, gauges and tallies as they are at each scrape', async () => {
    const { counters, get } = await serve();
    counters.deadLettersRefused = 2;
    await get('/metrics');
    counters.acked = 5;
    const { text } = await get('/metrics');
    for (const line of [
      'kanava_acked_total 5',
      'kanava_dead_letters_refused_total 2',
      'kanava_held 7',
      'kanava_answers_total{status="202"} 3',
    ]) {
      expect(text).toContain(line);
    }
  });
});
