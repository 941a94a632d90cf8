import type { Volume } from '../../runtime/connector.ts';
import { reasonOf } from '../../runtime/errors.ts';
import type { LocalBroker } from './broker.ts';
import type { Console } from './console.ts';
import { dueBy, type IsDue } from './cron-times.ts';
import { openDoorway } from './doorway.ts';
import { tick } from './given.ts';
import { memoryBroker } from './memory-broker.ts';
import { connectionOf, outlineOf } from './outline.ts';
import type { LocalIntegration, LocalPlan, LocalSchedule } from './plan.ts';
import { type LocalTenant, openTenant } from './tenant.ts';

/*
 * All that runs of a plan: a tenant for each namespace with a listener of its own, as in a cluster, and the schedules.
 */
export interface Loop {
  /** Resolves with the number of those that cannot run as they are now. */
  apply(plan: LocalPlan): Promise<number>;
  /** Where the Integration runs. */
  tenantOf(integration: LocalIntegration): LocalTenant;
  /** Seen so far. */
  deadLetters(): number;
  /** Tells what stays behind. */
  close(graceMs: number): Promise<readonly string[]>;
}
export interface LoopOptions {
  readonly host: string;
  /** Of the first namespace; others get the next ones. 0: any free one. */
  readonly port: number;
  readonly volume: Volume;
  /** Whether sources that fetch by themselves do so. */
  readonly fetch: boolean;
  /** Messages for Connections are shown, not sent. */
  readonly print: boolean;
  readonly console: Console;
  /** Default: in memory. */
  readonly broker?: (() => Promise<LocalBroker>) | undefined;
  readonly now?: () => number;
}

interface Place {
  readonly tenant: LocalTenant;
  readonly url: string;
  close(graceMs: number): Promise<readonly string[]>;
}
/** Of several Integrations that are in work at once. */
const tickEveryMs = 200;
const mostCaughtUpMs = 60_000;

export const createLoop = (options: LoopOptions): Loop => {
  const { console, print, now = Date.now } = options;
  const places = new Map<string, Place>();
  let letters = 0;
  let secrets: LocalPlan['secrets'] = { find: () => undefined };
  let due: {
    readonly integration: string;
    readonly schedule: LocalSchedule;
    readonly isDue: IsDue;
    readonly tenant: LocalTenant;
  }[] = [];
  let seen = Math.floor(now() / 1000) * 1000;

  const look = () => {
    const second = Math.floor(now() / 1000) * 1000;
    // After a sleep of the laptop only the last minute is made up for.
    for (seen = Math.max(seen, second - mostCaughtUpMs); seen < second; ) {
      seen += 1000;
      for (const { integration, schedule, isDue, tenant } of due) {
        if (!isDue(seen)) continue;
        tick(tenant.transport, schedule, seen).catch((error: unknown) => console.problem(integration, reasonOf(error)));
      }
    }
  };
  const ticking = setInterval(look, tickEveryMs);

  const open = async (tenant: string, namespace: string): Promise<Place> => {
    const [other] = places.keys();
    if (options.broker && other !== undefined)
      throw new Error(`an account of NATS holds one namespace; the files have ${other} and ${tenant}/${namespace}`);
    const opened = openTenant({
      tenant,
      namespace,
      secrets: () => secrets,
      volume: options.volume,
      fetch: options.fetch,
      around: (integration, sink) => {
        const isPrinted = print && connectionOf(integration, sink.name) !== undefined;
        return {
          ...sink,
          // Of what is large only the size is printed.
          takesParts: isPrinted || sink.takesParts,
          async send(message, attempt) {
            const began = performance.now();
            if (!isPrinted) await sink.send(message, attempt);
            if (print) return console.message(integration.name, sink.name, message);
            const took = Math.round(performance.now() - began);
            return console.note(integration.name, `${sink.name} has ${message.attrs.id} (${took} ms)`);
          },
        };
      },
      deadLetter(integration, letter) {
        letters += 1;
        console.deadLetter(integration, letter);
      },
      log: console.log,
      broker: await (options.broker?.() ?? memoryBroker()),
    });
    const port = options.port === 0 ? 0 : options.port + places.size;
    const at = { port, host: options.host, log: console.log('') };
    const doorway = await openDoorway(opened, at).catch(async (error: unknown) => {
      await opened.close(0);
      throw error;
    });
    return {
      tenant: opened,
      url: `http://localhost:${doorway.port}`,
      async close(graceMs) {
        await doorway.close(graceMs);
        return await opened.close(graceMs);
      },
    };
  };

  return {
    async apply(plan) {
      let failed = 0;
      secrets = plan.secrets;
      const byPlace = Map.groupBy(plan.integrations, placeOf);
      for (const [name, [first]] of byPlace)
        if (first && !places.has(name)) places.set(name, await open(first.flow.tenant, first.namespace));
      for (const [name, { tenant, url }] of places) {
        const integrations = byPlace.get(name) ?? [];
        for (const { integration, did, error } of await tenant.apply(integrations)) {
          const found = integrations.find((each) => each.name === integration);
          if (did === 'failed') failed += 1;
          if (did === 'failed') console.problem(integration, `cannot run: ${error}`);
          else console.note(integration, found ? `${did}: ${outlineOf(found, url)}` : did);
        }
      }
      due = plan.integrations.flatMap((integration) =>
        integration.schedules.map((schedule) => {
          const place = places.get(placeOf(integration)) as Place;
          return { integration: integration.name, schedule, isDue: dueBy(schedule.schedule), tenant: place.tenant };
        }),
      );
      return failed;
    },
    deadLetters: () => letters,
    tenantOf(integration) {
      const place = places.get(placeOf(integration));
      if (!place) throw new Error(`nothing of namespace ${integration.namespace} runs`);
      return place.tenant;
    },
    async close(graceMs) {
      clearInterval(ticking);
      return (await Promise.all([...places.values()].map((place) => place.close(graceMs)))).flat();
    },
  };
};

/** A namespace belongs to one Tenant at a time. */
const placeOf = ({ flow: { tenant, namespace } }: LocalIntegration): string => `${tenant}/${namespace}`;
