/**
 * agent: what needs code inside the target. `leakscope_agent/` is a small Python package that writes the heap as seen from
 * inside to a file; this room reads that file, and has a running Python 3.14 or newer write one by `sys.remote_exec`.
 * It must not know what anybody looks for in the heap.
 */
export { isAgentFile, readAgentFile } from './agent-file.ts';
export { AGENT_DIRECTORY, type AgentCapture, captureByAgent } from './remote.ts';
