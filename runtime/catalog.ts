import type { ConnectionDefinition, Connector, SinkDefinition, SourceDefinition, StepDefinition } from './connector.ts';
import { busConnector } from './connectors/bus.ts';
import { fileConnector } from './connectors/file.ts';
import { httpConnector } from './connectors/http.ts';
import { scheduleConnector } from './connectors/schedule.ts';
import { aggregateStep } from './steps/aggregate.ts';
import { callStep } from './steps/call.ts';
import { checkpointStep } from './steps/checkpoint.ts';
import { choiceStep } from './steps/choice.ts';
import { dedupeStep } from './steps/dedupe.ts';
import { delayStep } from './steps/delay.ts';
import { filterStep } from './steps/filter.ts';
import { jsonataStep } from './steps/jsonata.ts';
import { logStep } from './steps/log.ts';
import { lookupStep } from './steps/lookup.ts';
import { mapStep } from './steps/map.ts';
import { parallelStep } from './steps/parallel.ts';
import { publishStep } from './steps/publish.ts';
import { removeStep } from './steps/remove.ts';
import { resequenceStep } from './steps/resequence.ts';
import { scriptStep } from './steps/script.ts';
import { setStep } from './steps/set.ts';
import { splitStep } from './steps/split.ts';
import { tapStep } from './steps/tap.ts';
import { templateStep } from './steps/template.ts';
import { throttleStep } from './steps/throttle.ts';
import { validateStep } from './steps/validate.ts';

/* One line a connector, one line a step. Everything else follows from what they declare. */
const connectors: readonly Connector[] = [busConnector, fileConnector, httpConnector, scheduleConnector];
const stepList: readonly StepDefinition[] = [
  aggregateStep,
  callStep,
  checkpointStep,
  choiceStep,
  dedupeStep,
  delayStep,
  filterStep,
  jsonataStep,
  logStep,
  lookupStep,
  mapStep,
  parallelStep,
  publishStep,
  removeStep,
  resequenceStep,
  scriptStep,
  setStep,
  splitStep,
  tapStep,
  templateStep,
  throttleStep,
  validateStep,
];

const byName = <T>(parts: readonly (readonly [string, T | undefined])[]): ReadonlyMap<string, T> =>
  new Map(parts.flatMap(([name, part]) => (part === undefined ? [] : [[name, part] as const])));

export interface Catalog {
  readonly sources: ReadonlyMap<string, SourceDefinition>;
  readonly steps: ReadonlyMap<string, StepDefinition>;
  readonly sinks: ReadonlyMap<string, SinkDefinition>;
  readonly connections: ReadonlyMap<string, ConnectionDefinition>;
}
export const catalog: Catalog = {
  sources: byName(connectors.map((connector) => [connector.name, connector.source])),
  steps: byName(stepList.map((step) => [step.name, step])),
  sinks: byName(connectors.map((connector) => [connector.name, connector.sink])),
  connections: byName(connectors.map((connector) => [connector.name, connector.connection])),
};
