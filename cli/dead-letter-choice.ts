import { type DeadLetter, messageIn } from '../runtime/dead-letters/letter.ts';
import type { DeadLetters } from '../runtime/dead-letters/store.ts';
import { reasonOf } from '../runtime/errors.ts';
import { compilePredicate } from '../runtime/expr/predicate.ts';
import type { Choice } from './dead-letter-options.ts';
import { Finding, UsageError } from './outcome.ts';

/** Oldest first. An id that is not there is a Finding; what `where` cannot judge is left out and noted. */
export async function* chosen(
  letters: DeadLetters,
  ids: readonly number[],
  choice: Choice,
  notes: Unjudged,
): AsyncGenerator<DeadLetter> {
  if (ids.length > 0) {
    for (const id of ids) {
      const letter = await letters.get(id);
      if (!letter) throw new Finding(`there is no dead letter ${id}: it was replayed, discarded or too old`);
      yield letter;
    }
    return;
  }
  const holds = predicate(choice.where);
  for await (const letter of letters.all()) {
    if (choice.part !== undefined && letter.part !== choice.part) continue;
    try {
      if (holds(letter)) yield letter;
    } catch (error) {
      notes.add(letter, reasonOf(error));
    }
  }
}

const predicate = (where: string | undefined): ((letter: DeadLetter) => boolean) => {
  if (where === undefined) return () => true;
  const compiled = compiledOrUsage(where);
  return (letter) => {
    const message = messageIn(letter);
    const { part, class: failure, code, attempts, firstAt, lastAt, id, replays, generation, subject } = letter;
    return compiled({
      get body() {
        return message?.body.value();
      },
      headers: message?.headers ?? {},
      attrs: message?.attrs ?? {},
      vars: {},
      error: { part, class: failure, code, message: letter.message, attempts, firstAt, lastAt },
      meta: { id, replays, generation, subject },
    });
  };
};
const compiledOrUsage = (where: string) => {
  try {
    return compilePredicate('--where', where);
  } catch (cause) {
    throw new UsageError(reasonOf(cause), { cause });
  }
};

/** Dead letters that `--where` could not judge, such as one whose body is no JSON: they are not meant, and that is said. */
export interface Unjudged {
  add(letter: DeadLetter, reason: string): void;
  tell(): void;
}
export const unjudged = (): Unjudged => {
  let count = 0;
  let first = '';
  return {
    add({ id }, reason) {
      count += 1;
      first ||= `${id}: ${reason}`;
    },
    tell() {
      if (count > 0) console.error(`left out, because --where cannot be said of them: ${count}, the first is ${first}`);
    },
  };
};
