import { makeOperator, resolverConfig } from '../operator/broker/bootstrap.ts';
import { makeCertificates, uncoveredNames } from './certificates.ts';
import { Finding } from './outcome.ts';

/*
 * What an installation needs before its first pod: keys and system users of NATS, a certificate authority, a certificate. Everything is
 * made once and only ever created: what exists is kept, and what an interrupted run left out is derived from it.
 *
 *   Secret kanava-nats-keys      root: keys, tokens and system users
 *   Secret kanava-nats-config      derived from the keys: resolver.conf of the server
 *   Secret kanava-nats-tls       root: authority and certificate of the server
 *   ConfigMap kanava-nats-ca       derived: the authority's certificate, for everybody
 *
 * A root comes before what is derived from it, so an interruption leaves roots without derivations, never the reverse.
 */
export type Kind = 'Secret' | 'ConfigMap';
type Data = Readonly<Record<string, string>>;

/** Objects of one namespace, as this command uses them: there is deliberately no way to change or delete one. */
export interface ObjectStore {
  read(kind: Kind, name: string): Promise<Data | undefined>;
  create(kind: Kind, name: string, data: Data): Promise<'created' | 'exists'>;
}

interface Options {
  readonly objects: ObjectStore;
  readonly namespace: string;
  /** Names beside the Service's own that the server's certificate shall hold for. */
  readonly dns: readonly string[];
  readonly now: Date;
  readonly say: (line: string) => void;
}

const keysSecret = { kind: 'Secret', name: 'kanava-nats-keys' } as const;
const configSecret = { kind: 'Secret', name: 'kanava-nats-config' } as const;
const tlsSecret = { kind: 'Secret', name: 'kanava-nats-tls' } as const;
const caConfigMap = { kind: 'ConfigMap', name: 'kanava-nats-ca' } as const;

/** Where the managed server keeps account tokens, on its volume. */
const accountFolder = '/data/accounts';

export const bootstrap = async ({ objects, namespace, dns, now, say }: Options): Promise<void> => {
  const { root, derived } = creators(objects, say);

  const keys = await root(keysSecret, configSecret, () => {
    const material = makeOperator();
    return {
      'operator.seed': material.signingSeed,
      'identity.seed': material.identitySeed,
      'operator.jwt': material.operatorJwt,
      'system.account': material.systemAccount,
      'system.jwt': material.systemJwt,
      'system.seed': material.systemSeed,
      'ctl.creds': material.ctlCreds,
      'meter.creds': material.meterCreds,
    };
  });
  await derived(configSecret, keysSecret, 'resolver.conf', {
    value: resolverConfig(
      {
        operatorJwt: valueOf(keys, 'operator.jwt', keysSecret),
        systemAccount: valueOf(keys, 'system.account', keysSecret),
        systemJwt: valueOf(keys, 'system.jwt', keysSecret),
      },
      accountFolder,
    ),
    // A later version may write other settings; whose installation it is must be the same.
    fits: (stored) => stored.includes(valueOf(keys, 'operator.jwt', keysSecret)),
  });

  const names = [...serverNames(namespace), ...dns];
  const tls = await root(tlsSecret, caConfigMap, async () => {
    const made = await makeCertificates(names, now);
    return { 'tls.crt': made.cert, 'tls.key': made.key, 'ca.crt': made.caCert, 'ca.key': made.caKey };
  });
  const caCert = valueOf(tls, 'ca.crt', tlsSecret);
  await derived(caConfigMap, tlsSecret, 'ca.crt', { value: caCert, fits: (stored) => stored.includes(caCert.trim()) });

  const missing = uncoveredNames(valueOf(tls, 'tls.crt', tlsSecret), names);
  if (missing.length > 0)
    say(
      `note: the certificate in Secret ${tlsSecret.name} does not hold for ${missing.join(', ')}. It is kept as it is; ` +
        `to get another one delete Secret ${tlsSecret.name} and ConfigMap ${caConfigMap.name}, run this again and restart kanava-nats`,
    );
};

/** The Service of the chart in every spelling, its pods, and the end of a port-forward. */
const serverNames = (namespace: string): string[] => [
  `kanava-nats.${namespace}.svc`,
  `kanava-nats.${namespace}.svc.cluster.local`,
  `kanava-nats.${namespace}`,
  'kanava-nats',
  `*.kanava-nats-pods.${namespace}.svc`,
  `*.kanava-nats-pods.${namespace}.svc.cluster.local`,
  'localhost',
];

interface ObjectName {
  readonly kind: Kind;
  readonly name: string;
}
const titleOf = ({ kind, name }: ObjectName): string => `${kind} ${name}`;

const valueOf = (data: Data, key: string, object: ObjectName): string => {
  const value = data[key];
  if (value === undefined)
    throw new Finding(
      `${titleOf(object)} exists and has no key ${key}. It was not made by this command or has been changed: restore it from a backup`,
    );
  return value;
};

const creators = (objects: ObjectStore, say: Options['say']) => {
  /** The stored data, whoever stored it: a run beside this one may have been first. */
  const ensure = async (object: ObjectName, make: () => Data | Promise<Data>): Promise<Data> => {
    const { kind, name } = object;
    const found = await objects.read(kind, name);
    if (found) {
      say(`${titleOf(object)}: exists, kept`);
      return found;
    }
    const data = await make();
    if ((await objects.create(kind, name, data)) === 'created') {
      say(`${titleOf(object)}: created`);
      return data;
    }
    const theirs = await objects.read(kind, name);
    if (!theirs)
      throw new Error(`${titleOf(object)} appeared and was gone at once: something deletes it; run this again`);
    say(`${titleOf(object)}: exists, kept`);
    return theirs;
  };
  return {
    root: async (object: ObjectName, dependant: ObjectName, make: () => Data | Promise<Data>): Promise<Data> => {
      const exists = async ({ kind, name }: ObjectName) => (await objects.read(kind, name)) !== undefined;
      // Looked for again: a run beside this one may have made both between the two looks.
      if (!(await exists(object)) && (await exists(dependant)) && !(await exists(object)))
        throw new Finding(
          `${titleOf(object)} is missing, and ${titleOf(dependant)}, which was derived from it, exists. New keys would not fit ` +
            `what is installed: restore ${titleOf(object)} from a backup, or delete ${titleOf(dependant)} to start anew`,
        );
      return ensure(object, make);
    },
    derived: async (
      object: ObjectName,
      source: ObjectName,
      key: string,
      { value, fits }: { value: string; fits: (stored: string) => boolean },
    ): Promise<void> => {
      const stored = await ensure(object, () => ({ [key]: value }));
      if (!fits(valueOf(stored, key, object)))
        throw new Finding(
          `${titleOf(object)} does not fit ${titleOf(source)}: they come from two installations. ` +
            `Restore both from one backup, or delete ${titleOf(object)} and run this again`,
        );
    },
  };
};
