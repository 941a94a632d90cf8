import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { catalog } from '../../runtime/catalog.ts';
import type { Pace } from '../../runtime/connector.ts';
import { createEgress } from '../../runtime/egress.ts';
import { hasIntake, runSources } from '../../runtime/intake/sources.ts';
import type { FakeClock } from './fake-clock.ts';
import type { LocalIntegration } from './plan.ts';
import type { LocalSecrets } from './secrets.ts';
import type { LocalTenant } from './tenant.ts';
import { valueOf } from './worker.ts';

/* Volumes of `file` Connections in a test: folders that are empty at first, what is put into them, and what is there at the end. */
export interface FoundFile {
  readonly name: string;
  readonly body: Uint8Array;
}
export interface TestVolumes {
  readonly folder: (claim: string) => string;
  /** Folder of a Connection; undefined when it is none of files. */
  of(integration: LocalIntegration, connection: string): string | undefined;
  put(folder: string, name: string, content: Uint8Array): void;
  /** By name of Connection, all that have files. */
  found(integrations: readonly LocalIntegration[]): ReadonlyMap<string, readonly FoundFile[]>;
  remove(): void;
}

export const createVolumes = (): TestVolumes => {
  let all: string | undefined;
  const folder = (claim: string): string => {
    all ??= mkdtempSync(join(tmpdir(), 'kanava-test-'));
    const path = join(all, claim);
    mkdirSync(path, { recursive: true });
    return path;
  };
  const of: TestVolumes['of'] = ({ flow }, connection) => {
    const { file } = (flow.connections[connection] ?? {}) as { file?: { claim: string; folder?: string } };
    return file && join(folder(file.claim), file.folder ?? '');
  };
  return {
    folder,
    of,
    put(base, name, content) {
      const path = resolve(base, name);
      if (relative(base, path).startsWith('..')) throw new Error(`put: ${name} leads out of the folder`);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
    },
    found: (integrations) =>
      new Map(
        integrations.flatMap((integration) =>
          Object.keys(integration.flow.connections).flatMap((name) => {
            const base = of(integration, name);
            return base === undefined ? [] : [[name, filesIn(base)] as const];
          }),
        ),
      ),
    remove() {
      if (all !== undefined) rmSync(all, { recursive: true, force: true });
    },
  };
};

const filesIn = (base: string): FoundFile[] => {
  mkdirSync(base, { recursive: true });
  return readdirSync(base, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(base, join(entry.parentPath, entry.name)))
    .toSorted()
    .map((name) => ({ name, body: readFileSync(join(base, name)) }));
};

const mostLooks = 20;
const longestLookMs = 60_000;

/** Lets the sources of an Integration look by themselves, until they took something or looked so often in vain. */
export const letLook = async (
  { namespace, flow }: LocalIntegration,
  { transport }: Pick<LocalTenant, 'transport'>,
  {
    clock,
    volumes,
    secrets,
  }: { readonly clock: FakeClock; readonly volumes: TestVolumes; readonly secrets: LocalSecrets },
): Promise<void> => {
  if (!hasIntake(flow, catalog.sources)) return;
  const seen = { took: false, waiting: 0, looks: 0 };
  const pace: Pace = {
    now: clock.now,
    async wait(ms, signal) {
      if (signal.aborted) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      seen.waiting += 1;
      seen.looks += 1;
      const cancel = clock.after(ms, () => {
        // At once: whoever turned the clock has to see that something is in work.
        seen.waiting -= 1;
        resolve();
      });
      signal.addEventListener('abort', () => (cancel(), resolve()), { once: true });
      await promise;
    },
  };
  const sources = runSources({
    secret: ({ secretKeyRef }) => valueOf(secrets, namespace, { kind: 'Secret', ...secretKeyRef }),
    ca: (ref) => valueOf(secrets, namespace, ref),
    flow,
    catalog,
    transport,
    egress: createEgress(flow.egress),
    volume: volumes.folder,
    accepted: () => void (seen.took = true),
    pace,
    log: silent,
  });
  const count = flow.sources.filter((item) => hasIntake({ sources: [item] }, catalog.sources)).length;
  const began = performance.now();
  while (!seen.took && seen.looks < mostLooks * count) {
    while (seen.waiting < count) {
      if (performance.now() - began > longestLookMs) throw new Error('a source did not come to the end of its look');
      await pause(1);
    }
    if (!seen.took) clock.next();
  }
  await sources.close();
};

export const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
