import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accepted } from './accepted.ts';
import { type CrdServer, startCrdServer } from './crd-server.ts';
import { parseObject } from './parse-object.ts';
import { refused } from './refused.ts';

let server: CrdServer;
beforeAll(async () => {
  server = await startCrdServer();
});
afterAll(() => server?.stop());

describe('API server and parser take the same objects', () => {
  test.each(accepted)('$why', async ({ object }) => {
    const answer = await server.check(object);
    expect(answer.message).toBe('');
    expect(answer.status).toBe(201);
    expect(parseObject(object)).toMatchObject({ ok: true });
  });
});

describe('API server and parser refuse the same objects', () => {
  test.each(refused)('$why', async ({ object, path, text, rule }) => {
    const answer = await server.check(object);
    const parsed = parseObject(object);
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
