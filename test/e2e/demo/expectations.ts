import type { Webhook } from './payloads.ts';

/*
 * What must arrive, worked out from the payloads alone: plain JavaScript that says what `examples/github-issues/*.yaml` say, and uses
 * nothing of Kanava.
 */
export interface Expected {
  readonly path: string;
  readonly id: string;
  readonly body: unknown;
}

interface User {
  readonly login: string;
  readonly type: string;
}
interface Payload {
  readonly action?: string;
  readonly repository?: { readonly full_name: string; readonly stargazers_count?: number };
  readonly sender?: User;
  readonly comment?: { readonly body: string };
  readonly issue?: {
    readonly number: number;
    readonly title: string;
    /** Two of the payloads are so old that they have none: the flow of acme cannot make a ticket of them. */
    readonly state?: string;
    readonly user: User;
    readonly labels?: readonly { readonly name: string }[];
  };
}

export const expectedOf = {
  acme: (hooks: readonly Webhook[]): Expected[] =>
    hooks.flatMap(({ event, id, body }) => {
      if (event !== 'issues' && event !== 'issue_comment') return [];
      const { action, repository, issue, comment } = JSON.parse(body) as Payload;
      if (!issue || !repository) throw new Error(`a payload of ${event} has no issue or no repository`);
      if (issue.state === undefined) return [];
      return [
        {
          path: '/acme/tickets',
          id,
          body: {
            ticket: `${repository.full_name}#${issue.number}`,
            what: `${event}.${action}`,
            title: issue.title,
            author: issue.user.login,
            labels: (issue.labels ?? []).map(({ name }) => name),
            open: issue.state === 'open',
            comment: comment ? comment.body : null,
          },
        },
      ];
    }),
  globex: (hooks: readonly Webhook[]): Expected[] =>
    hooks.flatMap(({ event, id, body: text }) => {
      const { action, repository, sender } = JSON.parse(text) as Payload;
      if (!repository || !sender) return [];
      const person = sender.type === 'User';
      const body = {
        event,
        action: action ?? 'none',
        repository: repository.full_name,
        stars: repository.stargazers_count ?? 0,
        who: { login: sender.login, person },
      };
      const paths = [person ? '/globex/feed' : '/globex/bots'];
      if (event === 'issues' && action === 'opened') paths.push('/globex/desk');
      return paths.map((path) => ({ path, id, body }));
    }),
} as const;

/** Ids of the payloads that a flow takes and cannot map: dead letters, with the step that rejects them. */
export const rejectedOf = {
  acme: (hooks: readonly Webhook[]): string[] =>
    hooks
      .filter(({ event, body }) => event === 'issues' && (JSON.parse(body) as Payload).issue?.state === undefined)
      .map(({ id }) => id),
  globex: (): string[] => [],
} as const;

export type TenantName = keyof typeof expectedOf;
export const tenantNames = Object.keys(expectedOf) as TenantName[];
