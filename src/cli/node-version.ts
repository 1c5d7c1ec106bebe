/** Imported first: an older Node gets a sentence instead of a syntax error from somewhere inside. */
const OLDEST = 24;

if (Number(process.versions.node.split('.')[0]) < OLDEST) {
  process.stderr.write(
    `leakscope: this is Node ${process.versions.node}, and leakscope needs ${OLDEST} or newer\n` +
      'npm install -g node@24 brings it; from a checkout, ./leakscope installs it for itself.\n',
  );
  process.exit(4);
}
