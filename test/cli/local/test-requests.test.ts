import { describe, expect, it } from 'vitest';
import { trialIn } from './trial.ts';

/* Requests of senders in tests: the listener's answers, logins made of the secrets of the test. */
const trial = trialIn({
  'shop.yaml': `apiVersion: kanava.dev/v1alpha1
kind: Integration
metadata: {name: shop}
spec:
  sources:
    - {name: open, http: {path: /open, maxBytes: 20}}
    - {name: token, http: {path: /token, methods: [PUT], auth: {bearer: {secretKeyRef: {name: shop, key: token}}}}}
    - {name: pair, http: {path: /pair, auth: {basic: {username: ada, password: {secretKeyRef: {name: shop, key: word}}}}}}
    - {name: hook, http: {path: /hook, auth: {hmac: {secretKeyRef: {name: shop, key: hook}, header: x-signature}}}}
    - {name: ask, http: {path: /ask, reply: {statusHeader: x-status, headers: [x-sum]}}}
  steps:
    - {name: sum, map: {body: {sum: "=body.a + body.b"}, headers: {x-sum: "=string(body.a + body.b)", x-status: "201"}}}
  sinks: [{name: out, bus: {type: sum}}]
`,
});
const sum = 'body: {a: 1, b: 2}';

describe('a request', () => {
  const rows: [why: string, given: string, expected: string, fine: boolean][] = [
    [
      'is taken, and its message is worked on',
      `{request: {}, ${sum}}`,
      '{responses: [{status: 202}], sinks: {out: [{body: {sum: 3}}]}}',
      true,
    ],
    ['has another status', `{request: {}, ${sum}}`, '{responses: [{status: 200}]}', false],
    ['is taken, if nothing is said', `{request: {}, ${sum}}`, '{}', true],
    ['must not be refused, if nothing is said', `{request: {method: DELETE}, ${sum}}`, '{}', false],
    [
      'with a method that is not taken',
      `{request: {method: DELETE}}`,
      '{responses: [{status: 405, headers: {allow: POST}}]}',
      true,
    ],
    ['to a path that there is not', `{request: {path: /shop/none}, ${sum}}`, '{responses: [{status: 404}]}', true],
    [
      'that is too large',
      `{request: {}, text: "012345678901234567890"}`,
      '{responses: [{status: 413}], sinks: {}}',
      true,
    ],
    [
      'of a type that is no event',
      `{request: {}, headers: {content-type: application/cloudevents+json}, text: "no"}`,
      '{responses: [{status: 400}]}',
      true,
    ],
    [
      'in a coding that nobody reads',
      `{request: {}, headers: {content-encoding: gzip}, text: "no"}`,
      '{responses: [{status: 415}]}',
      true,
    ],
    [
      'without the login',
      `{request: {}, source: token, ${sum}}`,
      '{responses: [{status: 401, headers: {www-authenticate: Bearer realm="kanava"}}], sinks: {}}',
      true,
    ],
    [
      'with the token',
      `{request: {login: true}, source: token, ${sum}}`,
      '{responses: [{status: 202}], sinks: {out: [{}]}}',
      true,
    ],
    [
      'with the token, written out',
      `{request: {}, source: token, headers: {Authorization: Bearer abc}, ${sum}}`,
      '{responses: [{status: 202}]}',
      true,
    ],
    [
      'with another token',
      `{request: {login: true}, source: token, headers: {authorization: Bearer abd}, ${sum}}`,
      '{responses: [{status: 401}]}',
      true,
    ],
    ['with the password', `{request: {login: true}, source: pair, ${sum}}`, '{responses: [{status: 202}]}', true],
    ['with a signature', `{request: {login: true}, source: hook, ${sum}}`, '{responses: [{status: 202}]}', true],
    [
      'with the signature of something else',
      `{request: {}, source: hook, headers: {x-signature: sha256=00}, ${sum}}`,
      '{responses: [{status: 401}]}',
      true,
    ],
    [
      'that the flow answers',
      `{request: {path: "/shop/ask?x=1"}, ${sum}}`,
      '{responses: [{status: 201, headers: {x-sum: "3"}, body: {sum: 3}}]}',
      true,
    ],
    [
      'that the flow answers otherwise',
      `{request: {path: /shop/ask}, ${sum}}`,
      '{responses: [{body: {sum: 4}}]}',
      false,
    ],
    ['that the flow refuses', `{request: {}, source: ask, body: {a: 1}}`, '{responses: [{status: 422}]}', true],
    ['too few', `{request: {}, ${sum}}`, '{responses: [{}, {}]}', false],
  ];
  it.each(rows)('%s', async (_why, given, expected, fine) => {
    const { fine: found, text } = await trial(
      `secrets: {shop: {token: abc}}\ncases: [{name: it, given: [${given}], expect: ${expected}}]\n`,
    );
    expect(found, text).toBe(fine);
  });

  it('shows what was answered', async () => {
    const { text } = await trial('cases: [{name: it, given: [{request: {method: DELETE}}], expect: {}}]\n');
    expect(text).toContain('responses (- expected, + got)');
    expect(text).toContain('"status": 405');
    expect(text).toContain('use one of POST');
  });

  it('needs a source that takes requests', async () => {
    const { text } = await trial('cases: [{name: it, given: [{request: {}, source: opne}], expect: {}}]\n');
    expect(text).toContain('Integration shop has no source "opne" that takes requests; it has: open, token, pair');
  });
});
