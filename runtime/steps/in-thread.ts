import type { Attempt, StepContext } from '../connector.ts';
import { writeInput } from '../expr/threads/input.ts';
import type { ProgramName } from '../expr/threads/programs.ts';
import { createSandbox } from '../expr/threads/sandbox.ts';
import type { Message } from '../message.ts';

interface InThread {
  readonly language: ProgramName;
  readonly data: unknown;
  /** Of messages on which the program throws. */
  readonly code: string;
}
/** `step` names it in errors. To be imported by `open`: no other flow needs threads. */
export const openInThread = (
  step: string,
  { language, data, code }: InThread,
  { scope }: Pick<StepContext, 'scope'>,
) => {
  const sandbox = createSandbox({ program: language, data, what: step, code });
  return {
    async run(message: Message, attempt: Attempt): Promise<string> {
      // Says what is no JSON.
      message.body.value();
      const body = Buffer.from(message.body.bytes()).toString();
      return await sandbox.run(writeInput(scope(message, attempt), body));
    },
    close: () => sandbox.close(),
  };
};
