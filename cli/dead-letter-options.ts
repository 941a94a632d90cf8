import { type Command, InvalidArgumentError } from 'commander';
import { UsageError } from './outcome.ts';

/* What the commands on dead letters have in common; apart from what they do, so that other commands do not load it. */
export interface NatsOptions {
  readonly namespace?: string;
  readonly kubeconfig?: string;
  readonly nats?: string;
  readonly creds?: string;
  readonly ca?: string;
}
export const addNatsOptions = (command: Command): Command =>
  command
    .option('-n, --namespace <name>', "of the Integration; default: the kubeconfig's")
    .option('--kubeconfig <file>', 'default: $KUBECONFIG, ~/.kube/config; in a pod its own ServiceAccount')
    .option('--nats <url>', 'NATS server, such as tls://localhost:4222; default: as in the namespace')
    .option('--creds <file>', 'credentials of the role replay; default: those of the Integration in the namespace')
    .option(
      '--ca <file>',
      'CA of the server, PEM; default: as in the namespace; with --nats and --creds the public ones',
    );

/** Which dead letters a command is about: those that are named, else all for which everything that is given holds. */
export interface Choice {
  readonly where?: string;
  readonly part?: string;
  readonly all?: boolean;
}
export const addFilterOptions = (command: Command): Command =>
  command
    .option('--part <name>', 'only those of this step or sink')
    .option(
      '--where <cel>',
      'only those for which it holds: body, headers, attrs, error.{part,class,code,message,attempts,firstAt,lastAt}, meta.{id,replays,generation,subject}',
    );
export const addChoiceOptions = (command: Command): Command =>
  addFilterOptions(command).option('--all', 'every one (that --part and --where leave)', false);

export const idArgument = (text: string, before: readonly number[] = []): number[] => {
  if (!/^[1-9]\d{0,15}$/.test(text)) throw new InvalidArgumentError('an id is a number that `kanava dlq list` shows.');
  return [...before, Number(text)];
};

/** A change needs to be told of what: ids, or a rule. */
export const requireChoice = (ids: readonly number[], { all, where, part }: Choice): void => {
  const rule = all || where !== undefined || part !== undefined;
  if (ids.length === 0 && !rule) throw new UsageError('say which: ids, --part, --where or --all');
  if (ids.length > 0 && rule) throw new UsageError('ids and a rule (--part, --where, --all) do not go together');
};
