import { describe, expect, test } from 'vitest';
import { parseIntegration } from '../../../operator/api/parse.ts';
import { remembered, rememberedWith } from '../../../operator/api/remembered.ts';
import { filter, integration } from '../../build.ts';

describe('what is remembered', () => {
  test('is made once for an object, also when it is undefined, and anew for another that is equal', () => {
    let made = 0;
    const once = remembered<object, undefined>(() => {
      made += 1;
      return undefined;
    });
    const object = {};
    once(object);
    once(object);
    expect(made).toBe(1);
    once({});
    expect(made).toBe(2);
  });

  test('is made anew when one of the things that went into it is another, or one more', () => {
    const value = rememberedWith<number>();
    const [key, tenant] = [{}, {}];
    let made = 0;
    const look = (...inputs: unknown[]) =>
      value(key, inputs, () => {
        made += 1;
        return made;
      });
    expect([look(tenant, 1), look(tenant, 1), look({}, 1), look(tenant, 1), look(tenant, 1, undefined)]).toEqual([
      1, 1, 2, 3, 4,
    ]);
  });

  test('of a parsed object is only what cannot change: one that is not frozen is parsed again', () => {
    const object = integration();
    expect(parseIntegration(object)).not.toBe(parseIntegration(object));
    const frozen = Object.freeze(integration());
    expect(parseIntegration(frozen)).toBe(parseIntegration(frozen));
    expect(parseIntegration(Object.freeze(integration({ steps: [filter('true')] })))).not.toBe(
      parseIntegration(frozen),
    );
  });

  test('of a spec holds for the versions of its object that share it, and no finding about metadata is lost', () => {
    const { spec, ...rest } = integration();
    const version = (metadata: object, shared: object = spec) =>
      Object.freeze({ ...rest, metadata: { ...rest.metadata, ...metadata }, spec: shared });
    Object.freeze(spec);
    const specOf = (object: object) => {
      const parsed = parseIntegration(object);
      return parsed.ok ? parsed.value.spec : undefined;
    };
    const [first, second] = [version({ resourceVersion: '1' }), version({ labels: { team: 'shop' } })];
    expect(specOf(second)).toBe(specOf(first));
    const parsed = parseIntegration(second);
    expect(parsed.ok && parsed.value.metadata.labels).toEqual({ team: 'shop' });
    expect(parseIntegration(version({ name: 'Not_A_Label' })).ok).toBe(false);
    // Could change yet.
    expect(specOf(version({}, { ...spec }))).not.toBe(specOf(first));
  });
});
