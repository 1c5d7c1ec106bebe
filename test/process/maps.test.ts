import { describe, expect, it } from 'vitest';
import {
  commandLine,
  memoryRollup,
  openFiles,
  parseMaps,
  processStartTime,
  processStatus,
  readMaps,
  residentByMapping,
} from '../../src/process/maps.ts';
import { threadIds } from '../../src/process/threads.ts';
import { pythonTarget } from './targets.ts';

describe('parseMaps', () => {
  it('reads paths with spaces, deleted files and anonymous memory', () => {
    const text = [
      '00400000-00401000 r-xp 00001000 fe:01 42                         /opt/my app/python (deleted)',
      '7ffd0000-7ffd1000 rw-p 00000000 00:00 0                          [stack]',
      '7fff0000-7fff2000 ---s 00000000 00:00 0 ',
      '',
    ].join('\n');
    const [file, stack, anonymous] = parseMaps(text);
    expect(file).toEqual({
      start: 0x400000,
      end: 0x401000,
      readable: true,
      writable: false,
      executable: true,
      private: true,
      offset: 0x1000,
      inode: 42,
      path: '/opt/my app/python',
      deleted: true,
    });
    expect(stack).toMatchObject({ path: '[stack]', deleted: false, writable: true });
    expect(anonymous).toMatchObject({ path: '', readable: false, private: false, end: 0x7fff2000 });
  });
});

describe('a live process', () => {
  it('is described as /proc shows it', async () => {
    await using target = await pythonTarget(
      'import os, socket, sys\nr, w = os.pipe(); s = socket.socket(); f = open("/dev/null")\nprint("ready")\nsys.stdin.read()',
    );
    const { pid } = target;
    const maps = readMaps(pid);
    expect(maps.some(m => m.path === '[heap]' && m.writable)).toBe(true);
    expect(maps.every((m, i) => i === 0 || m.start >= maps[i - 1].end)).toBe(true);
    const status = processStatus(pid)!;
    expect(status).toMatchObject({ parent: process.pid, tracer: 0, threads: 1, threadGroup: pid, seccomp: 0 });
    expect(status.dataBytes).toBeGreaterThan(0);
    expect(threadIds(pid)).toEqual([pid]);
    expect(commandLine(pid).slice(1, 3)).toEqual(['-u', '-c']);
    expect(processStartTime(pid)).toBeGreaterThan(0);
    const kinds = openFiles(pid)!.map(f => f.kind);
    expect(kinds.filter(k => k === 'pipe').length).toBeGreaterThanOrEqual(2);
    expect(openFiles(pid)!.filter(f => f.target === '/dev/null')).toHaveLength(1);
    const rollup = memoryRollup(pid)!;
    const sum = [...residentByMapping(pid).values()].reduce((a, b) => a + b, 0);
    expect(sum).toBe(rollup.resident);
  });

  it('that is gone gives nothing', () => {
    expect(processStatus(2 ** 22 + 1)).toBeUndefined();
    expect(readMaps(2 ** 22 + 1)).toEqual([]);
    expect(openFiles(2 ** 22 + 1)).toBeUndefined();
  });
});
