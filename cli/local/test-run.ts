import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import type { TestCase, TestFile } from '../../operator/api/test-file.ts';
import type { DeadLetter } from '../../runtime/dead-letters/letter.ts';
import { reasonOf } from '../../runtime/errors.ts';
import { Body, type Message } from '../../runtime/message.ts';
import type { FileFinding } from '../finding.ts';
import { type Mismatch, mismatches, type Result } from './expectations.ts';
import { createFakeClock, type FakeClock } from './fake-clock.ts';
import { type Answer, give } from './given.ts';
import { contentOf, type MockServer, startMockServer } from './mock-server.ts';
import { type LocalIntegration, type LocalPlan, planLocally } from './plan.ts';
import { type LocalTenant, openTenant } from './tenant.ts';
import { besides, objectsOf, readTests } from './test-read.ts';

/*
 * `kanava test`: each case on a broker of its own, with the real engine, steps and sinks. Time passes when nothing is in work.
 */
export interface FileResult {
  readonly file: string;
  /** Why nothing of it was tried. */
  readonly findings: readonly FileFinding[];
  readonly cases: readonly CaseResult[];
}
export interface CaseResult {
  readonly name: string;
  readonly ms: number;
  readonly mismatches: readonly Mismatch[];
  /** Why it could not be tried. */
  readonly error?: string;
}

export const runTests = async (files: readonly string[]): Promise<FileResult[]> => {
  const server = await startMockServer();
  try {
    const results: FileResult[] = [];
    for (const file of files) results.push(await runFile(file, server));
    return results;
  } finally {
    await server.close();
  }
};

const runFile = async (file: string, server: MockServer): Promise<FileResult> => {
  const tests = readTests(file);
  if (Array.isArray(tests)) return { file, findings: tests, cases: [] };
  const plan = planLocally(objectsOf(file, tests), {
    namespace: 'local',
    otherSecrets: secretsOf(tests),
    volume: (claim) => claim,
  });
  const errors = plan.findings.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) return { file, findings: errors, cases: [] };
  const integration = chosen(plan, tests.integration);
  if (typeof integration === 'string') return { file, findings: [about(file, integration)], cases: [] };
  const cases: CaseResult[] = [];
  for (const each of tests.cases) {
    const began = performance.now();
    const took = () => Math.round(performance.now() - began);
    try {
      const found = mismatches(each.expect, await runCase(file, integration, plan, { tests, each, server }));
      cases.push({ name: each.name, ms: took(), mismatches: found });
    } catch (error) {
      cases.push({ name: each.name, ms: took(), mismatches: [], error: reasonOf(error) });
    }
  }
  return { file, findings: [], cases };
};

/** A test needs no real value. */
const secretsOf = ({ secrets = {} }: TestFile): LocalPlan['secrets'] => ({
  find: (_namespace, { name, key }) => secrets[name]?.[key] ?? `${name}.${key}`,
});

const chosen = ({ integrations }: LocalPlan, name: string | undefined): LocalIntegration | string => {
  const found = name === undefined ? integrations : integrations.filter((each) => each.name === name);
  const [only] = found;
  if (only && found.length === 1) return only;
  const known = integrations.map((each) => each.name).join(', ') || 'none';
  return name === undefined || found.length > 1
    ? `one Integration is tested; name it with integration, or its file with files (there are: ${known})`
    : `integration: there is no ${name}; there are: ${known}`;
};

const about = (file: string, message: string): FileFinding => ({
  file,
  line: 1,
  column: 1,
  object: '',
  path: '',
  message,
  rule: 'NoIntegration',
  reason: 'NoIntegration',
  severity: 'error',
});

interface Setting {
  readonly tests: TestFile;
  readonly each: TestCase;
  readonly server: MockServer;
}
/** A Monday. */
const startMs = Date.parse('2026-01-05T12:00:00Z');
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

const runCase = async (
  file: string,
  integration: LocalIntegration,
  { secrets }: LocalPlan,
  { tests, each, server }: Setting,
): Promise<Result> => {
  const clock = createFakeClock(startMs);
  const volumes = createVolumes();
  const sinks = new Map<string, Message[]>();
  const deadLetters: DeadLetter[] = [];
  const answers: Answer[] = [];
  const { connections, calls } = server.play(integration.flow.connections, { ...tests.mocks, ...each.mocks });
  const egress = { allow: [{ cidr: '127.0.0.1/32' }], closed: [] };
  const played = { ...integration, flow: { ...integration.flow, connections, egress } };
  const tenant = openTenant({
    tenant: integration.flow.tenant,
    namespace: integration.namespace,
    secrets: () => secrets,
    volume: volumes.folder,
    fetch: false,
    around: (_integration, sink) => ({
      ...sink,
      async send(message, attempt) {
        await sink.send(message, attempt);
        sinks.set(sink.name, [...(sinks.get(sink.name) ?? []), message]);
      },
    }),
    deadLetter: (_integration, letter) => void deadLetters.push(letter),
    log: () => silent,
    clock,
  });
  try {
    const [change] = await tenant.apply([played]);
    if (change?.error !== undefined) throw new Error(change.error);
    for (const [index, message] of each.given.entries()) {
      const { source, headers } = message;
      const body = bodyOf(file, message);
      const attrs = { id: `given-${index + 1}`, ...message.attrs };
      const answer = await give(played, tenant, { source, headers, attrs, body }, { log: silent, now: clock.now });
      if (answer) answers.push(answer);
      await rest(tenant, clock, { besidesTimers: true });
      clock.pass(1000);
    }
    await rest(tenant, clock);
    return { sinks, calls, deadLetters, answers, paused: tenant.paused() };
  } finally {
    await tenant.close(0);
    volumes.remove();
  }
};

/** Each empty at first. */
const createVolumes = () => {
  let all: string | undefined;
  return {
    folder(claim: string): string {
      all ??= mkdtempSync(join(tmpdir(), 'kanava-test-'));
      const folder = join(all, claim);
      mkdirSync(folder, { recursive: true });
      return folder;
    },
    remove() {
      if (all !== undefined) rmSync(all, { recursive: true, force: true });
    },
  };
};

const bodyOf = (file: string, given: TestCase['given'][number]): Body | undefined => {
  if (given.file !== undefined) return Body.fromBytes(readFileSync(besides(file, given.file)));
  if (given.text === undefined && given.body === undefined) return undefined;
  return Body.fromBytes(Buffer.from(contentOf(given)));
};

/** Of one given message: far more than a thousand attempts need. */
const mostTurns = 20_000;
/** In real time, for a machine with other work. */
const longestMs = 60_000;
/** What follows from what was just done is done within so many turns of the event loop. */
const turnsOfSilence = 4;

/** Until everything is done; groups of messages stay open until the last one is given. While nothing is in work, time goes on to what is due next; a paused worker waits for ever. */
const rest = async (tenant: LocalTenant, clock: FakeClock, which = {}): Promise<void> => {
  const began = performance.now();
  for (let turns = 0, silence = 0; !(await tenant.atRest(which)) && !tenant.paused(); turns += 1) {
    if (turns > mostTurns || performance.now() - began > longestMs)
      throw new Error(`the messages are not done after ${Math.round((clock.now() - startMs) / 1000)} s of its time`);
    if (tenant.isBusy()) {
      silence = 0;
      await (turns % 10 === 9 ? pause(1) : turn());
    } else if (silence < turnsOfSilence) {
      silence += 1;
      await turn();
    } else {
      silence = 0;
      clock.next();
    }
  }
};
