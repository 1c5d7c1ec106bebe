import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { Elf } from '../../src/process/elf.ts';
import { readMaps } from '../../src/process/maps.ts';
import { type ElfModule, loadedModules, memoryElf, openElf } from '../../src/process/modules.ts';
import { allPythons, interpreters, startPython, startTarget } from './interpreters.ts';

const directory = mkdtempSync(join(tmpdir(), 'leakscope-elf-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

// The target says itself where things are: id() of a static type is its address, ctypes knows the exported ones.
const PROGRAM = `
import sys
try:
    import ctypes
    runtime = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, '_PyRuntime'))
except ImportError:
    runtime = 0
print('ready', flush=True)
print(id(type), id(None), id(dict), runtime, flush=True)
sys.stdin.read()
`;

function find(modules: readonly ElfModule[], name: string): number | undefined {
  for (const m of modules) {
    const address = m.symbol(name);
    if (address !== undefined) return address;
  }
  return undefined;
}

async function truth(line: Promise<string>) {
  const [type, none, dict, runtime] = (await line).split(' ').map(Number);
  return { type, none, dict, runtime };
}

describe.each(allPythons())('$version $command', python => {
  it('has its symbols where the interpreter says its objects are', async () => {
    await using target = await startPython(python, ['-c', PROGRAM]);
    const said = await truth(target.line());
    const modules = loadedModules(target.pid, readMaps(target.pid));
    expect(modules[0].path).toMatch(/python3\.\d+[a-z-]*$/);
    expect(find(modules, 'PyType_Type')).toBe(said.type);
    expect(find(modules, '_Py_NoneStruct')).toBe(said.none);
    expect(find(modules, 'PyDict_Type')).toBe(said.dict);
    const runtime = find(modules, '_PyRuntime')!;
    expect(runtime).toBeGreaterThan(0);
    if (said.runtime > 0) expect(runtime).toBe(said.runtime);
    expect(find(modules, 'no_such_symbol_anywhere')).toBeUndefined();
    // From 3.10 on the runtime has a section of its own, which a stripped file keeps.
    const section = modules.map(m => m.section('.PyRuntime')).find(s => s !== undefined);
    if (section) expect(runtime).toBeGreaterThanOrEqual(section.address);
    if (section) expect(runtime).toBeLessThan(section.address + section.size);
  });

  it('gives the same exported symbols from memory alone', async () => {
    await using target = await startPython(python, ['-c', PROGRAM]);
    const said = await truth(target.line());
    const read = (at: number, length: number) => readMemory(target.pid, at, length);
    const modules = loadedModules(target.pid, readMaps(target.pid));
    const addresses = modules.map(m => {
      const elf = memoryElf(m.mappings, read);
      expect(elf?.buildId()).toBe(m.elf()?.buildId());
      const symbol = elf?.symbol('PyType_Type');
      return symbol && symbol.value + m.bias;
    });
    expect(addresses.find(a => a !== undefined)).toBe(said.type);
  });
});

describe('a local static variable', () => {
  it('is found in .symtab, also under the name link-time optimisation gave it', () => {
    const source = join(directory, 'static.c');
    writeFileSync(
      source,
      `static int arenas = 3; static int other asm("usable_arenas.lto_priv.0") = 4; int longer_arenas = 5;
       int read_them(void) { return *(volatile int *)&arenas + *(volatile int *)&other; }`,
    );
    const library = join(directory, 'libstatic.so');
    execFileSync('cc', ['-O0', '-shared', '-fPIC', '-Wl,--build-id', '-o', library, source]);
    const elf = openElf(library)!;
    const nm = new Map(
      execFileSync('nm', [library], { encoding: 'utf8' })
        .trim()
        .split('\n')
        .map(l => l.trim().split(/ +/))
        .filter(f => f.length === 3)
        .map(([value, , name]) => [name, Number.parseInt(value, 16)]),
    );
    expect(elf.symbol('arenas')?.value).toBe(nm.get('arenas'));
    expect(elf.symbol('usable_arenas')?.value).toBe(nm.get('usable_arenas.lto_priv.0'));
    expect(elf.symbol('longer_arenas')?.value).toBe(nm.get('longer_arenas'));
    execFileSync('strip', ['-R', '.comment', library]);
    const stripped = openElf(library)!;
    expect(stripped.symbol('arenas')).toBeUndefined();
    expect(stripped.symbol('longer_arenas')?.value).toBe(nm.get('longer_arenas'));
    expect(stripped.buildId()).toBe(elf.buildId());
    // Without section headers PT_DYNAMIC has to do.
    const bytes = readFileSync(library);
    bytes.fill(0, 40, 48);
    bytes.fill(0, 60, 64);
    const bare = Elf.parse({ kind: 'file', atOffset: (at, length) => bytes.subarray(at, at + length) })!;
    expect(bare.sections).toEqual([]);
    expect(bare.symbol('longer_arenas')?.value).toBe(nm.get('longer_arenas'));
    expect(bare.buildId()).toBe(elf.buildId());
  });

  it('is found through DT_HASH where there is no GNU hash table', () => {
    const source = join(directory, 'sysv.c');
    writeFileSync(source, 'int exported_one = 1; int exported_two = 2; int exported_three(void) { return 3; }');
    const library = join(directory, 'libsysv.so');
    execFileSync('cc', ['-shared', '-fPIC', '-s', '-Wl,--hash-style=sysv', '-o', library, source]);
    const nm = execFileSync('nm', ['-D', library], { encoding: 'utf8' });
    for (const name of ['exported_one', 'exported_two', 'exported_three']) {
      const value = Number.parseInt(new RegExp(`^([0-9a-f]+) . ${name}$`, 'm').exec(nm)![1], 16);
      expect(openElf(library)!.symbol(name)?.value).toBe(value);
    }
  });
});

describe('an interpreter whose file is gone', () => {
  it('is read through /proc', async () => {
    // One that needs no library of its own: copied, deleted while it runs.
    const python = interpreters()[0];
    const copy = join(directory, 'python3.copied');
    copyFileSync(python, copy);
    const prefix = execFileSync(python, ['-c', 'import sys; print(sys.base_prefix)'], { encoding: 'utf8' }).trim();
    await using target = await startTarget(copy, ['-c', PROGRAM], {
      env: { ...process.env, PYTHONHOME: prefix, LD_LIBRARY_PATH: join(prefix, 'lib') },
    });
    const said = await truth(target.line());
    rmSync(copy);
    const mappings = readMaps(target.pid);
    expect(mappings.some(m => m.deleted && m.path === copy)).toBe(true);
    expect(find(loadedModules(target.pid, mappings), 'PyType_Type')).toBe(said.type);
    // A different file put in its place is not believed.
    copyFileSync('/proc/self/exe', copy);
    const [first] = loadedModules(target.pid, mappings);
    expect(first.elf()?.buildId()).toBe(openElf(`/proc/${target.pid}/exe`)?.buildId());
    rmSync(copy);
  });
});

describe('an interpreter that only the target can see', () => {
  const python = interpreters()[0];
  const inside = 'exec "$0" -c "$1"';

  it('is found in its mount namespace', async () => {
    const hidden = mkdtempSync(join(directory, 'hidden-'));
    const real = realpathSync(python);
    const prefix = execFileSync(python, ['-c', 'import sys; print(sys.base_prefix)'], { encoding: 'utf8' }).trim();
    const script = `mount -t tmpfs none ${hidden} && cp ${real} ${hidden}/python3.8 && exec ${hidden}/python3.8 -c "$0"`;
    const env = { ...process.env, PYTHONHOME: prefix, LD_LIBRARY_PATH: join(prefix, 'lib') };
    await using target = await startTarget('unshare', ['-rm', 'sh', '-c', script, PROGRAM], { env });
    const said = await truth(target.line());
    const modules = loadedModules(target.pid, readMaps(target.pid));
    expect(modules[0].path).toBe(`${hidden}/python3.8`);
    expect(modules[0].elf()?.sections.length).toBeGreaterThan(0);
    expect(find(modules, 'PyType_Type')).toBe(said.type);
  });

  it('is found below its root', async () => {
    const root = mkdtempSync(join(directory, 'root-'));
    const script = `mount --rbind / ${root} && exec chroot ${root} sh -c '${inside}' ${python} "$0"`;
    await using target = await startTarget('unshare', ['-rm', 'sh', '-c', script, PROGRAM]);
    const said = await truth(target.line());
    const modules = loadedModules(target.pid, readMaps(target.pid));
    expect(modules[0].elf()?.sections.length).toBeGreaterThan(0);
    expect(find(modules, 'PyType_Type')).toBe(said.type);
  });
});

describe('damaged files', () => {
  it('never throw and never loop', () => {
    const whole = readFileSync(join(directory, 'libsysv.so'));
    const probe = (bytes: Uint8Array) => {
      const elf = Elf.parse({
        kind: 'file',
        atOffset: (at, length) => (at >= 0 ? bytes.slice(at, at + Math.max(0, length)) : new Uint8Array(0)),
      });
      elf?.symbol('exported_one');
      elf?.symbol('nothing');
      elf?.section('.text');
      elf?.buildId();
      elf?.bias(0x400000, 0);
    };
    fc.assert(
      fc.property(fc.nat(whole.length), length => probe(whole.subarray(0, length))),
      { numRuns: 300 },
    );
    const patch = fc.array(fc.tuple(fc.oneof(fc.nat(64 + 56 * 12), fc.nat(whole.length - 1)), fc.nat(255)), {
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(patch, changes => {
        const bytes = new Uint8Array(whole);
        for (const [at, value] of changes) bytes[at] = value;
        probe(bytes);
      }),
      { numRuns: 1000 },
    );
  });
});

function readMemory(pid: number, at: number, length: number): Uint8Array {
  const elf = execFileSync(
    'dd',
    [`if=/proc/${pid}/mem`, `skip=${at}`, `count=${length}`, 'bs=64K', 'iflag=skip_bytes,count_bytes', 'status=none'],
    { maxBuffer: 1 << 28 },
  );
  return new Uint8Array(elf);
}
