import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseConnection, parseIntegration, parseTenant } from '../../../operator/api/parse.ts';
import { type KubeApi, startKubeApi } from '../../cluster/kube-api.ts';
import { accepted } from './accepted.ts';
import { applyCrds } from './established.ts';
import { type RawApi, rawApi } from './raw-api.ts';
import { refused } from './refused.ts';

const parsers = { Integration: parseIntegration, Connection: parseConnection, Tenant: parseTenant };
const parse = (object: unknown) => parsers[(object as { kind: keyof typeof parsers }).kind](object);

let api: KubeApi;
let server: RawApi;
beforeAll(async () => {
  api = await startKubeApi();
  server = rawApi(api);
  await applyCrds(api);
  await server.call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'acme' } });
});
afterAll(async () => {
  server.close();
  await api.stop();
});

describe('API server and parser take the same objects', () => {
  test.each(accepted)('$why', async ({ object }) => {
    const answer = await server.check(object);
    expect(answer.message).toBe('');
    expect(answer.status).toBe(201);
    expect(parse(object)).toMatchObject({ ok: true });
  });
});

describe('API server and parser refuse the same objects', () => {
  test.each(refused)('$why', async ({ object, path, text, rule }) => {
    const answer = await server.check(object);
    const parsed = parse(object);
    const findings = parsed.ok ? [] : parsed.findings;
    expect(answer.status, answer.message).toBeGreaterThanOrEqual(400);
    const cause = answer.causes.find(({ field, message }) => field === path && (!text || message.endsWith(text)));
    const finding = findings.find((candidate) => candidate.path === path && (!text || candidate.message === text));
    expect(cause, JSON.stringify(answer.causes)).toBeDefined();
    expect(finding, JSON.stringify(findings)).toBeDefined();
    if (rule) expect([cause?.reason, finding?.rule]).toEqual([rule, rule]);
    else expect(finding?.rule).toBe(cause?.reason);
  });
});
