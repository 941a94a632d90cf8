import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { clientsOf } from '../../cluster/connections.ts';
import { changedKeys, type Keys, putBack, readKeys } from '../../cluster/etcd-keys.ts';
import { type KubeApi, type OwnKubeApi, startKubeApi } from '../../cluster/kube-api.ts';
import { applyCrds } from './established.ts';
import { rawApi } from './raw-api.ts';

/*
 * One API server with the CRDs for many test files: a start takes five seconds of a core, and files of a process run one after the other.
 * When a file gives it back, etcd is set back to what it held at first, and the API server's caches follow. A file that changes CRDs, or that
 * kills the server, starts one of its own (`startOwnServer`).
 */
interface Kept {
  readonly own: OwnKubeApi;
  readonly atFirst: Keys;
}

/** With the CRDs, for one file alone. */
export const startOwnServer = async (): Promise<OwnKubeApi> => {
  const own = await startKubeApi();
  await applyCrds(own);
  return own;
};

const start = async (): Promise<Kept> => {
  const own = await startOwnServer();
  // vitest ends its processes by this signal; servers end with the exit.
  process.once('SIGTERM', () => process.exit());
  // The server makes what belongs to the CRDs a moment later.
  for (let before = await readKeys(own.etcdUrl); ; ) {
    await pause(500);
    const atFirst = await readKeys(own.etcdUrl);
    if (changedKeys(before, atFirst).length === 0) return { own, atFirst };
    before = atFirst;
  }
};

/** Who writes on, or holds a watch, belongs to the file that ends here; the next one would meet it. */
const mustBeAlone = async ({ port, apiserver }: OwnKubeApi, patienceMs: number): Promise<void> => {
  for (const end = performance.now() + patienceMs; ; await pause(20)) {
    const clients = await clientsOf(port, apiserver.pid);
    if (clients.length === 0) return;
    if (performance.now() > end)
      throw new Error(`this file's tests are over, and still connected to the API server: ${clients.join('; ')}`);
  }
};

/**
 * Until admission policies that are gone refuse nothing any more: the server gathers policies and their bindings about once a second, so
 * when it refuses by a new policy and binding it has seen that earlier ones went.
 */
const forgetPolicies = async (api: KubeApi): Promise<void> => {
  const { call, close } = rawApi(api);
  const name = `probe-${randomUUID()}`;
  const group = '/apis/admissionregistration.k8s.io/v1';
  const object = (kind: string, spec: object) => ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind,
    metadata: { name },
    spec,
  });
  const rule = { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] };
  const policy = {
    matchConstraints: { resourceRules: [rule] },
    validations: [{ expression: `object.metadata.name != '${name}'` }],
  };
  const probe = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } };
  try {
    await call('POST', `${group}/validatingadmissionpolicies`, object('ValidatingAdmissionPolicy', policy));
    const binding = object('ValidatingAdmissionPolicyBinding', { policyName: name, validationActions: ['Deny'] });
    await call('POST', `${group}/validatingadmissionpolicybindings`, binding);
    for (const end = performance.now() + 60_000; performance.now() < end; await pause(50)) {
      const { message } = await call('POST', '/api/v1/namespaces/default/configmaps?dryRun=All', probe);
      if (message.includes(name)) return;
    }
    throw new Error('the API server took no notice of a new admission policy within 60 s');
  } finally {
    close();
  }
};

const reset = async ({ own, atFirst }: Kept, patienceMs: number): Promise<void> => {
  await mustBeAlone(own, patienceMs);
  const changed = changedKeys(atFirst, await readKeys(own.etcdUrl));
  const definitions = changed.filter((key) => key.includes('/customresourcedefinitions/'));
  if (definitions.length > 0)
    throw new Error(`a file that changes CRDs needs a server of its own (startOwnServer): ${definitions.join(', ')}`);
  await putBack(own.etcdUrl, changed, atFirst);
  if (changed.some((key) => key.includes('/validatingadmissionpolic'))) {
    await forgetPolicies(own);
    const again = changedKeys(atFirst, await readKeys(own.etcdUrl));
    const others = again.filter((key) => !key.includes('/validatingadmissionpolic'));
    if (others.length > 0) throw new Error(`written after this file's tests were over: ${others.join(', ')}`);
    await putBack(own.etcdUrl, again, atFirst);
  }
};

/** The processes of vitest keep modules, and so this, from file to file; it ends with them. */
let kept: Kept | undefined;

/**
 * An API server with the CRDs and nothing else in it. `stop` gives it back, and fails when a client stays connected: stop operators,
 * watches and transports first.
 */
export const borrowServer = async (patienceMs = 60_000): Promise<KubeApi> => {
  // While a file holds it (or failed before it gave it back), another one starts.
  const lent = kept ?? (await start());
  kept = undefined;
  const stop = async (): Promise<void> => {
    try {
      await reset(lent, patienceMs);
    } catch (error) {
      await lent.own.stop();
      throw error;
    }
    if (kept) await lent.own.stop();
    else kept = lent;
  };
  const { apiserver: _, etcd: __, etcdUrl: ___, ...api } = lent.own;
  return { ...api, stop, [Symbol.asyncDispose]: stop };
};
