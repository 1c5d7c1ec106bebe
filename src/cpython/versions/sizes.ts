/** What sys.getsizeof counts differently from version to version. Sources: Python/sysmodule.c and the `*_sizeof` functions. */
export interface SizeFacts {
  /** An int object counts at least this many digits. */
  readonly leastDigits: number;
  /** Static types count a gc header that they do not have (3.11 and 3.12: the metatype decides). */
  readonly staticTypeHead: boolean;
  /** _pickle.Pickler: offset of output_buffer. */
  readonly picklerOutput: number;
  /** _pickle.Unpickler: offsets of marks, marks_size, and of the C strings input_line, encoding, errors. */
  readonly unpickler: { readonly marks: number; readonly marksSize: number; readonly texts: readonly number[] };
  /** In ctypes' StgInfo (3.13 on): offset of `format`, which `ndim` follows. Its size is 16 more than the offset of `shape`, 16 behind `format`. */
  readonly ctypesFormat: number;
  /** _queue.SimpleQueue counts its ring. */
  readonly queueRing: boolean;
  /** code: bytes of the inline caches' table and of cell2arg, 3.8 to 3.10. */
  readonly codeCaches: boolean;
}

const first: SizeFacts = {
  leastDigits: 0,
  staticTypeHead: false,
  picklerOutput: 64,
  unpickler: { marks: 240, marksSize: 256, texts: [152, 224, 232] },
  ctypesFormat: 136,
  codeCaches: true,
  queueRing: false,
};
const from11: SizeFacts = { ...first, leastDigits: 1, staticTypeHead: true, codeCaches: false };
const from13: SizeFacts = {
  ...from11,
  staticTypeHead: false,
  picklerOutput: 56,
  unpickler: { marks: 232, marksSize: 248, texts: [144, 216, 224] },
};
const from14: SizeFacts = {
  ...from13,
  picklerOutput: 64,
  unpickler: { marks: 256, marksSize: 272, texts: [152, 240, 248] },
  ctypesFormat: 144,
};
const from15: SizeFacts = {
  ...from14,
  queueRing: true,
  unpickler: { marks: 264, marksSize: 280, texts: [160, 248, 256] },
};

const facts: Readonly<Record<string, SizeFacts>> = {
  '3.8': first,
  '3.9': first,
  '3.10': first,
  '3.11': from11,
  '3.12': from11,
  '3.13': from13,
  '3.14': from14,
  '3.15': from15,
};

/** The facts of one version, '3.11'. `basicSize` is that of the type in question: patch releases of 3.13 have 3.14's pickle. */
export function sizeFacts(version: string, basicSize = 0): SizeFacts {
  const picklesOf314 = version === '3.13' && (basicSize === 152 || basicSize === 296);
  return picklesOf314 ? from14 : (facts[version] ?? from15);
}
