import type { z } from 'zod';

/*
 * A rule that JSON Schema cannot say, written twice side by side: as CEL for the API server and as a function for operator and CLI,
 * with one text. `test/operator/api/crds.kube.test.ts` holds the two together on a real API server.
 */
export interface Rule<T> {
  /** CEL over `self`. */
  readonly rule: string;
  readonly message: string;
  /** Where the finding points, below the ruled value: `.inbox.storage`. */
  readonly fieldPath?: string;
  readonly reason?: 'FieldValueInvalid' | 'FieldValueForbidden';
  /** Gets values whose own rules may have failed: must not throw. */
  readonly check: (self: T) => boolean;
}

/** A rule about a change; its CEL knows `oldSelf`. The API server is its only guard at run time: nobody else sees both objects. */
export interface Transition<T> extends Omit<Rule<T>, 'check'> {
  readonly check: (self: T, old: T) => boolean;
}

const cel = <T>({ rule, message, fieldPath, reason }: Rule<T> | Transition<T>) => ({
  rule,
  message,
  ...(fieldPath === undefined ? {} : { fieldPath }),
  ...(reason === undefined ? {} : { reason }),
});

/** The schema with these rules: checked where it parses, and written into the CRD. */
export const ruled = <S extends z.ZodType>(
  schema: S,
  rules: readonly Rule<z.output<S>>[],
  transitions: readonly Transition<z.output<S>>[] = [],
): S =>
  schema
    .check((context) => {
      for (const { check, message, fieldPath, reason } of rules) {
        if (check(context.value)) continue;
        const path = fieldPath?.split('.').slice(1) ?? [];
        // continue: the rules of the parents are asked too, as on the API server.
        context.issues.push({
          code: 'custom',
          message,
          input: context.value,
          path,
          params: { reason },
          continue: true,
        });
      }
    })
    .meta({ 'x-kubernetes-validations': [...rules, ...transitions].map(cel) });

/** The texts of the transition rules that a change breaks, with their paths. */
export const brokenTransitions = <T>(
  transitions: readonly Transition<T>[],
  self: T,
  old: T,
): { path: string; message: string }[] =>
  transitions
    .filter(({ check }) => !check(self, old))
    .map(({ message, fieldPath = '' }) => ({ path: `spec${fieldPath}`, message }));
