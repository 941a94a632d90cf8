import type { Endpoint } from '../../runtime/connector.ts';
import type { Connection, ConnectionStatus } from '../api/connection.ts';
import type { EffectiveTenant } from '../api/effective.ts';
import type { Condition } from '../api/fields.ts';
import type { Parsed } from '../api/parse.ts';
import type { KubeObject } from '../reconcile/ports.ts';
import { deniedEndpoint } from './acceptance.ts';
import { stampConditions, statusConditions, summary, type Verdict, verdict } from './conditions.ts';
import { filesOfConnection, type KeysOf, missingReference } from './references.ts';

interface ConnectionFacts {
  readonly parsed: Parsed<Connection>;
  readonly tenant: EffectiveTenant | undefined;
  readonly closedRanges: readonly string[];
  /** Absent where nothing may be read. */
  readonly keysOf: KeysOf | undefined;
  readonly endpoints: readonly Endpoint[];
  readonly usedBy: number;
  readonly now: number;
}

export const connectionStatus = (object: KubeObject, facts: ConnectionFacts): ConnectionStatus => {
  const previous = statusConditions(object['status']);
  const generation = object.metadata.generation ?? 0;
  return {
    observedGeneration: generation,
    conditions: stampConditions(verdicts(object, facts, generation, previous), {
      previous,
      generation,
      now: facts.now,
    }),
    endpoints: facts.endpoints.map(({ host, port }) => ({ host, port })),
    usedBy: facts.usedBy,
  };
};

const verdicts = (
  object: KubeObject,
  facts: ConnectionFacts,
  generation: number,
  previous: readonly Condition[],
): Verdict[] => {
  const accepted = acceptedVerdict(object, facts);
  const secrets = secretsVerdict(facts);
  const stalled =
    accepted.status === 'False'
      ? verdict('Stalled', 'True', 'NotAccepted', accepted.message)
      : secrets.status === 'False'
        ? verdict('Stalled', 'True', 'SecretsMissing', secrets.message)
        : verdict('Stalled', 'False', 'Progressing');
  const ready =
    stalled.status === 'True'
      ? verdict('Ready', 'False', 'Stalled', stalled.message)
      : verdict('Ready', 'True', 'Ready');
  return [...summary({ ready, stalled, generation }, previous), accepted, secrets];
};

const acceptedVerdict = (object: KubeObject, facts: ConnectionFacts): Verdict<'Accepted'> => {
  const { parsed, tenant, closedRanges } = facts;
  if (!tenant)
    return verdict(
      'Accepted',
      'False',
      'NoTenant',
      `namespace ${object.metadata.namespace} belongs to no Tenant; create the Connection in the namespace of a Tenant`,
    );
  if (!parsed.ok)
    return verdict('Accepted', 'False', parsed.finding.reason, `${parsed.finding.path}: ${parsed.finding.message}`);
  const denied = deniedEndpoint(parsed.value.spec, tenant, closedRanges);
  return denied ? verdict('Accepted', 'False', 'EgressDenied', denied) : verdict('Accepted', 'True', 'Accepted');
};

const secretsVerdict = ({ parsed, keysOf }: ConnectionFacts): Verdict<'SecretsResolved'> => {
  if (!parsed.ok || !keysOf) return verdict('SecretsResolved', 'Unknown', 'NotChecked', 'the spec is not accepted yet');
  const missing = missingReference(filesOfConnection(parsed.value.spec), keysOf);
  if (!missing) return verdict('SecretsResolved', 'True', 'Resolved');
  return verdict(
    'SecretsResolved',
    'False',
    missing.kind === 'Secret' ? 'SecretMissing' : 'ConfigMapMissing',
    missing.message,
  );
};
