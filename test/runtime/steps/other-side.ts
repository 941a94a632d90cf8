import type { MockServer } from '../../../cli/local/mock-server.ts';
import type { ExampleAnswer, StepContext } from '../../../runtime/connector.ts';
import { createEgress } from '../../../runtime/egress.ts';

/* A Connection "crm" with a server behind it that answers as it is told, for steps that ask. */
export const crmOn = (server: MockServer, answers: readonly ExampleAnswer[]) => {
  const played = server.play({ crm: { http: { url: 'http://crm/api' } } }, { crm: [...answers] });
  const context: Partial<StepContext> = {
    connection: ({ name }) => played.connections[name]?.['http'],
    egress: createEgress({ allow: [{ cidr: '127.0.0.1/32' }], closed: [] }),
  };
  return { context, calls: () => played.calls.get('crm') ?? [] };
};
