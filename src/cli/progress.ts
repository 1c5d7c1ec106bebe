/** One line on standard error that says what is being done: only to a terminal, and only once it takes over two seconds. */

export interface Progress {
  /** What is being done now. */
  say(text: string): void;
  /** Takes the line away; the answer follows. */
  clear(): void;
}

const PATIENCE_MS = 2000;

export function progressTo(stream: NodeJS.WriteStream, quiet: boolean): Progress {
  if (!stream.isTTY || quiet) return { say: () => {}, clear: () => {} };
  const begun = performance.now();
  let waiting: NodeJS.Timeout | undefined;
  let shown = false;
  const show = (text: string) => {
    shown = true;
    stream.write(`\r\x1b[K${text.slice(0, Math.max(10, (stream.columns ?? 80) - 1))}`);
  };
  const stopWaiting = () => {
    clearTimeout(waiting);
    waiting = undefined;
  };
  return {
    say(text) {
      stopWaiting();
      const left = begun + PATIENCE_MS - performance.now();
      if (left <= 0) show(text);
      else waiting = setTimeout(show, left, text).unref();
    },
    clear() {
      stopWaiting();
      if (shown) stream.write('\r\x1b[K');
      shown = false;
    },
  };
}
