/*
 * What was made of an object that never changes: one of a cache (frozen; a change is another object), or what was itself made of one.
 * It is remembered for as long as somebody has the object.
 */
export const remembered = <Key extends object, Value>(make: (key: Key) => Value): ((key: Key) => Value) => {
  const known = new WeakMap<Key, { readonly value: Value }>();
  return (key) => {
    const found = known.get(key);
    if (found) return found.value;
    const value = make(key);
    known.set(key, { value });
    return value;
  };
};

/** As `remembered`, for as long as all that went into it is the same, each by identity. */
export const rememberedWith = <Value>() => {
  const known = new WeakMap<object, { readonly inputs: readonly unknown[]; readonly value: Value }>();
  return (key: object, inputs: readonly unknown[], make: () => Value): Value => {
    const before = known.get(key);
    if (before?.inputs.length === inputs.length && before.inputs.every((input, index) => input === inputs[index]))
      return before.value;
    const value = make();
    known.set(key, { inputs, value });
    return value;
  };
};
