/*
 * The headers whose structs the layout tables describe, and copies of the few structs that CPython declares in its
 * .c files. The copies are checked against debug information by `scripts/layouts.ts --check --debug-info`.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "Python.h"
#include "structmember.h"
#if PY_VERSION_HEX < 0x03090000
#include "internal/pycore_pymem.h"
#endif
#include "internal/pycore_pystate.h"
#if PY_VERSION_HEX >= 0x03090000
#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"
#include "internal/pycore_gc.h"
#endif
#include "frameobject.h"

#if PY_VERSION_HEX >= 0x030b0000
#include "internal/pycore_frame.h"
#include "internal/pycore_dict.h"
#include "internal/pycore_moduleobject.h"
#include "internal/pycore_code.h"
#include "internal/pycore_genobject.h"
#endif
#if PY_VERSION_HEX >= 0x030c0000
#include "internal/pycore_obmalloc.h"
#include "internal/pycore_typeobject.h"
#endif
#if PY_VERSION_HEX >= 0x030e0000
#include "internal/pycore_interpframe.h"
#include "internal/pycore_interpframe_structs.h"
#include "internal/pycore_tstate.h"
#endif

/* Works for nested fields and elements, which offsetof also takes in gcc. */
#define OFFSET(type, field) offsetof(type, field)

/* The 32-bit word at `word` when all bits of the bit-field `field`, and no others, are set. */
#define BITS(type, word, field) \
    ({ type object_; uint32_t word_; memset(&object_, 0, sizeof object_); object_.field = ~0; \
       memcpy(&word_, (char *)&object_ + offsetof(type, word), sizeof word_); word_; })

/* Objects/dict-common.h, 3.8 to 3.10. */
#if PY_VERSION_HEX < 0x030b0000
typedef struct {
    Py_hash_t me_hash;
    PyObject *me_key;
    PyObject *me_value;
} PyDictKeyEntry;

struct _dictkeysobject {
    Py_ssize_t dk_refcnt;
    Py_ssize_t dk_size;
    void *dk_lookup;
    Py_ssize_t dk_usable;
    Py_ssize_t dk_nentries;
    char dk_indices[];
};
#endif

/* Objects/moduleobject.c, 3.8 to 3.10. */
#if PY_VERSION_HEX < 0x030b0000
typedef struct {
    PyObject_HEAD
    PyObject *md_dict;
    struct PyModuleDef *md_def;
    void *md_state;
    PyObject *md_weaklist;
    PyObject *md_name;
} PyModuleObject;
#endif

/* Objects/obmalloc.c, 3.8 to 3.11. */
#if PY_VERSION_HEX < 0x030c0000
struct pool_header {
    union {
        uint8_t *_padding;
        unsigned int count;
    } ref;
    uint8_t *freeblock;
    struct pool_header *nextpool;
    struct pool_header *prevpool;
    unsigned int arenaindex;
    unsigned int szidx;
    unsigned int nextoffset;
    unsigned int maxnextoffset;
};

struct arena_object {
    uintptr_t address;
    uint8_t *pool_address;
    unsigned int nfreepools;
    unsigned int ntotalpools;
    struct pool_header *freepools;
    struct arena_object *nextarena;
    struct arena_object *prevarena;
};
#endif

/* Modules/_collectionsmodule.c; maxfreeblocks became 16 when the free list went into the object (3.9). */
struct BLOCK {
    struct BLOCK *leftlink;
    PyObject *data[64];
    struct BLOCK *rightlink;
};

typedef struct {
    PyObject_VAR_HEAD
    struct BLOCK *leftblock;
    struct BLOCK *rightblock;
    Py_ssize_t leftindex;
    Py_ssize_t rightindex;
    size_t state;
    Py_ssize_t maxlen;
#if PY_VERSION_HEX >= 0x030b0000
    Py_ssize_t numfreeblocks;
    struct BLOCK *freeblocks[16];
#endif
    PyObject *weakreflist;
} dequeobject;

/* Objects/descrobject.c. */
typedef struct {
    PyObject_HEAD
    PyObject *prop_get;
    PyObject *prop_set;
    PyObject *prop_del;
    PyObject *prop_doc;
#if PY_VERSION_HEX >= 0x030a0000
    PyObject *prop_name;
#endif
    int getter_doc;
} propertyobject;

/* Objects/funcobject.c; staticmethod has the same shape. */
typedef struct {
    PyObject_HEAD
    PyObject *cm_callable;
    PyObject *cm_dict;
} classmethod;
