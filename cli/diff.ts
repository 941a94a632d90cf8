import type { IntegrationStatus } from '../operator/api/integration.ts';
import { canonicalJson } from '../operator/plan/canonical.ts';
import { gatewayName, integrationLabel, workerName } from '../operator/plan/children.ts';
import type { KubeObject, StreamSpec } from '../operator/reconcile/ports.ts';
import { changeFindings } from './change-findings.ts';
import { busEffects, readingEffects } from './diff-shared.ts';
import { type FileObject, isOurs, metadataOf, objectOfCluster } from './objects.ts';
import { type Rendered, type RenderOptions, render } from './render.ts';
import { type FieldChange, specChanges } from './spec-changes.ts';

/*
 * What applying files would do. The operator's plans are made twice, from what is stored and from that with the files laid over it, and
 * compared: so an effect is named wherever it comes from, also a Connection's on Integrations that are in no file.
 */
export interface ObjectChange {
  readonly object: string;
  readonly change: 'created' | 'changed' | 'unchanged';
  readonly fields: readonly FieldChange[];
  /** The API server would refuse it: why. */
  readonly refused: readonly string[];
}
export interface Effect {
  readonly object: string;
  readonly effect: string;
}
export interface DiffReport {
  readonly changes: readonly ObjectChange[];
  readonly effects: readonly Effect[];
  /** What the operator would not accept: then what runs goes on as it is. */
  readonly notAccepted: readonly string[];
}

export const diff = (files: readonly FileObject[], live: readonly KubeObject[], options: RenderOptions): DiffReport => {
  const ours = files.filter(isOurs).map((item) => named(item, options.namespace));
  const stored = (item: FileObject) => live.find((object) => isSame(object, item.object));
  const changes = ours.map((item) => changeOf(item, stored(item)));
  const before = live.map(objectOfCluster);
  const laid = ours.map((item) => laidOver(item, stored(item)));
  const others = before.filter(({ object }) => !ours.some((item) => isSame(object, item.object)));
  const [was, willBe] = [render(before, options), render([...others, ...laid], options)];
  const own = new Set(ours.map(({ file }) => file));
  return {
    changes,
    effects: [...effectsOf(was, willBe, live), ...ours.flatMap((item) => suspendEffects(item, stored(item)))],
    notAccepted: willBe.refused.filter((text) => own.has(text.split(':', 1)[0] ?? '')),
  };
};

const isSame = (a: KubeObject, b: KubeObject): boolean =>
  a.kind === b.kind &&
  a.metadata.name === metadataOf(b).name &&
  (a.metadata.namespace ?? '') === (metadataOf(b).namespace ?? '');

const named = (item: FileObject, namespace: string): FileObject =>
  item.object.kind === 'Tenant' || metadataOf(item.object).namespace !== undefined
    ? item
    : { ...item, object: { ...item.object, metadata: { ...item.object.metadata, namespace } } };

const changeOf = ({ object, title }: FileObject, old: KubeObject | undefined): ObjectChange => {
  if (!old) return { object: title, change: 'created', fields: [], refused: [] };
  const fields = specChanges(old['spec'], object['spec']);
  const refused = changeFindings(object, old).map(({ path, message }) => `${path}: ${message}`);
  return { object: title, change: fields.length === 0 ? 'unchanged' : 'changed', fields, refused };
};

/** With the identity that is stored: names of flows hold it. */
const laidOver = (item: FileObject, old: KubeObject | undefined): FileObject =>
  old ? { ...item, object: { ...item.object, metadata: { ...old.metadata, ...item.object.metadata } } } : item;

const effectsOf = (was: Rendered, willBe: Rendered, live: readonly KubeObject[]): Effect[] => [
  ...willBe.objects.filter(({ kind }) => kind === 'Deployment').flatMap((after) => podEffects(was, after)),
  ...endpointEffects(was, willBe),
  ...readingEffects(was, willBe, live),
  ...willBe.streams.flatMap(({ streams }) => streams).flatMap((after) => streamEffects(was, willBe, after, live)),
];

/** What a suspended Integration holds waits; nothing of it is lost. */
const suspendEffects = ({ object, title }: FileObject, old: KubeObject | undefined): Effect[] => {
  const isSuspended = (one: KubeObject) => (one['spec'] as { suspend?: unknown } | undefined)?.suspend === true;
  if (object.kind === 'Connection' || isSuspended(object) === (old !== undefined && isSuspended(old))) return [];
  const effect = isSuspended(object)
    ? 'workers stop after the work in hand; messages are stored and wait'
    : 'workers start with what is stored';
  return [{ object: title, effect }];
};

const endpointEffects = (was: Rendered, willBe: Rendered): Effect[] =>
  Object.entries(willBe.endpoints).flatMap(([name, urls]) => {
    const before = was.endpoints[name] ?? [];
    return [
      ...urls.filter((url) => !before.includes(url)).map((url) => `accepts at ${url}`),
      ...before.filter((url) => !urls.includes(url)).map((url) => `accepts no more at ${url}`),
    ].map((effect) => ({ object: `Integration ${name}`, effect }));
  });

const podEffects = (was: Rendered, after: KubeObject): Effect[] => {
  const { name, namespace } = after.metadata;
  const before = was.objects.find(
    ({ kind, metadata }) => kind === 'Deployment' && metadata.name === name && metadata.namespace === namespace,
  );
  const integration = after.metadata.labels?.[integrationLabel];
  const object = integration === undefined ? `gateway of ${namespace}` : `Integration ${namespace}/${integration}`;
  if (!before) return [{ object, effect: name === gatewayName ? 'the gateway starts' : 'workers start' }];
  if (canonicalJson(templateOf(before)) === canonicalJson(templateOf(after))) return [];
  const why =
    integration !== undefined && flowIn(before) !== flowIn(after) ? 'its flow changes' : 'settings of the pods change';
  const who = name === gatewayName ? 'gateway pods' : 'workers';
  return [{ object, effect: `${who} restart one after the other: ${why}` }];
};
const templateOf = (deployment: KubeObject): unknown => (deployment['spec'] as { template?: unknown }).template;
const flowIn = (deployment: KubeObject): string | undefined => {
  const integration = deployment.metadata.name.slice(workerName('').length);
  return new RegExp(`"flow-${integration}-[0-9a-f]{12}"`).exec(canonicalJson(templateOf(deployment)))?.[0];
};

/** What is stored stays, whatever changes; only an age takes something away. */
const streamEffects = (was: Rendered, willBe: Rendered, after: StreamSpec, live: readonly KubeObject[]): Effect[] => {
  const owner = after.metadata['kanava.dev/uid'];
  const object = live.find(({ metadata }) => metadata.uid === owner);
  const before = was.streams
    .flatMap(({ streams }) => streams)
    .find(({ name, metadata }) => name === after.name && metadata['kanava.dev/uid'] === owner);
  if (!object || !before) return [];
  if (object.kind === 'Tenant') return busEffects(object.metadata.name, before, after);
  return ownStreamEffects(object, before, after, flowOf(was, object) !== flowOf(willBe, object));
};

const ownStreamEffects = (
  integration: KubeObject,
  before: StreamSpec,
  after: StreamSpec,
  flowChanges: boolean,
): Effect[] => {
  const object = `Integration ${integration.metadata.namespace}/${integration.metadata.name}`;
  const { lag, deadLetters } = (integration['status'] ?? {}) as IntegrationStatus;
  const isInbox = after.retention === 'workqueue';
  const held = isInbox ? (lag?.pending ?? 0) + (lag?.inFlight ?? 0) : (deadLetters?.count ?? 0);
  const what = isInbox ? 'the inbox' : 'dead letters';
  const says: string[] = [];
  if (after.maxBytes < before.maxBytes)
    says.push(
      `${what}: at most ${after.maxBytes} bytes instead of ${before.maxBytes}; what is stored (about ${held} messages) stays, and new ones are refused while it takes more`,
    );
  if (after.maxBytes > before.maxBytes)
    says.push(`${what}: room for ${after.maxBytes} bytes instead of ${before.maxBytes}; what is stored stays`);
  if ((after.maxAgeMs ?? 0) < (before.maxAgeMs ?? 0))
    says.push(
      `${what} older than ${(after.maxAgeMs ?? 0) / 3_600_000} h are deleted at once (about ${held} are kept now)`,
    );
  if (after.replicas !== before.replicas)
    says.push(`${what}: ${after.replicas} copies instead of ${before.replicas}; what is stored is copied`);
  if (isInbox && flowChanges) says.push(`messages that wait (about ${held}) go through the new flow`);
  return says.map((effect) => ({ object, effect }));
};

const flowOf = ({ objects }: Rendered, { metadata }: KubeObject): string | undefined => {
  const worker = objects.find(
    (object) =>
      object.metadata.name === workerName(metadata.name) &&
      object.metadata.namespace === metadata.namespace &&
      object.kind === 'Deployment',
  );
  return worker && flowIn(worker);
};
