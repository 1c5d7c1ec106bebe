/** What sys.getsizeof counts differently from version to version. Sources: Python/sysmodule.c and the `*_sizeof` functions. */
export interface SizeFacts {
  /** An int object counts at least this many digits. */
  readonly leastDigits: number;
  /** Static types count a gc header that they do not have (from 3.11 on the metatype decides). */
  readonly staticTypeHead: boolean;
  /** Values inside an object count. */
  readonly inlineValues: boolean;
  /** _pickle.Pickler: offset of output_buffer. _pickle.Unpickler: how much earlier than in 3.8 its fields stand. */
  readonly picklerOutput: number;
  readonly unpicklerShift: number;
  /** code: bytes of the inline caches' table and of cell2arg, 3.8 to 3.10. */
  readonly codeCaches: boolean;
}

const first: SizeFacts = {
  leastDigits: 0,
  staticTypeHead: false,
  inlineValues: false,
  picklerOutput: 64,
  unpicklerShift: 0,
  codeCaches: true,
};
const from11: SizeFacts = { ...first, leastDigits: 1, staticTypeHead: true, codeCaches: false };
const from13: SizeFacts = { ...from11, picklerOutput: 56, unpicklerShift: 8 };

const facts: Readonly<Record<string, SizeFacts>> = {
  '3.8': first,
  '3.9': first,
  '3.10': first,
  '3.11': from11,
  '3.12': from11,
  '3.13': from13,
  '3.14': from13,
  '3.15': from13,
};

/** The facts of one version, '3.11'. */
export function sizeFacts(version: string): SizeFacts {
  return facts[version] ?? from13;
}
