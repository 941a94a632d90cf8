import { randomUUID } from 'node:crypto';
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import { catalog } from '../../../runtime/catalog.ts';
import { createEgress } from '../../../runtime/egress.ts';
import { runSources } from '../../../runtime/intake/sources.ts';
import { mountedValues, readFlow } from '../../../runtime/mounted.ts';
import { readSettings } from '../../../runtime/settings.ts';
import { connectTransport } from '../../../runtime/transport/jetstream.ts';
import type { IntakeHarm } from '../engine/workshop.ts';

/* The real sources in a process that dies at a chosen point of a message (TEST_KILL), or whose repeats cannot be told (TEST_FAULT). */
const { dir, volumes } = readSettings(process.env);
const log = pino({ level: 'info' });
const flow = readFlow(dir);
const plan = JSON.parse(process.env['TEST_KILL'] ?? 'null') as IntakeHarm['kill'] | null;
const isForgetful = process.env['TEST_FAULT'] === 'random-ids';

let left = plan?.after ?? 0;
const reach = (point: NonNullable<IntakeHarm['kill']>['point']) => {
  if (plan?.point !== point) return;
  left -= 1;
  if (left > 0) return;
  // Written with the pipe's own call: nothing buffered survives a SIGKILL.
  writeSync(1, `${JSON.stringify({ killed: point })}\n`);
  process.kill(process.pid, 'SIGKILL');
};

// Its bundle is a script, which cannot await at its top.
const main = async () => {
  const transport = await connectTransport({
    folder: join(dir, 'nats'),
    role: 'intake',
    integration: flow.integration,
    name: 'dying',
    log,
  });
  runSources({
    ...mountedValues(dir),
    flow,
    catalog,
    transport: {
      ...transport,
      async publish(entry) {
        reach('before accept');
        const stored = await transport.publish(isForgetful ? { ...entry, id: randomUUID() } : entry);
        reach('accepted');
        return stored;
      },
    },
    egress: createEgress(flow.egress),
    volume: (claim) => join(volumes, claim),
    log,
  });
  log.info('intake runs');
};
void main();
