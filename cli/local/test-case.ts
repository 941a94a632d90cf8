import { readFileSync } from 'node:fs';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import type { GivenMessage, TestCase, TestFile } from '../../operator/api/test-file.ts';
import type { DeadLetter } from '../../runtime/dead-letters/letter.ts';
import { Body, type JsonValue, type Message } from '../../runtime/message.ts';
import { type Doorway, openDoorway } from './doorway.ts';
import type { OwnResult, Result } from './expectations.ts';
import { createFakeClock, type FakeClock } from './fake-clock.ts';
import { type Answer, give } from './given.ts';
import { memoryBroker } from './memory-broker.ts';
import { contentOf, type MockServer } from './mock-server.ts';
import { partSink } from './part.ts';
import type { LocalIntegration } from './plan.ts';
import { type Answered, sendRequest } from './request.ts';
import type { LocalSecrets } from './secrets.ts';
import { type LocalTenant, openTenant } from './tenant.ts';
import { besides } from './test-read.ts';
import { createVolumes, letLook, silent } from './test-volumes.ts';
import { valueOf } from './worker.ts';

/* One case of a test, on a broker of its own. Time passes when nothing is in work. */
export interface Subject {
  /** The one that is tested comes first, then those beside it. */
  readonly integrations: readonly [LocalIntegration, ...LocalIntegration[]];
  /** Only a step or flow of it. */
  readonly isPart: boolean;
  readonly secrets: LocalSecrets;
}
/** The servers of the test, and nothing else. */
const egress = { allow: [{ cidr: '127.0.0.1/32' }], closed: [] };
/** A Monday. */
const startMs = Date.parse('2026-01-05T12:00:00Z');

export const runCase = async (
  { integrations, isPart, secrets }: Subject,
  {
    file,
    tests,
    each,
    server,
  }: { readonly file: string; readonly tests: TestFile; readonly each: TestCase; readonly server: MockServer },
): Promise<Result> => {
  const clock = createFakeClock(startMs);
  const volumes = createVolumes();
  const own = new Map(
    integrations.map(({ name }) => [name, { sinks: new Map<string, Message[]>(), deadLetters: [] as DeadLetter[] }]),
  );
  const answers: Answer[] = [];
  const responses: Answered[] = [];
  const events: Message[] = [];
  const vars = new Map<string, GivenMessage['vars']>();
  const connections = Object.assign({}, ...integrations.map(({ flow }) => flow.connections));
  const played = server.play(connections, { ...tests.mocks, ...each.mocks });
  const run = integrations.map((integration) => ({
    ...integration,
    flow: { ...integration.flow, connections: played.connections, egress },
  }));
  const [tested = integrations[0]] = run;
  const tenant = openTenant({
    tenant: tested.flow.tenant,
    namespace: tested.namespace,
    secrets: () => secrets,
    volume: volumes.folder,
    fetch: false,
    around: ({ name }, sink) => ({
      ...sink,
      // What a test compares is here as a whole.
      takesParts: false,
      async send(message, attempt) {
        if (!isPart) await sink.send(message, attempt);
        const { sinks } = own.get(name) ?? { sinks: new Map<string, Message[]>() };
        sinks.set(sink.name, [...(sinks.get(sink.name) ?? []), message]);
      },
    }),
    begin(message) {
      const kept = vars.get(message.attrs.id);
      return kept ? { ...message, vars: kept as Readonly<Record<string, JsonValue>> } : message;
    },
    published: (event) => void events.push(event),
    deadLetter: (name, letter) => void own.get(name)?.deadLetters.push(letter),
    log: () => silent,
    broker: memoryBroker(clock),
    clock,
  });
  let doorway: Doorway | undefined;
  try {
    for (const { integration, error } of await tenant.apply(run))
      if (error !== undefined) throw new Error(`${integration}: ${error}`);
    for (const [index, given] of each.given.entries()) {
      const to = run.find(({ name }) => name === (given.integration ?? tested.name)) ?? tested;
      const content = bodyOf(file, given);
      const { request, put, source, headers } = given;
      if (put) {
        const folder = volumes.of(to, put.connection);
        if (folder === undefined) throw new Error(`put: ${to.name} uses no Connection ${put.connection} of kind file`);
        volumes.put(folder, put.name, content ?? Buffer.alloc(0));
        await letLook(to, tenant, { clock, volumes, secrets });
      } else if (request) {
        doorway ??= await openDoorway(tenant, { port: 0, host: '127.0.0.1', log: silent });
        const at = { port: doorway.port, content: content ?? Buffer.alloc(0) };
        const secret: Parameters<typeof sendRequest>[2]['secret'] = ({ secretKeyRef }) =>
          valueOf(secrets, to.namespace, { kind: 'Secret', ...secretKeyRef });
        responses.push(await sendRequest(to, { ...given, request }, { ...at, secret }));
      } else {
        const attrs = { id: `given-${index + 1}`, ...given.attrs };
        vars.set(attrs.id, given.vars);
        const body = content && Body.fromBytes(content);
        const answer = await give(to, tenant, { source, headers, attrs, body }, { log: silent, now: clock.now });
        if (answer) answers.push(answer);
      }
      await rest(tenant, clock, { besidesTimers: true });
      clock.pass(1000);
    }
    await rest(tenant, clock);
    const paused = tenant.paused();
    const results = new Map(
      [...own].map(([name, each]): [string, OwnResult] => [name, { ...each, paused: paused.get(name) }]),
    );
    const becomes = results.get(tested.name)?.sinks.get(partSink) ?? [];
    return { own: results, calls: played.calls, files: volumes.found(run), becomes, answers, responses, events };
  } finally {
    await doorway?.close(0);
    await tenant.close(0);
    volumes.remove();
  }
};

const bodyOf = (file: string, given: GivenMessage): Uint8Array | undefined => {
  if (given.file !== undefined) return readFileSync(besides(file, given.file));
  if (given.text === undefined && given.body === undefined) return undefined;
  return Buffer.from(contentOf(given));
};

/** Of one given message, while nothing is in work: far more than a thousand attempts need. */
const mostTurns = 20_000;
/** In real time, for a machine with other work. */
const longestMs = 60_000;
/** What is in work for longer waits for another thread, or for a server: looking all the time would take the CPU from it. */
const turnsOfWork = 100;
/** What follows from what was just done is done within so many turns of the event loop. */
const turnsOfSilence = 4;

/**
 * Until everything is done, but for paused workers, which wait for ever; groups of messages stay open until the last one is given. While
 * nothing is in work, time goes on to what is due next.
 */
const rest = async (tenant: LocalTenant, clock: FakeClock, which = {}): Promise<void> => {
  const began = performance.now();
  for (let turns = 0, silence = 0, work = 0; !(await tenant.atRest(which)); ) {
    if (turns > mostTurns || performance.now() - began > longestMs)
      throw new Error(`the messages are not done after ${Math.round((clock.now() - startMs) / 1000)} s of its time`);
    if (tenant.isBusy()) {
      silence = 0;
      work += 1;
      await (work % 10 === 9 || work > turnsOfWork ? pause(1) : turn());
      continue;
    }
    turns += 1;
    work = 0;
    if (silence < turnsOfSilence) {
      silence += 1;
      await turn();
    } else {
      silence = 0;
      clock.next();
    }
  }
};
