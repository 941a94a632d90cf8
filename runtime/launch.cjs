'use strict';
/*
 * The image's first file. V8's compiled code lies beside each bundle (build.ts makes it): a pod starts in two thirds of the time and needs
 * 10 MiB less. Node's own compile cache does not do it: it keeps only what is compiled before a module runs. Without the file, with
 * another Node or other flags everything works all the same.
 */
// The first process of a container is not ended by a signal that it has not asked for, and would be killed half a minute later. This stays
// when the program has its own: Node loses a signal that came while the last listener was replaced by another.
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    if (process.listenerCount(signal) === 1) process.exit();
  });
}

const { readFileSync, writeFileSync } = process.getBuiltinModule('node:fs');
const { Script } = process.getBuiltinModule('node:vm');

const role = ['worker', 'intake'].find((name) => name === process.argv[2]) ?? 'gateway';
const filename = `${__dirname}/${role}.cjs`;
const compiled = `${filename}.compiled`;
const read = (file) => {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
};
const cachedData = read(compiled);
const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(filename, 'utf8')}\n})`;
const script = new Script(source, { filename, cachedData });
if (!cachedData) {
  process.once('exit', () => {
    try {
      writeFileSync(compiled, script.createCachedData());
    } catch {
      // A read-only disk: the next start compiles again.
    }
  });
}
script.runInThisContext()(exports, require, module, filename, __dirname);
