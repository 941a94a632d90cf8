import { reject } from '../errors.ts';

/** Of a message whose body lies in parts: where it is, and what it is. The message itself has no body then. */
export interface BodyReference {
  /** Made for this body alone: a repeat of the same message must not write over what another one refers to. */
  readonly id: string;
  readonly bytes: number;
  readonly parts: number;
  /** Hex. */
  readonly sha256: string;
}

/** Believed and protected like the headers of replays: only in the Integration's own inbox, which no foreign header reaches. */
export const bodyHeader = 'kanava-body';

const form = /^([0-9a-f-]{36}) (\d{1,15}) (\d{1,9}) ([0-9a-f]{64})$/;

export const writeReference = ({ id, bytes, parts, sha256 }: BodyReference): string =>
  `${id} ${bytes} ${parts} ${sha256}`;

/** `undefined` for a message that has its body in itself. Throws `reject('BodyReferenceInvalid')`. */
export const referenceIn = (headers: Readonly<Record<string, string>>): BodyReference | undefined => {
  const text = headers[bodyHeader];
  if (text === undefined) return undefined;
  const [, id, bytes, parts, sha256] = form.exec(text) ?? [];
  if (id === undefined || sha256 === undefined)
    throw reject('BodyReferenceInvalid', `the header ${bodyHeader} is not of this version: "${text.slice(0, 200)}"`);
  return { id, bytes: Number(bytes), parts: Number(parts), sha256 };
};
