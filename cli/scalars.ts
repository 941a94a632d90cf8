/*
 * Plain scalars as kubectl reads them (YAML 1.1, by go-yaml v2), so that what is checked is what the API server gets. YAML 1.2 takes
 * `yes`, `on` and their like for text: such words are pointed out, since nobody can know what the writer meant.
 */
const booleans: ReadonlyMap<string, boolean> = new Map(
  [
    ['y yes on true', true],
    ['n no off false', false],
  ].flatMap(([words, value]) =>
    String(words)
      .split(' ')
      .flatMap((word) => [word, word.toUpperCase(), word.charAt(0).toUpperCase() + word.slice(1)])
      .map((word) => [word, value as boolean] as const),
  ),
);
const nulls: ReadonlySet<string> = new Set(['', '~', 'null', 'Null', 'NULL']);
const integerForms: readonly (readonly [RegExp, number])[] = [
  [/^[-+]?0[xX]([0-9a-fA-F]+)$/, 16],
  [/^[-+]?0[bB]([01]+)$/, 2],
  [/^[-+]?0[oO]?([0-7]+)$/, 8],
  [/^[-+]?([0-9]+)$/, 10],
];
const floatForm = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;

/** Whether YAML 1.1 and 1.2 read the word as different things. */
export const isAmbiguous = (source: string): boolean => booleans.has(source) && !/^(true|false)$/i.test(source);

export const plainScalar = (source: string): string | number | boolean | null => {
  if (nulls.has(source)) return null;
  const truth = booleans.get(source);
  if (truth !== undefined) return truth;
  const digits = source.replaceAll('_', '');
  for (const [form, base] of integerForms) {
    const found = form.exec(digits)?.[1];
    if (found !== undefined) return Number.parseInt(found, base) * (digits.startsWith('-') ? -1 : 1);
  }
  return floatForm.test(digits) ? Number(digits) : source;
};
